"""What every method costs and what it does to every candidate's picture, side by side in one run.

Seconds and bytes are those of the whole system: `obclip serve`, its Triton and the device's two
sides over gRPC on loopback, all methods in turn, the round repeated. The pictures of all candidates
come from the same loop in this process: the system gives out one picture of each set.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import onnxruntime
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.candidate_sets import CandidateSet, candidate_set
from benchmarks.fairness import mean_interval, position_trend_p
from benchmarks.methods import BARE, METHODS, Method
from benchmarks.pictures import Candidates, PictureMaker, Pictures
from benchmarks.portrait_judge import PortraitJudge, frechet_distance
from benchmarks.system import Exchange, Service, System, peak_memory_bytes, running_service
from demo_models.portrait import VALUES, sample_portrait
from demo_models.renderer import render
from obclip.card import ModelCard
from obclip.plan import plan_cost

Array = NDArray[np.float32]
SENSITIVE: Final = ("gender", "age", "ethnicity")
COLUMNS: Final = (
    "method", "server_s", "overhead", "evals", "gmacs", "wire_bytes", "device_s", "latent_error",
    "psnr", "accuracy_mean", "accuracy_worst", "frechet",
)  # fmt: skip
_REFERENCE_SEED: Final = 77
_REFERENCES: Final = 1000


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Attributes:
        bundle: the family's folder.
        n: candidates: 2, 6 or 30.
        k: the switch point.
        prompts: whose pictures are judged.
        repeats: rounds of timed requests.
        seed: of prompts and noise.
        threads: of ONNX Runtime in this process.
    """

    bundle: Path
    n: int
    k: int
    prompts: int
    repeats: int
    seed: int
    threads: int

    def sets(self, count: int) -> list[tuple[CandidateSet, Candidates]]:
        """The first candidate sets, and what is asked for: the same ones at every switch point."""
        rng = np.random.default_rng(self.seed)
        chosen = [candidate_set(rng, self.n) for _ in range(count)]
        seeds = [self.seed * 100_000 + index for index in range(count)]
        return [(c, Candidates(c.prompts, s)) for c, s in zip(chosen, seeds, strict=True)]


@dataclass
class Seen:
    """What one method's pictures show.

    Attributes:
        errors: (prompts, N), see `latent_errors`; empty when it does not stop at the switch point.
        psnr: in dB against the bare plan's pictures, one for each prompt.
        hits: (prompts, N) bool, whether the sensitive attributes are right.
        features: of all pictures, for the Frechet distance.
    """

    errors: list[Array] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    hits: list[NDArray[np.bool_]] = field(default_factory=list)
    features: list[Array] = field(default_factory=list)


def measure(service: Service, setting: Setting) -> dict[str, Any]:
    """Measures all methods at one number of candidates and switch point.

    Returns:
        `rows`, one for each method; `setting`, `machine` and `peak_memory_bytes`.
    """
    exchanges = time_system(service, setting)
    memory = peak_memory_bytes(service)  # before the judge and the many pictures add theirs
    seen = Studio(setting).look()
    rng = np.random.default_rng(setting.seed)
    rows = [
        _settled(setting, method)
        | _costs(setting, method)
        | _seconds(exchanges[method])
        | _quality(seen[method], seen[BARE], rng)
        for method in METHODS
    ]
    reference = reference_features(setting.bundle, setting.threads)
    for row, method in zip(rows, METHODS, strict=True):
        row["frechet"] = frechet_distance(np.concatenate(seen[method].features), reference)
    public = {name: value for name, value in vars(setting).items() if name != "bundle"}
    return {"rows": rows, "setting": public, "machine": machine(), "peak_memory_bytes": memory}


def time_system(service: Service, setting: Setting) -> dict[Method, list[Exchange]]:
    """All methods in turn through the whole system, the round repeated; one round warms up."""
    found: dict[Method, list[Exchange]] = {method: [] for method in METHODS}
    with _connected(service, setting) as system:
        for method in METHODS:
            if method.varies_with_k:
                system.run(method, setting.sets(1)[0][1].prompts[0], setting.k, 0)
        rounds = setting.sets(setting.repeats)
        for _, asked in track(rounds, "timing", console=Console(stderr=True)):
            for method in METHODS:
                prompt = asked.prompts[asked.seed % setting.n]
                found[method].append(system.run(method, prompt, setting.k, asked.seed))
    return found


@contextmanager
def _connected(service: Service, setting: Setting) -> Iterator[System]:
    system = System(service, setting.bundle, setting.threads)
    try:
        yield system
    finally:
        system.close()


