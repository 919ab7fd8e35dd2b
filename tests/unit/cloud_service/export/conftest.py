"""One export of a tiny pair through the command, for all tests that only look at its result."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cloud_service.export.program import export

ABSENT = "{} is not installed (extras: export, cloud)"


@dataclass(frozen=True)
class Exported:
    """A bundle, the Triton repository written for it, and what the program printed."""

    cloud: Path
    device: Path
    bundle: Path
    triton_models: Path
    printed: str


def invoke(*words):
    """Runs `obclip export`; errors are raised, as for the program around it, which prints them."""
    app = typer.Typer()
    app.command()(export)
    arguments = [str(word) for word in words]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "120"}, catch_exceptions=False)


@pytest.fixture(scope="session")
def saved_pair(tmp_path_factory):
    for name in ("torch", "diffusers", "transformers", "onnxscript", "tritonclient"):
        pytest.importorskip(name, reason=ABSENT.format(name))
    from tests.fakes.tiny_pipeline import Tiny, save_tiny_pair  # noqa: PLC0415 -- torch may be absent

    return save_tiny_pair(tmp_path_factory.mktemp("saved"), Tiny())


@pytest.fixture
def pair(saved_pair, tmp_path):
    """Pipeline folders of the test's own, cloud and device."""
    return tuple(Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in saved_pair)


@pytest.fixture(scope="session")
def exported(saved_pair, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    bundle, triton_models = folder / "bundle", folder / "triton_models"
    cloud, device = saved_pair
    words = ["--cloud", cloud, "--device", device, "--out", bundle]
    words += ["--triton-models", triton_models, "--family", "tiny"]
    words += ["--licence", "CC0-1.0", "--wire-type", "float16", "--defaults", "8", "1.5", "3"]
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    return Exported(cloud, device, bundle, triton_models, result.output)
