"""The paper's architectures with random weights: what every plan costs, counted and timed.

Costs do not depend on weights, so none are downloaded: the UNets are built from the configurations
below. Counts are made on the meta device, by `cloud_service.export.macs.RULE`.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import torch
import typer
from diffusers import UNet2DConditionModel
from rich.console import Console
from rich.progress import track

from benchmarks.machine import machine
from benchmarks.methods import BARE, METHODS, VANILLA, Method
from benchmarks.page import PAGE, markdown_table, replace_section
from benchmarks.torch_plans import Place, PlanTimer, example_inputs, split
from cloud_service.export.graph_modules import Unet
from cloud_service.export.macs import RULE
from cloud_service.export.step_kinds import KindMacs, StepKindUnet
from obclip.card import StepKindCost
from obclip.plan import STEP_KINDS, UNET_FULL, plan_cost

STEPS: Final = 25
SWITCH_POINTS: Final = (10, 5)
SIZES: Final = (2, 6, 30)
_SD_1_4: Final[dict[str, Any]] = {
    "sample_size": 64,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
# Without the embedding of sizes and pooled text, 5 MMAC of 3.4 TMAC.
_SDXL: Final[dict[str, Any]] = {
    "sample_size": 128,
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "block_out_channels": (320, 640, 1280),
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
}
# A toy, for tests of what runs the others.
_TINY: Final[dict[str, Any]] = {
    "sample_size": 8,
    "cross_attention_dim": 16,
    "attention_head_dim": 4,
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}
ARCHITECTURES: Final = {"sd-v1.4": _SD_1_4, "sdxl": _SDXL, "tiny": _TINY}


def build(name: str, place: Place) -> Unet:
    """A UNet with random weights, in evaluation mode.

    Args:
        name: of `ARCHITECTURES`.
        place: where and in which type; the meta device holds no weights at all.
    """
    with torch.device(place.device):
        model = UNet2DConditionModel(**ARCHITECTURES[name])
    if place.dtype is not torch.float32:
        model = model.to(dtype=place.dtype)
    return Unet(model).eval()


def count(name: str) -> tuple[StepKindCost, ...]:
    """Every step kind of an architecture, for one sample without guidance.

    Args:
        name: of `ARCHITECTURES`.
    """
    place = Place("meta", torch.float32)
    model = build(name, place)
    kinds = [
        _count_kind(model, kind, place)
        for kind in track(STEP_KINDS, f"counting {name}", console=Console(stderr=True))
    ]
    whole = next(kind.per_sample for kind in kinds if kind.name == UNET_FULL)
    return tuple(
        StepKindCost(k.name, k.per_sample / whole, k.per_sample, k.per_set / whole, k.per_set)
        for k in kinds
    )


def _count_kind(model: Unet, kind: str, place: Place) -> KindMacs:
    examples = example_inputs(model, kind, (2, 3), place)
    module = StepKindUnet(model, kind, examples)
    shapes = module.cached_shapes
    taken = {n: torch.empty(2, *shapes[n], device="meta") for n in STEP_KINDS[kind].takes}
    return module.count(examples | taken)


def _known_costs(known: dict[str, Any], name: str) -> tuple[StepKindCost, ...]:
    """Counts of an earlier run: they are the same on any machine."""
    kinds = known.get(name, {"kinds": []})["kinds"]
    return tuple(StepKindCost(**kind) for kind in kinds)


def paper_rows(costs: tuple[StepKindCost, ...]) -> list[dict[str, Any]]:
    """The layout of the paper's tables: TMAC of all 25 steps with guidance, for each N and k."""
    rows = []
    for k in SWITCH_POINTS:
        for method in METHODS:
            if method.varies_with_k or k == SWITCH_POINTS[0]:
                macs = {n: _macs(method, n, k, costs) for n in SIZES}
                rows.append({"method": method.name, "k": k, "macs": macs})
    return rows


def _macs(method: Method, n: int, k: int, costs: tuple[StepKindCost, ...]) -> int:
    return plan_cost(method.plan(k, STEPS), 1 if method.is_alone else n, costs).macs


def time_on_cpu(name: str, size: int, n: int, k: int, repeats: int) -> dict[str, Any]:
    """Seconds of every method's plan in PyTorch on this machine's processor.

    The methods run in turn; the last one's plan runs once before to warm up.

    Args:
        name: of `ARCHITECTURES`.
        size: height and width of the latents.
        n: candidates.
        k: switch point.
        repeats: of each plan; the median is taken.
    """
    place = Place("cpu", torch.float32)
    model = build(name, place)
    model.model.register_to_config(sample_size=size)
    measured = [method for method in METHODS if method.varies_with_k]
    kinds = split(model, place)
    timers = {
        method: PlanTimer(kinds, method.plan(k, STEPS), 1 if method.is_alone else n, place)
        for method in measured
    }
    timers[measured[-1]].seconds(1)
    found: dict[str, list[float]] = {method.name: [] for method in measured}
    for _ in track(range(repeats), f"timing {name}", console=Console(stderr=True)):
        for method in measured:
            found[method.name].append(timers[method].seconds(1))
    setting = {"architecture": name, "size": size, "n": n, "k": k}
    return setting | {"threads": torch.get_num_threads(), "seconds": found}


