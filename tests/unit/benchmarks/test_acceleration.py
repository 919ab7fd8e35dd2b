import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed (group: train)")
pytest.importorskip("resvg_py", reason="resvg-py is not installed (group: train)")

from benchmarks.acceleration import COLUMNS, ratios, table
from benchmarks.methods import METHODS
from benchmarks.suite import SIZES, SWITCH_POINTS, Reports, plot, run, section, targets

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
        "frechet": 20.0,
        "frechet_over_paper": {"mean": 0.3, "low": -0.2, "high": 0.8},
    }


def report(n: int) -> dict[str, Any]:
    machine = {"processor": "abacus", "cores": 2, "python": "3.11", "onnxruntime": "1.31"}
    return {
        "rows": [row(method.name, n) for method in METHODS],
        "setting": {"prompts": 2, "repeats": 3},
        "machine": machine,
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
    text = section(reports)
    assert text.count("### N = ") == 6
    assert "| fast | 1.500 ± 0.025 | 20.0 |" in text


def test_draws_both_plots(reports: Reports, tmp_path: Path) -> None:
    plot(reports, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"bench-cost.webp", "bench-quality.webp"}


def test_settings_that_were_measured_are_read_and_not_measured_again(
    reports: Reports, tmp_path: Path
) -> None:
    for (n, k), found in reports.items():
        (tmp_path / f"n{n}-k{k}.json").write_text(json.dumps(found))
    assert run(tmp_path, tmp_path / "no bundle", 1.0, 1) == reports
