"""A device that has nothing pulls its bundle from the orchestrator and makes a picture."""

import asyncio
import shutil
from pathlib import Path

import pytest
from PIL import Image

from cloud_service.service import RunningService
from device_client.bundle import open_bundle
from device_client.program import run
from obclip.manifest import Manifest
from tests.conftest import StartService
from tests.fakes.tiny_bundle import TinyBundle


async def _obclip(*words: str | Path) -> int:
    return await asyncio.to_thread(run, [str(word) for word in words])


async def test_a_pulled_bundle_makes_the_same_picture(
    service: RunningService, bundle: TinyBundle, tmp_path: Path
) -> None:
    pin, models = Manifest.of_folder(bundle.folder).pin, tmp_path / "models"
    at = ("--server", service.address)
    assert await _obclip("pull", pin, *at, "--out", models) == 0
    assert open_bundle(models).card == bundle.card
    assert not (models / "unet").exists()
    for folder, name in ((models, "pulled.png"), (bundle.folder, "own.png")):
        prompt = ("generate", "a portrait of an old man", "--seed", "7", "--bundle", folder)
        assert await _obclip(*prompt, *at, "--out", tmp_path / name) == 0
    with Image.open(tmp_path / "pulled.png") as pulled, Image.open(tmp_path / "own.png") as own:
        assert pulled.tobytes() == own.tobytes()


async def test_damage_on_the_services_disk_does_not_reach_a_device(
    start_service: StartService,
    bundle: TinyBundle,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    pin, models = Manifest.of_folder(folder).pin, tmp_path / "models"
    victim = folder / "device_unet" / "model.onnx"
    async with start_service(bundle=folder) as service:
        victim.write_bytes(victim.read_bytes()[::-1])
        words = ("pull", pin, "--server", service.address, "--out", models)
        assert await _obclip(*words) == 5
        assert "file device_unet/model.onnx: " in capsys.readouterr().err
        assert not models.exists()
        shutil.copyfile(bundle.folder / "device_unet" / "model.onnx", victim)
        assert await _obclip(*words) == 0
    assert open_bundle(models).card == bundle.card
