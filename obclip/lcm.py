"""The sampler of latent consistency models, for a step-distilled cloud (arXiv 2310.04378).

With the timestep scaled to s = timestep_scaling t and sigma_d = 1/2, one step is

    D_i     = c_out(s) x0_i + c_skip(s) x_i,   c_skip = sigma_d^2 / (s^2 + sigma_d^2),
                                               c_out  = s / sqrt(s^2 + sigma_d^2)
    x_{i+1} = alpha_{i+1} D_i + sigma_{i+1} z_i,  z_i ~ N(0, 1)

and x = D after the last one. This is diffusers' LCMScheduler, with z_i from the public seed, the
same for all candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from obclip.noise import step_noise
from obclip.solver import Solver, SolverState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from obclip.schedule import NoiseSchedule

_SIGMA_DATA = 0.5


@dataclass(frozen=True)
class Distillation:
    """A cloud UNet that was distilled to few steps, and how an ordinary device goes on after it.

    Attributes:
        original_steps: steps of the schedule it was distilled on, of which a run takes some;
            1..10000.
        timestep_scaling: of the timestep in the boundary condition, in (0, 1000].
        embeds_guidance: whether the UNet is told the guidance scale, in the place of running twice.
        device_steps: steps of the device's own whole run, 1..1000.
        shift: dt; after k cloud steps the device goes on with its step k + dt, 0..1000.

    Raises:
        ValueError: a value is outside its range.
    """

    original_steps: int
    timestep_scaling: float
    embeds_guidance: bool
    device_steps: int
    shift: int

    def __post_init__(self) -> None:
        if not 1 <= self.original_steps <= 10_000:
            raise ValueError("original_steps is outside 1..10000")
        if not 0 < self.timestep_scaling <= 1000:
            raise ValueError("timestep_scaling is outside 0..1000")
        if not 1 <= self.device_steps <= 1000:
            raise ValueError("device_steps is outside 1..1000")
        if not 0 <= self.shift <= 1000:
            raise ValueError("shift is outside 0..1000")

    def device_start(self, switch_point: int, steps: int) -> int:
        """The device's first step after `switch_point` of the cloud's `steps`, 0..device_steps.

        All of them when the cloud ran none, none when it ran all, else at least one.
        """
        if switch_point == 0:
            return 0
        if switch_point == steps:
            return self.device_steps
        return min(switch_point + self.shift, self.device_steps - 1)

    def timesteps(self, schedule: NoiseSchedule, steps: int) -> NDArray[np.int64]:
        """The training timesteps of a run: (steps,) int64, falling.

        Raises:
            ValueError: there are fewer than `steps`.
        """
        if not 1 <= steps <= self.original_steps <= schedule.num_train_timesteps:
            raise ValueError(f"steps is outside 1..{self.original_steps}")
        stride = schedule.num_train_timesteps // self.original_steps
        original = np.arange(self.original_steps, 0, -1) * stride - 1
        chosen = np.linspace(0, self.original_steps, steps, endpoint=False)
        timesteps: NDArray[np.int64] = original[np.floor(chosen).astype(np.int64)]
        return timesteps


class LcmSolver(Solver):
    """The sampler for one run.

    Args:
        schedule: the noise schedule that the model was trained with.
        distillation: how it was distilled.
        steps: of the whole run on the cloud.
        seed: of the noise between steps, 0..2^64-1.

    Raises:
        ValueError: the distilled schedule has no `steps` different timesteps.
    """

    def __init__(
        self, schedule: NoiseSchedule, distillation: Distillation, steps: int, seed: int
    ) -> None:
        timesteps = distillation.timesteps(schedule, steps)
        alphas2 = schedule.alphas_cumprod()[timesteps]
        super().__init__(
            schedule.prediction_type, timesteps, np.append(np.sqrt((1 - alphas2) / alphas2), 0)
        )
        scaled = timesteps * distillation.timestep_scaling
        norm2 = scaled**2 + _SIGMA_DATA**2
        self._skip = (_SIGMA_DATA**2 / norm2).astype(np.float32)
        self._out = (scaled / np.sqrt(norm2)).astype(np.float32)
        self._seed = seed

    def step(self, state: SolverState, model_output: NDArray[np.float32], step: int) -> SolverState:
        """See `Solver.step`; of x0_{i-1} it needs nothing, and x0_i is D_i."""
        x0 = self.predict_x0(model_output, state.latents, step)
        clean = self._out[step] * x0 + self._skip[step] * state.latents
        if step == len(self._timesteps) - 1:
            return SolverState(clean, clean)
        noise = step_noise(self._seed, step, clean.shape[-3:])
        return SolverState(self._alphas[step + 1] * clean + self._sigmas[step + 1] * noise, clean)
