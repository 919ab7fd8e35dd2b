"""Hair: what falls behind the head and what lies on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from demo_models.portrait import Portrait
from demo_models.renderer import svg
from demo_models.renderer.palette import GREYING, HAIRS

_FILL: Final = "url(#hair)"
_BELOW_HAT: Final = "M0 208 V70 C12 44 40 32 64 32 C88 32 116 44 128 70 V208Z"
"""Where hair shows under a hat: rounded, so that it comes out below the brim."""

_LOW_TAIL: Final = (
    "M84 34 C108 32 125 48 123 74 C122 90 120 98 116 104 Q109 109 103 102 C105 90 101 80 84 72Z"
)
"""A ponytail under a hat."""


@dataclass(frozen=True, slots=True)
class _Style:
    """SVG path data of one hair style; an empty string draws nothing."""

    front: str
    back: str = ""
    locks: str = ""
    shine: str = ""


_PULLED_BACK: Final = (
    "M33 60 C27 34 38 13 64 13 C90 13 101 34 95 60 C95 48 90 37 79 31 "
    "C70 27 58 27 49 31 C38 37 33 48 33 60Z"
)
_SIDEBURNS: Final = (
    "M32 64 C27 52 27 40 30 24 H40 C39.5 40 38.5 52 37.5 64Z "
    "M96 64 C101 52 101 40 98 24 H88 C88.5 40 89.5 52 90.5 64Z"
)
"""What a hat leaves of hair that is short, pinned up or tied."""

_PUFFS: Final = "M34 24 C16 28 14 66 34 66 Q37 48 37 24Z M94 24 C112 28 114 66 94 66 Q91 48 91 24Z"
"""What a hat leaves of curls."""
_CURTAIN: Final = (
    "M61 14 C92 6 104 34 100 66 C96 64 94 60 93 55 C91 36 74 35 61 26 "
    "C54 35 37 36 35 55 C34 60 32 64 28 66 C24 34 36 6 61 14Z"
)

_STYLES: Final[Mapping[str, _Style]] = {
    "short": _Style(
        front=(
            "M33 62 C26 34 36 12 66 11 C94 10 102 34 95 62 L92 60 C92.5 50 91.5 40 87 33 "
            "C76 35 58 34 46 27 C41 34 36 44 36 60Z"
        ),
        shine="M46 24 Q56 16 72 17",
    ),
    "pixie": _Style(
        front=(
            "M31 70 C24 36 36 10 66 10 C96 10 104 36 97 70 C93 66 93 58 92 48 "
            "C89 38 82 34 77 26 C68 35 50 37 37 37 C35 50 35 64 31 70Z"
        ),
        shine="M44 26 Q54 17 68 17",
    ),
    "bald": _Style(front=""),
    "buzz cut": _Style(
        front=(
            "M34 56 C29 32 40 15 64 15 C88 15 99 32 94 56 L91.5 56 C91.5 44 89 37 84 33 "
            "C74 30 54 30 44 33 C39 37 36.5 44 36.5 56Z"
        ),
        shine="M50 23 Q60 19 70 20",
    ),
    "bob": _Style(
        back=(
            "M64 9 C26 9 19 40 19 66 C19 86 20 96 26 102 C36 106 46 104 50 96 H78 "
            "C82 104 92 106 102 102 C108 96 109 86 109 66 C109 40 102 9 64 9Z"
        ),
        front=(
            "M28 84 C22 34 36 11 64 11 C92 11 106 34 100 84 C95 74 94 60 93 42 "
            "C84 36 74 35 64 35 C54 35 44 36 35 42 C34 60 33 74 28 84Z"
        ),
        shine="M38 30 Q48 19 64 19",
    ),
    "long": _Style(
        back=(
            "M64 9 C24 9 19 44 19 74 C19 100 14 116 10 132 H118 C114 116 109 100 109 74 "
            "C109 44 104 9 64 9Z"
        ),
        front=_CURTAIN,
        locks=(
            "M24 58 C18 90 22 108 14 132 H38 C42 112 33 88 34 60Z"
            "M104 58 C110 90 106 108 114 132 H90 C86 112 95 88 94 60Z"
        ),
        shine="M38 36 Q44 23 56 19",
    ),
    "bun": _Style(
        front=_PULLED_BACK, back="M64 -2 A12 12 0 1 1 63.9 -2Z", shine="M46 26 Q54 19 64 19"
    ),
    "ponytail": _Style(
        front=(
            "M33 62 C26 34 38 12 66 12 C92 12 102 34 95 60 C94 46 88 36 76 28 "
            "C64 35 47 35 37 40 C35.5 50 35 58 33 62Z"
        ),
        back=(
            "M84 12 C110 6 126 28 123 60 C122 82 121 92 117 101 Q109 108 103 100 "
            "C105 86 103 68 98 54 C94 44 88 36 80 30Z"
        ),
        shine="M46 26 Q56 18 68 18",
    ),
    "curly": _Style(front="", shine="M46 22 Q54 15 64 15"),
    "afro": _Style(front=_PULLED_BACK),
}


def draw_hair_definitions(portrait: Portrait) -> str:
    """Defines the gradient and the clip path that the other hair drawings refer to."""
    hair = HAIRS[portrait.hair_colour]
    region = svg.path(_BELOW_HAT, "#000")
    stops = (hair.light, hair.base, hair.dark)
    return svg.vertical_gradient("hair", stops, -6, 118) + svg.clip_path("hair-region", region)


def draw_back_hair(portrait: Portrait) -> str:
    """Draws the hair behind neck and head."""
    name = _style_name(portrait)
    dark = HAIRS[portrait.hair_colour].dark
    if name == "ponytail" and portrait.hat != "none":
        return svg.path(_LOW_TAIL, _FILL)
    if name in ("afro", "curly") and portrait.hat != "none" and portrait.gender == "male":
        return ""  # puffs beside the face are all that shows
    shapes = svg.path(_STYLES[name].back, _FILL) if _STYLES[name].back else ""
    if name == "long":
        shapes += svg.path("M36 64 C40 100 42 110 38 132 H90 C86 110 88 100 92 64Z", dark, 0.6)
    elif name == "bob":
        shapes += svg.ellipse(64, 78, 27, 24, dark, 0.6)
    elif name == "afro":
        shapes += svg.circle(64, 46, 46, _FILL)
    elif name == "curly":
        shapes += _curls_behind(portrait.gender)
    return _below_hat(portrait, shapes)


def draw_front_hair(portrait: Portrait) -> str:
    """Draws the hair over the head and, where long, over the shoulders."""
    name = _style_name(portrait)
    if portrait.hat != "none":
        return _below_hat(portrait, _under_hat(portrait, name))
    style = _STYLES[name]
    shapes = svg.path(style.front, _FILL) if style.front else ""
    if name == "curly":
        shapes += _ring((64, 50), 33, 12, -170, -10, 6) + _ring((64, 42), 22, 9, -132, -48, 3)
    if style.locks:
        shapes += svg.path(style.locks, _FILL)
    if style.shine:
        light = HAIRS[portrait.hair_colour].light
        shapes += svg.line(style.shine, light, 4.0, 0.75)
    if portrait.age == "middle-aged":
        shapes += _grey_temples(name)
    return shapes


def _under_hat(portrait: Portrait, name: str) -> str:
    """Draws whole shapes: what peeps out in tufts cannot be told at this size."""
    if name == "bald":
        return ""
    greying = portrait.age == "middle-aged"
    if name in ("curly", "afro"):
        return svg.path(_PUFFS, _FILL) + (svg.path(_SIDEBURNS, GREYING) if greying else "")
    if name not in ("long", "bob"):
        return svg.path(_SIDEBURNS, GREYING if greying else _FILL)
    style = _STYLES[name]
    shapes = svg.path(style.front, _FILL) + (svg.path(style.locks, _FILL) if style.locks else "")
    return shapes + (_grey_temples(name) if greying else "")


def _below_hat(portrait: Portrait, shapes: str) -> str:
    return shapes if portrait.hat == "none" else svg.group(shapes, clip="hair-region")


def _style_name(portrait: Portrait) -> str:
    """Returns the drawn variant of the portrait's hair style."""
    short = portrait.hair_style == "short"
    return "pixie" if short and portrait.gender == "female" else portrait.hair_style


