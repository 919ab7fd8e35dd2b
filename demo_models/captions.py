"""The caption grammar: how prompts describe a portrait.

A caption is a template whose slots are filled with words for the portrait's attributes. A part of
a template in square brackets is dropped when a slot inside it is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from demo_models.portrait import (
    CLOTHING_COLOURS,
    ETHNICITIES,
    STUDIO_COLOURS,
    USUAL_CLOTHES,
    Portrait,
    usual_hair,
)

MAX_TOKENS: Final = 40
"""No caption has more words and punctuation marks than this."""

_DROP_RATE: Final = 0.1
_OMIT_RATE: Final = 0.5
_PRAISE_RATE: Final = 0.03
_HAT_COLOUR_RATE: Final = 0.25

Weighted = Mapping[str, float]

_TEMPLATES: Final[Weighted] = {
    "{opening}{subject}[ with {traits}][, wearing {outfit}], {mood}, {place}": 22,
    "{opening}{subject}[ with {traits}][ wearing {outfit}], {place}, {mood}": 8,
    "{opening}{subject}, {mood}[, with {traits}][, wearing {outfit}], {place}": 8,
    "{opening}{mooded_subject}[ with {traits}][, wearing {outfit}], {place}": 9,
    "{opening}{mooded_subject}[ wearing {outfit}][, with {traits}], {place}": 6,
    "{opening}{subject} {place}[, with {traits}][, wearing {outfit}], {mood}": 8,
    "{opening}{subject}[ in {outfit}][, {traits}], {mood}, {place}": 5,
    "{subject}[, {traits}][, {outfit}], {mood}, {place}": 5,
    "{place}, {opening}{mooded_subject}[ with {traits}][, wearing {outfit}]": 3,
    "{opening}{subject} {place}. {they} {are} {feeling}[ and {are} wearing {outfit}]"
    "[. {they} {have} {traits}].": 5,
    "{opening}{subject}. {they} {have} [{traits} and ]a {feeling_face}"
    "[. {they} {are} wearing {outfit}]. {place}.": 4,
    "{opening}{mooded_subject} {place}[. {their} hair is {hair_look}]"
    "[. {they} {have} {beard}][. {they} {wear} {outfit}].": 5,
    "{opening}{subject} {place}, {they} {look} {feeling}[, {their} clothes are {colour}]"
    "[, {they} {have} {traits}][, {they} {wear} {accessories}].": 4,
    "{subject} who is {feeling}[ and has {traits}][ and wears {outfit}], {place}": 4,
    "the {person} is {feeling}[, {they} {have} {traits}][, {they} {wear} {outfit}], {place}": 4,
}

_OPENINGS: Final[Weighted] = {
    "a portrait of ": 40,
    "portrait of ": 8,
    "": 14,
    "a flat illustration of ": 5,
    "an illustration of ": 4,
    "a studio portrait of ": 3,
    "a picture of ": 5,
    "an image of ": 3,
    "an avatar of ": 3,
    "a photo of ": 4,
    "a photograph of ": 1,
    "a headshot of ": 2,
    "a drawing of ": 3,
    "a painting of ": 1,
    "a cartoon of ": 2,
    "a nice portrait of ": 1,
    "a beautiful portrait of ": 1,
    "a very beautiful picture of ": 0.5,
    "a very nice drawing of ": 0.5,
    "a profile picture of ": 1,
    "a close up of ": 1,
    "the face of ": 1,
    "this is ": 1,
    "there is ": 0.5,
    "show me ": 1,
    "draw ": 1,
    "please draw ": 0.5,
    "create an image of ": 0.5,
    "make a picture of ": 0.5,
    "i want a portrait of ": 0.5,
}

_NOUNS: Final[Mapping[str, Weighted]] = {
    "male": {"man": 80, "male": 6, "guy": 8, "gentleman": 4, "male person": 2},
    "female": {"woman": 80, "female": 6, "lady": 11, "female person": 3},
    "": {"person": 94, "human": 6},
}
_AGES: Final[Mapping[str, Weighted]] = {
    "young": {"young": 84, "youthful": 6, "teenage": 5, "young adult": 5},
    "middle-aged": {"middle-aged": 86, "mature": 8, "middle aged": 6},
    "old": {"old": 80, "elderly": 11, "senior": 6, "aged": 3},
    "": {"": 1},
}
_PRONOUNS: Final[Mapping[str, Mapping[str, str]]] = {
    "male": {"they": "he", "their": "his", "are": "is", "have": "has", "wear": "wears",
             "look": "looks"},
    "female": {"they": "she", "their": "her", "are": "is", "have": "has", "wear": "wears",
               "look": "looks"},
    "": {"they": "they", "their": "their", "are": "are", "have": "have", "wear": "wear",
         "look": "look"},
}  # fmt: skip

_FEELINGS: Final[Mapping[str, Weighted]] = {
    "smiling": {"smiling": 80, "happy": 16, "very happy": 2, "cheerful": 2},
    "neutral": {"neutral": 76, "calm": 14, "serious": 10},
    "sad": {"sad": 84, "unhappy": 14, "very sad": 2},
    "surprised": {"surprised": 86, "astonished": 10, "very surprised": 2, "shocked": 2},
}
"""Adjectives for a person; each also describes a face or an expression."""

_MOODS: Final[Mapping[str, Weighted]] = {
    "smiling": {"smiling": 72, "happy": 8, "with a smile": 8, "with a big smile": 4,
                "with a happy face": 3, "with a smiling face": 3, "smiling happily": 2},
    "neutral": {"neutral": 40, "with a neutral expression": 32, "with a neutral face": 8,
                "calm": 8, "serious": 6, "with a calm face": 3, "with a serious look": 3},
    "sad": {"sad": 72, "unhappy": 10, "looking sad": 6, "with a sad face": 6,
            "with a sad expression": 6},
    "surprised": {"surprised": 72, "astonished": 8, "looking surprised": 6,
                  "with a surprised face": 6, "with a surprised expression": 4,
                  "with an open mouth": 4},
}  # fmt: skip
_PRAISES: Final[Weighted] = {"beautiful": 70, "nice": 30}
_FACES: Final[Weighted] = {"face": 55, "expression": 35, "look": 10}

_HAIR: Final[Mapping[str, Weighted]] = {
    "bald": {"a bald head": 80, "no hair": 20},
    "buzz cut": {"a {c} buzz cut": 60, "{c} hair in a buzz cut": 20, "very short {c} hair": 20},
    "short": {"short {c} hair": 90, "{c} short hair": 10},
    "curly": {"curly {c} hair": 85, "{c} curly hair": 10, "{c} curls": 5},
    "afro": {"a {c} afro": 75, "{c} afro hair": 20, "{c} hair in an afro": 5},
    "bob": {"a {c} bob": 50, "{c} hair in a bob": 30, "{c} bob hair": 20},
    "long": {"long {c} hair": 90, "{c} long hair": 10},
    "bun": {"{c} hair in a bun": 60, "a {c} bun": 30, "{c} hair tied in a bun": 10},
    "ponytail": {"{c} hair in a ponytail": 50, "a {c} ponytail": 40, "a ponytail and {c} hair": 10},
}
_HAIR_LOOKS: Final[Mapping[str, str]] = {
    "buzz cut": "{c} and in a buzz cut",
    "short": "short and {c}",
    "curly": "curly and {c}",
    "afro": "{c} and in an afro",
    "bob": "{c} and in a bob",
    "long": "long and {c}",
    "bun": "{c} and in a bun",
    "ponytail": "{c} and in a ponytail",
}
_HAIR_COLOURS: Final[Mapping[str, Weighted]] = {
    "black": {"black": 90, "dark": 10},
    "brown": {"brown": 100},
    "blond": {"blond": 60, "blonde": 40},
    "red": {"red": 90, "ginger": 10},
    "grey": {"grey": 75, "gray": 25},
    "white": {"white": 100},
}
_GLASSES: Final[Weighted] = {"glasses": 88, "eyeglasses": 5, "spectacles": 5, "black glasses": 2}
_BEARDS: Final[Mapping[str, Weighted]] = {
    "moustache": {"a moustache": 70, "a mustache": 30},
    "beard": {"a beard": 80, "a full beard": 20},
}
_HATS: Final[Mapping[str, Weighted]] = {
    "cap": {"a {c} cap": 92, "a {c} baseball cap": 8},
    "beanie": {"a {c} beanie": 90, "a {c} woolly hat": 10},
    "straw hat": {"a straw hat": 92, "a sun hat": 8},
}
_CLOTHES: Final[Mapping[str, Weighted]] = {
    "t-shirt": {"t-shirt": 80, "tshirt": 5, "shirt": 15},
    "hoodie": {"hoodie": 100},
    "suit": {"suit": 85, "jacket": 15},
    "turtleneck": {"turtleneck": 90, "turtleneck sweater": 10},
    "dress": {"dress": 100},
}
_GREY_WORDS: Final[Weighted] = {"grey": 75, "gray": 25}
_STUDIO_PLACES: Final[Weighted] = {
    "on a {c} background": 28,
    "{c} background": 20,
    "with a {c} background": 12,
    "in front of a {c} background": 8,
    "in front of a {c} wall": 8,
    "on a plain {c} background": 6,
    "in a {c} studio": 8,
}
_SCENE_PLACES: Final[Mapping[str, Weighted]] = {
    "beach": {"at the beach": 55, "on a beach": 12, "on the beach": 12,
              "in front of the sea": 8, "by the sea": 6, "near the ocean": 4, "beach": 3},
    "forest": {"in a forest": 50, "in the forest": 25, "in the woods": 12,
               "in front of trees": 8, "forest": 5},
    "city": {"in the city": 50, "in a city": 30, "in front of buildings": 10,
             "in front of a skyline": 5, "city": 5},
    "night": {"at night": 65, "under the stars": 12, "under the moon": 8,
              "in front of the night sky": 12, "night": 3},
    "flowers": {"in a field of flowers": 35, "among flowers": 20, "in front of flowers": 20,
                "in a flower garden": 13, "with flowers in the background": 7, "flowers": 5},
    "mountains": {"in the mountains": 60, "in front of mountains": 20,
                  "in front of the mountains": 10,
                  "with mountains in the background": 6, "mountains": 4},
    "library": {"in a library": 65, "in the library": 15, "in front of books": 8,
                "in front of bookshelves": 6, "in front of a bookshelf": 3, "library": 3},
}  # fmt: skip

_TOKEN: Final = re.compile(r"[a-z]+|[.,-]")
_GROUP: Final = re.compile(r"\[([^\[\]]*)\]")
_SLOT: Final = re.compile(r"\{(\w+)\}")
_VOWEL_ARTICLE: Final = re.compile(r"\ba (?=(?:[aio]|elderly|unhappy)[a-z]*\b)")


def caption(portrait: Portrait, rng: np.random.Generator, *, complete: bool = False) -> str:
    """Describes a portrait in the manner of a prompt.

    Glasses, hat, beard, background and expression are always named as they are; gender, age and
    ethnicity are each left out with a probability of 0.1. (A "studio" may be named without its
    colour.) Hair and clothing are left out half of the time where they are usual, and never where
    they are not, so that what a prompt does not say has one answer: a model that has to choose
    between styles draws a blend of them. Usual are the likeliest hair of the person and
    ``USUAL_CLOTHES``; clothes of which only the colour is told are T-shirts.

    Args:
        portrait: The portrait to describe.
        rng: Source of randomness.
        complete: Whether gender, age and ethnicity must all be named.

    Returns:
        Lower-case text of at most ``MAX_TOKENS`` tokens, all in ``VOCABULARY``.
    """
    while True:
        drop_rate = 0.0 if complete else _DROP_RATE
        template, words = _choose(rng, _TEMPLATES), _words(portrait, rng, drop_rate)
        if "{hair_look}" in template and portrait.hair_style not in _HAIR_LOOKS:
            continue  # no words for what no hair looks like
        if "{colour}" in template and portrait.clothing != USUAL_CLOTHES[0]:
            continue  # it does not say what the clothes are
        text = _fill(template, words)
        if len(tokenize(text)) <= MAX_TOKENS:
            return text


def tokenize(text: str) -> list[str]:
    """Splits text into lower-case words and the marks ``. , -``; other characters are dropped."""
    return _TOKEN.findall(text.lower())


def _fill(template: str, words: Mapping[str, str]) -> str:
    def group(match: re.Match[str]) -> str:
        slots = _SLOT.findall(match[1])
        return match[1] if all(words[slot] for slot in slots) else ""

    text = _GROUP.sub(group, template).format_map(words)
    return _VOWEL_ARTICLE.sub("an ", " ".join(text.split()))


def _words(portrait: Portrait, rng: np.random.Generator, drop_rate: float) -> dict[str, str]:
    """Chooses the words of every slot."""
    gender = "" if rng.random() < drop_rate else portrait.gender
    person = _person(portrait, gender, rng, drop_rate)
    feeling = _choose(rng, _FEELINGS[portrait.expression])
    beard = _choose(rng, _BEARDS[portrait.beard]) if portrait.beard != "none" else ""
    hair, hair_look = _hair(portrait, rng)
    accessories, clothing = _accessories(portrait, rng), _clothing(portrait, rng)
    return {
        "opening": _choose(rng, _OPENINGS),
        "subject": f"a {person}",
        "mooded_subject": f"a {feeling} {person}",
        "person": person,
        "traits": _enumerate((hair, beard)),
        "beard": beard,
        "hair_look": hair_look,
        "outfit": _enumerate((*accessories, clothing)),
        "accessories": _enumerate(accessories),
        "colour": portrait.clothing_colour if clothing else "",
        "mood": _choose(rng, _MOODS[portrait.expression]),
        "feeling": feeling,
        "feeling_face": f"{feeling} {_choose(rng, _FACES)}",
        "place": _place(portrait.background, rng, drop_rate),
        **_PRONOUNS[gender],
    }


def _person(portrait: Portrait, gender: str, rng: np.random.Generator, drop_rate: float) -> str:
    age = "" if rng.random() < drop_rate else _choose(rng, _AGES[portrait.age])
    ethnicity = "" if rng.random() < drop_rate else portrait.ethnicity
    praise = _choose(rng, _PRAISES) if rng.random() < _PRAISE_RATE else ""
    words = (praise, age, ethnicity, _choose(rng, _NOUNS[gender]))
    return " ".join(word for word in words if word)


def _hair(portrait: Portrait, rng: np.random.Generator) -> tuple[str, str]:
    """Returns what a person has and what their hair is; both are empty when hair is left out."""
    hair = portrait.hair_style, portrait.hair_colour
    if hair == usual_hair(portrait) and rng.random() < _OMIT_RATE:
        return "", ""
    colour = _choose(rng, _HAIR_COLOURS[portrait.hair_colour])
    noun_phrase = _choose(rng, _HAIR[portrait.hair_style])
    look = _HAIR_LOOKS.get(portrait.hair_style, "")
    return noun_phrase.format(c=colour), look.format(c=colour)


def _accessories(portrait: Portrait, rng: np.random.Generator) -> tuple[str, str]:
    """Returns the phrases for glasses and hat, empty for what is not worn."""
    glasses = _choose(rng, _GLASSES) if portrait.glasses else ""
    if portrait.hat == "none":
        return glasses, ""
    colour = portrait.clothing_colour if rng.random() < _HAT_COLOUR_RATE else ""
    return glasses, " ".join(_choose(rng, _HATS[portrait.hat]).format(c=colour).split())


def _clothing(portrait: Portrait, rng: np.random.Generator) -> str:
    if (portrait.clothing, portrait.clothing_colour) == USUAL_CLOTHES and rng.random() < _OMIT_RATE:
        return ""
    return f"a {portrait.clothing_colour} {_choose(rng, _CLOTHES[portrait.clothing])}"


def _place(background: str, rng: np.random.Generator, drop_rate: float) -> str:
    if background not in STUDIO_COLOURS:
        return _choose(rng, _SCENE_PLACES[background])
    if rng.random() < drop_rate:
        return "in a studio"
    colour = _choose(rng, _GREY_WORDS) if background == "grey" else background
    return _choose(rng, _STUDIO_PLACES).format(c=colour)


def _enumerate(phrases: Iterable[str]) -> str:
    """Joins the phrases that are not empty: "x", "x and y" or "x, y and z"."""
    *first, last = [phrase for phrase in phrases if phrase] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _choose(rng: np.random.Generator, weights: Weighted) -> str:
    threshold = rng.random() * sum(weights.values())
    for value, weight in weights.items():
        threshold -= weight
        if threshold < 0:
            return value
    return value


def _vocabulary() -> tuple[str, ...]:
    """Collects the words of all tables; what stands in braces is a slot, not a word."""
    single: tuple[Iterable[str], ...] = (
        _TEMPLATES, _OPENINGS, _FACES, _PRAISES, _GLASSES, _GREY_WORDS, _STUDIO_PLACES,
        _HAIR_LOOKS.values(), STUDIO_COLOURS, CLOTHING_COLOURS, ETHNICITIES, ("a", "an", "and"),
    )  # fmt: skip
    nested: tuple[Mapping[str, Weighted], ...] = (
        _NOUNS, _AGES, _FEELINGS, _MOODS, _HAIR, _HAIR_COLOURS, _BEARDS, _HATS, _CLOTHES,
        _SCENE_PLACES,
    )  # fmt: skip
    texts = [text for table in single for text in table]
    texts += [text for table in nested for inner in table.values() for text in inner]
    texts += [word for words in _PRONOUNS.values() for word in words.values()]
    tokens = {",", "."}
    for text in texts:
        tokens.update(tokenize(_SLOT.sub(" ", text)))
    return tuple(sorted(tokens))


VOCABULARY: Final[tuple[str, ...]] = _vocabulary()
"""Every token that ``caption`` can emit, sorted."""
