"""The exact confidence interval of a share."""

from __future__ import annotations

from math import lgamma

import numpy as np

_HALVINGS = 60


def clopper_pearson(hits: int, trials: int, confidence: float = 0.99) -> tuple[float, float]:
    """Returns the Clopper-Pearson interval of a binomial share.

    Args:
        hits: 0..trials.
        trials: At least 0; none gives (0, 1).
        confidence: In (0, 1), two-sided.

    Returns:
        Lower and upper limit, 0..1.

    Reference:
        Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).
    """
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else 1 - _upper(trials - hits, trials, tail)
    high = 1.0 if hits == trials else _upper(hits, trials, tail)
    return low, high


def _upper(hits: int, trials: int, tail: float) -> float:
    """Returns the share at which at most `hits` have the probability `tail`."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(hits, trials, middle) > tail:
            low = middle
        else:
            high = middle
    return high


def _at_most(hits: int, trials: int, share: float) -> float:
    counts = np.arange(hits + 1)
    ways = lgamma(trials + 1) - np.array([lgamma(k + 1) + lgamma(trials - k + 1) for k in counts])
    logs = ways + counts * np.log(share) + (trials - counts) * np.log1p(-share)
    return float(np.exp(logs).sum())
