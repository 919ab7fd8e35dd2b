"""Locust's users with the real client, against a service of threads in this process."""

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

# Not locust itself: it patches the standard library unless benchmarks.load is imported first.
pytest.importorskip(
    "benchmarks.load", reason="locust or matplotlib is not installed (groups: load, train)"
)

from benchmarks.load import COLUMNS, Load, drive, plot, section
from tests.fakes.scripted_service import HonestCloud, Request, scripted_service, service_card
from tests.fakes.tiny_bundle import TinyBundle


@pytest.fixture(scope="module")
def load(bundle: TinyBundle) -> Iterator[Load]:
    with scripted_service(HonestCloud(bundle), service_card(bundle)) as service:
        yield Load(
            address=service.address,
            triton=None,
            users=2,
            rate=None,
            duration_s=1.0,
            n=2,
            switch_point=2,
            profile="balanced",
            has_device=True,
        )


def test_users_make_pictures_at_the_same_time(load: Load, bundle: TinyBundle) -> None:
    row = drive(load, bundle.folder)
    assert row["pictures"] >= 2
    assert row["refused"] == row["errors"] == 0
    assert row["per_minute"] == pytest.approx(60 * row["pictures"] / row["elapsed_s"])
    assert 0 < row["queue_p50_s"] < row["p50_s"] <= row["p95_s"] <= row["p99_s"]
    spans = sorted((r["begin_s"], r["begin_s"] + r["total_s"]) for r in row["requests"])
    assert any(later[0] < first[1] for first, later in pairwise(spans))


def test_a_rate_holds_users_back(load: Load, bundle: TinyBundle) -> None:
    row = drive(replace(load, rate=2.0), bundle.folder)
    assert 1 <= row["pictures"] <= 4


def test_errors_are_counted_by_type(load: Load, bundle: TinyBundle) -> None:
    row = drive(replace(load, switch_point=26, users=1, duration_s=0.5), bundle.folder)
    assert row["pictures"] == 0
    assert row["errors"] == row["outcomes"]["InvalidRequest"] >= 1
    assert row["p50_s"] is None


def test_the_processors_time_is_this_process_and_what_it_started(
    load: Load, bundle: TinyBundle
) -> None:
    row = drive(replace(load, users=1, duration_s=0.5), bundle.folder)
    assert 0 < row["busy_cores"] <= (os.cpu_count() or 1) + 0.1


@pytest.mark.parametrize(("has_device", "steps"), [(True, 25), (False, 2)])
def test_without_the_device_the_cloud_runs_every_step(
    bundle: TinyBundle, has_device: bool, steps: int
) -> None:
    service = scripted_service(HonestCloud(bundle), service_card(bundle))
    with service as running:
        alone = Load(running.address, None, 1, None, 0.5, 2, 2, "balanced", has_device)
        assert drive(alone, bundle.folder)["pictures"] >= 1
        asked = [
            Request.FromString(c.request) for c in running.transcript if c.method == "Generate"
        ]
    assert {(request.steps, request.switch_point) for request in asked} == {(steps, 2)}


def test_the_page_and_the_plot(load: Load, bundle: TinyBundle, tmp_path: Path) -> None:
    row = drive(replace(load, users=1, duration_s=0.5), bundle.folder)
    setting = {"n": 2, "switch_point": 2, "profile": "bare", "duration_s": 1, "has_device": True}
    report = {"rows": [row], "setting": setting, "machine": {"processor": "abacus", "cores": 2}}
    assert section(report).count("|") == 3 * (len(COLUMNS) + 1)
    plot([row], tmp_path / "load.webp")
    assert (tmp_path / "load.webp").stat().st_size > 1000
