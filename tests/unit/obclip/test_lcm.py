"""The sampler of a step-distilled cloud, against diffusers and by its laws."""

import numpy as np
import pytest

from obclip.lcm import Distillation, LcmSolver
from obclip.noise import initial_latents, step_noise
from obclip.schedule import NoiseSchedule
from obclip.solver import DpmSolver, SolverState

DISTILLATION = Distillation(50, 10.0, embeds_guidance=True, device_steps=25, shift=8)
SHAPE = (4, 6, 5)


def schedule(prediction_type="epsilon"):
    return NoiseSchedule(
        1000, 0.00085, 0.012, "scaled_linear", prediction_type, "leading", 1, "zero"
    )


def model(latents, timestep):
    return np.tanh(latents * 0.7 + np.float32(timestep / 1000)).astype(np.float32)


def states(solver, start):
    state, seen = SolverState(start), []
    for step, timestep in enumerate(solver.timesteps):
        state = solver.step(state, model(state.latents, timestep), step)
        seen.append(state)
    return seen


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [1, 4, 7, 8, 50])
def test_it_is_diffusers_sampler_with_our_noise(steps, prediction_type, monkeypatch):
    torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
    pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")
    from diffusers import LCMScheduler  # noqa: PLC0415 -- may be absent
    from diffusers.schedulers import scheduling_lcm  # noqa: PLC0415

    theirs = LCMScheduler(prediction_type=prediction_type)
    theirs.set_timesteps(steps)
    ours = LcmSolver(schedule(prediction_type), DISTILLATION, steps, seed=3)
    assert ours.timesteps.tolist() == theirs.timesteps.tolist()
    latents = torch.from_numpy(initial_latents(3, 2, SHAPE))
    for step, state in enumerate(states(ours, initial_latents(3, 2, SHAPE))):
        noise = torch.from_numpy(step_noise(3, step, SHAPE)).expand(2, *SHAPE)
        # The sampler takes no noise as an argument; drawing it is all that is replaced.
        monkeypatch.setattr(scheduling_lcm, "randn_tensor", lambda *_, drawn=noise, **__: drawn)
        time = theirs.timesteps[step]
        output = torch.from_numpy(model(latents.numpy(), int(time)))
        answer = theirs.step(output, time, latents)
        latents = answer.prev_sample
        np.testing.assert_allclose(state.latents, latents.numpy(), rtol=0, atol=2e-5)
        np.testing.assert_allclose(state.previous_x0, answer.denoised.numpy(), rtol=0, atol=2e-5)


def test_all_candidates_get_the_same_noise_and_a_run_repeats():
    first, second = (
        states(LcmSolver(schedule(), DISTILLATION, 8, seed=5), initial_latents(5, 3, SHAPE))
        for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.latents, other.latents)
        assert np.array_equal(one.latents[0], one.latents[2])


def test_the_noise_of_a_step_is_a_standard_normal_of_its_own():
    draws = [step_noise(5, step, (64, 64, 4)).ravel() for step in range(4)]
    draws.append(initial_latents(5, 1, (64, 64, 4)).ravel())
    draws.append(step_noise(6, 0, (64, 64, 4)).ravel())
    assert np.abs(np.corrcoef(draws) - np.eye(6)).max() < 0.03
    assert np.abs(np.std(draws, axis=1) - 1).max() < 0.03


def test_x0_of_a_linear_gaussian_model_is_found_where_noise_is_small():
    """At the last timestep c_out is nearly 1: the boundary condition hardly weighs."""
    solver = LcmSolver(schedule(), DISTILLATION, 50, seed=1)
    clean, noise = (initial_latents(seed, 1, SHAPE) for seed in (1, 2))
    ratio2 = (1 - schedule().alphas_cumprod()) / schedule().alphas_cumprod()
    alpha = np.float32(1 / np.sqrt(1 + ratio2[solver.timesteps[-1]]))
    latents = alpha * clean + np.sqrt(1 - alpha**2) * noise
    found = solver.step(SolverState(latents), noise, 49).latents
    np.testing.assert_allclose(found, clean, rtol=0, atol=1e-3)


@pytest.mark.parametrize("steps", [0, 51])
def test_impossible_steps_are_refused(steps):
    with pytest.raises(ValueError, match=r"steps is outside 1\.\.50"):
        LcmSolver(schedule(), DISTILLATION, steps, seed=1)


@pytest.mark.parametrize(
    ("switch_point", "shift", "start"),
    [(0, 8, 0), (1, 8, 9), (4, 8, 12), (4, 0, 4), (7, 30, 24), (8, 8, 25)],
)
def test_the_device_goes_on_dt_steps_later(switch_point, shift, start):
    distillation = Distillation(50, 10.0, True, 25, shift)
    assert distillation.device_start(switch_point, 8) == start


def test_dt_8_is_where_the_noise_levels_meet():
    """The paper's setting: LCM's 4th of 8 steps and the device's 12th of 25."""
    cloud = DISTILLATION.timesteps(schedule(), 8)[4]
    device = schedule().discretise(25).timesteps
    start = DISTILLATION.device_start(4, 8)
    assert np.abs(device - cloud).argmin() in {start, start + 1}
    assert abs(int(device[start]) - int(cloud)) < 40 < abs(int(device[4]) - int(cloud))


def test_the_device_starts_anew_with_a_first_order_step():
    solver, first = DpmSolver(schedule(), 25, first=12), DpmSolver(schedule(), 25)
    latents = initial_latents(1, 1, SHAPE)
    output = model(latents, 500)
    one = solver.step(SolverState(latents), output, 12)
    other = solver.step(SolverState(latents, 9 * latents), output, 12)
    assert np.array_equal(one.latents, other.latents)
    with pytest.raises(ValueError, match="step 12 needs the x0 prediction"):
        first.step(SolverState(latents), output, 12)


@pytest.mark.parametrize(
    "values",
    [
        (0, 10.0, True, 25, 8),
        (50, 0.0, True, 25, 8),
        (50, 10.0, True, 0, 8),
        (50, 1.0, True, 1, -1),
    ],
)
def test_a_distillation_outside_its_ranges_is_refused(values):
    with pytest.raises(ValueError, match="is outside"):
        Distillation(*values)
