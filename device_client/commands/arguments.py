"""Arguments and options that several commands share."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obclip.errors import InvalidRequest

if TYPE_CHECKING:
    from device_client.public_side.transport import Tls
    from device_client.transformation import Lexicon

CONNECTION = "Connection"
DEFAULT_SERVER = "127.0.0.1:50051"

Prompt = Annotated[
    str,
    typer.Argument(metavar="PROMPT", help="What to show; - reads it from standard input."),
]
NegativePrompt = Annotated[
    str,
    typer.Option(metavar="TEXT", help="What not to show; items with sensitive words are left out."),
]
MaxCandidates = Annotated[
    int,
    typer.Option(
        min=2, metavar="N", help="Send at most so many; fewer than all tell the cloud some bits."
    ),
]
Server = Annotated[
    str,
    typer.Option(
        envvar="OBCLIP_SERVER",
        metavar="HOST:PORT",
        help="Where the service is.",
        rich_help_panel=CONNECTION,
    ),
]
BundleFolder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Model bundle; default: the embedded family.")
]
UseTls = Annotated[
    bool, typer.Option("--tls", help="Encrypt the connection.", rich_help_panel=CONNECTION)
]
TlsCa = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="PEM file of authorities; implies --tls.", rich_help_panel=CONNECTION
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=1,
        max=86400,
        metavar="SECONDS",
        help="Longest wait for one answer. Default: 60; for a picture, as long as the service's "
        "card allows (request_timeout_s).",
        rich_help_panel=CONNECTION,
    ),
]
LexiconFile = Annotated[
    Path | None,
    typer.Option("--lexicon", metavar="FILE", help="TOML file of your own attributes and words."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and no progress.")]


def read_prompt(argument: str) -> str:
    """Returns the prompt; from standard input it stays out of the shell's history.

    Args:
        argument: The prompt, or "-".

    Raises:
        InvalidRequest: Standard input is no UTF-8 text.
    """
    prompt = "\n".join(read_lines("prompt", "-")) if argument == "-" else argument
    return prompt.strip()


def to_tls(encrypt: bool, root_certificates: Path | None) -> "Tls | None":
    """Returns how to encrypt, or None for plain text.

    Args:
        encrypt: The user said --tls.
        root_certificates: The user's PEM file of authorities, or None.
    """
    from device_client.public_side.transport import Tls  # noqa: PLC0415  # keeps --help quick

    return Tls(root_certificates) if encrypt or root_certificates else None


def to_lexicon(extension: Path | None) -> "Lexicon":
    """Returns the shipped lexicon, with the words of the user's file if there is one.

    Args:
        extension: The file, or None.

    Raises:
        InvalidRequest: The file cannot be used.
    """
    from device_client.transformation import load_lexicon  # noqa: PLC0415  # keeps --help quick

    return load_lexicon(extension)


def read_lines(option: str, path: str) -> Iterator[str]:
    """Yields the lines of a file.

    Args:
        option: Its name, for errors.
        path: The file; "-" is standard input.

    Raises:
        InvalidRequest: It cannot be read.
    """
    try:
        if path == "-":
            yield from (line.rstrip("\n") for line in sys.stdin)
            return
        with Path(path).open(encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file)
    except (OSError, UnicodeDecodeError) as failure:
        raise InvalidRequest(
            option, f"{path} cannot be read as UTF-8 text", "give another one"
        ) from failure
