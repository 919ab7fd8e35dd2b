"""One export of a tiny pipeline through the program, for all tests that only look at its result."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud_service.export.program import app

ABSENT = "{} is not installed (extras: export, cloud)"


@dataclass(frozen=True)
class Exported:
    """A bundle, the Triton repository written for it, and what the program printed."""

    bundle: Path
    triton_models: Path
    printed: str


@pytest.fixture(scope="session")
def saved_pipeline(tmp_path_factory):
    for name in ("torch", "diffusers", "transformers", "onnxscript", "tritonclient"):
        pytest.importorskip(name, reason=ABSENT.format(name))
    from tests.unit.cloud_service.export.tiny_pipeline import save_tiny_pipeline  # noqa: PLC0415 -- torch may be absent

    return save_tiny_pipeline(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def pipeline(saved_pipeline, tmp_path):
    """A pipeline folder of the test's own."""
    return Path(shutil.copytree(saved_pipeline, tmp_path / "pipeline"))


@pytest.fixture(scope="session")
def exported(saved_pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    bundle, triton_models = folder / "bundle", folder / "triton_models"
    shutil.copytree(saved_pipeline, bundle)
    words = ["--pipeline", bundle, "--triton-models", triton_models, "--family", "tiny"]
    words += ["--licence", "CC0-1.0", "--wire-type", "float16", "--defaults", "8", "1.5", "3"]
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    return Exported(bundle, triton_models, result.stdout)
