"""DPM-Solver++ 2M, a second-order solver of the diffusion ODE (Lu et al., arXiv 2211.01095).

With lambda = log(alpha / sigma), h_i = lambda_{i+1} - lambda_i and r_i = h_{i-1} / h_i, algorithm
2 of the paper is

    D_i     = x0_i + (x0_i - x0_{i-1}) / (2 r_i)
    x_{i+1} = sigma_{i+1} / sigma_i x_i - alpha_{i+1} (exp(-h_i) - 1) D_i

where x0_i is the model's prediction of the clean latent at step i. With D_i = x0_i it is DDIM
(arXiv 2010.02502), of first order: that is the first step, the last one when it ends without
noise, and the last one of a run of fewer than 15 steps. This is diffusers'
DPMSolverMultistepScheduler with algorithm_type="dpmsolver++", solver_order=2,
solver_type="midpoint", lower_order_final=True and euler_at_final=False.

The solver itself holds no state, so a run can stop after any step on one machine and go on on
another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from obclip.schedule import NoiseSchedule

_SHORT_RUN = 15


@dataclass(frozen=True, eq=False)
class SolverState:
    """Everything that the next step needs from the steps before.

    Attributes:
        latents: (..., C, H, W) float32, x_i.
        previous_x0: like `latents`, the clean latents predicted at step i - 1; None before step 0.
    """

    latents: NDArray[np.float32] = field(repr=False)
    previous_x0: NDArray[np.float32] | None = field(default=None, repr=False)


class Solver(ABC):
    """What the solvers share: x = alpha x0 + sigma eps, and what the model says about it.

    Args:
        prediction_type: "epsilon" or "v_prediction".
        timesteps: (steps,) int64, falling.
        ratios: (steps + 1,) float64, sigma / alpha at each timestep and at the end.
    """

    def __init__(
        self, prediction_type: str, timesteps: NDArray[np.int64], ratios: NDArray[np.float64]
    ) -> None:
        self._prediction_type = prediction_type
        self._timesteps = timesteps
        self._alphas = (1 / np.sqrt(ratios**2 + 1)).astype(np.float32)
        self._sigmas = (ratios / np.sqrt(ratios**2 + 1)).astype(np.float32)

    @abstractmethod
    def step(self, state: SolverState, model_output: NDArray[np.float32], step: int) -> SolverState:
        """Go from x_i to x_{i+1}.

        Args:
            state: x_i and x0_{i-1}.
            model_output: (..., C, H, W) float32 at x_i, guidance applied.
            step: i in 0..steps-1.

        Returns:
            x_{i+1} and x0_i.

        Raises:
            ValueError: the state lacks the prediction of the step before.
        """

    @property
    def timesteps(self) -> NDArray[np.int64]:
        """(steps,) int64, the training timestep that the model is told at each step; falling."""
        return self._timesteps

    def predict_x0(
        self, model_output: NDArray[np.float32], latents: NDArray[np.float32], step: int
    ) -> NDArray[np.float32]:
        """Clean latents from the model's output.

        x0 = (x - sigma eps) / alpha for epsilon, alpha x - sigma v for v_prediction (arXiv
        2202.00512).

        Args:
            model_output: (..., C, H, W) float32, guidance applied.
            latents: the same shape, x_i.
            step: i in 0..steps-1.

        Returns:
            The same shape, float32.
        """
        alpha, sigma = self._alphas[step], self._sigmas[step]
        x0: NDArray[np.float32]
        if self._prediction_type == "epsilon":
            x0 = (latents - sigma * model_output) / alpha
        else:
            x0 = alpha * latents - sigma * model_output
        return x0

    def moved(
        self,
        model_output: NDArray[np.float32],
        shift: NDArray[np.float32],
        step: int,
    ) -> NDArray[np.float32]:
        """The model's output at x + shift, were its clean latents the same there as at x.

        From x = alpha x0 + sigma eps and v = alpha eps - sigma x0: with x0 kept, eps grows by
        shift / sigma and v by alpha / sigma shift.

        Args:
            model_output: (..., C, H, W) float32 at x.
            shift: float32, broadcasts with it.
            step: i in 0..steps-1.

        Returns:
            The broadcast shape, float32.
        """
        alpha, sigma = self._alphas[step], self._sigmas[step]
        slope = (1 if self._prediction_type == "epsilon" else alpha) / sigma
        moved: NDArray[np.float32] = model_output + slope * shift
        return moved


class DpmSolver(Solver):
    """The solver for one schedule and number of steps.

    Args:
        schedule: the noise schedule that the model was trained with.
        steps: steps of the whole run, wherever it is split.
        first: the step that starts from noise or from another solver, 0..steps; it is of first
            order. diffusers calls it the begin index.

    Raises:
        ValueError: the schedule has no `steps` different timesteps.
    """

    def __init__(self, schedule: NoiseSchedule, steps: int, first: int = 0) -> None:
        discretisation = schedule.discretise(steps)
        sigmas = discretisation.sigmas
        super().__init__(schedule.prediction_type, discretisation.timesteps, sigmas)
        # exp(-h) as a quotient is exact where the last h is infinite.
        shrink = sigmas[1:] / sigmas[:-1]
        self._weights = ((1 - shrink) / np.sqrt(sigmas[1:] ** 2 + 1)).astype(np.float32)
        with np.errstate(divide="ignore"):
            h = -np.log(shrink)
        self._half_inverse_r = (0.5 * h[1:] / h[:-1]).astype(np.float32)
        self._last_is_first_order = steps < _SHORT_RUN or sigmas[-1] == 0
        self._first = first

    def step(self, state: SolverState, model_output: NDArray[np.float32], step: int) -> SolverState:
        """See `Solver.step`."""
        x0 = self.predict_x0(model_output, state.latents, step)
        shrink = self._sigmas[step + 1] / self._sigmas[step]
        latents = shrink * state.latents + self._weights[step] * self._direction(state, x0, step)
        return SolverState(latents, x0)

    def _direction(
        self, state: SolverState, x0: NDArray[np.float32], step: int
    ) -> NDArray[np.float32]:
        is_last = step == len(self._timesteps) - 1
        if step == self._first or (is_last and self._last_is_first_order):
            return x0
        if state.previous_x0 is None:
            raise ValueError(f"step {step} needs the x0 prediction of the step before")
        correction: NDArray[np.float32]
        correction = self._half_inverse_r[step - 1] * (x0 - state.previous_x0)
        return x0 + correction
