"""Backgrounds: plain studios and seven scenes, all of a few large shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from demo_models.renderer import svg
from demo_models.renderer.palette import STUDIOS

_BUILDINGS: Final = (
    (-10, 44, 26, "#5F7896"), (14, 66, 22, "#7F97B2"), (34, 30, 30, "#6C86A4"),
    (62, 58, 26, "#8AA1BA"), (86, 52, 20, "#7F97B2"), (104, 28, 34, "#56708E"),
)  # fmt: skip
_PINES: Final = (
    (-2, 28, 26), (22, 12, 24), (48, 34, 24), (80, 34, 24), (104, 8, 26), (130, 30, 26),
)  # fmt: skip
_FLOWERS: Final = (
    (8, 70, "#F04E68"), (22, 88, "#FFFFFF"), (5, 104, "#FFC93A"),
    (120, 70, "#FFC93A"), (106, 88, "#C25BE0"), (123, 104, "#F04E68"),
)  # fmt: skip
_STARS: Final = ((8, 48), (12, 82), (114, 16), (120, 54), (118, 90))
_BOOKS: Final = ("#B0605C", "#5E7FB0", "#6A9E80", "#D9C9A4", "#8F72A8")
_BOOK_WIDTH: Final = 16
_SHELF_HEIGHT: Final = 32
_SLANT: Final = 48.0


def draw_background(background: str, light: float) -> str:
    """Draws the background.

    Args:
        background: A value of ``portrait.BACKGROUNDS``.
        light: Where its light comes from, in [-1, 1]: left to right.

    Returns:
        SVG that covers the canvas.
    """
    if background in STUDIOS:
        return _backdrop(*STUDIOS[background], light)
    return _SCENES[background](light)


def _backdrop(top: str, bottom: str, light: float) -> str:
    sky = svg.vertical_gradient("sky", (top, bottom), slant=_SLANT * light)
    return sky + _band(0, svg.CANVAS, "url(#sky)")


def _band(y: float, height: float, fill: str) -> str:
    return svg.rect(0, y, svg.CANVAS, height, fill)


def _beach(light: float) -> str:
    palm = svg.path("M112 130 C112 100 108 70 116 34 L122 36 C114 72 118 100 119 130Z", "#9A6A3C")
    leaves = (
        "M118 36 C104 20 92 26 86 40 C98 32 108 32 118 36Z"
        "M118 36 C112 16 98 8 88 14 C102 18 110 26 118 36Z"
        "M118 36 C120 18 130 10 142 14 C132 20 124 28 118 36Z"
        "M118 36 C130 24 142 32 144 46 C136 36 126 34 118 36Z"
    )
    return (
        _backdrop("#58B7F2", "#E2F5FF", light)
        + svg.circle(18, 20, 13, "#FFE066")
        + _band(62, 30, "#1F9BC4")
        + _band(74, 18, "#35B7CF")
        + _band(88, 44, "#F3D596")
        + svg.path("M0 88 Q30 96 64 89 T136 90 V96 Q100 88 64 95 T0 95Z", "#FFF6DC")
        + palm
        + svg.path(leaves, "#2E9A52")
    )


def _forest(light: float) -> str:
    trees = "".join(_pine(*pine) for pine in _PINES)
    return _backdrop("#CFEBC6", "#8CC88A", light) + trees + _band(112, 20, "#3E7F45")


def _pine(x: float, top: float, half: float) -> str:
    tiers = "".join(
        svg.path(
            f"M{x} {top + 26 * i} L{x + half * w} {top + 26 * i + 36} H{x - half * w}Z", colour
        )
        for i, w, colour in ((2, 1.0, "#1E5C38"), (1, 0.8, "#27704A"), (0, 0.6, "#30855A"))
    )
    return svg.rect(x - 4, top + 80, 8, 60, "#6B4526") + tiers


def _city(light: float) -> str:
    return _backdrop("#8FC3EC", "#E8F1F6", light) + "".join(_building(*b) for b in _BUILDINGS)


def _building(x: float, top: float, width: float, colour: str) -> str:
    windows = "".join(
        svg.rect(x + 4 + 10 * column, y, 6, 8, "#FFE9A0")
        for y in range(int(top) + 6, svg.CANVAS, 15)
        for column in range(int(width - 2) // 10)
    )
    return svg.rect(x, top, width, svg.CANVAS, colour) + windows


def _night(light: float) -> str:
    stars = "".join(_star(x, y) for x, y in _STARS)
    moon = "M16 6 A13 13 0 1 0 25 28 A11 11 0 1 1 16 6Z"
    hills = "M0 112 Q20 88 52 106 T136 98 V132 H0Z"
    return (
        _backdrop("#2A338F", "#6A5CC0", light)
        + svg.path(moon, "#FFF1B8")
        + stars
        + svg.path(hills, "#2B2670")
    )


def _star(x: float, y: float) -> str:
    return svg.path(
        f"M{x} {y - 5} Q{x + 1} {y - 1} {x + 5} {y} Q{x + 1} {y + 1} {x} {y + 5} "
        f"Q{x - 1} {y + 1} {x - 5} {y} Q{x - 1} {y - 1} {x} {y - 5}Z",
        "#FFF6CF",
    )


def _flower_meadow(light: float) -> str:
    hill = "M0 54 Q30 44 64 52 T136 50 V132 H0Z"
    return (
        _backdrop("#7CC8F7", "#EAF8FF", light)
        + svg.path(hill, "#74BE4A")
        + svg.path("M0 84 Q40 74 136 86 V132 H0Z", "#58A63A")
        + "".join(_flower(*flower) for flower in _FLOWERS)
    )


def _flower(x: float, y: float, colour: str) -> str:
    offsets = ((0, -4.6), (4.4, -1.4), (2.7, 3.7), (-2.7, 3.7), (-4.4, -1.4))
    petals = "".join(svg.circle(x + dx, y + dy, 4, colour) for dx, dy in offsets)
    heart = "#F7A823" if colour != "#FFC93A" else "#D9742E"
    return petals + svg.circle(x, y, 3, heart)


def _mountains(light: float) -> str:
    return (
        _backdrop("#63AEEA", "#E3F2FB", light)
        + svg.path("M34 112 L64 44 L94 112Z", "#8698B4")
        + svg.path("M-36 116 L10 14 L58 116Z", "#60738F")
        + svg.path("M10 14 L58 116 H20 L14 76Z", "#4B5D78")
        + svg.path("M10 14 L20 36 L14 33 L10 39 L5 33 L0 36Z", "#FFFFFF")
        + svg.path("M70 116 L118 10 L166 116Z", "#60738F")
        + svg.path("M118 10 L166 116 H130 L124 72Z", "#4B5D78")
        + svg.path("M118 10 L128 32 L123 29 L118 35 L113 29 L108 32Z", "#FFFFFF")
        + svg.path("M0 104 Q30 92 64 102 T136 100 V132 H0Z", "#5E9E58")
    )


def _library(light: float) -> str:
    shelves = "".join(_shelf(row) for row in range(4))
    shade = f'<g opacity="0.1">{_backdrop("#FFFFFF", "#000000", light)}</g>'
    return _band(0, svg.CANVAS, "#4A2A18") + shelves + shade


def _shelf(row: int) -> str:
    bottom = _SHELF_HEIGHT * (row + 1) - 5
    books = ""
    for i in range(svg.CANVAS // _BOOK_WIDTH + 1):
        # Strides coprime to the number of colours and heights keep neighbours different.
        colour = _BOOKS[(3 * i + 2 * row) % len(_BOOKS)]
        height = 22 + (5 * i + 3 * row) % 3 * 2
        books += svg.rect(_BOOK_WIDTH * i, bottom - height, _BOOK_WIDTH - 1, height, colour, 1.0)
    return books + _band(bottom, 5, "#8A5730")


_SCENES: Final[Mapping[str, Callable[[float], str]]] = {
    "beach": _beach,
    "forest": _forest,
    "city": _city,
    "night": _night,
    "flowers": _flower_meadow,
    "mountains": _mountains,
    "library": _library,
}
