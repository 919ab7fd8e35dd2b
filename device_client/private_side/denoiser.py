"""The device's share of the denoising: steps k..T-1 with the small UNet."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device_client.private_side.graph import Graph
from obclip.guidance import guide, is_guided
from obclip.schedule import NoiseSchedule
from obclip.solver import DpmSolver, SolverState


@dataclass(frozen=True)
class DeviceShare:
    """Which steps the device runs, and how.

    Attributes:
        steps: Steps of the whole run, T >= 1.
        switch_point: The device runs the steps t with switch_point <= t < steps.
        guidance_scale: Classifier-free guidance; up to 1.0 a step is one model pass, not two.
        starts_anew: Whether the cloud had another solver, so that its last prediction is none of
            this one's.
    """

    steps: int
    switch_point: int
    guidance_scale: float
    starts_anew: bool = False


class Denoiser:
    """The small UNet under the same solver as the cloud's."""

    def __init__(self, path: Path, schedule: NoiseSchedule, threads: int) -> None:
        """Opens the graph `latents, timestep, encoder_hidden_states -> model_output`.

        Args:
            path: The .onnx file.
            schedule: The family's noise schedule.
            threads: Threads for one operator.

        Raises:
            InvalidBundle: The graph cannot be opened.
        """
        names = frozenset({"latents", "timestep", "encoder_hidden_states"})
        self._graph = Graph(path, names, threads)
        self._schedule = schedule

    def denoise(
        self,
        state: SolverState,
        text: NDArray[np.float32],
        share: DeviceShare,
        on_step: Callable[[int, int], None],
    ) -> NDArray[np.float32]:
        """Runs the device's share.

        Args:
            state: State after the cloud's last step, arrays (1, C, H, W) float32.
            text: Embeddings of the negative prompt and of the user's words, (2, L, D) float32.
            share: Which steps to run.
            on_step: Called after each step with steps done and steps to do.

        Returns:
            Clean latents, (1, C, H, W) float32.
        """
        first = share.switch_point if share.starts_anew else 0
        solver = DpmSolver(self._schedule, share.steps, first)
        total = share.steps - share.switch_point
        for step in range(share.switch_point, share.steps):
            timestep = float(solver.timesteps[step])
            output = self._guided(state.latents, timestep, text, share.guidance_scale)
            state = solver.step(state, output, step)
            on_step(step - share.switch_point + 1, total)
        return state.latents

    def _guided(
        self, latents: NDArray[np.float32], timestep: float, text: NDArray[np.float32], scale: float
    ) -> NDArray[np.float32]:
        if not is_guided(scale):
            return self._predict(latents, timestep, text[1:])
        unconditional, conditional = np.split(
            self._predict(np.repeat(latents, 2, axis=0), timestep, text), 2
        )
        return guide(unconditional, conditional, scale)

    def _predict(
        self, latents: NDArray[np.float32], timestep: float, text: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        timesteps = np.full(len(latents), timestep, dtype=np.float32)
        return self._graph.run(latents=latents, timestep=timesteps, encoder_hidden_states=text)
