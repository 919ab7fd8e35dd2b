"""Times the plans of the paper's architectures in PyTorch on a GPU: fp16, fused attention.

    python -m benchmarks.gpu_plans --architecture sd-v1.4 --json out/gpu.json

Each plan runs as it is and, with --graphs, as one CUDA graph, which takes the launches out of the
time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.acceleration import cell
from benchmarks.architectures import ARCHITECTURES, STEPS, build
from benchmarks.methods import METHODS, VANILLA, Method
from benchmarks.torch_plans import Kind, Place, PlanTimer, split

SIZES = (1, 2, 4, 6, 12, 30)
SWITCH_POINTS = (5, 10)


@dataclass(frozen=True)
class Timing:
    """How to time.

    Attributes:
        place: of the model.
        repeats: of each plan.
        has_graphs: whether each plan also runs as a CUDA graph.
    """

    place: Place
    repeats: int
    has_graphs: bool


def time_plans(
    kinds: dict[str, Kind], sizes: tuple[int, ...], switch_points: tuple[int, ...], timing: Timing
) -> list[dict[str, Any]]:
    """Seconds of every method's plan, for each N and k.

    Args:
        kinds: of any architecture.
        sizes: N.
        switch_points: k.
        timing: how.
    """
    rows = []
    for n in sizes:
        for k in switch_points:
            for method in METHODS:
                if method.plan(k, STEPS).steps:
                    row = {"method": method.name, "n": n, "k": k}
                    rows.append(row | _seconds(kinds, method, (n, k), timing))
    return rows


def _seconds(
    kinds: dict[str, Kind], method: Method, size_and_k: tuple[int, int], timing: Timing
) -> dict[str, Any]:
    n, k = size_and_k
    plan = method.plan(k, STEPS)
    timer = PlanTimer(kinds, plan, 1 if method.is_alone else n, timing.place)
    timer.seconds(1)  # warms up
    graphed = timer.graphed_seconds(timing.repeats) if timing.has_graphs else None
    return {"seconds": timer.seconds(timing.repeats), "graphed_seconds": graphed}


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows for people; "x" is how many times cheaper than vanilla at the same N."""
    out = Table("method", "N", "k", "seconds", "x", "graphed seconds", "x")
    for row in rows:
        vanilla = next(
            other
            for other in rows
            if (other["method"], other["n"], other["k"]) == (VANILLA.name, row["n"], row["k"])
        )
        cells = []
        for name in ("seconds", "graphed_seconds"):
            has_both = row[name] and vanilla[name]
            cells += [cell(row[name]), f"{vanilla[name] / row[name]:.1f}" if has_both else "-"]
        out.add_row(row["method"], str(row["n"]), str(row["k"]), *cells)
    return out


def main(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    architecture: Annotated[str, typer.Option(help="sd-v1.4, sdxl or tiny.")] = "sd-v1.4",
    n: Annotated[list[int] | None, typer.Option(help="Candidates; default: 1 to 30.")] = None,
    switch_point: Annotated[list[int] | None, typer.Option(help="Default: 5 and 10.")] = None,
    device: Annotated[str, typer.Option(help="As torch names it.")] = "cuda",
    repeats: Annotated[int, typer.Option(min=1, help="Of each plan.")] = 5,
    graphs: Annotated[bool, typer.Option(help="Also as CUDA graphs.")] = True,
    json_file: Annotated[Path, typer.Option("--json", help="Write figures here.")] = Path(
        "out/gpu.json"
    ),
) -> None:
    """Time every plan on a GPU, with random weights."""
    if architecture not in ARCHITECTURES:
        raise typer.BadParameter(f"choose one of {', '.join(ARCHITECTURES)}")
    is_gpu = device.startswith("cuda")
    if is_gpu and not torch.cuda.is_available():
        raise typer.BadParameter("PyTorch sees no GPU here; run it on one, or use --device cpu")
    place = Place(device, torch.float16 if is_gpu else torch.float32)
    timing = Timing(place, repeats, graphs and is_gpu)
    kinds = split(build(architecture, place), place)
    rows = time_plans(kinds, tuple(n or SIZES), tuple(switch_point or SWITCH_POINTS), timing)
    machine = torch.cuda.get_device_name(device) if is_gpu else "processor"
    report = {"architecture": architecture, "machine": machine, "torch": torch.__version__}
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(report | {"rows": rows}, indent=2) + "\n")
    Console().print(table(rows))


if __name__ == "__main__":
    typer.run(main)
