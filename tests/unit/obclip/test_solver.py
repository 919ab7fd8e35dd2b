"""Laws of the solver: exact denoisers, order of convergence, any split of a run."""

import dataclasses

import numpy as np
import pytest

from obclip.noise import initial_latents
from obclip.schedule import NoiseSchedule
from obclip.solver import DpmSolver, SolverState

SCHEDULE = NoiseSchedule(
    num_train_timesteps=6401,
    beta_start=0.00085 / 6.4,
    beta_end=0.012 / 6.4,
    beta_schedule="scaled_linear",
    prediction_type="epsilon",
    timestep_spacing="linspace",
    steps_offset=0,
    final_sigmas_type="zero",
)
MEAN, STD = 0.7, 0.4


class GaussianModel:
    """The exact denoiser of data ~ N(MEAN, STD^2), whose ODE has a closed solution."""

    def __init__(self, schedule):
        self.prediction_type = schedule.prediction_type
        self.alphas = np.sqrt(schedule.alphas_cumprod())
        self.sigmas = np.sqrt(1 - self.alphas**2)

    def __call__(self, x, timestep):
        alpha, sigma = self.alphas[timestep], self.sigmas[timestep]
        x0 = (sigma**2 * MEAN + STD**2 * alpha * x) / self.variance(timestep)
        epsilon = (x - alpha * x0) / sigma
        output = epsilon if self.prediction_type == "epsilon" else alpha * epsilon - sigma * x0
        return output.astype(x.dtype)

    def variance(self, timestep):
        return self.alphas[timestep] ** 2 * STD**2 + self.sigmas[timestep] ** 2

    def solution(self, x, start, end):
        """x at timestep `end` of the ODE that passes through x at `start`."""
        scale = np.sqrt(self.variance(end) / self.variance(start))
        return self.alphas[end] * MEAN + scale * (x - self.alphas[start] * MEAN)


def run(solver, model, state, first, last):
    for step in range(first, last):
        output = model(state.latents, solver.timesteps[step])
        state = solver.step(state, output, step)
    return state


def schedules():
    for prediction in ("epsilon", "v_prediction"):
        for spacing in ("leading", "trailing", "linspace"):
            for final in ("zero", "sigma_min"):
                yield pytest.param(
                    dataclasses.replace(
                        SCHEDULE,
                        prediction_type=prediction,
                        timestep_spacing=spacing,
                        final_sigmas_type=final,
                    ),
                    id=f"{prediction}-{spacing}-{final}",
                )


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_x0_is_recovered_from_noised_latents(prediction_type):
    schedule = dataclasses.replace(SCHEDULE, prediction_type=prediction_type)
    solver = DpmSolver(schedule, 25)
    x0, epsilon = initial_latents(1, 1, (4, 8, 8)), initial_latents(2, 1, (4, 8, 8))
    for step, timestep in enumerate(solver.timesteps):
        alpha2 = np.float32(schedule.alphas_cumprod()[timestep])
        alpha, sigma = np.sqrt(alpha2), np.sqrt(1 - alpha2)
        output = epsilon if prediction_type == "epsilon" else alpha * epsilon - sigma * x0
        found = solver.predict_x0(output, alpha * x0 + sigma * epsilon, step)
        np.testing.assert_allclose(found, x0, atol=2e-5)


