"""Shoulders, neck, clothes and hats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from demo_models.portrait import Portrait
from demo_models.renderer import svg
from demo_models.renderer.palette import CLOTHS, SKINS, Cloth

_SHOULDERS: Final[Mapping[str, str]] = {
    "male": "M-8 132 C-6 117 12 113 42 106 Q64 118 86 106 C116 113 134 117 136 132Z",
    "female": "M8 132 C10 119 24 114 46 108 Q64 118 82 108 C104 114 118 119 120 132Z",
}
_NECKS: Final[Mapping[str, str]] = {
    "male": "M44 84 V104 Q42 108 36 110 L64 124 L92 110 Q86 108 84 104 V84Z",
    "female": "M50 86 V104 Q48 109 40 111 L64 126 L88 111 Q80 109 78 104 V86Z",
}
_NECK_SHADOWS: Final[Mapping[str, str]] = {
    "male": "M44 90 V101 Q64 114 84 101 V90Z",
    "female": "M50 92 V101 Q64 112 78 101 V92Z",
}


def draw_neck(portrait: Portrait) -> str:
    """Draws the neck with the shadow of the chin, to go under the clothes."""
    skin = SKINS[portrait.ethnicity]
    neck = svg.path(_NECKS[portrait.gender], skin.base)
    shadow = svg.path(_NECK_SHADOWS[portrait.gender], skin.shade, 0.85)
    if portrait.clothing != "hoodie":
        return neck + shadow
    inside = svg.ellipse(64, 100, 26, 14, CLOTHS[portrait.clothing_colour].dark)
    return inside + neck + shadow


def draw_clothes(portrait: Portrait) -> str:
    """Draws the garment, to go over the neck and under the head."""
    cloth = CLOTHS[portrait.clothing_colour]
    if portrait.clothing == "dress":
        bare = svg.path(_SHOULDERS[portrait.gender], SKINS[portrait.ethnicity].base)
        return bare + _dress(cloth)
    fill = svg.vertical_gradient("cloth", (cloth.light, cloth.base, cloth.dark), 104, 134)
    body = svg.path(_SHOULDERS[portrait.gender], "url(#cloth)")
    return fill + body + _GARMENTS[portrait.clothing](cloth, portrait.gender)


def _t_shirt(cloth: Cloth, gender: str) -> str:
    neckline = "M41 106 Q64 124 87 106" if gender == "male" else "M45 108 Q64 125 83 108"
    return svg.line(neckline, cloth.dark, 3.5)


def _hoodie(cloth: Cloth, _gender: str) -> str:
    half = "M64 118 C76 117 88 110 87 94 C101 96 109 109 101 119 C90 128 76 129 64 129Z"
    fold = "M65 119.5 C78 118 90 111 90 98"
    cord = svg.line("M74 120 V130", cloth.light if cloth.light != "#FFFFFF" else cloth.dark, 2.6)
    return svg.mirrored(svg.path(half, cloth.base) + svg.line(fold, cloth.dark, 2.4) + cord)


def _suit(cloth: Cloth, gender: str) -> str:
    shirt_colour = "#F7F5F0" if cloth.base != "#F4F4F2" else "#BFD4EE"
    collar = svg.mirrored(svg.path("M64 119 L85 103 L88 112 L74 128Z", shirt_colour))
    lapel = svg.mirrored(svg.path("M86 104 L96 108 L92 119 L97 122 L80 132 H68Z", cloth.dark))
    front = svg.path("M42 104 Q64 118 86 104 L72 134 H56Z", shirt_colour)
    tie_colour = "#B3212B" if cloth.base != "#D8322F" else "#23366E"
    tie = svg.path("M59 116 H69 L67 122 L71 134 H57 L61 122Z", tie_colour)
    return front + collar + lapel + (tie if gender == "male" else "")


def _turtleneck(cloth: Cloth, gender: str) -> str:
    left = 41 if gender == "male" else 46
    right = svg.CANVAS - left
    collar = f"M{left} 101 Q64 111 {right} 101 L{right + 2} 114 Q64 126 {left - 2} 114Z"
    fold = f"M{left - 2} 114 Q64 126 {right + 2} 114"
    return svg.path(collar, cloth.base) + svg.line(fold, cloth.dark, 2.6)


def _dress(cloth: Cloth) -> str:
    bodice = (
        "M26 134 C29 124 31 118 33 111 L47 107.5 Q64 134 81 107.5 L95 111 C97 118 99 124 102 134Z"
    )
    return svg.path(bodice, cloth.base)


_GARMENTS: Final[Mapping[str, Callable[[Cloth, str], str]]] = {
    "t-shirt": _t_shirt,
    "hoodie": _hoodie,
    "suit": _suit,
    "turtleneck": _turtleneck,
}


def draw_hat(portrait: Portrait) -> str:
    """Draws the hat, if any, to go over the hair."""
    if portrait.hat == "none":
        return ""
    hat = _HATS[portrait.hat](CLOTHS[portrait.clothing_colour])
    return svg.group(hat, "translate(0 -4.8) scale(1 0.9)")


def _hat_fill(cloth: Cloth) -> str:
    return svg.vertical_gradient("hat", (cloth.light, cloth.base), 2, 36)


def _cap(cloth: Cloth) -> str:
    dome = "M30 42 C26 14 44 4 64 4 C84 4 102 14 98 42 Q64 30 30 42Z"
    brim = "M24 44 C28 30 100 30 104 44 C106 50 98 50 92 48 C76 42 52 42 36 48 C30 50 22 50 24 44Z"
    return _hat_fill(cloth) + svg.path(dome, "url(#hat)") + svg.path(brim, cloth.dark)


def _beanie(cloth: Cloth) -> str:
    dome = "M32 36 C30 16 44 7 64 7 C84 7 98 16 96 36Z"
    cuff = "M28 32 Q64 20 100 32 Q103 38 101 45 Q64 33 27 45 Q25 38 28 32Z"
    return (
        _hat_fill(cloth)
        + svg.path(dome, "url(#hat)")
        + svg.path(cuff, cloth.dark)
        + svg.line("M30 39 Q64 26.5 98 39", cloth.light, 2.2, 0.6)
    )


def _straw_hat(cloth: Cloth) -> str:
    crown = "M37 36 C36 10 46 4 64 4 C82 4 92 10 91 36Z"
    band = "M36.5 28 Q64 36 91.5 28 L92 37 Q64 44 36 37Z"
    brim = "M10 41 C10 32 34 34 64 34 C94 34 118 32 118 41 C118 49 92 46 64 46 C36 46 10 49 10 41Z"
    return (
        svg.vertical_gradient("hat", ("#FFE9A8", "#E8C36A"), 2, 36)
        + svg.path(brim, "#D9B056")
        + svg.path(crown, "url(#hat)")
        + svg.path(band, cloth.base)
    )


_HATS: Final[Mapping[str, Callable[[Cloth], str]]] = {
    "cap": _cap,
    "beanie": _beanie,
    "straw hat": _straw_hat,
}
