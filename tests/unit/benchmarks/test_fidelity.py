from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("resvg_py", reason="resvg-py is not installed (group: train)")

from benchmarks.fidelity import Setting, latent_errors, methods_with, psnr, section, settled
from benchmarks.methods import BARE, PAPER, VANILLA
from benchmarks.pictures import Candidates, Finisher, PictureMaker
from obclip.errors import InvalidRequest
from obclip.plan import Switches, make_plan
from tests.fakes.tiny_bundle import TinyBundle

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(256, size=(6, 8, 8, 3), dtype=np.uint8)
PROMPTS = ("a portrait of a man", "a portrait of a woman")


def test_the_error_is_in_units_of_the_distance_between_candidates() -> None:
    bare = RNG.standard_normal((6, 4, 2, 2)).astype(np.float32)
    assert (latent_errors(bare, bare) == 0).all()
    one_off = latent_errors(np.roll(bare, 1, axis=0), bare)
    assert 0.5 < one_off.mean() < 1.5
    scaled = latent_errors(10 * np.roll(bare, 1, axis=0), 10 * bare)
    np.testing.assert_allclose(scaled, one_off, rtol=1e-5)


def test_psnr_falls_by_six_decibels_when_the_error_doubles() -> None:
    zeros = np.zeros_like(PICTURES)
    assert psnr(zeros + 8, zeros) - psnr(zeros + 16, zeros) == pytest.approx(6.02, abs=0.01)
    assert psnr(PICTURES, PICTURES) == pytest.approx(68.1, abs=0.1)


def test_finished_by_the_cloud_bare_gives_the_pictures_of_vanilla(bundle: TinyBundle) -> None:
    asked = Candidates(PROMPTS, 3)
    made = {}
    for finisher in Finisher:
        maker = PictureMaker(bundle.folder, 1, finisher)
        vanilla, _ = maker.pictures(asked, VANILLA.plan(5, maker.steps))
        bare, _ = maker.pictures(asked, BARE.plan(5, maker.steps))
        made[finisher] = np.abs(bare.astype(int) - vanilla).max()
    assert made[Finisher.CLOUD] <= 1
    assert made[Finisher.DEVICE] > 1


def test_plans_of_ones_own_are_bare_but_for_their_switches() -> None:
    *_usual, own = methods_with(["trunk_steps=1,full_every=3"])
    assert own.plan(5, 25) == make_plan(25, 5, Switches(trunk_steps=1, full_every=3))
    assert own.varies_with_k
    with pytest.raises(InvalidRequest, match="full_evry=3 is none"):
        methods_with(["full_evry=3"])


def test_the_table(bundle: TinyBundle) -> None:
    setting = Setting(bundle.folder, 6, 5, 2, 1, 1, Finisher.CLOUD)
    interval = {"mean": 0.5, "low": -0.1, "high": 1.1}
    quality: dict[str, Any] = dict.fromkeys(
        ("latent_error", "latent_error_worst", "psnr", "accuracy_mean", "accuracy_worst"), 0.25
    )
    quality |= {"frechet": 80.0, "frechet_over_paper": interval, "accuracy_over_bare": interval}
    report = {
        "rows": [settled(setting, PAPER) | quality],
        "setting": setting.public,
        "machine": {"processor": "abacus", "cores": 2},
        "models": {"family": "toy", "cloud_unet": "c" * 64, "device_unet": "d" * 64},
    }
    text = section([report])
    assert "2 cores. Models: toy, cloud UNet `cccccccccccc`, device" in text
    assert "### N = 6, k = 5, finished by the cloud" in text
    assert "| 80.0 | +0.5 (-0.1 to +1.1) |" in text


def test_the_folder_is_left_out_of_reports() -> None:
    setting = Setting(Path("somewhere"), 6, 5, 2, 1, 1)
    assert setting.public == {k: v for k, v in asdict(setting).items() if k != "bundle"}
