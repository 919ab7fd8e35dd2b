"""The noise schedule: the noise at each training timestep, and which timesteps sampling visits.

A variance-preserving diffusion draws x_t = alpha_t x_0 + sigma_t eps with alpha_t^2 = prod_{s<=t}
(1 - beta_s) and sigma_t^2 = 1 - alpha_t^2 (Ho et al., arXiv 2006.11239). Samplers speak of the
noise-to-signal ratio sigma_t / alpha_t, called `sigmas` here and in diffusers (Karras et al.,
arXiv 2206.00364).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from obclip.errors import InvalidRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHOICES = {
    "beta_schedule": ("linear", "scaled_linear"),
    "prediction_type": ("epsilon", "v_prediction"),
    "timestep_spacing": ("leading", "trailing", "linspace"),
    "final_sigmas_type": ("zero", "sigma_min"),
}


@dataclass(frozen=True)
class Discretisation:
    """The timesteps that sampling visits, noisiest first.

    Attributes:
        timesteps: (steps,) int64 in 0..T-1, strictly falling.
        sigmas: (steps + 1,) float64, noise-to-signal ratio at each timestep and at the end,
            strictly falling, >= 0.
    """

    timesteps: NDArray[np.int64]
    sigmas: NDArray[np.float64]


@dataclass(frozen=True)
class NoiseSchedule:
    """Names, meanings and values of diffusers' DPMSolverMultistepScheduler.

    Attributes:
        num_train_timesteps: T, 2..10000.
        beta_start: beta of timestep 0, in (0, 1).
        beta_end: beta of timestep T-1, in [beta_start, 1).
        beta_schedule: "linear" in beta, or "scaled_linear": linear in its square root.
        prediction_type: what the UNet predicts: "epsilon", or "v_prediction" = alpha_t eps -
            sigma_t x_0.
        timestep_spacing: "leading", "trailing" or "linspace" (Lin et al., arXiv 2305.08891, table
            2).
        steps_offset: added to leading timesteps, 0..T-1.
        final_sigmas_type: noise after the last step: "zero", or "sigma_min" = that of timestep 0.

    Raises:
        ValueError: a value is outside its range.
    """

    num_train_timesteps: int
    beta_start: float
    beta_end: float
    beta_schedule: str
    prediction_type: str
    timestep_spacing: str
    steps_offset: int
    final_sigmas_type: str

    def __post_init__(self) -> None:
        if not 2 <= self.num_train_timesteps <= 10_000:
            raise ValueError("num_train_timesteps is outside 2..10000")
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise ValueError("betas break 0 < beta_start <= beta_end < 1")
        if not 0 <= self.steps_offset < self.num_train_timesteps:
            raise ValueError("steps_offset is outside 0..num_train_timesteps - 1")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is none of {', '.join(choices)}")

    def alphas_cumprod(self) -> NDArray[np.float64]:
        """alpha_t^2 = prod_{s<=t} (1 - beta_s): (T,) float64 in (0, 1), falling.

        The betas and the product are rounded to float32 as in diffusers, since a model was trained
        with those.
        """
        power = 0.5 if self.beta_schedule == "scaled_linear" else 1.0
        ends = self.beta_start**power, self.beta_end**power
        roots = np.linspace(*ends, self.num_train_timesteps).astype(np.float32)
        alphas = 1 - (roots**2 if self.beta_schedule == "scaled_linear" else roots)
        return np.cumprod(alphas, dtype=np.float64).astype(np.float32).astype(np.float64)

    def require_steps(self, steps: int) -> None:
        """Refuse a number of steps for which rounding leaves too few timesteps.

        Raises:
            InvalidRequest: it is one.
        """
        try:
            self.discretise(steps)
        except ValueError as error:
            raise InvalidRequest(
                "steps",
                f"is {steps}, for which the schedule has no timesteps",
                "choose fewer or more",
            ) from error

    def discretise(self, steps: int) -> Discretisation:
        """Choose the timesteps of a run of `steps` steps.

        Raises:
            ValueError: the schedule has no `steps` different timesteps.
        """
        if not 1 <= steps < self.num_train_timesteps:
            raise ValueError(f"steps is outside 1..{self.num_train_timesteps - 1}")
        timesteps = self._timesteps(steps)
        alphas2 = self.alphas_cumprod()
        ratios = np.sqrt((1 - alphas2) / alphas2)
        if timesteps[0] >= self.num_train_timesteps:
            raise ValueError("steps_offset is too large for this number of steps")
        last = ratios[0] if self.final_sigmas_type == "sigma_min" else 0.0
        sigmas = np.append(ratios[timesteps], last)
        if not (np.diff(sigmas) < 0).all():
            raise ValueError("steps is too many for this schedule")
        return Discretisation(timesteps, sigmas)

    def _timesteps(self, steps: int) -> NDArray[np.int64]:
        count = self.num_train_timesteps
        if self.timestep_spacing == "linspace":
            return np.linspace(0, count - 1, steps + 1).round()[:0:-1].astype(np.int64)
        if self.timestep_spacing == "leading":
            return np.arange(steps, 0, -1) * (count // (steps + 1)) + self.steps_offset
        # Rounding can make arange one longer (61 of 1000); diffusers then visits timestep -1.
        return np.arange(count, 0, -count / steps)[:steps].round().astype(np.int64) - 1
