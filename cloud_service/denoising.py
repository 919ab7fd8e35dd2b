"""The cloud's part of a run: the first steps, for all candidates, from the same noise."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloud_service.inference import InferenceBackend
from cloud_service.job import GenerationJob
from obclip.card import ServiceCard
from obclip.guidance import guide
from obclip.noise import initial_latents
from obclip.plan import Step
from obclip.solver import DpmSolver, SolverState
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
        self._solver = DpmSolver(card.scheduler, job.steps)
        self._latent_shape = card.latents.shape
        self._evals_of = {cost.name: cost.evals for cost in card.step_kinds}
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
        _require_finite_state(state)
        return state

    async def _encode(self) -> Array:
        """(N, L, D), or (2 N, L, D) with the negative prompt's rows first when guided."""
        ids = self._job.candidate_ids
        if not self._job.is_guided:
            return await self._encode_in_chunks(ids)
        embedded = await self._encode_in_chunks(np.concatenate([self._job.negative_ids, ids]))
        return np.concatenate([np.repeat(embedded[:1], len(ids), axis=0), embedded[1:]])

    async def _encode_in_chunks(self, ids: NDArray[np.int64]) -> Array:
        size = self._backend.max_batch_size
        chunks = [ids[start : start + size] for start in range(0, len(ids), size)]
        return np.concatenate([await self._backend.encode_text(chunk) for chunk in chunks])

    async def _predict(self, step: Step, latents: Array, embeddings: Array) -> Array:
        if not self._job.is_guided:
            return await self._call(step, latents, embeddings)
        output = await self._call(step, np.concatenate([latents, latents]), embeddings)
        unconditional, conditional = np.split(output, 2)
        return guide(unconditional, conditional, self._job.guidance_scale)

    async def _call(self, step: Step, latents: Array, embeddings: Array) -> Array:
        """One call, or as many as the backend's batch size needs."""
        size = self._backend.max_batch_size
        outputs = []
        for start in range(0, len(latents), size):
            chunk = slice(start, start + size)
            outputs.append(await self._call_once(step, latents[chunk], embeddings[chunk]))
        return np.concatenate(outputs)

    async def _call_once(self, step: Step, latents: Array, embeddings: Array) -> Array:
        timestep = self._solver.timesteps[step.index]
        timesteps = np.full(len(latents), timestep, np.float32)
        start = time.perf_counter()
        output = await self._backend.denoise(step.kind, latents, timesteps, embeddings)
        self.cost.model_s += time.perf_counter() - start
        self.cost.evals += self._evals_of[step.kind] * len(latents)
        self.cost.batch_sizes.append(len(latents))
        return output


def _require_finite_state(state: SolverState) -> None:
    require_finite(state.latents, "latents")
    if state.previous_x0 is not None:
        require_finite(state.previous_x0, "previous_x0")
