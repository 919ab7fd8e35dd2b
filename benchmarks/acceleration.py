"""What every profile costs and what it does to every candidate's picture, side by side in one run.

All methods run the orchestrator's own loop over the same graphs in this process, in turn. A row's
costs are medians over prompts; its quality is over all prompts and candidates.
"""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.candidate_sets import CandidateSet, candidate_set
from benchmarks.graph_backend import GraphBackend, open_graph
from benchmarks.portrait_judge import PortraitJudge, frechet_distance
from cloud_service.denoising import DenoisingRun
from cloud_service.job import GenerationJob
from cloud_service.settings import Settings
from cloud_service.tokenizer import PromptTokenizer
from demo_models.portrait import VALUES, sample_portrait
from demo_models.renderer import render
from obclip.card import ModelCard, ServiceCard
from obclip.guidance import guide
from obclip.plan import Plan, Profile, Switches, make_plan, plan_cost
from obclip.solver import DpmSolver, SolverState
from obclip.tensors import encode
from obclip.v1 import generation_pb2

Array = NDArray[np.float32]
BARE: Final = "obclip bare"
METHODS: Final = (
    "cloud only", "device only", "vanilla oblivious", "hybrid sd", BARE, "obclip + cache",
    "obclip + reuse", "balanced", "fast",
)  # fmt: skip
_ALONE: Final = {"cloud only", "device only", "hybrid sd"}
COLUMNS: Final = (
    "method", "n", "k", "server_s", "evals", "gmacs", "wire_bytes", "device_s", "latent_error",
    "psnr", "accuracy_mean", "accuracy_worst", "frechet",
)  # fmt: skip
_REFERENCE_SEED: Final = 77


@dataclass
class Found:
    """What one method did with one prompt after another.

    Attributes:
        server_s: seconds of the denoising loop, one for each prompt.
        device_s: seconds of the device's steps and decoder for one picture.
        errors: latent error at the switch point.
        psnr: of each picture against the bare plan's, in dB.
        wire_bytes: of one request and its answer.
        pictures: (prompts, N, 8H, 8W, 3) uint8.
    """

    server_s: list[float] = field(default_factory=list)
    device_s: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    wire_bytes: int = 0
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)


class Bench:
    """The parts of one bundle.

    Args:
        bundle: the family's folder.
        n: candidates: 2, 6 or 30.
        k: the switch point.
        threads: of ONNX Runtime.
    """

    def __init__(self, bundle: Path, n: int, k: int, threads: int) -> None:
        self.card = ModelCard.load(bundle)
        self.n, self.k, self.steps = n, k, self.card.defaults.steps
        self.backend = GraphBackend(bundle, threads)
        self._device = open_graph(bundle / "device_unet" / "model.onnx", threads)
        self._decoder = open_graph(bundle / "vae" / "decoder.onnx", threads)
        tokenizer = bundle / "tokenizer" / "tokenizer.json"
        self._tokenizer = PromptTokenizer(tokenizer, self.card.text)
        self._service = ServiceCard(
            service_version=version("obclip"),
            models=self.card.models,
            latents=self.card.latents,
            scheduler=self.card.schedule,
            limits=Settings().limits(self.card),
            profiles=tuple(Profile),
            step_kinds=self.card.step_kinds,
        )

    def plan(self, method: str) -> Plan:
        """The cloud's part of a method."""
        savings: dict[str, Profile | Switches] = {
            "obclip + cache": _without_reuse(Profile.PAPER.switches(self.k)),
            "obclip + reuse": Profile.PAPER,
            "balanced": Profile.BALANCED,
            "fast": Profile.FAST,
        }
        k = {"device only": 0, "cloud only": self.steps, "vanilla oblivious": self.steps}
        return make_plan(self.steps, k.get(method, self.k), savings.get(method, Profile.BARE))

    def run(self, method: str, prompts: CandidateSet, seed: int) -> tuple[SolverState, float]:
        """The state that the cloud leaves for all candidates, and its seconds.

        A method for one prompt is timed on the first candidate; its pictures are those of all.
        """
        job = self._job(method, prompts.prompts, seed)
        seconds = None
        if method in _ALONE:
            alone = DenoisingRun(
                self._job(method, prompts.prompts[:1], seed), self._service, self.backend
            )
            asyncio.run(alone.run(_ignore))
            seconds = alone.cost.server_s
        whole = DenoisingRun(job, self._service, self.backend)
        state = asyncio.run(whole.run(_ignore))
        return state, whole.cost.server_s if seconds is None else seconds

    def _job(self, method: str, prompts: Sequence[str], seed: int) -> GenerationJob:
        return GenerationJob(
            candidate_ids=np.stack([self._tokenizer.encode(p, "candidates") for p in prompts]),
            negative_ids=self._tokenizer.encode("", "negative_prompt")[np.newaxis],
            seed=seed,
            steps=self.steps,
            guidance_scale=self.card.defaults.guidance_scale,
            plan=self.plan(method),
        )

    def finish(self, state: SolverState, start: int, prompts: CandidateSet) -> NDArray[np.uint8]:
        """The device's steps and decoder, for as many candidates as the state has."""
        count = len(state.latents)
        texts = ["", *prompts.prompts[:count]]
        ids = np.stack([self._tokenizer.encode(text, "candidates") for text in texts])
        rows = asyncio.run(self.backend.encode_text(ids))
        embeddings = np.concatenate([np.repeat(rows[:1], count, axis=0), rows[1:]])
        solver = DpmSolver(self.card.schedule, self.steps)
        for step in range(start, self.steps):
            state = solver.step(state, self._device_output(state, solver, step, embeddings), step)
        (images,) = self._decoder.run(None, {"latents": state.latents})
        pictures: NDArray[np.uint8] = (images.transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)
        return pictures

    def _device_output(
        self, state: SolverState, solver: DpmSolver, step: int, embeddings: Array
    ) -> Array:
        both = np.concatenate([state.latents, state.latents])
        feeds = {
            "latents": both,
            "timestep": np.full(len(both), solver.timesteps[step], np.float32),
            "encoder_hidden_states": embeddings,
        }
        (output,) = self._device.run(None, feeds)
        without, with_text = np.split(output, 2)
        return guide(without, with_text, self.card.defaults.guidance_scale)

    def wire_bytes(self, method: str, state: SolverState, prompts: CandidateSet) -> int:
        """Bytes of one request and of the latents that come back; 0 without a cloud."""
        if method == "device only" or state.previous_x0 is None:
            return 0
        rows = slice(0, 1 if method in _ALONE else None)
        wire = self.card.latents.tensor_type
        batch = generation_pb2.LatentBatch(
            latents=encode(state.latents[rows], wire),
            previous_x0=encode(state.previous_x0[rows], wire),
        )
        request = generation_pb2.GenerateRequest(candidates=prompts.prompts[rows])
        return int(batch.ByteSize() + request.ByteSize())


