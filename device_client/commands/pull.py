"""`obclip pull`: fetches the device's part of a bundle."""

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from device_client.commands.arguments import (
    DEFAULT_SERVER,
    AsJson,
    Server,
    Timeout,
    TlsCa,
    UseTls,
    to_tls,
)
from obclip.errors import InvalidRequest

if TYPE_CHECKING:
    from device_client.delivery import BundleSource, Delivered, OnBytes
    from device_client.public_side.transport import Endpoint

EXAMPLES = """
Examples:

    obclip pull 4f0c...e1 --server gpu.example.org:443 --tls --out models
    obclip pull 4f0c...e1 --from /media/stick/bundle --out models
    obclip generate 'an old man' --bundle models --server gpu.example.org:443 --tls

The digest is the SHA-256 of the bundle's card.json; ask the operator for it, by another way than
the service itself. It covers every file. What breaks off goes on with the same command.
"""
_GIB = 2**30


def pull(  # noqa: PLR0913  # typer reads the command line from the signature
    digest: Annotated[
        str, typer.Argument(metavar="DIGEST", help="SHA-256 of the bundle's card.json.")
    ],
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to make of it.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Take it from this folder, not a service."),
    ] = None,
    max_size: Annotated[
        float, typer.Option(min=0, max=2**20, metavar="GIB", help="Refuse a larger bundle.")
    ] = 8.0,
    server: Server = DEFAULT_SERVER,
    tls: UseTls = False,
    tls_ca: TlsCa = None,
    timeout: Timeout = None,
    as_json: AsJson = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the folder and nothing else.")
    ] = False,
) -> None:
    """Fetch the device's models from a service or a folder; the cloud's UNet is not among them.

    Nothing of any prompt is sent. The folder appears when all of it is here and verified.
    """
    from device_client.delivery import Delivery, FolderSource  # noqa: PLC0415  # keeps --help quick
    from device_client.public_side.transport import Endpoint  # noqa: PLC0415  # keeps --help quick

    pin = _pin(digest)
    if not math.isfinite(max_size):
        raise InvalidRequest("max_size", "is no number", "say it in GiB, e.g. 8")
    endpoint = Endpoint(server, to_tls(tls, tls_ca), timeout)
    opened = _service(endpoint) if folder is None else _folder(FolderSource(folder))
    with opened as source, _progress(quiet=quiet or as_json) as on_bytes:
        result = Delivery(source, pin, out, int(max_size * _GIB), on_bytes).run()
    if as_json:
        typer.echo(json.dumps(_facts(result, pin)))
        return
    if not quiet:
        typer.echo(_summary(result), err=True)
    typer.echo(out)


def _pin(digest: str) -> str:
    from obclip.card import is_sha256  # noqa: PLC0415  # keeps --help quick

    pin = digest.lower().removeprefix("sha256:")
    if not is_sha256(pin):
        raise InvalidRequest(
            "digest", "is no SHA-256 in hex", "take the output of `sha256sum card.json`"
        )
    return pin


@contextmanager
def _service(endpoint: "Endpoint") -> "Iterator[BundleSource]":
    from device_client.public_side.transport import Transport  # noqa: PLC0415  # keeps --help quick
    from obclip.manifest import MAX_MESSAGE_BYTES  # noqa: PLC0415  # keeps --help quick

    with Transport(endpoint, MAX_MESSAGE_BYTES) as transport:
        yield transport


@contextmanager
def _folder(source: "BundleSource") -> "Iterator[BundleSource]":
    yield source


@contextmanager
def _progress(*, quiet: bool) -> "Iterator[OnBytes]":
    """A bar on a terminal, nothing elsewhere."""
    from rich.console import Console  # noqa: PLC0415  # keeps --help quick
    from rich.progress import (  # noqa: PLC0415  # keeps --help quick
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description:<32.32}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    is_hidden = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=is_hidden) as bar:
        task = bar.add_task("asking for the manifest", total=None)
        yield lambda path, done, total: bar.update(
            task, description=path, completed=done, total=total
        )


def _facts(result: "Delivered", pin: str) -> dict[str, object]:
    return {
        "bundle": str(result.folder),
        "digest": pin,
        "family": result.card.models.family,
        "licence": result.card.licence,
        "files": result.files,
        "size_bytes": result.size_bytes,
        "fetched_bytes": result.fetched_bytes,
    }


def _summary(result: "Delivered") -> str:
    fetched, size = result.fetched_bytes / 2**20, result.size_bytes / 2**20
    return (
        f"{result.card.models.family} ({result.card.licence}): {result.files} files, "
        f"{size:.1f} MiB, of which {fetched:.1f} MiB were fetched now; all digests are right."
    )
