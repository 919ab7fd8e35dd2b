"""`obclip audit`: attacks what the device would send for a file of prompts."""

import json
import random
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device_client.commands.arguments import (
    AsJson,
    LexiconFile,
    MaxCandidates,
    NegativePrompt,
    read_lines,
    to_lexicon,
)
from device_client.limits import DEFAULT_MAX_CANDIDATES
from obclip.errors import ExitCode, InvalidRequest

if TYPE_CHECKING:
    from device_client.audit.game import Score, Trial

EXAMPLES = """
Examples:

    obclip audit prompts.txt
    obclip audit prompts.txt --sample 500 --json
"""
MAX_ADVANTAGE = 0.01
COLUMNS = (
    "attacker", "game", "prompts", "success", "99 %", "chance", "advantage", "at most", "certain"
)  # fmt: skip
NOTES = """
success: how often the attacker names what was meant, with its 99 % interval; chance: the same
by guessing; at most: bound of the advantage at 99 % confidence, for other prompts of this kind;
certain: prompts on which the attacker is sure and right. Games: own words, 1 of N; by lot, the
same with each candidate meant equally often; twins, the prompt or its twin with other sensitive
words.
"""


def audit(  # noqa: PLR0913  # typer reads the command line from the signature
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="One prompt a line; - for standard input.")
    ],
    *,
    sample: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Play so many lines, drawn by lot.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of that lot.")] = 0,
    negative_prompt: NegativePrompt = "",
    max_candidates: MaxCandidates = DEFAULT_MAX_CANDIDATES,
    lexicon: LexiconFile = None,
    as_json: AsJson = False,
) -> None:
    """Attack what would be sent for a file of prompts; sends nothing.

    Exits with 1 when an attacker's advantage exceeds 0.01.
    """
    from device_client.audit.game import audit as play_all  # noqa: PLC0415  # keeps --help quick
    from device_client.audit.transcript import Device  # noqa: PLC0415  # keeps --help quick

    prompts = [line for line in read_lines("file", file) if line.strip()]
    if sample is not None and sample < len(prompts):
        prompts = random.Random(seed).sample(prompts, sample)
    device = Device(negative_prompt, max_candidates, to_lexicon(lexicon))
    trials = _played(prompts, device)
    if not trials:
        raise InvalidRequest("file", "holds no prompt that would be sent", "give one with some")
    scores = play_all(trials)
    facts = _facts(prompts, trials, scores)
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        _print(facts)
    if any(score.advantage > MAX_ADVANTAGE for score in scores):
        raise typer.Exit(ExitCode.FAILED)


def _played(prompts: list[str], device: Any) -> "list[Trial]":
    from rich.console import Console  # noqa: PLC0415  # keeps --help quick
    from rich.progress import track  # noqa: PLC0415  # keeps --help quick

    from device_client.audit.game import play  # noqa: PLC0415  # keeps --help quick

    console = Console(stderr=True)
    steps: Iterable[str] = track(
        prompts, "attacking", console=console, disable=not sys.stderr.isatty()
    )
    return [trial for prompt in steps if (trial := play(prompt, device.hide)) is not None]


def _facts(prompts: list[str], trials: "list[Trial]", scores: "list[Score]") -> dict[str, Any]:
    return {
        "prompts": len(prompts),
        "refused": len(prompts) - len(trials),
        "without_secret": sum(len(trial.seen.candidates) == 1 for trial in trials),
        "confidence": 0.99,
        "scores": [_row(score) for score in scores],
    }


def _row(score: "Score") -> dict[str, Any]:
    return {
        "attack": score.attack,
        "game": score.game,
        "prompts": score.prompts,
        "success": score.success,
        "success_interval": score.success_interval,
        "chance": score.chance,
        "advantage": score.advantage,
        "advantage_limit": score.advantage_limit,
        "certain": score.certain,
        "certain_share": score.certain / score.prompts if score.prompts else 0.0,
    }


def _print(facts: dict[str, Any]) -> None:
    from rich import box  # noqa: PLC0415  # keeps --help quick
    from rich.console import Console  # noqa: PLC0415  # keeps --help quick
    from rich.table import Table  # noqa: PLC0415  # keeps --help quick

    table = Table(box=box.SIMPLE, padding=(0, 1), pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in COLUMNS[:2] else "right", no_wrap=True)
    for row in facts["scores"]:
        low, high = row["success_interval"]
        table.add_row(
            row["attack"],
            row["game"],
            str(row["prompts"]),
            f"{row['success']:.2%}",
            f"{low:.1%}-{high:.1%}",
            f"{row['chance']:.2%}",
            f"{row['advantage']:+.4f}",
            f"{row['advantage_limit']:.4f}",
            f"{row['certain_share']:.2%}",
        )
    Console(width=108).print(table)
    typer.echo(
        f"{facts['prompts']} prompts: {facts['refused']} refused, "
        f"{facts['without_secret']} without anything to hide."
    )
    typer.echo(NOTES.rstrip())
