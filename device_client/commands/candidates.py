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
from device_client.leakage import declared_leakage, warnings
from device_client.limits import DEFAULT_MAX_CANDIDATES
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
    obclip candidates --bundle embedded 'a long prompt'
"""

_EMBEDDED = Path("embedded")


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
        typer.Option(
            metavar="DIR",
            help="Model bundle whose text encoder bounds the length, as in generate; "
            "'embedded' is the installed family. Without it no length is too long.",
        ),
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
    from device_client.bundle import (  # noqa: PLC0415  # keeps --help quick
        Bundle,
        embedded_folder,
    )
    from device_client.transformation import TokenBudget  # noqa: PLC0415  # keeps --help quick
    from obclip.card import ModelCard  # noqa: PLC0415  # keeps --help quick

    folder = embedded_folder() if folder == _EMBEDDED else folder
    tokenizer = Bundle(folder, ModelCard.load(folder)).tokenizer
    return TokenBudget(tokenizer.whole_ids, tokenizer.max_tokens)


def _record(prompt: str, settings: "HidingSettings") -> dict[str, Any]:
    """Returns what `--json` prints: a function of the skeleton, or of the refusal, alone."""
    from device_client.hiding import hide  # noqa: PLC0415  # keeps --help quick
    from obclip.errors import PromptRefused  # noqa: PLC0415  # keeps --help quick

    facts: dict[str, Any] = {"attributes": {}, "candidates": [], "n": 0, "refused": None}
    facts |= {"remedy": None, "effective_set": None, "leakage": None, "cut": False}
    facts |= {"skeleton": None, "negative_prompt": None, "request_bytes": 0}
    facts |= {"n_without_lexicon": None}
    facts["token_limit"] = settings.budget.max_tokens if settings.budget else None
    try:
        hidden = hide(prompt, settings)
    except PromptRefused as refusal:
        return facts | {"refused": refusal.reason, "remedy": refusal.remedy}
    if settings.lexicon is not None:
        facts["n_without_lexicon"] = _shipped_n(hidden.halves.skeleton, settings)
    return facts | {"cut": hidden.is_cut} | _public_facts(hidden.halves.skeleton)


def _public_facts(skeleton: "Skeleton") -> dict[str, Any]:
    from device_client.prior.effective_set import (  # noqa: PLC0415  # keeps --help quick
        effective_set,
    )
    from device_client.public_side.request import (  # noqa: PLC0415  # keeps --help quick
        request_bytes,
    )

    found = effective_set(skeleton)
    doubt = found.warning(skeleton.n)
    return {
        "attributes": {slot.name: slot.values for slot in skeleton.slots},
        "candidates": skeleton.candidates(),
        "n": skeleton.n,
        "skeleton": skeleton.masked_text,
        "negative_prompt": skeleton.negative_prompt,
        "request_bytes": request_bytes(skeleton),
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
    if settings.budget is None:
        typer.echo(
            "\nNo token limit applied; --bundle DIR applies a model family's, as generate does.",
            err=True,
        )
    if hidden.is_cut:
        typer.echo("\nThe prompt's end was cut: the text encoder takes no more.", err=True)
    tell_leakage("The service would learn:", skeleton)
    if settings.lexicon is not None:
        _tell_effect(skeleton, settings)


def _tell_effect(skeleton: "Skeleton", settings: "HidingSettings") -> None:
    """Tells what the user's own words change."""
    shipped = _shipped_n(skeleton, settings)
    without = f"N = {shipped}" if shipped else "refused"
    typer.echo(f"Your lexicon: N = {skeleton.n}; without it: {without}.", err=True)


def _shipped_n(skeleton: "Skeleton", settings: "HidingSettings") -> int:
    """Returns N of the first candidate with the shipped words alone, 0 if it is refused.

    Of the first one, not of the prompt: what is printed must not tell which candidate is meant.
    """
    from device_client.hiding import hide  # noqa: PLC0415  # keeps --help quick
    from obclip.errors import PromptRefused  # noqa: PLC0415  # keeps --help quick

    try:
        first = skeleton.candidates()[0]
        return hide(first, replace(settings, lexicon=None)).halves.skeleton.n
    except PromptRefused:
        return 0
