import numpy as np
import pytest

pytest.importorskip("resvg_py", reason="resvg-py is not installed (group: train)")

from benchmarks.portrait_judge import FrechetDistance

RNG = np.random.default_rng(3)
REFERENCE = RNG.standard_normal((4000, 5)).astype(np.float32)


def test_it_is_nothing_to_itself_and_the_square_of_a_shift() -> None:
    distance = FrechetDistance(REFERENCE)
    assert distance.to(REFERENCE) == pytest.approx(0, abs=1e-5)
    assert distance.to(REFERENCE + np.float32(2)) == pytest.approx(5 * 4, rel=1e-5)


def test_it_is_the_square_of_what_a_scale_adds_to_the_spread() -> None:
    # For normal distributions of one centre and commuting covariances: sum of (s1 - s2)^2.
    centred = REFERENCE - REFERENCE.mean(axis=0)
    spread = np.trace(np.cov(centred.astype(np.float64), rowvar=False))
    assert FrechetDistance(centred).to(3 * centred) == pytest.approx(4 * spread, rel=1e-4)


def test_the_difference_is_that_of_the_distances_and_its_interval_shrinks() -> None:
    distance = FrechetDistance(REFERENCE)
    theirs = RNG.standard_normal((400, 6, 5)).astype(np.float32)
    ours = theirs + np.float32(0.5)
    mean, low, high = distance.difference(ours, theirs, np.random.default_rng(0))
    assert mean == pytest.approx(
        distance.to(np.concatenate(ours)) - distance.to(np.concatenate(theirs))
    )
    assert 0 < low < mean < high
    few = distance.difference(ours[:40], theirs[:40], np.random.default_rng(0))
    assert few[2] - few[1] > 2 * (high - low)


def test_what_is_the_same_picture_by_picture_has_no_difference() -> None:
    theirs = RNG.standard_normal((20, 6, 5)).astype(np.float32)
    found = FrechetDistance(REFERENCE).difference(theirs, theirs, np.random.default_rng(0))
    assert found == (0, 0, 0)
