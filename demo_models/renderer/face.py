"""Head and face: outline, eyes, brows, nose, mouth, beard, wrinkles and glasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from demo_models.portrait import Portrait
from demo_models.renderer import svg
from demo_models.renderer.palette import HAIRS, SKINS

_EYE_X: Final = 79.0
_EYE_Y: Final = 58.0
_DARK: Final = "#1B1418"


@dataclass(frozen=True, slots=True)
class _Features:
    """The shapes of one ethnicity's face, in user units.

    Attributes:
        eye: Half width, rise of the upper lid and fall of the lower lid.
        slant: How much higher the outer corner of the eye is than the inner one.
        brow: Thickness of the brows and rise of their arch.
        nose: Half width of the nose and height of its tip.
        lips: Factor on the thickness of the lips.
        width: Half width of the head.
    """

    eye: tuple[float, float, float]
    slant: float
    brow: tuple[float, float]
    nose: tuple[float, float]
    lips: float
    width: float


_FEATURES: Final[Mapping[str, _Features]] = {
    "caucasian": _Features((8.6, 6.0, 4.6), 0.5, (3.8, 3.0), (5.6, 75.0), 1.0, 30.5),
    "african": _Features((8.8, 6.4, 5.0), 1.0, (3.8, 4.0), (8.6, 75.0), 1.55, 30.5),
    "asian": _Features((9.4, 4.3, 3.4), 2.2, (3.2, 1.4), (4.8, 73.5), 0.9, 31.5),
    "indian": _Features((9.4, 6.2, 4.4), 1.8, (4.4, 5.0), (6.4, 76.5), 1.15, 30.0),
    "european": _Features((8.6, 6.6, 5.2), 0.0, (2.9, 2.6), (4.2, 73.0), 0.9, 29.5),
}

_BARE_FOREHEAD: Final = ("bald", "bun")
"""Hair styles that leave room for lines on the forehead."""

_JAWS: Final[Mapping[tuple[str, str], tuple[float, float]]] = {
    ("female", "young"): (23.5, 9.0),
    ("female", "middle-aged"): (26.0, 11.0),
    ("female", "old"): (27.0, 11.0),
    ("male", "young"): (27.5, 14.0),
    ("male", "middle-aged"): (29.5, 16.0),
    ("male", "old"): (30.0, 15.0),
}
"""Half widths of jaw and chin by gender and age."""

_BROW_MOVES: Final[Mapping[str, tuple[float, float, float]]] = {
    "smiling": (0.0, -1.5, 0.0),
    "neutral": (0.5, 0.5, 1.0),
    "sad": (-4.0, -2.0, 2.5),
    "surprised": (-3.5, -5.5, -3.0),
}
"""Downward moves of a brow's inner end, middle and outer end."""

_LID_FACTORS: Final[Mapping[str, tuple[float, float]]] = {
    "smiling": (1.0, 0.65),
    "neutral": (0.95, 0.95),
    "sad": (0.8, 1.05),
    "surprised": (1.45, 1.3),
}
"""Factors on the openings above and below the eye's middle."""


def draw_head(portrait: Portrait) -> str:
    """Draws the skull with ears, cheeks and age marks, without the features of the face."""
    skin = SKINS[portrait.ethnicity]
    width = _FEATURES[portrait.ethnicity].width
    outline = _outline(width, *_JAWS[portrait.gender, portrait.age])
    tone = svg.radial_gradient("skin", (skin.light, skin.base, skin.shade), (58, 50), 68)
    ears = svg.mirrored(_ear(portrait, 64 + width))
    return tone + ears + svg.path(outline, "url(#skin)") + _cheeks(portrait) + _age_marks(portrait)


def draw_face(portrait: Portrait) -> str:
    """Draws beard, eyes, brows, nose and mouth."""
    mouth = _mouth(portrait)
    beard = _beard(portrait)
    below_nose = mouth + beard if portrait.beard == "moustache" else beard + mouth
    return _eyes(portrait) + _brows(portrait) + below_nose + _nose(portrait)


def draw_glasses(portrait: Portrait) -> str:
    """Draws the glasses, if any, to go over hair and face."""
    if not portrait.glasses:
        return ""
    frame = "#17181F"
    lens = (
        f'<rect x="{_EYE_X - 13}" y="{_EYE_Y - 9.5}" width="27" height="24" rx="11" '
        f'fill="none" stroke="{frame}" stroke-width="3.4"/>'
    )
    arm = svg.line("M93 57 L97 55", frame, 3.4)
    bridge = svg.line("M60.5 58 Q64 54 67.5 58", frame, 3.4)
    return svg.mirrored(lens + arm) + bridge