class Studio:
    """Makes and judges the pictures of all candidates.

    Args:
        setting: what is measured.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._maker = PictureMaker(setting.bundle, setting.threads)
        self._judge = PortraitJudge(setting.bundle, setting.threads)

    def look(self) -> dict[Method, Seen]:
        """All methods on each prompt."""
        found = {method: Seen() for method in METHODS}
        sets = self._setting.sets(self._setting.prompts)
        for chosen, asked in track(sets, "pictures", console=Console(stderr=True)):
            made = self._make(asked)
            bare = made[BARE]
            for method, (pictures, latents) in made.items():
                self._add(found[method], pictures, chosen)
                found[method].psnr.append(psnr(pictures, bare[0]))
                if method.varies_with_k:
                    found[method].errors.append(latent_errors(latents, bare[1]))
        return found

    def _make(self, asked: Candidates) -> dict[Method, tuple[Pictures, Array]]:
        """Pictures and latents at the switch point; equal plans are run once."""
        plans = {m: m.plan(self._setting.k, self._maker.steps) for m in METHODS}
        made = {plan: self._maker.pictures(asked, plan) for plan in set(plans.values())}
        return {method: made[plan] for method, plan in plans.items()}

    def _add(self, seen: Seen, pictures: Pictures, chosen: CandidateSet) -> None:
        verdict = self._judge.judge(pictures)
        names = [name for name in SENSITIVE if name in chosen.wanted[0]]
        right = [
            verdict.guesses[name] == [VALUES[name].index(w[name]) for w in chosen.wanted]
            for name in names
        ]
        seen.hits.append(np.all(right, axis=0))
        seen.features.append(verdict.features)


def latent_errors(latents: Array, bare: Array) -> Array:
    """Distance of each candidate to the bare plan's, over the mean distance between candidates.

    Args:
        latents: (N, C, H, W) at the switch point.
        bare: the bare plan's.

    Returns:
        (N,).
    """
    flat, reference = latents.reshape(len(bare), -1), bare.reshape(len(bare), -1)
    distances = np.linalg.norm(reference[:, None] - reference[None], axis=-1)
    between = distances[~np.eye(len(bare), dtype=bool)].mean()
    errors: Array = np.linalg.norm(flat - reference, axis=-1) / between
    return errors


def psnr(ours: Pictures, theirs: Pictures) -> float:
    """Peak signal over noise in dB, at most 68."""
    error = np.mean((ours.astype(np.float64) - theirs) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-2)))


def _settled(setting: Setting, method: Method) -> dict[str, Any]:
    return {
        "method": method.name,
        "profile": method.profile_words,
        "n": setting.n,
        "k": setting.k,
        "prompts_sent": 1 if method.is_alone else setting.n,
    }


def _costs(setting: Setting, method: Method) -> dict[str, Any]:
    """By the card's table."""
    card = ModelCard.load(setting.bundle)
    plan = method.plan(setting.k, card.defaults.steps)
    cost = plan_cost(plan, 1 if method.is_alone else setting.n, card.step_kinds)
    return {"cloud_steps": len(plan.steps), "evals": cost.evals, "gmacs": cost.macs / 1e9}


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


def _quality(seen: Seen, bare: Seen, rng: np.random.Generator) -> dict[str, Any]:
    hits = np.array(seen.hits, dtype=np.float64)
    gain = hits - np.array(bare.hits, dtype=np.float64)
    by_candidate = hits.mean(axis=0)
    mean, low, high = mean_interval(gain.mean(axis=1), rng)
    errors = np.mean(seen.errors, axis=0) if seen.errors else None
    return {
        "latent_error": None if errors is None else float(errors.mean()),
        "latent_error_by_candidate": None if errors is None else errors.tolist(),
        "psnr": float(np.mean(seen.psnr)),
        "accuracy_mean": float(by_candidate.mean()),
        "accuracy_worst": float(by_candidate.min()),
        "accuracy_by_candidate": by_candidate.tolist(),
        "accuracy_over_bare": {"mean": mean, "low": low, "high": high},
        "position_trend_p": position_trend_p(hits, rng),
        "position_trend_over_bare_p": position_trend_p(gain, rng),
    }


@cache
def reference_features(bundle: Path, threads: int) -> Array:
    """The judge's features of rendered portraits."""
    rng = np.random.default_rng(_REFERENCE_SEED)
    pictures = [render(sample_portrait(rng)) for _ in range(_REFERENCES)]
    return PortraitJudge(bundle, threads).judge(np.stack(pictures)).features


def machine() -> dict[str, Any]:
    """What ran the measurement."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


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
    prompts: Annotated[int, typer.Option(min=1, help="Whose pictures are judged.")] = 20,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of timed requests.")] = 3,
    seed: Annotated[int, typer.Option(help="Of prompts and noise.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of the device's models.")] = 2,
    bundle: Annotated[Path, typer.Option(help="The family's folder.")] = Path(
        "demo_models/weights"
    ),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Compare all methods at one number of candidates and switch point."""
    setting = Setting(bundle, n, switch_point, prompts, repeats, seed, threads)
    with running_service(bundle) as service:
        report = measure(service, setting)
    Console().print(table(report["rows"]))
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
