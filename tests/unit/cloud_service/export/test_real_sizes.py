"""Exports of real architectures with random weights, each in a process of its own.

`pytest -s -m slow` prints what was told beforehand and what was measured.
"""

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
SAVE = """
import sys
from pathlib import Path
from tests.fakes.real_architectures import SAVERS

SAVERS[sys.argv[2]](Path(sys.argv[1]))
"""
EXPORT = """
import json, resource, sys, time
from pathlib import Path
import typer
from cloud_service.export.needs import estimate
from cloud_service.export.pair import ModelPair
from cloud_service.export.program import export

folder = Path(sys.argv[1])
cloud, device, bundle = folder / "cloud", folder / "device", folder / "bundle"
needs = estimate(ModelPair(cloud, device, None, None), bundle, None, graphs=5)
start = time.monotonic()
app = typer.Typer()
app.command()(export)
words = ["--cloud", cloud, "--device", device, "--out", bundle, "--profiles", "bare"]
app([str(word) for word in (*words, "--family", "random", "--licence", "CC0-1.0")],
    standalone_mode=False)
record = json.loads((bundle / ".obclip-export.json").read_text())
print(json.dumps({
    "errors": {n: p["graph"]["parity"]["max_relative"] for n, p in record["parts"].items()},
    "seconds": time.monotonic() - start,
    "told": {"memory": needs.memory_bytes, "disk": needs.disk_bytes},
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "disk": sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()),
}))
"""
GIB = 2**30

pytestmark = [pytest.mark.slow, pytest.mark.timeout(14400)]


def run(script, *words):
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        cwd=ROOT, env=dict(os.environ, PYTHONPATH=str(ROOT)), text=True, stdout=subprocess.PIPE,
        timeout=14000, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize(
    ("family", "gmac", "peak_gib"), [("SD-v1.4", 401.6, 8), ("SDXL", 3380.6, 24)]
)
def test_an_export_keeps_to_parity_macs_and_what_it_told(family, gmac, peak_gib, tmp_path):
    run(SAVE, tmp_path, family)
    found = json.loads(run(EXPORT, tmp_path).strip().splitlines()[-1])
    print(family, found)  # noqa: T201 -- the figures, for `pytest -s`
    kinds = {kind.name: kind for kind in ModelCard.load(tmp_path / "bundle").step_kinds}
    assert kinds["unet_full"].macs == pytest.approx(gmac * 1e9, rel=1e-3)
    assert found["errors"].pop("vae") <= 1e-3
    assert max(found["errors"].values()) <= 1e-4
    assert found["peak"] < peak_gib * GIB
    assert found["told"]["memory"] == pytest.approx(found["peak"], rel=0.25)
    assert found["told"]["disk"] == pytest.approx(found["disk"], rel=0.25)
