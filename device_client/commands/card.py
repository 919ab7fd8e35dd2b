"""`obclip card`: what a service, or this device's bundle, says about itself."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from device_client.commands.arguments import (
    DEFAULT_SERVER,
    AsJson,
    BundleFolder,
    Server,
    Timeout,
    TlsCa,
    UseTls,
    to_tls,
)
from obclip.errors import InvalidRequest

EXAMPLES = """
Examples:

    obclip card --server gpu.example.org:443 --tls
    obclip card --local --json
"""


def card(  # noqa: PLR0913  # typer reads the command line from the signature
    *,
    server: Server = DEFAULT_SERVER,
    local: Annotated[
        bool, typer.Option("--local", help="Show the bundle of this device instead.")
    ] = False,
    bundle: BundleFolder = None,
    tls: UseTls = False,
    tls_ca: TlsCa = None,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Show what the service says about itself: models, limits, profiles."""
    from device_client.bundle import open_bundle  # noqa: PLC0415  # keeps --help quick
    from device_client.public_side.transport import (  # noqa: PLC0415  # keeps --help quick
        CARD_BYTES,
        Endpoint,
        Transport,
    )

    if bundle is not None and not local:
        raise InvalidRequest("bundle", "is a folder of this device", "add --local to show it")
    if local:
        _print(asdict(open_bundle(bundle).card), as_json)
        return
    with Transport(Endpoint(server, to_tls(tls, tls_ca), timeout), CARD_BYTES) as transport:
        _print(asdict(transport.service_card()), as_json)


def _print(facts: dict[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for line in _lines(facts, ""):
        typer.echo(line)


def _lines(value: object, name: str) -> list[str]:
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _lines(item, _join(name, key))]
    if isinstance(value, (tuple, list)) and value and isinstance(value[0], dict):
        return [line for item in value for line in _lines(item, name)]
    words = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
    return [f"{name:<28} {words}"]


def _join(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key
