import numpy as np
import pytest

from benchmarks.fairness import mean_interval, position_trend_p


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_trend_over_the_positions_is_found(rng: np.random.Generator) -> None:
    chances = np.linspace(0.9, 0.5, 6)
    outcomes = (rng.random((60, 6)) < chances).astype(float)
    assert position_trend_p(outcomes, rng) < 0.01


def test_without_a_trend_small_values_are_as_rare_as_they_say(rng: np.random.Generator) -> None:
    found = [position_trend_p((rng.random((10, 6)) < 0.8).astype(float), rng) for _ in range(40)]
    assert np.mean(np.array(found) < 0.1) <= 0.25
    assert max(found) > 0.5


def test_equal_outcomes_give_certainty(rng: np.random.Generator) -> None:
    assert position_trend_p(np.ones((5, 6)), rng) == 1


def test_the_interval_holds_the_mean_and_shrinks_with_more_prompts(
    rng: np.random.Generator,
) -> None:
    values = rng.standard_normal(1000)
    mean, low, high = mean_interval(values, rng)
    assert low < mean < high
    assert mean == pytest.approx(values.mean())
    few = mean_interval(values[:50], rng)
    assert high - low < few[2] - few[1]
