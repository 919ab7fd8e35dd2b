"""The whole recipe from nothing with a handful of steps: every command, in order, to a pipeline."""

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from demo_models.training.__main__ import app  # noqa: E402
from demo_models.training.curves import NETWORKS, draw_curves  # noqa: E402
from demo_models.training.loop import LOG_EVERY  # noqa: E402

FEW = str(LOG_EVERY)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def run():
    def invoke(*words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.output

    return invoke


def test_the_recipe_leads_from_nothing_to_a_pipeline(run, tmp_path):
    work, out = tmp_path / "work", tmp_path / "weights"
    run("dataset", "--work", work, "--count", 500, "--held-out", 500)
    networks = ("text-encoder", "classifier", "autoencoder", "cloud-unet", "device-unet")
    for network in networks:
        run(network, "--work", work, "--steps", FEW)
    again = run("autoencoder", "--work", work, "--steps", FEW)
    assert "is trained" in again
    run("publish", "--work", work, "--out", out)
    assert set(draw_curves(work, tmp_path / "curves.png")) == set(NETWORKS)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(out, variant="fp16")
    image = pipeline("a portrait of an old man", num_inference_steps=2).images[0]
    assert image.size == (128, 128)
    device = diffusers.UNet2DConditionModel.from_pretrained(
        out, subfolder="device_unet", variant="fp16"
    )
    assert device.num_parameters() < pipeline.unet.num_parameters() / 3
