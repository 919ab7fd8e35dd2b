"""The cloud's part of a run: the first steps, for all candidates, from the same noise."""

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cloud_service.branches import Branches
from cloud_service.inference import MODEL_OUTPUT, InferenceBackend, UnetAnswer, UnetCall
from cloud_service.job import GenerationJob
from obclip.card import ServiceCard
from obclip.guidance import guide
from obclip.lcm import LcmSolver
from obclip.noise import initial_latents
from obclip.plan import UNET_REUSE, Rows, Step, step_cost
from obclip.solver import DpmSolver, Solver, SolverState
from obclip.tensors import require_finite

Array = NDArray[np.float32]
OnStep = Callable[[int], Awaitable[None]]


@dataclass
class Cost:
    """What a run took.

    Attributes:
        server_s: wall seconds from the first step's start to the last one's end.
        model_s: wall seconds inside UNet calls.
        evals: full UNet passes counted per sample, guidance included.
        batch_sizes: samples in each UNet call.
    """

    server_s: float = 0.0
    model_s: float = 0.0
    evals: float = 0.0
    batch_sizes: list[int] = field(default_factory=list)


class DenoisingRun:
    """One job on one backend.

    Args:
        job: what to do.
        card: latent shape, schedule and costs of the step kinds.
        backend: runs the models.
    """

    def __init__(self, job: GenerationJob, card: ServiceCard, backend: InferenceBackend) -> None:
        self._job = job
        self._backend = backend
        self._solver = _solver(job, card)
        self._is_told_guidance = bool(card.distillation and card.distillation.embeds_guidance)
        self._latent_shape = card.latents.shape
        self._step_kinds = card.step_kinds
        self._cached: dict[str, Branches] = {}
        self.cost = Cost()

    async def run(self, on_step: OnStep) -> SolverState:
        """Runs the plan.

        Cancellation and deadlines reach it at every await, so at the latest after the current step.

        Args:
            on_step: awaited after each step with the number of steps done.

        Returns:
            Latents and previous x0, (N, C, H, W) float32, finite.

        Raises:
            WireError: the models gave NaN or infinity.
            BackendUnavailable: the models do not answer.
        """
        state = SolverState(
            initial_latents(self._job.seed, self._job.candidates, self._latent_shape)
        )
        if not self._job.plan.steps:
            return state
        embeddings = await self._encode()
        start = time.perf_counter()
        for step in self._job.plan.steps:
            output = await self._predict(step, state.latents, embeddings)
            state = self._solver.step(state, output, step.index)
            await on_step(step.index + 1)
        self.cost.server_s = time.perf_counter() - start
        self._cached.clear()
        _require_finite_state(state)
        return state

    async def _encode(self) -> Branches:
        """The negative prompt's row, none when there is no guidance, and the candidates'."""
        negative = self._job.negative_ids[: int(self._job.is_guided)]
        ids = np.concatenate([negative, self._job.candidate_ids])
        size = self._backend.max_batch_size
        chunks = [ids[start : start + size] for start in range(0, len(ids), size)]
        rows = np.concatenate([await self._backend.encode_text(chunk) for chunk in chunks])
        return Branches(rows[: len(negative)], rows[len(negative) :])

    async def _predict(self, step: Step, latents: Array, embeddings: Branches) -> Array:
        """The guided output of all candidates, (N, C, H, W), or one row for a trunk step."""
        rows = Branches(latents, latents).rows(step, len(latents))
        answer = await self._call(step, rows, embeddings.rows(step, len(latents)))
        self._keep(step, answer)
        output = Branches.split(answer[MODEL_OUTPUT], step, len(latents))
        if step.unconditional is Rows.NONE:
            return output.conditional
        unconditional = output.unconditional
        if len(unconditional) < len(output.conditional):
            # One row at the mean latent serves all; where latents are still equal, exactly.
            shift = latents - rows[:1]
            unconditional = self._solver.moved(unconditional, shift, step.index)
        return guide(unconditional, output.conditional, self._job.guidance_scale)

    def _keep(self, step: Step, answer: UnetAnswer) -> None:
        for name in step.leaves:
            self._cached[name] = Branches.split(answer[name], step, self._job.candidates)

    async def _call(self, step: Step, latents: Array, embeddings: Array) -> UnetAnswer:
        """All rows of a step, in one call, or in as many as their sets and their number need."""
        candidates = self._job.candidates
        call = UnetCall(
            step.kind,
            latents,
            np.full(len(latents), self._solver.timesteps[step.index], np.float32),
            embeddings,
            {name: self._cached[name].rows(step, candidates) for name in step.takes},
            step.leaves,
            self._guidance(len(latents)),
        )
        self.cost.evals += step_cost(step, candidates, self._step_kinds).evals
        parts = []
        async for part in self._parts(step, call):
            is_all = len(part[MODEL_OUTPUT]) == len(latents)
            # The next call may leave its tensors in the same memory.
            parts.append(part if is_all else {name: a.copy() for name, a in part.items()})
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _guidance(self, rows: int) -> Array | None:
        scale = self._job.guidance_scale
        return np.full(rows, scale, np.float32) if self._is_told_guidance else None

    async def _parts(self, step: Step, call: UnetCall) -> AsyncIterator[UnetAnswer]:
        start = 0
        for axes in step.calls(self._job.candidates, self._backend.max_batch_size):
            end = start + math.prod(axes)
            part = _cut(call, start, end)
            start = end
            if step.kind != UNET_REUSE:
                yield await self._call_once(part)
                continue
            answer = await self._call_once(_in_sets(part, axes[0]))
            yield {name: array.reshape(-1, *array.shape[2:]) for name, array in answer.items()}

    async def _call_once(self, call: UnetCall) -> UnetAnswer:
        start = time.perf_counter()
        answer = await self._backend.denoise(call)
        self.cost.model_s += time.perf_counter() - start
        self.cost.batch_sizes.append(math.prod(call.latents.shape[: -len(self._latent_shape)]))
        return answer


def _solver(job: GenerationJob, card: ServiceCard) -> Solver:
    if card.distillation is not None:
        return LcmSolver(card.scheduler, card.distillation, job.steps, job.seed)
    return DpmSolver(card.scheduler, job.steps)


def _cut(call: UnetCall, start: int, end: int) -> UnetCall:
    rows = slice(start, end)
    return replace(
        call,
        latents=call.latents[rows],
        timesteps=call.timesteps[rows],
        embeddings=call.embeddings[rows],
        cached={name: array[rows] for name, array in call.cached.items()},
        guidance=None if call.guidance is None else call.guidance[rows],
    )


def _in_sets(call: UnetCall, sets: int) -> UnetCall:
    return replace(
        call,
        latents=_grouped(call.latents, sets),
        timesteps=call.timesteps[:sets],  # all rows are at the same step
        guidance=None if call.guidance is None else call.guidance[:sets],
        embeddings=_grouped(call.embeddings, sets),
    )


def _grouped(array: Array, sets: int) -> Array:
    return array.reshape(sets, -1, *array.shape[1:])


def _require_finite_state(state: SolverState) -> None:
    require_finite(state.latents, "latents")
    if state.previous_x0 is not None:
        require_finite(state.previous_x0, "previous_x0")
