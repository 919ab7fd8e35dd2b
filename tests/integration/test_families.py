"""Every family, exported by the command and served, equals diffusers in one process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from cloud_service.export.program import export
from cloud_service.service import running_service
from cloud_service.settings import Settings
from device_client.client import ObCLIP
from obclip.card import ModelCard
from tests.fakes.mock_triton import models_of, running_mock_triton

pytest.importorskip("torch", reason="torch (the export extra) is not installed")
pytest.importorskip("diffusers", reason="diffusers (the export extra) is not installed")

from tests.fakes.tiny_pipeline import Tiny, save_tiny_pair
from tests.integration.family_reference import FamilyReference

PROMPT = "an old man with glasses"
SEED, SCALE = 11, 3.0
FAMILIES = {
    "SD epsilon": (Tiny(prediction_type="epsilon"), {}),
    "SD v": (Tiny(prediction_type="v_prediction", spacing="trailing"), {}),
    "SD, device with a text encoder of its own": (
        Tiny(prediction_type="epsilon", spacing="linspace"),
        {"shared_seed": 5},
    ),
    "SDXL": (Tiny(is_xl=True, prediction_type="epsilon"), {}),
    "LCM": (Tiny(is_lcm=True, embeds_guidance=True, prediction_type="epsilon"), {}),
    "LCM with guidance of two passes": (Tiny(is_lcm=True, prediction_type="epsilon"), {}),
    "LCM-SDXL": (
        Tiny(is_xl=True, is_lcm=True, embeds_guidance=True, prediction_type="epsilon"),
        {"spacing": "trailing"},
    ),
}
pytestmark = [
    pytest.mark.slow,  # each family is exported
    pytest.mark.timeout(1800),
    # diffusers and transformers warn about their own deprecations and type hints
    pytest.mark.filterwarnings("default"),
]


@dataclass(frozen=True)
class Family:
    """A family on disk: what it was made of, and the bundle."""

    cloud: Path
    device: Path
    bundle: Path

    @property
    def card(self) -> ModelCard:
        return ModelCard.load(self.bundle)

    @property
    def steps(self) -> int:
        return 4 if self.card.distillation else 6


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    folder = tmp_path_factory.mktemp("family")
    tiny, of_device = FAMILIES[request.param]
    cloud, device = save_tiny_pair(folder, tiny, **of_device)
    words = ["--cloud", cloud, "--device", device, "--out", folder / "bundle", "--family", "tiny"]
    words += ["--wire-type", "float32", "--profiles", "bare", "--licence", "CC0-1.0"]
    words += ["--shift", "2", "--device-steps", "9"] if tiny.is_lcm else []
    words += ["--vae", "cloud"] if "shared_seed" in of_device else []
    app = typer.Typer()
    app.command()(export)
    result = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0
    if "shared_seed" in of_device:  # a reference with the VAE that the operator chose
        _take_vae(cloud, device)
    return Family(cloud, device, folder / "bundle")


async def test_the_whole_system_equals_diffusers_at_any_switch_point(family: Family) -> None:
    reference = FamilyReference(family.cloud, family.device, family.card)
    images = await _served_images(family, switch_points := (0, 2, family.steps))
    for switch_point, image in zip(switch_points, images, strict=True):
        wanted = reference.image(PROMPT, family.steps, switch_point, SCALE, SEED)
        assert np.ptp(wanted) > 20
        assert np.abs(image.astype(int) - wanted).max() <= 2
    # Without a device the pipeline itself is what there is to equal.
    whole = reference.whole(PROMPT, family.steps, SCALE, SEED)
    assert np.abs(images[-1].astype(int) - whole).max() <= 2
    assert np.abs(images[0].astype(int) - images[-1]).max() > 8


async def _served_images(family: Family, switch_points: tuple[int, ...]) -> list[NDArray[np.uint8]]:
    models = models_of(family.bundle / "triton_models")
    async with running_mock_triton(models) as triton:
        settings: dict[str, Any] = {"bundle": family.bundle, "triton_url": triton.url}
        settings |= {"listen": "127.0.0.1:0", "shutdown_grace_s": 0, "profiles": ("bare",)}
        async with running_service(Settings(**settings)) as service:
            return await asyncio.to_thread(_images, service.address, family, switch_points)


def _images(
    address: str, family: Family, switch_points: tuple[int, ...]
) -> list[NDArray[np.uint8]]:
    with ObCLIP.connect(address, family.bundle, threads=1) as obclip:
        assert PROMPT in obclip.preview(PROMPT).candidates()
        return [
            np.asarray(
                obclip.generate(
                    PROMPT,
                    seed=SEED,
                    steps=family.steps,
                    guidance_scale=SCALE,
                    switch_point=switch_point,
                    profile="bare",
                ).image
            )
            for switch_point in switch_points
        ]


def _take_vae(cloud: Path, device: Path) -> None:
    for file in (cloud / "vae").iterdir():
        (device / "vae" / file.name).write_bytes(file.read_bytes())
