import numpy as np
import pytest

pytest.importorskip("resvg_py", reason="resvg-py is not installed (group: train)")

from benchmarks.quality import (
    UNGUIDED,
    Setting,
    drawing_error,
    drawings,
    held_out,
    runs,
    sharpness,
    table,
    time_device,
)
from benchmarks.sampling import Run, Sampler
from tests.fakes.tiny_bundle import TinyBundle

PROMPT = "a portrait of an old woman"


def test_the_devices_guidance_begins_at_the_switch_point() -> None:
    run = Run(25, 10, 2.5, device_guidance_scale=1.0)
    assert [run.scale(step) for step in (0, 9, 10, 24)] == [2.5, 2.5, 1.0, 1.0]
    assert {Run(25, 10, 2.5).scale(step) for step in range(25)} == {2.5}


def test_every_row_with_a_device_has_one_without_guidance() -> None:
    ways = runs(25, 2.5)
    unguided = {name for name in ways if name.endswith(UNGUIDED)}
    assert {name.removesuffix(UNGUIDED) for name in unguided} == set(ways) - unguided - {
        "cloud_only"
    }


def test_a_scale_of_one_is_the_limit_of_those_with_guidance(bundle: TinyBundle) -> None:
    sampler = Sampler(bundle.folder, threads=1)
    near, one = (
        sampler.latents([PROMPT], [4], Run(25, 5, 2.5, device_guidance_scale=scale))
        for scale in (1 + 1e-6, 1.0)
    )
    np.testing.assert_allclose(near, one, rtol=1e-3, atol=1e-4)
    usual = sampler.latents([PROMPT], [4], Run(25, 5, 2.5))
    assert np.abs(usual - one).max() > 1e-3


def test_the_device_is_timed_for_every_way(bundle: TinyBundle) -> None:
    setting = Setting(bundle.folder, 1, 1, None, rounds=2, threads=1)
    ways = runs(25, 2.5)
    found = time_device(setting, ways, Sampler(bundle.folder, threads=1))
    assert found.keys() == ways.keys()
    assert found["device_only"]["device_s"] > found["cloud_only"]["device_s"] > 0


def test_the_table_shows_the_paired_difference() -> None:
    shares = ("gender", "age", "ethnicity", "glasses", "glasses_recall", "hat", "background")
    row = dict.fromkeys((*shares, "expression", "all"), 0.5)
    row |= dict.fromkeys(("frechet", "sharpness", "drawing_error"), 0.5)
    gains = {"all_over_guided": (0.01, -0.02, 0.04), "frechet_over_guided": (0.1, -0.1, 0.3)}
    figures = {"renders": row, "hybrid_k5_unguided": row | gains | {"device_s": 0.1}, "setting": {}}
    shown = table(figures)
    assert shown.row_count == 2
    assert list(shown.columns[-2].cells) == ["-", "+1.00 (-2.00 to +4.00)"]


def test_an_edge_spread_over_four_pixels_is_a_quarter_as_sharp() -> None:
    edge = np.zeros((2, 8, 12, 3), np.uint8)
    edge[:, :, 6:] = 255
    ramp = np.tile(np.interp(np.arange(12), [4, 8], [0, 255])[:, None], (2, 8, 1, 3))
    assert sharpness(edge) == pytest.approx(1)
    assert sharpness(ramp.astype(np.uint8)) == pytest.approx(0.25, rel=0.01)
    assert sharpness(edge.swapaxes(1, 2)) == pytest.approx(1)


def test_a_light_is_no_error_and_another_person_is_one() -> None:
    portraits = held_out(3, 2)[0]
    drawn = drawings(portraits)
    for light in range(drawn.shape[1]):
        assert drawing_error(drawn[:, light], drawn) == 0
    brighter = np.minimum(drawn[:, 0], 245) + 10
    assert 0 < drawing_error(brighter.astype(np.uint8), drawn) <= 10
    assert drawing_error(drawn[::-1, 0], drawn) > 10