@pytest.mark.parametrize("steps", [1, 2, 14, 15, 50])
def test_a_denoiser_that_knows_the_answer_is_followed_exactly(steps):
    solver = DpmSolver(dataclasses.replace(SCHEDULE, prediction_type="v_prediction"), steps)
    answer = initial_latents(5, 1, (4, 8, 8))
    state = SolverState(initial_latents(6, 1, (4, 8, 8)))
    for step in range(steps):
        ratio = SCHEDULE.discretise(steps).sigmas[step]
        alpha = np.float32(1 / np.sqrt(1 + ratio**2))
        sigma = np.float32(ratio) * alpha
        v = (alpha * state.latents - answer) / sigma
        state = solver.step(state, v, step)
    np.testing.assert_allclose(state.latents, answer, atol=1e-5)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_error_on_a_gaussian_falls_with_the_square_of_the_step(prediction_type):
    schedule = dataclasses.replace(SCHEDULE, prediction_type=prediction_type)
    model = GaussianModel(schedule)
    start = initial_latents(3, 1, (4, 8, 8))
    exact = model.solution(start.astype(np.float64), 6400, 3200)
    errors = []
    for steps in (16, 32, 64, 128):
        half = run(DpmSolver(schedule, steps), model, SolverState(start), 0, steps // 2)
        errors.append(np.abs(half.latents - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (orders > 1.7).all()
    assert (orders < 2.5).all()


def test_a_second_order_step_uses_x0_midway_in_lambda():
    """With x0 = lambda, linear extrapolation by h / 2 is exact; r differs from 1 at the ends."""
    solver, ratios = DpmSolver(SCHEDULE, 20), SCHEDULE.discretise(20).sigmas
    latents = initial_latents(9, 1, (4, 8, 8))
    for step in range(1, 19):
        before, here, after = (-np.log(ratios[i]) for i in (step - 1, step, step + 1))
        alpha, next_alpha = (1 / np.sqrt(1 + ratios[i] ** 2) for i in (step, step + 1))
        epsilon = ((latents - alpha * here) / (ratios[step] * alpha)).astype(np.float32)
        previous_x0 = np.full_like(latents, before)
        found = solver.step(SolverState(latents, previous_x0), epsilon, step).latents
        shrink = ratios[step + 1] * next_alpha / (ratios[step] * alpha)
        weight = next_alpha * (1 - np.exp(here - after))
        expected = shrink * latents + weight * (here + after) / 2
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("schedule", schedules())
def test_the_flow_of_a_gaussian_is_followed_to_its_end(schedule):
    solver, model = DpmSolver(schedule, 800), GaussianModel(schedule)
    start = initial_latents(4, 1, (4, 16, 16))
    end = run(solver, model, SolverState(start), 0, 800).latents
    exact = model.solution(start, solver.timesteps[0], 0)
    assert end.dtype == np.float32
    np.testing.assert_allclose(end, exact, atol=0.01)


@pytest.mark.parametrize("schedule", schedules())
@pytest.mark.parametrize("steps", [1, 2, 14, 25])
def test_where_a_run_is_split_does_not_change_one_bit(schedule, steps):
    model = GaussianModel(schedule)
    start = SolverState(initial_latents(7, 2, (4, 8, 8)))
    whole = run(DpmSolver(schedule, steps), model, start, 0, steps).latents
    for split in range(steps + 1):
        cloud = run(DpmSolver(schedule, steps), model, start, 0, split)
        resumed = SolverState(cloud.latents.copy(), _copy(cloud.previous_x0))
        device = run(DpmSolver(schedule, steps), model, resumed, split, steps).latents
        assert whole.tobytes() == device.tobytes()


@pytest.mark.parametrize("split", [1, 5, 10, 24])
def test_a_state_rounded_to_float16_changes_the_end_by_little(split):
    schedule = dataclasses.replace(SCHEDULE, prediction_type="v_prediction")
    solver, model = DpmSolver(schedule, 25), GaussianModel(schedule)
    start = SolverState(initial_latents(8, 1, (4, 16, 16)))
    whole = run(solver, model, start, 0, 25).latents
    cloud = run(solver, model, start, 0, split)
    rounded = SolverState(_through_float16(cloud.latents), _through_float16(cloud.previous_x0))
    device = run(solver, model, rounded, split, 25).latents
    assert np.linalg.norm(device - whole) < 1e-3 * np.linalg.norm(whole)
    assert not np.array_equal(device, whole)


def test_candidates_do_not_touch_each_other():
    schedule = dataclasses.replace(SCHEDULE, prediction_type="v_prediction")
    solver, model = DpmSolver(schedule, 5), GaussianModel(schedule)
    batch = np.concatenate([initial_latents(seed, 1, (4, 8, 8)) for seed in range(3)])
    together = run(solver, model, SolverState(batch), 0, 5).latents
    alone = run(solver, model, SolverState(batch[1:2]), 0, 5).latents
    assert together[1:2].tobytes() == alone.tobytes()


def test_a_resumed_run_without_the_previous_prediction_is_refused():
    solver = DpmSolver(SCHEDULE, 25)
    latents = initial_latents(0, 1, (4, 8, 8))
    with pytest.raises(ValueError, match="step 3 needs the x0 prediction"):
        solver.step(SolverState(latents), latents, 3)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_moved_output_keeps_the_clean_latents(prediction_type):
    solver = DpmSolver(dataclasses.replace(SCHEDULE, prediction_type=prediction_type), 25)
    rng = np.random.default_rng(0)
    here, shift, output = rng.standard_normal((3, 2, 4, 4), dtype=np.float32)
    step, there = 3, here + shift
    x0 = solver.predict_x0(output, here, step)
    kept = solver.predict_x0(solver.moved(output, shift, step), there, step)
    np.testing.assert_allclose(kept, x0, atol=1e-3)


def test_the_state_prints_no_numbers():
    latents = initial_latents(0, 1, (1, 2, 2))
    assert repr(SolverState(latents, latents)) == "SolverState()"


def _copy(array):
    return None if array is None else array.copy()


def _through_float16(array):
    return array.astype(np.float16).astype(np.float32)