def _outline(width: float, jaw: float, chin: float) -> str:
    """Returns path data of the head from its half widths."""
    right = (
        f"M64 20 C{64 + 0.66 * width} 20 {64 + width} 34 {64 + width} 54 "
        f"C{64 + width} 68 {64 + jaw + 1.5} 78 {64 + jaw - 2} 86 "
        f"C{64 + jaw - 6} 94 {64 + chin} 100 64 100"
    )
    left = (
        f"C{64 - chin} 100 {64 - jaw + 6} 94 {64 - jaw + 2} 86 "
        f"C{64 - jaw - 1.5} 78 {64 - width} 68 {64 - width} 54 "
        f"C{64 - width} 34 {64 - 0.66 * width} 20 64 20Z"
    )
    return right + left


def _ear(portrait: Portrait, x: float) -> str:
    skin = SKINS[portrait.ethnicity]
    size = 1.2 if portrait.age == "old" else 1.0
    ear = svg.ellipse(x, 61, 5.2 * size, 8.5 * size, skin.base)
    inner = svg.ellipse(x + 1, 61, 2.6 * size, 5 * size, skin.shade)
    return ear + inner


def _cheeks(portrait: Portrait) -> str:
    strength = {"young": 0.75, "middle-aged": 0.35, "old": 0.2}[portrait.age]
    if portrait.gender == "male":
        strength *= 0.6
    blush = svg.glow("blush", SKINS[portrait.ethnicity].blush, strength)
    return blush + svg.mirrored(svg.ellipse(84, 74, 10, 8, "url(#blush)"))


def _age_marks(portrait: Portrait) -> str:
    if portrait.age == "young":
        return ""
    colour = SKINS[portrait.ethnicity].line
    bearded = portrait.beard == "beard"  # a beard hides the lines beside the mouth
    bags = bearded or not portrait.glasses  # whose ends peep out below glasses
    if portrait.age == "middle-aged":
        fold = "" if bearded else svg.line("M80 77 Q84.5 81 84.5 88", colour, 2.3, 0.85)
        bag = svg.line("M72 69 Q79 74 86 69", colour, 1.9, 0.75)
        return svg.mirrored(fold + (bag if bags else ""))
    bag = svg.line("M71 69 Q79 76.5 87 69", colour, 2.4, 0.9) if bags else ""
    fold = "" if bearded else svg.line("M80 77 Q86 82 85.5 92", colour, 2.8, 0.95)
    forehead = svg.line("M50 28 Q64 25 78 28 M49 34 Q64 31 79 34", colour, 2.2, 0.85)
    bare = portrait.hat == "none" and portrait.hair_style in _BARE_FOREHEAD
    return svg.mirrored(bag + fold) + (forehead if bare else "")


def _eyes(portrait: Portrait) -> str:
    features = _FEATURES[portrait.ethnicity]
    half, up, down = features.eye
    open_up, open_down = _LID_FACTORS[portrait.expression]
    up, down = up * open_up, down * open_down
    slant = features.slant - (3.0 if portrait.expression == "sad" else 0.0)
    if portrait.age == "old":
        up, slant = up * 0.85, slant - 1.2
    inner, outer = f"{_EYE_X - half} {_EYE_Y + slant / 2}", f"{_EYE_X + half} {_EYE_Y - slant / 2}"
    upper = f"M{inner} C{_EYE_X - half / 2} {_EYE_Y - up * 1.4} {_EYE_X + half / 2} "
    upper += f"{_EYE_Y - up * 1.4 - slant / 3} {outer}"
    lower = f"C{_EYE_X + half / 2} {_EYE_Y + down * 1.3} {_EYE_X - half / 2} "
    lower += f"{_EYE_Y + down * 1.3} {inner}Z"
    shape = upper + lower
    ball = svg.path(shape, "#FFFFFF") + _iris(portrait)
    eye = svg.clip_path("eye", svg.path(shape, "#000")) + svg.group(ball, clip="eye")
    lashes = 3.2 if portrait.gender == "female" else 2.2
    eye += svg.line(upper, _DARK, lashes)
    if portrait.gender == "female":
        x, y = _EYE_X + half, _EYE_Y - slant / 2
        eye += svg.line(f"M{x - 1} {y - 0.5} L{x + 3} {y - 3}", _DARK, 2.6)
    return svg.mirrored(eye)


def _iris(portrait: Portrait) -> str:
    x, y = _EYE_X, _EYE_Y - (0.3 if portrait.expression != "sad" else -0.6)
    return (
        svg.circle(x, y, 5.2, SKINS[portrait.ethnicity].iris)
        + svg.circle(x, y, 2.6, "#0C0A0C")
        + svg.circle(x - 1.8, y - 1.8, 1.5, "#FFFFFF")
    )


