"""Whether candidates fare alike: paired differences and trends by position."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Outcomes = NDArray[np.float64]
_DRAWS = 5000


def position_trend_p(outcomes: Outcomes, rng: np.random.Generator) -> float:
    """Permutation test for a linear trend of outcomes over a candidate's position.

    Statistic: |sum over prompts and positions of (position - mean position) * outcome|. Under the
    null hypothesis the outcomes of one prompt are exchangeable among its positions, so they are
    permuted prompt by prompt.

    Args:
        outcomes: (prompts, N), e.g. 1 where the picture shows what its prompt names.
        rng: source of the permutations.

    Returns:
        Two-sided p value in (0, 1]: (permutations at least as extreme + 1) / (permutations + 1).
    """
    positions = np.arange(outcomes.shape[1]) - (outcomes.shape[1] - 1) / 2
    seen = abs(float((outcomes @ positions).sum()))
    drawn = [abs(float((rng.permuted(outcomes, axis=1) @ positions).sum())) for _ in range(_DRAWS)]
    return (1 + sum(value >= seen - 1e-9 for value in drawn)) / (_DRAWS + 1)


def mean_interval(values: Outcomes, rng: np.random.Generator) -> tuple[float, float, float]:
    """The mean over prompts and its 95 % bootstrap interval.

    Args:
        values: (prompts,), e.g. differences of two methods on the same prompts.
        rng: source of the resamples.

    Returns:
        Mean, 2.5 % and 97.5 % percentile of 5000 resampled means.
    """
    picks = rng.integers(len(values), size=(_DRAWS, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)
