"""The device extra alone, installed outside the checkout: no torch, no Triton, and a picture."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.integration.served import served

CHECKOUT = Path(__file__).parents[2]
FAMILY = CHECKOUT / "demo_models" / "weights"
PROMPT = "a portrait of an old man with a beard, at night"
INSTALL_S = 280

pytestmark = [pytest.mark.triton, pytest.mark.timeout(400)]


def _run(*command: str | Path, cwd: Path, timeout_s: float = 120) -> str:
    done = subprocess.run(
        command, cwd=cwd, timeout=timeout_s, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device")
    _run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = folder / "venv" / "bin" / "pip"
    _run(pip, "install", "--quiet", f"{CHECKOUT}[device]", cwd=folder, timeout_s=INSTALL_S)
    return folder


def test_the_device_extra_brings_neither_torch_nor_triton(environment: Path) -> None:
    pip = environment / "venv" / "bin" / "pip"
    listed = _run(pip, "list", "--format", "json", cwd=environment)
    names = {package["name"].lower() for package in json.loads(listed)}
    assert {"obclip", "onnxruntime"} <= names
    assert not names & {"torch", "tritonclient", "nvidia-pytriton", "diffusers", "transformers"}


def test_it_makes_a_picture_against_a_running_service(environment: Path) -> None:
    obclip = environment / "venv" / "bin" / "obclip"
    with served(FAMILY) as address:
        printed = _run(
            obclip, "generate", PROMPT, "--server", address, "--out", "old.png", "--json",
            cwd=environment,
        )  # fmt: skip
    assert json.loads(printed)
    with Image.open(environment / "old.png") as image:
        assert image.size == (128, 128)
        assert len(set(image.resize((16, 16)).get_flattened_data())) > 50
