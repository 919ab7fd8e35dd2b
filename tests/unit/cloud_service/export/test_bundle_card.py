"""Which scheduler configs become a noise schedule."""

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: export)")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from cloud_service.export.bundle_card import read_schedule  # noqa: E402 -- after the skips
from cloud_service.export.errors import ExportFailed  # noqa: E402
from obclip.schedule import NoiseSchedule  # noqa: E402

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def test_stable_diffusion_1_5s_own_config_is_read_as_diffusers_does():
    config = diffusers.PNDMScheduler(**BETAS, skip_prk_steps=True, steps_offset=1).config
    solver = diffusers.DPMSolverMultistepScheduler.from_config(config)
    schedule = read_schedule(dict(config))
    assert schedule == NoiseSchedule(
        1000, 0.00085, 0.012, "scaled_linear", "epsilon", "linspace", 1, "zero"
    )
    solver.set_timesteps(25)
    assert schedule.discretise(25).timesteps.tolist() == solver.timesteps.tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("algorithm_type", "sde-dpmsolver++"),
        ("solver_order", 3),
        ("solver_type", "heun"),
        ("use_karras_sigmas", True),
        ("thresholding", True),
        ("rescale_betas_zero_snr", True),
        ("trained_betas", [0.1, 0.2]),
    ],
)
def test_another_solver_is_refused_with_both_values(name, value):
    with pytest.raises(ExportFailed, match=f"{name}: is .*; set it to "):
        read_schedule({**BETAS, name: value})


def test_a_prediction_that_the_solver_does_not_know_is_refused():
    with pytest.raises(ExportFailed, match="prediction_type"):
        read_schedule({**BETAS, "prediction_type": "sample"})
