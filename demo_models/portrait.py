"""The attributes of a demo portrait, their natural distribution and the held-out combinations."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

GENDERS: Final = ("male", "female")
AGES: Final = ("young", "middle-aged", "old")
ETHNICITIES: Final = ("caucasian", "african", "asian", "indian", "european")
HAIR_STYLES: Final = (
    "bald", "buzz cut", "short", "curly", "afro", "bob", "long", "bun", "ponytail",
)  # fmt: skip
HAIR_COLOURS: Final = ("black", "brown", "blond", "red", "grey", "white")
GLASSES: Final = (False, True)
BEARDS: Final = ("none", "moustache", "beard")
HATS: Final = ("none", "cap", "beanie", "straw hat")
CLOTHES: Final = ("t-shirt", "hoodie", "suit", "turtleneck", "dress")
CLOTHING_COLOURS: Final = (
    "red", "blue", "green", "yellow", "purple", "orange", "pink", "white", "black",
)  # fmt: skip
STUDIO_COLOURS: Final = ("white", "grey", "blue", "green", "orange", "pink", "purple")
SCENES: Final = ("beach", "forest", "city", "night", "flowers", "mountains", "library")
BACKGROUNDS: Final = STUDIO_COLOURS + SCENES
EXPRESSIONS: Final = ("smiling", "neutral", "sad", "surprised")

HELD_OUT_MODULUS: Final = 10
"""One combination in this many is kept out of training."""

_GLASSES_RATE: Final = 0.35
_STUDIO_RATE: Final = 0.45
_USUAL_HAIR_RATE: Final = 0.3
_USUAL_CLOTHES_RATE: Final = 0.1
_UNUSUAL_STYLE_RATE: Final = 0.08
_UNUSUAL_COLOUR_RATE: Final = 0.04

_HAT_WEIGHTS: Final = {"none": 70.0, "cap": 10.0, "beanie": 10.0, "straw hat": 10.0}
_BEARD_WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = {
    "young": {"none": 65, "moustache": 10, "beard": 25},
    "middle-aged": {"none": 45, "moustache": 25, "beard": 30},
    "old": {"none": 45, "moustache": 25, "beard": 30},
}
_CLOTHES_WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = {
    "male": {"t-shirt": 25, "hoodie": 25, "suit": 27, "turtleneck": 23},
    "female": {"t-shirt": 20, "hoodie": 20, "suit": 18, "turtleneck": 20, "dress": 22},
}
_STYLE_WEIGHTS: Final[Mapping[tuple[str, str], Mapping[str, float]]] = {
    ("male", "caucasian"): {"short": 60, "buzz cut": 12, "bald": 14, "curly": 14},
    ("male", "african"): {"buzz cut": 35, "short": 30, "afro": 20, "bald": 15},
    ("male", "asian"): {"short": 75, "buzz cut": 13, "bald": 7, "long": 5},
    ("male", "indian"): {"short": 65, "curly": 20, "buzz cut": 5, "bald": 10},
    ("male", "european"): {"short": 62, "curly": 14, "long": 6, "bald": 12, "buzz cut": 6},
    ("female", "caucasian"): {"long": 32, "bob": 20, "ponytail": 18, "bun": 12, "curly": 18},
    ("female", "african"): {"afro": 40, "bun": 20, "curly": 22, "long": 12, "short": 6},
    ("female", "asian"): {"bob": 38, "long": 34, "ponytail": 18, "bun": 10},
    ("female", "indian"): {"long": 40, "bun": 26, "ponytail": 24, "bob": 10},
    ("female", "european"): {"long": 28, "bob": 22, "ponytail": 20, "bun": 14, "short": 16},
}
_NATURAL_COLOURS: Final[Mapping[str, Mapping[str, float]]] = {
    "caucasian": {"brown": 80, "black": 20},
    "african": {"black": 100},
    "asian": {"black": 100},
    "indian": {"black": 85, "brown": 15},
    "european": {"blond": 60, "red": 25, "brown": 15},
}
_OLD_COLOURS: Final = {"grey": 60.0, "white": 40.0}
_HIDDEN_BY_HATS: Final = ("bun", "buzz cut")

USUAL_CLOTHES: Final = ("t-shirt", "blue")
"""What a person wears of whom a caption says nothing else."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """Everything that determines one rendered portrait.

    The first twelve fields are named attributes; the last is the light, which captions never
    mention. What they leave to chance is smooth: a denoiser that has not chosen yet draws a blend,
    and a blend of two lights is a light, where one of two places is a ghost.

    Attributes:
        gender: One of ``GENDERS``.
        age: One of ``AGES``.
        ethnicity: One of ``ETHNICITIES``.
        hair_style: One of ``HAIR_STYLES``.
        hair_colour: One of ``HAIR_COLOURS``; also colours the brows and the beard.
        glasses: Whether the person wears glasses.
        beard: One of ``BEARDS``; ``"none"`` unless the person is male.
        hat: One of ``HATS``; a hat has the colour of the clothing.
        clothing: One of ``CLOTHES``.
        clothing_colour: One of ``CLOTHING_COLOURS``.
        background: One of ``BACKGROUNDS``: a plain studio of that colour, or a scene.
        expression: One of ``EXPRESSIONS``.
        light: Where the light behind the person comes from, in [-1, 1]: left to right.
    """

    gender: str
    age: str
    ethnicity: str
    hair_style: str
    hair_colour: str
    glasses: bool
    beard: str
    hat: str
    clothing: str
    clothing_colour: str
    background: str
    expression: str
    light: float = 0.0


VALUES: Final[Mapping[str, tuple[str | bool, ...]]] = {
    "gender": GENDERS,
    "age": AGES,
    "ethnicity": ETHNICITIES,
    "glasses": GLASSES,
    "beard": BEARDS,
    "hat": HATS,
    "background": BACKGROUNDS,
    "expression": EXPRESSIONS,
    "hair_colour": HAIR_COLOURS,
    "hair_style": HAIR_STYLES,
    "clothing": CLOTHES,
    "clothing_colour": CLOTHING_COLOURS,
}
"""All values of every named attribute, in the order of their class indices."""


def attribute_indices(portrait: Portrait) -> dict[str, int]:
    """Returns the class index of every named attribute.

    Args:
        portrait: The portrait.

    Returns:
        For each attribute name the position of its value in the attribute's tuple of values.
    """
    return {name: values.index(getattr(portrait, name)) for name, values in VALUES.items()}


def is_held_out(portrait: Portrait) -> bool:
    """Says whether the portrait's combination of attributes is kept out of training.

    The rule: join gender, age, ethnicity, "glasses" or "no glasses", hat, background and
    expression with "|", take the first 8 bytes of the SHA-256 digest of that UTF-8 string as a
    big-endian integer, and hold the combination out when ``HELD_OUT_MODULUS`` divides it.

    Args:
        portrait: The portrait; light, hair and clothing do not matter.

    Returns:
        True for about one combination in ``HELD_OUT_MODULUS``.
    """
    key = "|".join(
        (
            portrait.gender,
            portrait.age,
            portrait.ethnicity,
            "glasses" if portrait.glasses else "no glasses",
            portrait.hat,
            portrait.background,
            portrait.expression,
        )
    )
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_MODULUS == 0


def sample_portrait(rng: np.random.Generator, *, held_out: bool = False) -> Portrait:
    """Samples a portrait from the natural distribution.

    Args:
        rng: Source of randomness.
        held_out: Whether to sample from the held-out combinations instead of the training ones.

    Returns:
        A portrait for which ``is_held_out`` equals ``held_out``.
    """
    while True:
        portrait = _sample_any(rng)
        if is_held_out(portrait) == held_out:
            return portrait


def usual_hair(portrait: Portrait) -> tuple[str, str]:
    """Returns the hair style and colour that are the likeliest for the portrait's other attributes.

    Args:
        portrait: The portrait; its own hair does not matter.

    Returns:
        One of ``HAIR_STYLES`` and one of ``HAIR_COLOURS``.
    """
    styles = _STYLE_WEIGHTS[portrait.gender, portrait.ethnicity]
    shown = [s for s in styles if portrait.hat == "none" or s not in _HIDDEN_BY_HATS]
    colours = _OLD_COLOURS if portrait.age == "old" else _NATURAL_COLOURS[portrait.ethnicity]
    return max(shown, key=styles.__getitem__), max(colours, key=colours.__getitem__)


def _sample_any(rng: np.random.Generator) -> Portrait:
    gender, age, ethnicity = (_uniform(rng, v) for v in (GENDERS, AGES, ETHNICITIES))
    hat = _weighted(rng, _HAT_WEIGHTS)
    studio = rng.random() < _STUDIO_RATE
    portrait = Portrait(
        gender=gender,
        age=age,
        ethnicity=ethnicity,
        hair_style=_sample_style(rng, gender, ethnicity, hat),
        hair_colour=_sample_colour(rng, age, ethnicity),
        glasses=bool(rng.random() < _GLASSES_RATE),
        beard=_weighted(rng, _BEARD_WEIGHTS[age]) if gender == "male" else "none",
        hat=hat,
        clothing=_weighted(rng, _CLOTHES_WEIGHTS[gender]),
        clothing_colour=_uniform(rng, CLOTHING_COLOURS),
        background=_uniform(rng, STUDIO_COLOURS if studio else SCENES),
        expression=_uniform(rng, EXPRESSIONS),
        light=rng.uniform(-1, 1),
    )
    style, colour = usual_hair(portrait)
    if rng.random() < _USUAL_HAIR_RATE:
        portrait = replace(portrait, hair_style=style, hair_colour=colour)
    elif portrait.hair_style == "bald":  # brows and beard have a colour that no caption names
        portrait = replace(portrait, hair_colour=colour)
    if rng.random() < _USUAL_CLOTHES_RATE:
        clothing, colour = USUAL_CLOTHES
        portrait = replace(portrait, clothing=clothing, clothing_colour=colour)
    return portrait


def _sample_style(rng: np.random.Generator, gender: str, ethnicity: str, hat: str) -> str:
    weights = _STYLE_WEIGHTS[gender, ethnicity]
    while True:
        unusual = rng.random() < _UNUSUAL_STYLE_RATE
        style = _uniform(rng, HAIR_STYLES) if unusual else _weighted(rng, weights)
        if hat == "none" or style not in _HIDDEN_BY_HATS:
            return style


def _sample_colour(rng: np.random.Generator, age: str, ethnicity: str) -> str:
    if age == "old":
        return _weighted(rng, _OLD_COLOURS)
    if rng.random() < _UNUSUAL_COLOUR_RATE:
        return _uniform(rng, HAIR_COLOURS[:4])
    return _weighted(rng, _NATURAL_COLOURS[ethnicity])


def _uniform(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    return values[int(rng.integers(len(values)))]


def _weighted(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    threshold = rng.random() * sum(weights.values())
    for value, weight in weights.items():
        threshold -= weight
        if threshold < 0:
            return value
    return value