def _without_reuse(switches: Switches) -> Switches:
    return Switches(
        cache_point=switches.cache_point,
        skip_point=switches.skip_point,
        refresh=switches.refresh,
    )


async def _ignore(_steps_done: int) -> None: ...


def measure(bench: Bench, prompts: int, seed: int) -> dict[str, Found]:
    """Runs all methods in turn on each prompt."""
    rng = np.random.default_rng(seed)
    sets = [candidate_set(rng, bench.n) for _ in range(prompts)]
    found = {method: Found() for method in METHODS}
    _warm_up(bench, sets[0])
    for index, chosen in enumerate(track(sets, "prompts", console=Console(stderr=True))):
        states = {}
        for method in METHODS:
            states[method], server_s = bench.run(method, chosen, seed * 100_000 + index)
            found[method].server_s.append(server_s)
        for method, state in states.items():
            _look(bench, found[method], method, (state, states[BARE]), chosen)
        for method in METHODS:
            found[method].psnr.append(_psnr(found[method].pictures[-1], found[BARE].pictures[-1]))
    return found


def _warm_up(bench: Bench, chosen: CandidateSet) -> None:
    """Opens every graph at the sizes that are timed."""
    for method in METHODS[METHODS.index(BARE) :]:
        bench.run(method, chosen, 0)


def _look(
    bench: Bench,
    found: Found,
    method: str,
    states: tuple[SolverState, SolverState],
    chosen: CandidateSet,
) -> None:
    state, bare = states
    start = len(bench.plan(method).steps)
    found.pictures.append(bench.finish(state, start, chosen))
    found.wire_bytes = bench.wire_bytes(method, state, chosen)
    if start == bench.k:
        found.errors.append(_latent_error(state.latents, bare.latents))
    x0 = None if state.previous_x0 is None else state.previous_x0[:1]
    begin = time.perf_counter()
    bench.finish(SolverState(state.latents[:1], x0), start, chosen)
    found.device_s.append(time.perf_counter() - begin)


def _latent_error(latents: Array, bare: Array) -> float:
    """Distance to the bare plan's latents over the mean distance between its candidates."""
    flat, reference = latents.reshape(len(bare), -1), bare.reshape(len(bare), -1)
    distances = np.linalg.norm(reference[:, None] - reference[None], axis=-1)
    between = distances[~np.eye(len(bare), dtype=bool)].mean()
    return float(np.linalg.norm(flat - reference, axis=-1).mean() / between)


