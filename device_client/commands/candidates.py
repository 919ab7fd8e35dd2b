"""`obclip candidates`: what the cloud would see of a prompt."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device_client.commands.arguments import (
    AsJson,
    LexiconFile,
    MaxCandidates,
    NegativePrompt,
    read_lines,
    read_prompt,
    to_lexicon,
)
from device_client.leakage import DEFAULT_MAX_CANDIDATES, declared_leakage, warnings
from obclip.errors import ExitCode, InvalidRequest

if TYPE_CHECKING:
    from device_client.hiding import HidingSettings
    from device_client.transformation import TokenBudget
    from device_client.transformation.skeleton import Skeleton

EXAMPLES = """
Examples:

    obclip candidates 'a portrait of an old woman with glasses'
    obclip candidates --json 'a young man' | jq .n
    obclip candidates --batch prompts.txt > candidates.jsonl
    obclip candidates --lexicon mine.toml 'a hindu woman'
"""


def candidates(  # noqa: PLR0913  # typer reads the command line from the signature
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The prompt; - reads it from standard input."),
    ] = None,
    *,
    negative_prompt: NegativePrompt = "",
    max_candidates: MaxCandidates = DEFAULT_MAX_CANDIDATES,
    batch: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="One prompt a line, - for stdin; prints JSON lines."),
    ] = None,
    lexicon: LexiconFile = None,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Model bundle whose text encoder bounds the length."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the cloud would see of a prompt; sends nothing.

    Exits with 3 when the prompt is refused because it could not be hidden.
    """
    if (prompt is None) == (batch is None):
        raise InvalidRequest("prompt", "is missing, or given twice", "give PROMPT or --batch FILE")
    settings = _settings(negative_prompt, max_candidates, lexicon, bundle)
    if prompt is None:
        for line in read_lines("batch", str(batch)):
            typer.echo(json.dumps(_record(line, settings)))
    elif as_json:
        _print_json(_record(read_prompt(prompt), settings))
    else:
        _print(read_prompt(prompt), settings)


def _settings(
    negative_prompt: str, max_candidates: int, lexicon: Path | None, bundle: Path | None
) -> "HidingSettings":
    from device_client.hiding import HidingSettings  # noqa: PLC0415  # keeps --help quick

    known = None if lexicon is None else to_lexicon(lexicon)
    budget = None if bundle is None else _budget(bundle)
    return HidingSettings(negative_prompt, max_candidates, known, budget)


def _budget(folder: Path) -> "TokenBudget":
    from device_client.bundle import Bundle  # noqa: PLC0415  # keeps --help quick
    from device_client.transformation import TokenBudget  # noqa: PLC0415  # keeps --help quick
    from obclip.card import ModelCard  # noqa: PLC0415  # keeps --help quick

    tokenizer = Bundle(folder, ModelCard.load(folder)).tokenizer
    return TokenBudget(tokenizer.whole_ids, tokenizer.max_tokens)


def _record(prompt: str, settings: "HidingSettings") -> dict[str, Any]:
    """Returns what `--json` prints: a function of the skeleton, or of the refusal, alone."""
    from device_client.hiding import hide  # noqa: PLC0415  # keeps --help quick
    from obclip.errors import PromptRefused  # noqa: PLC0415  # keeps --help quick

    facts: dict[str, Any] = {"attributes": {}, "candidates": [], "n": 0, "refused": None}
    facts |= {"remedy": None, "effective_set": None, "leakage": None, "cut": False}
    try:
        hidden = hide(prompt, settings)
    except PromptRefused as refusal:
        return facts | {"refused": refusal.reason, "remedy": refusal.remedy}
    return facts | {"cut": hidden.is_cut} | _public_facts(hidden.halves.skeleton)


def _public_facts(skeleton: "Skeleton") -> dict[str, Any]:
    from device_client.prior.effective_set import (  # noqa: PLC0415  # keeps --help quick
        effective_set,
    )

    found = effective_set(skeleton)
    doubt = found.warning(skeleton.n)
    return {
        "attributes": {slot.name: slot.values for slot in skeleton.slots},
        "candidates": skeleton.candidates(),
        "n": skeleton.n,
        "effective_set": {
            "size": found.size,
            "largest_posterior": found.largest_posterior,
            "accuracy": found.accuracy,
        },
        "leakage": {
            "bits": skeleton.leakage_bits,
            "declared": declared_leakage(skeleton),
            "warnings": [*warnings(skeleton), *([doubt] if doubt else [])],
        },
    }


def _print_json(facts: dict[str, Any]) -> None:
    typer.echo(json.dumps(facts))
    if facts["refused"] is not None:
        typer.echo(f"obclip: prompt refused: {facts['refused']}; {facts['remedy']}", err=True)
        raise typer.Exit(ExitCode.REFUSED)


def _print(prompt: str, settings: "HidingSettings") -> None:
    from device_client.commands.summary import tell_leakage  # noqa: PLC0415  # keeps --help quick
    from device_client.hiding import hide  # noqa: PLC0415  # keeps --help quick

    hidden = hide(prompt, settings)
    skeleton = hidden.halves.skeleton
    for candidate in skeleton.candidates():
        typer.echo(candidate)
    if hidden.is_cut:
        typer.echo("\nThe prompt's end was cut: the text encoder takes no more.", err=True)
    tell_leakage("\nThe service would learn:", skeleton)
    if settings.lexicon is not None:
        _tell_effect(prompt, settings, skeleton.n)


def _tell_effect(prompt: str, settings: "HidingSettings", n: int) -> None:
    """Tells what the user's own words change."""
    from device_client.hiding import hide  # noqa: PLC0415  # keeps --help quick
    from obclip.errors import PromptRefused  # noqa: PLC0415  # keeps --help quick

    try:
        shipped = f"N = {hide(prompt, replace(settings, lexicon=None)).halves.skeleton.n}"
    except PromptRefused:
        shipped = "refused"
    typer.echo(f"Your lexicon: N = {n}; without it: {shipped}.", err=True)
