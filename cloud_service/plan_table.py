"""The command `obclip plan`: what the cloud would compute, and what it costs."""

import json
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from cloud_service.settings import embedded_bundle
from obclip.card import ModelCard, StepKindCost
from obclip.errors import InvalidRequest
from obclip.plan import Plan, Profile, Switches, make_plan, plan_cost, step_cost

_GIGA = 1e9
_WORDS = {"yes": True, "no": False}
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Switches)}


def plan(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    n: Annotated[int, typer.Option(min=1, max=4096, help="Candidates.")] = 6,
    switch_point: Annotated[
        int | None, typer.Option(help="Steps on the cloud. Default: the family's.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of the whole run. Default: the family's.")
    ] = None,
    profile: Annotated[Profile, typer.Option(help="How to save work.")] = Profile.BALANCED,
    switch: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Change one of its switches, e.g. full_every=3."),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Model bundle. Default: the embedded family.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what the cloud computes at each step, and what it costs.

    Costs come from the bundle's card: 1 eval is one full UNet pass for one sample. "vanilla" is
    every candidate through every step of the whole run.
    """
    card = ModelCard.load(bundle or embedded_bundle())
    whole = card.defaults.steps if steps is None else steps
    k = card.defaults.switch_point if switch_point is None else switch_point
    chosen = make_plan(whole, k, changed(profile.switches(k), switch or []))
    facts = _facts(chosen, n, card.step_kinds)
    vanilla = plan_cost(make_plan(whole, whole, Profile.BARE), n, card.step_kinds)
    name = " + ".join([profile.value, *(switch or [])])
    facts |= {"profile": name, "n": n, "steps": whole, "switch_point": k}
    facts["vanilla_evals"] = vanilla.evals
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        Console().print(_table(facts))


def changed(switches: Switches, changes: list[str]) -> Switches:
    """Switches after changes.

    Args:
        switches: before.
        changes: each "name=value"; the value is a number, of a switch that is on or off yes or no,
            of a point also none.

    Raises:
        InvalidRequest: a name does not exist, or a value does not suit it.
    """
    values: dict[str, Any] = {}
    for change in changes:
        name, _, word = change.partition("=")
        try:
            values[name] = _value(_DEFAULTS[name], word)
        except (KeyError, ValueError):
            raise InvalidRequest(
                "switch",
                f"{change} is none",
                f"set one of {', '.join(_DEFAULTS)} to a number, yes or no, a point also to none",
            ) from None
    return replace(switches, **values)


def _value(default: int | None, word: str) -> int | None:
    if isinstance(default, bool):
        return _WORDS[word]
    return None if default is None and word == "none" else int(word)


def _facts(chosen: Plan, n: int, table: tuple[StepKindCost, ...]) -> dict[str, Any]:
    rows = []
    for step in chosen.steps:
        cost = step_cost(step, n, table)
        rows.append(asdict(step) | {"samples": step.samples(n), **asdict(cost)})
    total = plan_cost(chosen, n, table)
    return {"plan": rows, "evals": total.evals, "macs": total.macs}


def _table(facts: dict[str, Any]) -> Table:
    ratio = facts["vanilla_evals"] / facts["evals"] if facts["evals"] else float("inf")
    table = Table(
        "step", "kind", "rows", "takes", "leaves",
        title=f"{facts['profile']}: N = {facts['n']}, k = {facts['switch_point']}",
        caption=f"rows: without the prompts + with them; "
        f"vanilla: {facts['vanilla_evals']:.0f} evals, {ratio:.1f} times as many",
        show_footer=True,
        box=SIMPLE,
        pad_edge=False,
    )  # fmt: skip
    table.add_column("evals", f"{facts['evals']:.1f}", justify="right")
    table.add_column("GMAC", f"{facts['macs'] / _GIGA:.1f}", justify="right")
    for row in facts["plan"]:
        table.add_row(
            str(row["index"]), row["kind"],
            f"{row['unconditional'].of(facts['n'])} + {row['conditional'].of(facts['n'])}",
            "\n".join(row["takes"]), "\n".join(row["leaves"]),
            f"{row['evals']:.2f}", f"{row['macs'] / _GIGA:.2f}",
        )  # fmt: skip
    return table
