"""What each step plan does to the pictures of all candidates, whatever it costs; no service.

    python -m benchmarks.fidelity --n 6 --prompts 40 --switches trunk_steps=1,full_every=2

The device's UNet makes up for some of what a plan spoils. Finished by the cloud's UNet instead, a
picture shows the plan's own damage.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks.candidate_sets import CandidateSet, candidate_set
from benchmarks.fairness import mean_interval, position_trend_p
from benchmarks.machine import machine, models, models_words
from benchmarks.methods import BARE, METHODS, PAPER, Method
from benchmarks.page import PAGE, markdown_table, replace_section
from benchmarks.pictures import Candidates, Finisher, PictureMaker, Pictures
from benchmarks.portrait_judge import FrechetDistance, PortraitJudge
from cloud_service.plan_table import changed
from demo_models.portrait import VALUES, sample_portrait
from demo_models.renderer import render
from device_client.audit.interval import clopper_pearson
from obclip.card import ModelCard
from obclip.plan import Switches, plan_cost

Array = NDArray[np.float32]
Row = dict[str, Any]

SENSITIVE: Final = ("gender", "age", "ethnicity")
COMPARED: Final = tuple(m for m in METHODS if m.varies_with_k and not m.is_alone)
_REFERENCE_SEED: Final = 77
_REFERENCES: Final = 1000
# With fewer prompts the interval is too narrow: of 60 pairs of equal methods 30 % seemed to differ
# with 2 prompts of 30 candidates, 2 to 3 % with 8 and more.
_LEAST_PROMPTS: Final = 8
_HEADER: Final = (
    "method", "evals", "latent error", "worst", "PSNR dB", "accuracy", "over bare", "worst",
    "Frechet", "minus paper's",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """Whose pictures are made, and how.

    Attributes:
        bundle: the family's folder.
        n: candidates: 2, 6 or 30.
        k: the switch point.
        prompts: how many.
        seed: of prompts and noise.
        threads: of ONNX Runtime in this process.
        finisher: whose UNet runs the steps t >= k.
    """

    bundle: Path
    n: int
    k: int
    prompts: int
    seed: int
    threads: int
    finisher: Finisher = Finisher.DEVICE

    def sets(self, count: int) -> list[tuple[CandidateSet, Candidates]]:
        """The first candidate sets, and what is asked for: the same ones at every switch point."""
        rng = np.random.default_rng(self.seed)
        chosen = [candidate_set(rng, self.n) for _ in range(count)]
        seeds = [self.seed * 100_000 + index for index in range(count)]
        return [(c, Candidates(c.prompts, s)) for c, s in zip(chosen, seeds, strict=True)]

    @property
    def public(self) -> dict[str, Any]:
        """Its facts for a report."""
        return {name: value for name, value in vars(self).items() if name != "bundle"}


@dataclass
class Seen:
    """What one method's pictures show.

    Attributes:
        errors: (prompts, N), see `latent_errors`; empty when it does not stop at the switch point.
        psnr: in dB against the bare plan's pictures, one for each prompt.
        hits: (prompts, N) bool, whether the sensitive attributes are right.
        features: (prompts, N, features), for the Frechet distance.
    """

    errors: list[Array] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    hits: list[NDArray[np.bool_]] = field(default_factory=list)
    features: list[Array] = field(default_factory=list)


class Studio:
    """Makes and judges the pictures of all candidates.

    Args:
        setting: what is measured.
        methods: which; the bare plan must be one.
    """

    def __init__(self, setting: Setting, methods: tuple[Method, ...]) -> None:
        self._setting, self._methods = setting, methods
        self._maker = PictureMaker(setting.bundle, setting.threads, setting.finisher)
        self._judge = PortraitJudge(setting.bundle, setting.threads)

    def rows(self) -> list[Row]:
        """What all methods' pictures show, one row for each method."""
        seen = self._look()
        rng = np.random.default_rng(self._setting.seed)
        rows = [_quality(seen[method], seen[BARE], rng) for method in self._methods]
        reference = reference_distance(self._setting.bundle, self._setting.threads)
        features = [np.array(seen[method].features) for method in self._methods]
        paper = np.array(seen[PAPER].features)
        for row, mine in zip(rows, features, strict=True):
            row["frechet"] = reference.to(np.concatenate(mine))
            row["frechet_over_paper"] = None
            if len(paper) >= _LEAST_PROMPTS:
                mean, low, high = reference.difference(mine, paper, rng)
                row["frechet_over_paper"] = {"mean": mean, "low": low, "high": high}
        return rows

    def _look(self) -> dict[Method, Seen]:
        """All methods on each prompt."""
        found = {method: Seen() for method in self._methods}
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
        plans = {m: m.plan(self._setting.k, self._maker.steps) for m in self._methods}
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


