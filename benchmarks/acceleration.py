"""What every method costs and what it does to every candidate's picture, side by side in one run.

Seconds and bytes are those of the whole system: `obclip serve`, its Triton and the device's two
sides over gRPC on loopback, all methods in turn, the round repeated. The pictures of all candidates
come from the same loop in this process: the system gives out one picture of each set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.fidelity import Setting, Studio, settled
from benchmarks.machine import machine, models
from benchmarks.methods import METHODS, Method
from benchmarks.pictures import Finisher
from benchmarks.system import Exchange, System, peak_memory_bytes, running_service
from cloud_service.own_process import OwnService

COLUMNS: Final = (
    "method", "server_s", "overhead", "evals", "gmacs", "wire_bytes", "device_s", "latent_error",
    "psnr", "accuracy_mean", "accuracy_worst", "frechet",
)  # fmt: skip


def measure(service: OwnService, setting: Setting, repeats: int) -> dict[str, Any]:
    """Measures all methods at one number of candidates and switch point.

    Args:
        service: which serves the setting's bundle with every profile.
        setting: whose pictures are made.
        repeats: rounds of timed requests.

    Returns:
        `rows`, one for each method; what `conditions` says, and `peak_memory_bytes`.
    """
    exchanges = time_system(service, setting, repeats)
    memory = peak_memory_bytes(service)  # before the judge and the many pictures add theirs
    made = zip(METHODS, Studio(setting, METHODS).rows(), strict=True)
    rows = [settled(setting, m) | _seconds(exchanges[m]) | quality for m, quality in made]
    return {"rows": rows, "peak_memory_bytes": memory} | conditions(setting, repeats)


def conditions(setting: Setting, repeats: int) -> dict[str, Any]:
    """What figures depend on: `setting`, `machine`, `models`, and the `plans` with their costs."""
    return {
        "setting": setting.public | {"repeats": repeats},
        "machine": machine(),
        "models": models(setting.bundle),
        "plans": [settled(setting, method) for method in METHODS],
    }


def time_system(
    service: OwnService, setting: Setting, repeats: int
) -> dict[Method, list[Exchange]]:
    """All methods in turn through the whole system, the round repeated; one round warms up."""
    found: dict[Method, list[Exchange]] = {method: [] for method in METHODS}
    with _connected(service, setting) as system:
        for method in METHODS:
            if method.varies_with_k:
                system.run(method, setting.sets(1)[0][1].prompts[0], setting.k, 0)
        rounds = setting.sets(repeats)
        for _, asked in track(rounds, "timing", console=Console(stderr=True)):
            for method in METHODS:
                prompt = asked.prompts[asked.seed % setting.n]
                found[method].append(system.run(method, prompt, setting.k, asked.seed))
    return found


@contextmanager
def _connected(service: OwnService, setting: Setting) -> Iterator[System]:
    system = System(service, setting.bundle, setting.threads)
    try:
        yield system
    finally:
        system.close()


def _seconds(exchanges: list[Exchange]) -> dict[str, Any]:
    """Medians over the rounds, and the distance of the extremes."""
    server = np.array([exchange.server_s for exchange in exchanges])
    model = np.array([exchange.model_s for exchange in exchanges])
    device = [exchange.device_s for exchange in exchanges]
    overhead = float(np.median(1 - model / server)) if server.all() else None
    return {
        "server_s": float(np.median(server)),
        "server_s_spread": float(np.ptp(server)),
        "model_s": float(np.median(model)),
        "overhead": overhead,
        "wire_bytes": int(np.median([exchange.wire_bytes for exchange in exchanges])),
        "device_s": float(np.median(device)),
        "device_s_spread": float(np.ptp(device)),
    }


def table(rows: list[dict[str, Any]]) -> Table:
    """The rows for people; "x" is how many times cheaper than vanilla, by seconds and by MACs."""
    out = Table(*COLUMNS, "x s", "x MAC")
    for row in rows:
        out.add_row(*(cell(row[column]) for column in COLUMNS), *ratios(row, rows))
    return out


def ratios(row: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """Vanilla's server seconds and MACs over a row's."""
    vanilla = next(other for other in rows if other["method"] == "vanilla oblivious")
    return [
        f"{vanilla[name] / row[name]:.1f}" if row[name] else "-" for name in ("server_s", "gmacs")
    ]


def cell(value: Any) -> str:
    """A figure of three digits, words as they are."""
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    n: Annotated[int, typer.Option(help="Candidates: 2, 6 or 30.")] = 6,
    switch_point: Annotated[int, typer.Option(help="Steps on the cloud.")] = 5,
    finish: Annotated[Finisher, typer.Option(help="Whose UNet makes the judged pictures.")] = (
        Finisher.DEVICE
    ),
    prompts: Annotated[int, typer.Option(min=2, help="Whose pictures are judged.")] = 20,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of timed requests.")] = 3,
    seed: Annotated[int, typer.Option(help="Of prompts and noise.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of the device's models.")] = 2,
    bundle: Annotated[Path, typer.Option(help="The family's folder.")] = Path(
        "demo_models/weights"
    ),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Compare all methods at one number of candidates and switch point."""
    setting = Setting(bundle, n, switch_point, prompts, seed, threads, finish)
    with running_service(bundle) as service:
        report = measure(service, setting, repeats)
    Console().print(table(report["rows"]))
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
