"""ONNX Runtime reports to its maker unless it is told not to before it starts."""

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from tests.fakes.tiny_bundle import TinyBundle

REPORTS_SINCE = (1, 29)
OPEN_FILES = """
import os
for entry in os.listdir("/proc/self/fd"):
    try:
        print(os.readlink(f"/proc/self/fd/{entry}"))
    except FileNotFoundError:  # the listing's own
        pass
"""


KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "TMPDIR")
"""All else stays behind: ONNX Runtime keeps silent by itself where `CI` or the like is set."""


def run(home: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs a program for a user who has said nothing about reports, on a machine that is no CI."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment = kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    return subprocess.run(
        [sys.executable, "-c", program + OPEN_FILES, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def traces(home: Path, ended: "subprocess.CompletedProcess[str]") -> list[str]:
    left = [str(path) for path in home.rglob("*") if path.is_file()]
    held = [line for line in ended.stdout.splitlines() if "socket" in line or ".db" in line]
    return left + held


@pytest.mark.skipif(
    tuple(map(int, onnxruntime.__version__.split(".")[:2])) < REPORTS_SINCE,
    reason="this ONNX Runtime has no reports to switch off",
)
def test_by_itself_it_keeps_reports(tmp_path: Path) -> None:
    ended = run(tmp_path, "import onnxruntime")
    assert ended.returncode == 0, ended.stderr
    assert traces(tmp_path, ended)


def test_a_picture_leaves_no_report(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    program = """
import sys
from pathlib import Path
from device_client.client import ObCLIP
with ObCLIP.offline(Path(sys.argv[1])) as obclip:
    obclip.generate("an old woman", steps=2)
"""
    ended = run(tmp_path, program, str(tiny_bundle.folder))
    assert ended.returncode == 0, ended.stderr
    assert traces(tmp_path, ended) == []


@pytest.mark.parametrize(
    "module",
    ["device_client.private_side.graph", "cloud_service.shared_weights", "benchmarks.machine"],
)
def test_every_package_that_runs_models_is_quiet(tmp_path: Path, module: str) -> None:
    ended = run(tmp_path, f"import {module}, sys; assert 'onnxruntime' in sys.modules")
    assert ended.returncode == 0, ended.stderr
    assert traces(tmp_path, ended) == []


@pytest.mark.parametrize("package", ["device_client", "cloud_service"])
def test_what_can_no_longer_be_stopped_is_refused(tmp_path: Path, package: str) -> None:
    ended = run(tmp_path, f"import onnxruntime, {package}")
    assert ended.returncode == 1
    assert "ImportError: onnxruntime was imported first" in ended.stderr
    assert "set ORT_DISABLE_TELEMETRY=1, or import" in ended.stderr


def test_who_has_switched_it_off_may_import_it_first(tmp_path: Path) -> None:
    program = (
        "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'\nimport onnxruntime, device_client"
    )
    ended = run(tmp_path, program)
    assert ended.returncode == 0, ended.stderr
    assert traces(tmp_path, ended) == []
