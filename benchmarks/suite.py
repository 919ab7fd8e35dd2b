"""`make bench`: every number of candidates at every switch point, as JSON, tables and plots.

A setting whose JSON is there already, of the same models, machine and number of prompts, is not
measured again: after an interruption the same command goes on, and `--fresh` begins anew.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console

from benchmarks.acceleration import conditions, measure, ratios, table
from benchmarks.fidelity import Setting, interval_words
from benchmarks.machine import models_words
from benchmarks.methods import METHODS
from benchmarks.page import PAGE, PICTURES, markdown_table, replace_section, save_plot
from benchmarks.system import running_service

Report = dict[str, Any]
Reports = dict[tuple[int, int], Report]

SIZES: Final = (2, 6, 30)
SWITCH_POINTS: Final = (5, 10)
PROMPTS: Final = {2: 30, 6: 20, 30: 4}
REPEATS: Final = {2: 5, 6: 9, 30: 2}
_NEAR: Final = 1e-9  # of a bound counts as at it
_HEADER: Final = (
    "method", "server s", "x vanilla", "evals", "GMAC", "x vanilla", "overhead", "wire kB",
    "device s", "latent error", "PSNR dB", "accuracy", "over bare", "worst", "Frechet",
    "minus paper's", "trend p",
)  # fmt: skip


def run(folder: Path, bundle: Path, scale: float, threads: int) -> Reports:
    """Measures what the folder lacks, all with one service, and reads it all."""
    settings = {
        (n, k): Setting(bundle, n, k, max(2, round(scale * PROMPTS[n])), 1, threads)
        for n in SIZES
        for k in SWITCH_POINTS
    }
    files = {(n, k): folder / f"n{n}-k{k}.json" for n, k in settings}
    left = [each for each in settings if not _is_measured(files[each], settings[each])]
    if left:
        folder.mkdir(parents=True, exist_ok=True)
        with running_service(bundle) as service:
            for each in left:
                begin = time.monotonic()
                report = measure(service, settings[each], REPEATS[each[0]])
                report["took_s"] = time.monotonic() - begin
                files[each].write_text(json.dumps(report, indent=2) + "\n")
                console = Console()
                console.print(f"N = {each[0]}, k = {each[1]}: {report['took_s']:.0f} s")
                console.print(table(report["rows"]))
    return {each: json.loads(file.read_text()) for each, file in files.items()}


def _is_measured(file: Path, setting: Setting) -> bool:
    """Whether a file holds this setting's figures, of these plans, models and machine."""
    if not file.exists():
        return False
    report = json.loads(file.read_text())
    wanted = conditions(setting, REPEATS[setting.n])
    return all(report.get(name) == facts for name, facts in wanted.items())


def section(reports: Reports) -> str:
    """The tables of the page."""
    first = next(iter(reports.values()))
    facts = first["machine"]
    parts = [
        f"Machine: {facts['processor']}, {facts['cores']} cores; Python {facts['python']}, "
        f"ONNX Runtime {facts['onnxruntime']}. {models_words(first['models'])}",
        markdown_table(("asked", "measured", "holds"), targets(reports)),
    ]
    for (n, k), report in reports.items():
        setting, memory = report["setting"], report["peak_memory_bytes"]
        peaks = ", ".join(f"{who} {size / 2**20:.0f} MiB" for who, size in memory.items())
        parts += [
            f"### N = {n}, k = {k}",
            f"{setting['prompts']} prompts judged, {setting['repeats']} timed rounds; peak "
            f"memory so far: {peaks}.",
            markdown_table(_HEADER, [_cells(row, report["rows"]) for row in report["rows"]]),
        ]
    return "\n\n".join(parts)


