"""Ranges of public numbers."""

from __future__ import annotations

import math
from ctypes import c_float
from numbers import Integral

from obclip.errors import InvalidRequest


def require_whole(field: str, value: object, low: int, high: int) -> None:
    """Refuse what is no whole number of low..high.

    Raises:
        InvalidRequest: it is none.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InvalidRequest(field, "is no whole number", f"choose one of {low}..{high}")
    if not low <= int(value) <= high:
        raise InvalidRequest(field, f"is outside {low}..{high}", f"choose {low} to {high}")


def require_range(field: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside low..high, NaN included.

    A float crosses the wire as float32, and so does its limit on the card: so they are compared as
    float32, on both sides.

    Raises:
        InvalidRequest: it is outside.
    """
    sent = c_float(value).value
    if not (math.isfinite(sent) and c_float(low).value <= sent <= c_float(high).value):
        raise InvalidRequest(
            field, f"is {value:g}, outside {low:g}..{high:g}", f"choose {low:g} to {high:g}"
        )