def _brows(portrait: Portrait) -> str:
    thickness, arch = _FEATURES[portrait.ethnicity].brow
    thickness *= 1.3 if portrait.gender == "male" else 0.8
    inner, middle, outer = _BROW_MOVES[portrait.expression]
    y = 43.5
    if portrait.hat != "none":  # no brow reaches the brim
        arch, inner, middle, outer = 0.6 * arch, 0.5 * inner, 0.5 * middle, 0.5 * outer
    brow = f"M70.5 {y + inner} Q78 {y - arch + middle} 85.5 {y + 1 + outer}"
    colour = HAIRS[portrait.hair_colour].brow
    return svg.mirrored(svg.line(brow, colour, thickness))


def _nose(portrait: Portrait) -> str:
    skin = SKINS[portrait.ethnicity]
    half, tip = _FEATURES[portrait.ethnicity].nose
    side = svg.path(
        f"M66 54 Q68 66 {64 + half} {tip - 2} Q{66 + half} {tip + 1} 64 {tip + 2}Z",
        skin.shade,
        0.45,
    )
    wings = (
        f"M{64 - half} {tip - 4} Q{62 - half} {tip} {64 - half * 0.45} {tip} Q64 {tip + 4} "
        f"{64 + half * 0.45} {tip} Q{66 + half} {tip} {64 + half} {tip - 4}"
    )
    return side + svg.line(wings, skin.line, 2.0, 0.9)


def _beard(portrait: Portrait) -> str:
    hair = HAIRS[portrait.hair_colour]
    moustache = (
        "M64 78 C58 74 49 77 43 87 C51 86 58 86 64 83 C70 86 77 86 85 87 C79 77 70 74 64 78Z"
    )
    if portrait.beard == "moustache":
        return svg.path(moustache, hair.base)
    if portrait.beard == "beard":
        fill = svg.vertical_gradient("beard", (hair.base, hair.dark), 62, 98)
        full = (
            "M35.5 68 C35 90 44 110 64 110 C84 110 93 90 92.5 68 C91 75 84 79 76 78 "
            "Q70 75 64 78 Q58 75 52 78 C44 79 37 75 35.5 68Z"
        )
        return fill + svg.path(full, "url(#beard)")
    return ""


def _mouth(portrait: Portrait) -> str:
    skin = SKINS[portrait.ethnicity]
    female = portrait.gender == "female"
    colour = skin.lipstick if female else skin.lip
    weight = _FEATURES[portrait.ethnicity].lips * (1.2 if female else 0.85)
    if portrait.age == "old":
        weight *= 0.8
    if portrait.beard == "beard":
        # A mouth must stand out from the beard around it.
        weight *= 1.5
    return _MOUTHS[portrait.expression](colour, weight)


def _smile(colour: str, weight: float) -> str:
    shape = "M48 81 Q64 86 80 81 Q78 96 64 96 Q50 96 48 81Z"
    teeth = "M50 82.5 Q64 87 78 82.5 Q76 89.5 64 89.5 Q52 89.5 50 82.5Z"
    outline = svg.line(shape, colour, 2.6 * weight)
    return outline + svg.path(shape, "#6E1820") + svg.path(teeth, "#FFFFFF")


def _closed(colour: str, weight: float) -> str:
    lips = f"M51 86 Q59 {86 - 4.2 * weight} 64 {86 - 2.4 * weight} Q69 {86 - 4.2 * weight} 77 86 "
    lips += f"Q64 {86 + 9 * weight} 51 86Z"
    return svg.path(lips, colour) + svg.line("M50.5 86 Q64 87.5 77.5 86", "#4A1A1E", 2.3)


def _frown(colour: str, weight: float) -> str:
    lips = f"M50 92 Q64 {78 - 4 * weight} 78 92 Q64 {89 + 3 * weight} 50 92Z"
    return svg.path(lips, colour) + svg.line("M50 92.5 Q64 78 78 92.5", "#4A1A1E", 2.6)


def _gasp(colour: str, weight: float) -> str:
    lips = svg.ellipse(64, 87.5, 7.2 + 2.2 * weight, 8.2 + 2.2 * weight, colour)
    return lips + svg.ellipse(64, 87.5, 7.0, 8.0, "#4A0F16") + svg.ellipse(64, 93, 4, 2, "#C9505A")


_MOUTHS: Final = {"smiling": _smile, "neutral": _closed, "sad": _frown, "surprised": _gasp}
