"""Ranges of public numbers."""

import math

from obclip.errors import InvalidRequest


def require_range(field: str, value: float, low: float, high: float) -> None:
    """Refuses a number outside low..high, NaN included.

    Raises:
        InvalidRequest: It is outside.
    """
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidRequest(
            field, f"is {value:g}, outside {low:g}..{high:g}", f"choose {low:g} to {high:g}"
        )