def _cells(row: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    by_seconds, by_macs = ratios(row, rows)
    return [
        row["method"],
        f"{row['server_s']:.3f} ± {row['server_s_spread'] / 2:.3f}",
        by_seconds,
        f"{row['evals']:.1f}",
        f"{row['gmacs']:.1f}",
        by_macs,
        _or_dash(row["overhead"], "{:.1%}"),
        f"{row['wire_bytes'] / 1e3:.1f}",
        f"{row['device_s']:.2f}",
        _or_dash(row["latent_error"], "{:.3f}"),
        f"{row['psnr']:.1f}",
        f"{100 * row['accuracy_mean']:.1f}",
        interval_words(row["accuracy_over_bare"], 100),
        f"{100 * row['accuracy_worst']:.1f}",
        f"{row['frechet']:.1f}",
        interval_words(row["frechet_over_paper"], 1),
        f"{row['position_trend_p']:.2f}",
    ]


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def targets(reports: Reports) -> list[list[str]]:
    """What was asked of the profiles, and what came out: in words, and yes or no."""
    lines: list[tuple[str, float, str, float]] = []
    for n, k, least in ((6, 5, 14.0), (6, 10, 7.0), (30, 5, 25.0)):
        found = _over(reports, "vanilla oblivious", "fast", n, k)
        lines.append(
            (f"fast, N={n}, k={k}: at least {least:g} x below vanilla", found, ">=", least)
        )
    growth = _row(reports, "fast", 30, 5)["server_s"] / _row(reports, "fast", 2, 5)["server_s"]
    lines.append(("fast, k=5: N=30 costs at most 9 x N=2", growth, "<=", 9.0))
    share = _over(reports, "fast", "cloud only", 6, 5)
    lines.append(("fast, N=6, k=5: at most 0.6 of a plain cloud-only image", share, "<=", 0.6))
    for k in SWITCH_POINTS:
        row = _row(reports, "obclip + reuse", 6, k)
        counted = _row(reports, "vanilla oblivious", 6, k)["gmacs"] / row["gmacs"]
        off = _over(reports, "vanilla oblivious", "obclip + reuse", 6, k) / counted
        lines.append((f"paper, N=6, k={k}: seconds over count {counted:.1f} x", off, "+-", 0.15))
    heaviest = max(row["overhead"] or 0 for k in SWITCH_POINTS for row in reports[6, k]["rows"])
    lines.append(("orchestration, N=6: at most 10 % of server seconds", heaviest, "<=", 0.1))
    cost = [
        [words, f"{found:.3g}", _holds(found, how, bound)] for words, found, how, bound in lines
    ]
    return cost + [line for k in SWITCH_POINTS for line in _quality_targets(reports, k)]


def _quality_targets(reports: Reports, k: int) -> list[list[str]]:
    """Held where it is shown, and not only not refuted: with few prompts the answer is open."""
    bare = _row(reports, "obclip bare", 6, k)
    lines = []
    for profile, points in (("balanced", 0.01), ("fast", 0.02)):
        row = _row(reports, profile, 6, k)
        name = f"{profile}, N=6, k={k}"
        lost = bare["accuracy_mean"] - row["accuracy_mean"]
        most = row["lost_at_most"]
        answer = "no" if lost > points + _NEAR else "yes" if most <= points else "cannot tell"
        words = f"{name}: points of accuracy lost to bare, at most {100 * points:g}"
        lines.append([words, f"{100 * lost:.3g}; surely under {100 * most:.2g}", answer])
        worst = row["accuracy_worst"] - bare["accuracy_worst"]
        words = f"{name}: worst candidate over bare, as measured, at least -3 points"
        lines.append([words, f"{100 * worst:.3g}", _holds(worst, ">=", -0.03)])
        ends = row["frechet_over_paper"] or {"low": -math.inf, "high": math.inf}
        answer = "yes" if ends["high"] <= 0 else "no" if ends["low"] > 0 else "cannot tell"
        words = f"{name}: Frechet distance no more than the paper's"
        lines.append([words, interval_words(row["frechet_over_paper"], 1), answer])
    return lines


def _holds(found: float, how: str, bound: float) -> str:
    is_held = {
        ">=": found >= bound - _NEAR,
        "<=": found <= bound + _NEAR,
        "+-": abs(found - 1) <= bound,
    }[how]
    return "yes" if is_held else "no"


def _row(reports: Reports, method: str, n: int, k: int) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in reports[n, k]["rows"] if r["method"] == method)
    return found


def _over(reports: Reports, dear: str, cheap: str, n: int, k: int) -> float:
    """How many times one method's server seconds are another's."""
    seconds = [float(_row(reports, method, n, k)["server_s"]) for method in (dear, cheap)]
    return seconds[0] / seconds[1]


def plot(reports: Reports, pictures: Path) -> None:
    """Draws cost over N, and quality over cost."""
    methods = [method.name for method in METHODS if method.name != "device only"]
    figure = Figure((11, 4.5), layout="constrained")
    for axes, k in zip(figure.subplots(1, 2, sharey=True), SWITCH_POINTS, strict=True):
        _plot_cost(axes, reports, methods, k)
    save_plot(figure, pictures / "bench-cost.webp")
    figure = Figure((11, 4.5), layout="constrained")
    for axes, k in zip(figure.subplots(1, 2, sharey=True), SWITCH_POINTS, strict=True):
        _plot_quality(axes, reports[6, k]["rows"], k)
    save_plot(figure, pictures / "bench-quality.webp")


def _plot_cost(axes: Axes, reports: Reports, methods: list[str], k: int) -> None:
    for method in methods:
        seconds = [_row(reports, method, n, k)["server_s"] for n in SIZES]
        axes.plot(SIZES, seconds, marker="o", label=method)
    axes.set(xscale="log", yscale="log", xlabel="candidates N", title=f"k = {k}")
    axes.set_xticks(SIZES, [str(n) for n in SIZES])
    axes.minorticks_off()
    axes.set_ylabel("server seconds")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _plot_quality(axes: Axes, rows: list[dict[str, Any]], k: int) -> None:
    shown = [row for row in rows if row["prompts_sent"] > 1]
    for row, colour in zip(shown, ("C2", "C4", "C5", "C6", "C7", "C8"), strict=False):
        cost = row["server_s"]
        axes.plot(cost, 100 * row["accuracy_mean"], "o", color=colour, label=row["method"])
        axes.plot(cost, 100 * row["accuracy_worst"], "v", color=colour)
    axes.set(xscale="log", xlabel="server seconds", title=f"N = 6, k = {k}")
    axes.set_ylabel("attributes right, %: o mean, v worst candidate")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def main(
    folder: Annotated[Path, typer.Option(help="Folder of the JSON files.")] = Path("out/bench"),
    bundle: Annotated[Path, typer.Option(help="The family's folder.")] = Path(
        "demo_models/weights"
    ),
    scale: Annotated[float, typer.Option(help="Times the usual number of prompts.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, help="Of the device's models.")] = 2,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure everything again.")] = False,
) -> None:
    """Measure every setting, and write tables and plots."""
    if fresh:
        for file in folder.glob("n*-k*.json"):
            file.unlink()
    reports = run(folder, bundle, scale, threads)
    replace_section(PAGE, "acceleration", section(reports))
    plot(reports, PICTURES)


if __name__ == "__main__":
    typer.run(main)
