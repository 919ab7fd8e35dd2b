import json
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed (group: train)")
pytest.importorskip("resvg_py", reason="resvg-py is not installed (group: train)")

from benchmarks import suite
from benchmarks.acceleration import COLUMNS, conditions, ratios, table
from benchmarks.fidelity import Setting
from benchmarks.methods import METHODS
from benchmarks.suite import SIZES, SWITCH_POINTS, Reports, plot, run, section, targets
from obclip import plan
from obclip.plan import Profile, Switches
from tests.fakes.tiny_bundle import TinyBundle

# For N = 6; what all candidates need grows with N.
SECONDS = {
    "cloud only": 5.0,
    "device only": 0.0,
    "vanilla oblivious": 30.0,
    "hybrid sd": 1.0,
    "obclip bare": 6.0,
    "obclip + cache": 5.5,
    "obclip + reuse": 5.0,
    "balanced": 2.0,
    "fast": 1.5,
}


def row(name: str, n: int) -> dict[str, Any]:
    alone = name in {"cloud only", "device only", "hybrid sd"}
    figures = dict.fromkeys(("server_s_spread", "overhead", "psnr", "position_trend_p"), 0.05)
    seconds = SECONDS[name] * (1 if alone else n / 6)
    return figures | {
        "method": name,
        "prompts_sent": 1 if alone else n,
        "server_s": seconds,
        "evals": 10 * seconds,
        "gmacs": 6 * seconds,
        "wire_bytes": 1000,
        "device_s": 1.0,
        "latent_error": None if alone else 0.1,
        "accuracy_mean": 0.9,
        "accuracy_worst": 0.8,
        "accuracy_over_bare": {"mean": 0.0, "low": -0.01, "high": 0.01},
        "lost_at_most": 0.015,
        "frechet": 20.0,
        "frechet_over_paper": {"mean": 0.3, "low": -0.2, "high": 0.8},
    }


def report(n: int) -> dict[str, Any]:
    facts = {"processor": "abacus", "cores": 2, "python": "3.11", "onnxruntime": "1.31"}
    return {
        "rows": [row(method.name, n) for method in METHODS],
        "setting": {"prompts": 2, "repeats": 3},
        "machine": facts,
        "models": {"family": "toy", "cloud_unet": "c" * 64, "device_unet": "d" * 64},
        "peak_memory_bytes": {"triton": 1 << 20},
    }


@pytest.fixture
def reports() -> Reports:
    return {(n, k): report(n) for n in SIZES for k in SWITCH_POINTS}


def test_ratios_are_vanillas_over_a_rows() -> None:
    rows = report(6)["rows"]
    assert ratios(rows[-1], rows) == ["20.0", "20.0"]
    assert ratios(rows[1], rows) == ["-", "-"]
    assert table(rows).row_count == len(METHODS)
    assert set(COLUMNS) <= set(rows[0])


def test_the_page_says_what_holds_and_what_does_not(reports: Reports) -> None:
    held = {words: answer for words, _, answer in targets(reports)}
    assert held["fast, N=6, k=5: at least 14 x below vanilla"] == "yes"
    assert held["fast, N=30, k=5: at least 25 x below vanilla"] == "no"
    assert held["fast, k=5: N=30 costs at most 9 x N=2"] == "no"
    lost = "N=6, k=5: points of accuracy lost to bare, at most"
    assert held[f"balanced, {lost} 1"] == "cannot tell"
    assert held[f"fast, {lost} 2"] == "yes"
    text = section(reports)
    assert text.count("### N = ") == 6
    assert "| fast | 1.500 ± 0.025 | 20.0 |" in text
    assert "Models: toy, cloud UNet `cccccccccccc`, device UNet `dddddddddddd`." in text


@pytest.mark.parametrize(
    ("low", "high", "answer"), [(-2, -1, "yes"), (-1, 1, "cannot tell"), (1, 2, "no")]
)
def test_a_distance_is_no_more_where_its_whole_interval_is(
    reports: Reports, low: float, high: float, answer: str
) -> None:
    reports[6, 5]["rows"][-1]["frechet_over_paper"] = {"mean": 0, "low": low, "high": high}
    held = {words: answer for words, _, answer in targets(reports)}
    assert held["fast, N=6, k=5: Frechet distance no more than the paper's"] == answer


def test_a_distance_of_few_prompts_is_open(reports: Reports) -> None:
    reports[6, 5]["rows"][-1]["frechet_over_paper"] = None
    held = {words: answer for words, _, answer in targets(reports)}
    assert held["fast, N=6, k=5: Frechet distance no more than the paper's"] == "cannot tell"


def test_draws_both_plots(reports: Reports, tmp_path: Path) -> None:
    plot(reports, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"bench-cost.webp", "bench-quality.webp"}


@pytest.fixture
def measured(bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Setting]:
    """The folder holds every setting's figures; the settings that are measured again."""
    again: list[Setting] = []

    def measure(_service: object, setting: Setting, repeats: int) -> dict[str, Any]:
        again.append(setting)
        return report(setting.n) | conditions(setting, repeats)

    monkeypatch.setattr(suite, "measure", measure)
    monkeypatch.setattr(suite, "running_service", nullcontext)
    run(tmp_path, bundle.folder, 1.0, 1)
    assert len(again) == len(SIZES) * len(SWITCH_POINTS)
    again.clear()
    return again


def test_settings_that_were_measured_are_read_and_not_measured_again(
    bundle: TinyBundle, measured: list[Setting], tmp_path: Path
) -> None:
    (tmp_path / "n6-k5.json").unlink()
    assert set(run(tmp_path, bundle.folder, 1.0, 1)) == set(product(SIZES, SWITCH_POINTS))
    assert [(setting.n, setting.k) for setting in measured] == [(6, 5)]


@pytest.mark.parametrize("fact", ["models", "machine", "setting"])
def test_figures_of_something_else_are_measured_again(
    bundle: TinyBundle, measured: list[Setting], tmp_path: Path, fact: str
) -> None:
    file = tmp_path / "n2-k10.json"
    figures = json.loads(file.read_text())
    file.write_text(json.dumps(figures | {fact: figures[fact] | {"n": "other"}}))
    run(tmp_path, bundle.folder, 1.0, 1)
    assert [(setting.n, setting.k) for setting in measured] == [(2, 10)]
    assert json.loads(file.read_text())[fact] == figures[fact]


def test_figures_of_another_plan_are_measured_again(
    bundle: TinyBundle, measured: list[Setting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plan._SWITCHES, Profile.FAST, Switches())
    run(tmp_path, bundle.folder, 1.0, 1)
    assert len(measured) == len(SIZES) * len(SWITCH_POINTS)


def test_another_number_of_prompts_is_measured_again(
    bundle: TinyBundle, measured: list[Setting], tmp_path: Path
) -> None:
    run(tmp_path, bundle.folder, 2.0, 1)
    assert len(measured) == len(SIZES) * len(SWITCH_POINTS)