def _psnr(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
    error = np.mean((ours.astype(np.float64) - theirs) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-2)))


def rows(bench: Bench, found: dict[str, Found], judge: PortraitJudge | None, seed: int) -> Any:
    """One row for each method, by the names of `COLUMNS`."""
    rng = np.random.default_rng(seed)
    prompts = len(found[BARE].pictures)
    sets = [candidate_set(rng, bench.n) for _ in range(prompts)]
    return [_row(bench, method, found[method], judge, sets) for method in METHODS]


def _row(
    bench: Bench, method: str, found: Found, judge: PortraitJudge | None, sets: list[CandidateSet]
) -> dict[str, Any]:
    n = 1 if method in _ALONE else bench.n
    cost = plan_cost(bench.plan(method), n, bench.card.step_kinds)
    row: dict[str, Any] = {
        "method": method,
        "profile": _PROFILES.get(method, Profile.BARE.value),
        "n": n,
        "k": len(bench.plan(method).steps),
        "server_s": float(np.median(found.server_s)),
        "server_s_spread": float(np.ptp(found.server_s)),
        "evals": cost.evals,
        "gmacs": cost.macs / 1e9,
        "wire_bytes": found.wire_bytes,
        "device_s": float(np.median(found.device_s)),
        "latent_error": float(np.mean(found.errors)) if found.errors else None,
        "psnr": float(np.mean(found.psnr)),
    }
    return row | _quality(judge, found, sets)


_PROFILES: Final = {
    "obclip + cache": "paper without reuse",
    "obclip + reuse": "paper",
    "balanced": "balanced",
    "fast": "fast",
}


def _quality(judge: PortraitJudge | None, found: Found, sets: list[CandidateSet]) -> dict[str, Any]:
    """Accuracy of the sensitive attributes for each candidate, and the Frechet distance."""
    if judge is None:
        return dict.fromkeys(("accuracy_mean", "accuracy_worst", "accuracy", "frechet"))
    pictures = np.concatenate(found.pictures)
    verdict = judge.judge(pictures)
    wanted = [candidate for chosen in sets for candidate in chosen.wanted]
    names = [a for a in ("gender", "age", "ethnicity") if a in wanted[0]]
    hits = np.all(
        [verdict.guesses[a] == [VALUES[a].index(w[a]) for w in wanted] for a in names], axis=0
    )
    by_candidate = hits.reshape(len(sets), -1).mean(axis=0)
    rng = np.random.default_rng(_REFERENCE_SEED)
    portraits = [sample_portrait(rng) for _ in range(500)]
    reference = judge.judge(np.stack([render(portrait) for portrait in portraits]))
    return {
        "accuracy_mean": float(by_candidate.mean()),
        "accuracy_worst": float(by_candidate.min()),
        "accuracy": by_candidate.tolist(),
        "frechet": frechet_distance(verdict.features, reference.features),
    }


def table(figures: list[dict[str, Any]]) -> Table:
    """The rows for people; "x" is how many times cheaper than vanilla, by seconds and by MACs."""
    out = Table(*COLUMNS, "x s", "x MAC")
    vanilla = next(row for row in figures if row["method"] == "vanilla oblivious")
    for row in figures:
        ratios = [
            f"{vanilla[name] / row[name]:.1f}" if row[name] else "-"
            for name in ("server_s", "gmacs")
        ]
        out.add_row(*(_cell(row[column]) for column in COLUMNS), *ratios)
    return out


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main(  # noqa: PLR0913, PLR0917 -- each parameter is an option of the command line
    n: Annotated[int, typer.Option(help="Candidates: 2, 6 or 30.")] = 6,
    switch_point: Annotated[int, typer.Option(help="Steps on the cloud.")] = 5,
    prompts: Annotated[int, typer.Option(min=1, help="Prompts.")] = 10,
    seed: Annotated[int, typer.Option(help="Of prompts and noise.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of ONNX Runtime.")] = 2,
    bundle: Annotated[Path, typer.Option(help="The family's folder.")] = Path(
        "demo_models/weights"
    ),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Compare all methods at one number of candidates and switch point."""
    bench = Bench(bundle, n, switch_point, threads)
    has_judge = (bundle / "classifier" / "model.onnx").is_file()
    judge = PortraitJudge(bundle, threads) if has_judge else None
    figures = rows(bench, measure(bench, prompts, seed), judge, seed)
    Console().print(table(figures))
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    setting = {"prompts": prompts, "seed": seed, "threads": threads, "steps": bench.steps}
    report = {"rows": figures, "setting": setting, "peak_memory_bytes": peak_kib * 1024}
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
