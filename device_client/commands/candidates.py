"""`obclip candidates`: what the cloud would see of a prompt."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from device_client.commands.arguments import (
    AsJson,
    MaxCandidates,
    NegativePrompt,
    read_prompt,
)
from device_client.leakage import DEFAULT_MAX_CANDIDATES, declared_leakage, warnings
from obclip.errors import ExitCode, InvalidRequest

EXAMPLES = """
Examples:

    obclip candidates 'a portrait of an old woman with glasses'
    obclip candidates --json 'a young man' | jq .n
    obclip candidates --batch prompts.txt > candidates.jsonl
"""


def candidates(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The prompt; - reads it from standard input."),
    ] = None,
    negative_prompt: NegativePrompt = "",
    max_candidates: MaxCandidates = DEFAULT_MAX_CANDIDATES,
    batch: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="One prompt a line, - for stdin; prints JSON lines."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the cloud would see of a prompt; sends nothing.

    Exits with 3 when the prompt is refused because it could not be hidden.
    """
    if (prompt is None) == (batch is None):
        raise InvalidRequest("prompt", "is missing, or given twice", "give PROMPT or --batch FILE")
    if prompt is None:
        for line in _lines(str(batch)):
            typer.echo(json.dumps(_record(line, negative_prompt, max_candidates)))
    elif as_json:
        _print_json(_record(read_prompt(prompt), negative_prompt, max_candidates))
    else:
        _print(read_prompt(prompt), negative_prompt, max_candidates)


def _record(prompt: str, negative_prompt: str, max_candidates: int) -> dict[str, Any]:
    """Returns what `--json` prints: a function of the skeleton, or of the refusal, alone."""
    from device_client.transformation import (  # noqa: PLC0415  # keeps --help quick
        TransformationRefused,
        transform,
    )

    facts: dict[str, Any] = {"attributes": {}, "candidates": [], "n": 0, "refused": None}
    facts |= {"remedy": None, "effective_set": None, "leakage": None}
    try:
        skeleton = transform(prompt, negative_prompt, max_candidates=max_candidates).skeleton
    except TransformationRefused as refusal:
        return facts | {"refused": refusal.reason, "remedy": refusal.remedy}
    facts |= {"attributes": {slot.name: slot.values for slot in skeleton.slots}}
    return facts | {
        "candidates": skeleton.candidates(),
        "n": skeleton.n,
        "leakage": {
            "bits": skeleton.leakage_bits,
            "declared": declared_leakage(skeleton),
            "warnings": warnings(skeleton),
        },
    }


def _print_json(facts: dict[str, Any]) -> None:
    typer.echo(json.dumps(facts))
    if facts["refused"] is not None:
        typer.echo(f"obclip: prompt refused: {facts['refused']}; {facts['remedy']}", err=True)
        raise typer.Exit(ExitCode.REFUSED)


def _print(prompt: str, negative_prompt: str, max_candidates: int) -> None:
    from device_client.transformation import transform  # noqa: PLC0415  # keeps --help quick

    skeleton = transform(prompt, negative_prompt, max_candidates=max_candidates).skeleton
    for candidate in skeleton.candidates():
        typer.echo(candidate)
    typer.echo("\nThe service would learn:", err=True)
    for line in declared_leakage(skeleton):
        typer.echo(f"  - {line}", err=True)
    for line in warnings(skeleton):
        typer.echo(f"Warning: {line}.", err=True)


def _lines(batch: str) -> Iterator[str]:
    if batch == "-":
        yield from (line.rstrip("\n") for line in sys.stdin)
        return
    try:
        with Path(batch).open(encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file)
    except (OSError, UnicodeDecodeError) as failure:
        raise InvalidRequest(
            "batch", f"{batch} cannot be read as UTF-8 text", "give another file"
        ) from failure
