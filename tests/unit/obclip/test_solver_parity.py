"""Schedule and solver against diffusers, over whole trajectories."""

import dataclasses
import itertools

import numpy as np
import pytest

from obclip.noise import initial_latents
from obclip.schedule import NoiseSchedule
from obclip.solver import DpmSolver, SolverState

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

STEPS = (1, 2, 5, 10, 14, 15, 20, 25, 50)
BETAS = {"linear": (0.0001, 0.02), "scaled_linear": (0.00085, 0.012)}
MIX = 0.2 * np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)


def model(latents, timestep):
    return np.tanh(latents @ MIX) + np.float32(0.3 + timestep / 5000) * latents


@pytest.mark.parametrize(
    ("beta_schedule", "prediction_type", "timestep_spacing", "final_sigmas_type"),
    itertools.product(
        BETAS,
        ("epsilon", "v_prediction"),
        ("leading", "trailing", "linspace"),
        ("zero", "sigma_min"),
    ),
)
@pytest.mark.parametrize("steps_offset", [0, 1])
def test_trajectories_equal_those_of_diffusers(
    beta_schedule, prediction_type, timestep_spacing, final_sigmas_type, steps_offset
):
    beta_start, beta_end = BETAS[beta_schedule]
    schedule = NoiseSchedule(
        num_train_timesteps=1000,
        beta_start=beta_start,
        beta_end=beta_end,
        beta_schedule=beta_schedule,
        prediction_type=prediction_type,
        timestep_spacing=timestep_spacing,
        steps_offset=steps_offset,
        final_sigmas_type=final_sigmas_type,
    )
    for steps in STEPS:
        compare(schedule, steps)


def compare(schedule, steps):
    theirs = diffusers.DPMSolverMultistepScheduler(
        **dataclasses.asdict(schedule), algorithm_type="dpmsolver++", solver_order=2
    )
    theirs.set_timesteps(steps)
    solver, run = DpmSolver(schedule, steps), schedule.discretise(steps)
    np.testing.assert_array_equal(solver.timesteps, theirs.timesteps.numpy())
    np.testing.assert_allclose(run.sigmas, theirs.sigmas.numpy(), rtol=1e-6)
    np.testing.assert_allclose(
        schedule.alphas_cumprod(), theirs.alphas_cumprod.double().numpy(), rtol=1e-6
    )
    assert float(theirs.init_noise_sigma) == 1
    state = SolverState(initial_latents(11, 2, (4, 8, 8)))
    sample = torch.from_numpy(state.latents)
    for step, timestep in enumerate(theirs.timesteps):
        state = solver.step(state, model(state.latents, int(timestep)), step)
        output = torch.from_numpy(model(sample.numpy(), int(timestep)))
        sample = theirs.step(output, timestep, sample).prev_sample
        expected = sample.numpy()
        assert state.latents.dtype == expected.dtype == np.float32
        gap = np.abs(state.latents - expected).max() / np.abs(expected).max()
        assert gap < 1e-5, f"{steps} steps, after step {step}"


@pytest.mark.parametrize("steps", [61, 103])
def test_trailing_never_visits_the_timestep_minus_one_of_diffusers(steps):
    schedule = NoiseSchedule(1000, 0.0001, 0.02, "linear", "epsilon", "trailing", 0, "zero")
    theirs = diffusers.DPMSolverMultistepScheduler(**dataclasses.asdict(schedule))
    theirs.set_timesteps(steps)
    assert theirs.timesteps[-1] == -1
    ours = DpmSolver(schedule, steps).timesteps
    np.testing.assert_array_equal(ours, theirs.timesteps.numpy()[:-1])
