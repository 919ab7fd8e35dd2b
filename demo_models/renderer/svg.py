"""The few SVG elements that portraits are drawn with, on a canvas of 128 by 128 units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

CANVAS: Final = 128
"""Width and height of the drawing in user units."""

_MIRROR: Final = f"matrix(-1 0 0 1 {CANVAS} 0)"


def path(data: str, fill: str, opacity: float = 1.0) -> str:
    """Returns a filled path; ``data`` is SVG path data and ``opacity`` is in [0, 1]."""
    return f'<path d="{data}" fill="{fill}" fill-opacity="{opacity}"/>'


def line(data: str, colour: str, width: float, opacity: float = 1.0) -> str:
    """Returns a stroked path with round ends; ``width`` is in user units."""
    return (
        f'<path d="{data}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-opacity="{opacity}" stroke-linecap="round" stroke-linejoin="round"/>'
    )


def ellipse(cx: float, cy: float, rx: float, ry: float, fill: str, opacity: float = 1.0) -> str:
    """Returns a filled ellipse."""
    return (
        f'<ellipse cx="{cx:.2f}" cy="{cy:.2f}" rx="{rx:.2f}" ry="{ry:.2f}" fill="{fill}" '
        f'fill-opacity="{opacity}"/>'
    )


def circle(cx: float, cy: float, radius: float, fill: str, opacity: float = 1.0) -> str:
    """Returns a filled circle."""
    return ellipse(cx, cy, radius, radius, fill, opacity)


def rect(x: float, y: float, width: float, height: float, fill: str, radius: float = 0.0) -> str:
    """Returns a filled rectangle with corners of the given radius."""
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" '
        f'rx="{radius}" fill="{fill}"/>'
    )


def group(content: str, transform: str = "", clip: str = "") -> str:
    """Returns the content in a group, transformed and clipped to the clip path of that id."""
    clipping = f' clip-path="url(#{clip})"' if clip else ""
    moving = f' transform="{transform}"' if transform else ""
    return f"<g{moving}{clipping}>{content}</g>"


def mirrored(content: str) -> str:
    """Returns the content twice: as it is, and reflected in the vertical centre line."""
    return content + group(content, transform=_MIRROR)


def clip_path(name: str, content: str) -> str:
    """Defines a clip path with that id from the content's shapes."""
    return f'<clipPath id="{name}">{content}</clipPath>'


def vertical_gradient(
    name: str, stops: Sequence[str], top: float = 0, bottom: float = CANVAS, slant: float = 0
) -> str:
    """Defines a gradient with that id from the canvas height ``top`` down to ``bottom``.

    It begins ``slant`` to the right of the middle and ends as far to the left.
    """
    return (
        f'<linearGradient id="{name}" gradientUnits="userSpaceOnUse" '
        f'x1="{CANVAS / 2 + slant:.2f}" y1="{top}" x2="{CANVAS / 2 - slant:.2f}" y2="{bottom}">'
        f"{_stops(stops)}</linearGradient>"
    )


def radial_gradient(name: str, stops: Sequence[str], centre: tuple[float, float], r: float) -> str:
    """Defines a gradient with that id from ``centre`` outwards to the radius ``r``."""
    x, y = centre
    return (
        f'<radialGradient id="{name}" gradientUnits="userSpaceOnUse" '
        f'cx="{x}" cy="{y}" r="{r}">{_stops(stops)}</radialGradient>'
    )


def glow(name: str, colour: str, opacity: float) -> str:
    """Defines a gradient over a shape's own box that fades from the colour to nothing."""
    return (
        f'<radialGradient id="{name}"><stop offset="0.2" stop-color="{colour}" '
        f'stop-opacity="{opacity}"/><stop offset="1" stop-color="{colour}" stop-opacity="0"/>'
        "</radialGradient>"
    )


def _stops(colours: Sequence[str]) -> str:
    last = max(len(colours) - 1, 1)
    return "".join(
        f'<stop offset="{i / last:.3f}" stop-color="{c}"/>' for i, c in enumerate(colours)
    )
