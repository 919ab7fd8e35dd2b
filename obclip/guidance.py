"""Classifier-free guidance (Ho and Salimans, arXiv 2207.12598)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def is_guided(scale: float) -> bool:
    """Tell whether a scale needs the output without the prompt: as in diffusers, above 1."""
    return scale > 1


def guide(
    unconditional: NDArray[np.float32], conditional: NDArray[np.float32], scale: float
) -> NDArray[np.float32]:
    """Push the model's output away from what it says without the prompt: u + w (c - u).

    Args:
        unconditional: (..., C, H, W) float32, output for the negative or empty prompt; broadcasts.
        conditional: (..., C, H, W) float32, output for the prompt.
        scale: w >= 0.

    Returns:
        (..., C, H, W) float32.
    """
    return unconditional + np.float32(scale) * (conditional - unconditional)