def _grey_temples(name: str) -> str:
    if name == "bald":
        return ""
    if name in ("long", "bob"):
        streak = "M73 28 C84 35 92 43 94 60 Q97 66 99 78 C104 56 99 34 84 20Z"
        return svg.mirrored(svg.path(streak, GREYING, 0.9))
    patch = "M95.5 62 C100 48 98 36 92 27 C88 33 90 40 91.5 47 L92 61Z"
    return svg.mirrored(svg.path(patch, GREYING))


def _curls_behind(gender: str) -> str:
    ring = _ring((64, 50), 34, 14, -176, -4, 6)
    if gender == "male":
        return ring
    sides = "".join(
        svg.circle(x, y, 13, _FILL) for x, y in ((100, 56), (103, 72), (103, 88), (97, 102))
    )
    return ring + svg.mirrored(sides) + svg.path("M32 50 H96 V108 H32Z", _FILL)


def _ring(
    centre: tuple[float, float], radius: float, curl: float, start: float, stop: float, count: int
) -> str:
    """Returns ``count`` curls on an arc; angles are in degrees, clockwise from the right."""
    x, y = centre
    angles = (math.radians(start + (stop - start) * i / (count - 1)) for i in range(count))
    return "".join(
        svg.circle(x + radius * math.cos(a), y + radius * math.sin(a), curl, _FILL) for a in angles
    )