def section(report: dict[str, Any]) -> str:
    """The tables of the page."""
    parts = [f"Counting rule: {RULE}. Guidance (x2) is included in plans, not in step kinds."]
    for name, facts in report["architectures"].items():
        parts += [f"### {name}", _kind_table(facts["kinds"]), _plan_table(facts["plans"])]
    if report["cpu"]:
        parts.append(_cpu_table(report))
    return "\n\n".join(parts)


def _kind_table(kinds: list[dict[str, Any]]) -> str:
    rows = [
        [k["name"], f"{k['evals']:.3f}", f"{k['macs'] / 1e9:.1f}", f"{k['macs_per_set'] / 1e9:.1f}"]
        for k in kinds
    ]
    return markdown_table(("step kind", "evals", "GMAC a sample", "GMAC a set"), rows)


def _plan_table(plans: list[dict[str, Any]]) -> str:
    vanilla = next(row for row in plans if row["method"] == VANILLA.name)["macs"]
    sizes = [str(n) for n in SIZES]
    header = ["method", "k"]
    for n in sizes:
        header += [f"TMAC, N={n}", "x below vanilla"]
    rows = []
    for row in plans:
        cells = [row["method"], str(row["k"])]
        for n in sizes:
            macs = row["macs"][n]
            cells += [f"{macs / 1e12:.2f}", f"{vanilla[n] / macs:.1f}" if macs else "-"]
        rows.append(cells)
    return markdown_table(header, rows)


def _cpu_table(report: dict[str, Any]) -> str:
    timed, facts = report["cpu"], report["machine"]
    median = {name: statistics.median(s) for name, s in timed["seconds"].items()}
    whole = median[BARE.name] * STEPS / timed["k"]
    rows = [[f"{VANILLA.name} (bare's x {STEPS}/{timed['k']})", f"{whole:.1f}", "-", "1.0"]]
    for name, seconds in median.items():
        spread = max(timed["seconds"][name]) - min(timed["seconds"][name])
        rows.append([name, f"{seconds:.2f}", f"{spread:.2f}", f"{whole / seconds:.1f}"])
    words = (
        f"### {timed['architecture']} on a processor\n\nLatents {timed['size']}x{timed['size']}, "
        f"N = {timed['n']}, k = {timed['k']}; PyTorch {torch.__version__}, float32, "
        f"{timed['threads']} threads; {facts['processor']}. Seconds inside the UNet."
    )
    header = ("method", "median s", "spread s", "x below vanilla")
    return f"{words}\n\n{markdown_table(header, rows)}"


def main(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    architecture: Annotated[
        list[str] | None, typer.Option(help="To count; default: sd-v1.4 and sdxl.")
    ] = None,
    cpu: Annotated[bool, typer.Option(help="Also time the plans on the processor.")] = True,
    timed: Annotated[str, typer.Option(help="To time on the processor.")] = "sd-v1.4",
    size: Annotated[int, typer.Option(help="Height and width of the timed latents.")] = 32,
    n: Annotated[int, typer.Option(help="Candidates of the timed plans.")] = 2,
    switch_point: Annotated[int, typer.Option(help="Of the timed plans.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="Of each timed plan.")] = 3,
    json_file: Annotated[
        Path, typer.Option("--json", help="Figures; counts in it are kept.")
    ] = Path("out/architectures.json"),
    page: Annotated[bool, typer.Option(help="Write docs/benchmarks.md.")] = False,
) -> None:
    """Count every plan on the paper's architectures, and time one small setting."""
    known = json.loads(json_file.read_text())["architectures"] if json_file.exists() else {}
    counted = {}
    for name in architecture or ["sd-v1.4", "sdxl"]:
        costs = _known_costs(known, name) or count(name)
        counted[name] = {"kinds": [asdict(c) for c in costs], "plans": paper_rows(costs)}
    report = {
        "rule": RULE,
        "architectures": counted,
        "cpu": time_on_cpu(timed, size, n, switch_point, repeats) if cpu else None,
        "machine": machine(),
    }
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(report, indent=2) + "\n")
    text = section(json.loads(json_file.read_text()))
    Console().print(text, markup=False, highlight=False)
    if page:
        replace_section(PAGE, "architectures", text)


if __name__ == "__main__":
    typer.run(main)
