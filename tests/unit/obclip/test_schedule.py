import dataclasses

import numpy as np
import pytest

from obclip.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule(
    num_train_timesteps=1000,
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    prediction_type="epsilon",
    timestep_spacing="leading",
    steps_offset=1,
    final_sigmas_type="zero",
)


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear"])
def test_alphas_cumprod_is_the_product_of_one_minus_beta(beta_schedule):
    schedule = dataclasses.replace(SCHEDULE, beta_schedule=beta_schedule)
    alphas2 = schedule.alphas_cumprod()
    betas = 1 - alphas2[1:] / alphas2[:-1]
    first = 1 - alphas2[0]
    np.testing.assert_allclose([first, betas[-1]], [0.00085, 0.012], rtol=1e-4)
    middle = 0.006425 if beta_schedule == "linear" else ((0.00085**0.5 + 0.012**0.5) / 2) ** 2
    np.testing.assert_allclose((betas[498] + betas[499]) / 2, middle, rtol=1e-3)
    assert alphas2.dtype == np.float64


def test_leading_timesteps_of_25_steps_are_those_of_stable_diffusion():
    timesteps = SCHEDULE.discretise(25).timesteps
    assert timesteps.dtype == np.int64
    assert timesteps.tolist() == [38 * (25 - i) + 1 for i in range(25)]


def test_trailing_starts_at_the_last_timestep_and_linspace_too():
    trailing = dataclasses.replace(SCHEDULE, timestep_spacing="trailing").discretise(4)
    linspace = dataclasses.replace(SCHEDULE, timestep_spacing="linspace").discretise(4)
    assert trailing.timesteps.tolist() == [999, 749, 499, 249]
    assert linspace.timesteps.tolist() == [999, 749, 500, 250]


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
def test_every_number_of_steps_gives_as_many_falling_timesteps_and_sigmas(spacing, final):
    schedule = dataclasses.replace(
        SCHEDULE, timestep_spacing=spacing, final_sigmas_type=final, num_train_timesteps=200
    )
    for steps in range(1, 133):
        run = schedule.discretise(steps)
        assert run.timesteps.shape == (steps,)
        assert run.sigmas.shape == (steps + 1,)
        assert (np.diff(run.timesteps) < 0).all()
        assert (np.diff(run.sigmas) < 0).all()
        assert run.timesteps[-1] >= 0
        assert run.timesteps[0] < 200


def test_the_last_sigma_is_zero_or_that_of_timestep_zero():
    alpha2 = SCHEDULE.alphas_cumprod()[0]
    sigma_min = dataclasses.replace(SCHEDULE, final_sigmas_type="sigma_min")
    assert SCHEDULE.discretise(25).sigmas[-1] == 0
    assert sigma_min.discretise(25).sigmas[-1] == np.sqrt((1 - alpha2) / alpha2)


@pytest.mark.parametrize("steps", [-1, 0, 1000])
def test_a_number_of_steps_that_the_schedule_has_not_is_refused(steps):
    with pytest.raises(ValueError, match="steps is outside"):
        SCHEDULE.discretise(steps)


def test_an_offset_beyond_the_last_timestep_is_refused():
    with pytest.raises(ValueError, match="steps_offset"):
        dataclasses.replace(SCHEDULE, steps_offset=60).discretise(25)


def test_a_last_step_that_removes_no_noise_is_refused():
    trailing = dataclasses.replace(SCHEDULE, timestep_spacing="trailing", num_train_timesteps=200)
    assert trailing.discretise(190).timesteps[-1] == 0
    with pytest.raises(ValueError, match="steps is too many"):
        dataclasses.replace(trailing, final_sigmas_type="sigma_min").discretise(190)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_train_timesteps", 1),
        ("num_train_timesteps", 10_001),
        ("beta_start", 0.0),
        ("beta_start", 0.5),
        ("beta_end", 1.0),
        ("beta_end", float("nan")),
        ("beta_schedule", "squaredcos_cap_v2"),
        ("prediction_type", "sample"),
        ("timestep_spacing", ""),
        ("steps_offset", -1),
        ("steps_offset", 1000),
        ("final_sigmas_type", "one"),
    ],
)
def test_values_outside_their_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field.split("_")[0]):
        dataclasses.replace(SCHEDULE, **{field: value})
