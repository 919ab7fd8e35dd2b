"""The colours of skin, hair, clothes and studios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Skin:
    """The colours of a face.

    Attributes:
        light: Where the light falls.
        base: The skin's own colour.
        shade: Shadows, nose and ears.
        line: Wrinkles and outlines.
        lip: Lips without make-up.
        lipstick: Lips with make-up.
        blush: Cheeks.
        iris: Eyes.
    """

    light: str
    base: str
    shade: str
    line: str
    lip: str
    lipstick: str
    blush: str
    iris: str


SKINS: Final[Mapping[str, Skin]] = {
    "caucasian": Skin(
        "#F0BF94", "#E3A878", "#C58557", "#8F5530", "#B4614E", "#C23A3F", "#E0724F", "#6B4A1C"
    ),
    "african": Skin(
        "#80492C", "#6A3A22", "#4A2614", "#2A1208", "#8A4340", "#A8283A", "#9A4A30", "#2A150A"
    ),
    "asian": Skin(
        "#FBE2BF", "#F1CD9F", "#D3A46C", "#9C6C3E", "#C8705C", "#D23B47", "#F29A72", "#2A1A10"
    ),
    "indian": Skin(
        "#BD7F4A", "#A9693A", "#834925", "#542A12", "#8A4238", "#A82A3C",
        "#B85A34", "#3A2010",
    ),
    "european": Skin(
        "#FFF1EA", "#FDDFD3", "#EBB8A9", "#BC7B6D", "#D67F7F", "#DB3F55", "#F78D92", "#2F86D6"
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hair:
    """The colours of hair: highlights, its own colour, shadows, and the brows that go with it."""

    light: str
    base: str
    dark: str
    brow: str


HAIRS: Final[Mapping[str, Hair]] = {
    "black": Hair("#4A4654", "#25222B", "#121016", "#1A161C"),
    "brown": Hair("#9A6238", "#6B3F20", "#46270F", "#4A2A12"),
    "blond": Hair("#FFE48F", "#EFC356", "#C9922F", "#B5832F"),
    "red": Hair("#F08A45", "#CC5520", "#95380F", "#9C4215"),
    "grey": Hair("#C9CBD3", "#9C9FAA", "#70737E", "#757883"),
    "white": Hair("#FFFFFF", "#ECECEF", "#BDBFC8", "#B4B6BF"),
}

GREYING: Final = "#BCBEC6"
"""The colour of greying temples."""


@dataclass(frozen=True, slots=True)
class Cloth:
    """The colours of a garment: its own colour, its folds and its lit parts."""

    base: str
    dark: str
    light: str


CLOTHS: Final[Mapping[str, Cloth]] = {
    "red": Cloth("#D8322F", "#9E1D22", "#EF5A50"),
    "blue": Cloth("#2F62C9", "#1E4393", "#5A88E4"),
    "green": Cloth("#2E9450", "#1C6A36", "#55B574"),
    "yellow": Cloth("#F4C62E", "#C99612", "#FFE06A"),
    "purple": Cloth("#8040B0", "#58267F", "#A468D0"),
    "orange": Cloth("#F07F22", "#B9570E", "#FFA450"),
    "pink": Cloth("#F07BAE", "#C44D84", "#FFA3CA"),
    "white": Cloth("#F4F4F2", "#C4C6CC", "#FFFFFF"),
    "black": Cloth("#2B2C34", "#131318", "#494B57"),
}

STUDIOS: Final[Mapping[str, tuple[str, str]]] = {
    "white": ("#F1F0EC", "#D8D6D0"),
    "grey": ("#85858A", "#55555B"),
    "blue": ("#7FA8E8", "#4A74C0"),
    "green": ("#8CC79A", "#55976A"),
    "orange": ("#FFA040", "#E5761A"),
    "pink": ("#F6B3CC", "#E27FA6"),
    "purple": ("#AE8AD2", "#7A55A6"),
}
"""Top and bottom of each plain background."""