def _quality(seen: Seen, bare: Seen, rng: np.random.Generator) -> Row:
    hits = np.array(seen.hits, dtype=np.float64)
    gain = hits - np.array(bare.hits, dtype=np.float64)
    lost = int((gain < 0).sum())
    by_candidate = hits.mean(axis=0)
    mean, low, high = mean_interval(gain.mean(axis=1), rng)
    errors = np.mean(seen.errors, axis=0) if seen.errors else None
    return {
        "latent_error": None if errors is None else float(errors.mean()),
        "latent_error_worst": None if errors is None else float(np.max(seen.errors)),
        "latent_error_by_candidate": None if errors is None else errors.tolist(),
        "psnr": float(np.mean(seen.psnr)),
        "accuracy_mean": float(by_candidate.mean()),
        "accuracy_worst": float(by_candidate.min()),
        "accuracy_by_candidate": by_candidate.tolist(),
        "accuracy_over_bare": {"mean": mean, "low": low, "high": high},
        "lost_at_most": clopper_pearson(lost, gain.size, 0.95)[1],
        "position_trend_p": position_trend_p(hits, rng),
        "position_trend_over_bare_p": position_trend_p(gain, rng),
    }


@cache
def reference_distance(bundle: Path, threads: int) -> FrechetDistance:
    """The distance of the judge's features to those of rendered portraits."""
    rng = np.random.default_rng(_REFERENCE_SEED)
    pictures = [render(sample_portrait(rng)) for _ in range(_REFERENCES)]
    return FrechetDistance(PortraitJudge(bundle, threads).judge(np.stack(pictures)).features)


def settled(setting: Setting, method: Method) -> Row:
    """What is known of a row before it is measured: its method, and its cost by the card."""
    card = ModelCard.load(setting.bundle)
    plan = method.plan(setting.k, card.defaults.steps)
    sent = 1 if method.is_alone else setting.n
    cost = plan_cost(plan, sent, card.step_kinds)
    return {
        "method": method.name,
        "profile": method.profile_words,
        "n": setting.n,
        "k": setting.k,
        "prompts_sent": sent,
        "cloud_steps": len(plan.steps),
        "evals": cost.evals,
        "gmacs": cost.macs / 1e9,
    }


def methods_with(texts: list[str]) -> tuple[Method, ...]:
    """The usual methods, and plans that are bare but for some switches.

    Args:
        texts: changes as `obclip plan --switch` takes them, with commas between those of one plan.

    Raises:
        InvalidRequest: a switch or its value does not exist.
    """
    own = [replace(BARE, name=t, switches=changed(Switches(), t.split(","))) for t in texts]
    return (*COMPARED, *own)


def section(reports: list[Mapping[str, Any]]) -> str:
    """The tables of the page."""
    facts, words = reports[0]["machine"], models_words(reports[0]["models"])
    parts = [f"{facts['processor']}, {facts['cores']} cores. {words}"]
    for report in reports:
        setting = report["setting"]
        parts += [
            f"### N = {setting['n']}, k = {setting['k']}, finished by the {setting['finisher']}",
            f"{setting['prompts']} prompts, {setting['prompts'] * setting['n']} pictures of each "
            "method.",
            markdown_table(_HEADER, [_cells(row) for row in report["rows"]]),
        ]
    return "\n\n".join(parts)


def _cells(row: Row) -> list[str]:
    return [
        row["method"],
        f"{row['evals']:.1f}",
        f"{row['latent_error']:.3f}",
        f"{row['latent_error_worst']:.3f}",
        f"{row['psnr']:.1f}",
        f"{100 * row['accuracy_mean']:.1f}",
        interval_words(row["accuracy_over_bare"], 100),
        f"{100 * row['accuracy_worst']:.1f}",
        f"{row['frechet']:.1f}",
        interval_words(row["frechet_over_paper"], 1),
    ]


def interval_words(interval: Mapping[str, float] | None, times: float) -> str:
    """A difference and its 95 % interval, e.g. "+0.3 (-0.1 to +0.7)"."""
    if interval is None:
        return "-"
    mean, low, high = (times * interval[name] for name in ("mean", "low", "high"))
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def main(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    n: Annotated[int, typer.Option(help="Candidates: 2, 6 or 30.")] = 6,
    switch_point: Annotated[list[int] | None, typer.Option(help="Default: 5 and 10.")] = None,
    finish: Annotated[
        list[Finisher] | None, typer.Option(help="Whose UNet finishes; default: both.")
    ] = None,
    prompts: Annotated[int, typer.Option(min=2, help="Whose pictures are judged.")] = 40,
    switches: Annotated[
        list[str] | None, typer.Option(help="Also this plan, e.g. trunk_steps=1,full_every=2.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of prompts and noise.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of the models.")] = 2,
    bundle: Annotated[Path, typer.Option(help="The family's folder.")] = Path(
        "demo_models/weights"
    ),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
    page: Annotated[bool, typer.Option(help="Write docs/benchmarks.md.")] = False,
) -> None:
    """Compare what the plans do to the pictures, on the same prompts and noise."""
    methods = methods_with(switches or [])
    reports: list[Mapping[str, Any]] = []
    for finisher, k in product(finish or list(Finisher), switch_point or [5, 10]):
        setting = Setting(bundle, n, k, prompts, seed, threads, finisher)
        begin = time.monotonic()
        made = zip(methods, Studio(setting, methods).rows(), strict=True)
        rows = [settled(setting, method) | quality for method, quality in made]
        took = time.monotonic() - begin
        facts = {"setting": setting.public, "machine": machine(), "models": models(bundle)}
        reports.append({"rows": rows, "took_s": took} | facts)
    text = section(reports)
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(reports, indent=2) + "\n")
    if page:
        replace_section(PAGE, "fidelity", text)


if __name__ == "__main__":
    typer.run(main)
