"""Exports of real architectures with random weights, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")

from obclip.card import ModelCard

ROOT = Path(__file__).parents[4]
SCRIPT = """
import json, resource, sys
from pathlib import Path
import typer
from cloud_service.export.program import export
from tests.fakes.real_architectures import SAVERS

folder = Path(sys.argv[1])
cloud, device = SAVERS[sys.argv[2]](folder)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
app = typer.Typer()
app.command()(export)
words = ["--cloud", cloud, "--device", device, "--out", folder / "bundle", "--profiles", "bare"]
app([str(word) for word in (*words, "--family", "random", "--licence", "CC0-1.0")],
    standalone_mode=False)
record = json.loads((folder / "bundle" / ".obclip-export.json").read_text())
errors = {n: p["graph"]["parity"]["max_relative"] for n, p in record["parts"].items()}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"errors": errors, "peak_gib": peak / 2**20, "saving_gib": before / 2**20}))
"""


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_stable_diffusion_1_4_is_exported_with_401_6_gmac(tmp_path):
    """`pytest -s -m slow` prints parity and peak memory as well."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), "SD-v1.4"],
        cwd=ROOT, env=dict(os.environ, PYTHONPATH=str(ROOT)), text=True, stdout=subprocess.PIPE,
        timeout=7000, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(found)  # noqa: T201 -- the figures, for `pytest -s`
    kinds = {kind.name: kind for kind in ModelCard.load(tmp_path / "bundle").step_kinds}
    assert kinds["unet_full"].macs == pytest.approx(401.6e9, rel=1e-3)
    assert max(found["errors"].values()) <= 1e-4
