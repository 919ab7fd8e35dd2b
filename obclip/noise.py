"""The noise of a run, which all candidates share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def initial_latents(seed: int, count: int, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """One draw from the standard normal, given to every candidate.

    The same noise for all makes the seed say nothing about any one of them, and their latents
    comparable. DPM-Solver++ starts at variance 1, so nothing is scaled. The generator is Philox
    (Salmon et al., SC 2011), the same on every machine.

    Args:
        seed: 0..2^64-1.
        count: N, candidates, >= 1.
        shape: (C, H, W).

    Returns:
        (N, C, H, W) float32, N equal entries.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    draw = generator.standard_normal(shape, dtype=np.float32)
    return np.repeat(draw[np.newaxis], count, axis=0)


def step_noise(seed: int, step: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The noise that a step adds where the sampler is stochastic, independent of all others.

    Args:
        seed: of the run, 0..2^64-1.
        step: i >= 0, the step after which it is added.
        shape: (C, H, W).

    Returns:
        (C, H, W) float32, one draw from the standard normal for every candidate.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(step,))
    return np.random.Generator(np.random.Philox(sequence)).standard_normal(shape, dtype=np.float32)
