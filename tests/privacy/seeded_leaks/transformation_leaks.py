"""Deliberate leaks of the transformation, as patches of the real one.

Each is named after what a plausible implementation would do, and says which attacker must catch it.
"""

import random
import re
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from device_client.audit import transcript
from device_client.audit.transcript import Device
from device_client.private_side.choice import Choice, index_of
from device_client.transformation import Transformation, load_lexicon, transform
from device_client.transformation import pieces as pieces_module
from device_client.transformation.ages import AgeGrammar
from device_client.transformation.forms import Role
from device_client.transformation.skeleton import Skeleton

# The package gives the function the name of its module.
TRANSFORM_MODULE = sys.modules[transform.__module__]
PEOPLE = """
a portrait of an old woman with glasses
a portrait of an elderly lady with a cat, she smiles
An old Asian man holding his hat
a young african woman reading her book
A teenage girl with red hair
a man hurt himself in the garden
a queen looks at herself in a mirror
three women on a beach
two boys and a dog
photo of a 25-year-old man in the rain
a 70 year old woman, watercolor
oil painting of a nigerian man with his crown
an indian actress in a red coat
a portrait of his grandma
The mechanic said that she had repaired the car
A portrait of Emma in a garden
""".strip().splitlines()

Texts = tuple[str, ...]
# From the candidates, the user's place and the user's own prompt to what is sent in their stead.
Rewrite = Callable[[Texts, int, str], tuple[Texts, int]]


@dataclass(frozen=True)
class Leak:
    """A deliberate leak.

    Attributes:
        caught_by: The attacker that must see it.
        patch: Puts it into the real code.
        device: The device's public settings.
    """

    caught_by: str
    patch: Callable[[pytest.MonkeyPatch], None] = field(repr=False)
    device: Callable[[], Device] = Device


def with_candidates(made: Transformation, texts: Texts, own: int, **changes: str) -> Transformation:
    """Returns a transformation that sends other candidates than its skeleton renders."""
    skeleton: Skeleton = replace(made.skeleton, **changes)  # type: ignore[arg-type]
    skeleton.__dict__["_rendered"] = texts
    skeleton.__dict__["members"] = tuple(range(len(texts)))
    return Transformation(skeleton, Choice(own, ""))


def rewritten(rewrite: Rewrite) -> Callable[[pytest.MonkeyPatch], None]:
    """Returns the patch that rewrites what is sent."""

    def leaky(prompt: str, negative: str = "", **options: object) -> Transformation:
        made = transform(prompt, negative, **options)  # type: ignore[arg-type]
        texts, own = rewrite(made.skeleton.candidates(), index_of(made.choice), prompt)
        return with_candidates(made, texts, own)

    return lambda patch: patch.setattr(transcript, "transform", leaky)


def for_own(change: Callable[[str], str]) -> Callable[[pytest.MonkeyPatch], None]:
    """Returns the patch that spells the user's own candidate in another way."""

    def rewrite(texts: Texts, own: int, _prompt: str) -> tuple[Texts, int]:
        return tuple(change(text) if n == own else text for n, text in enumerate(texts)), own

    return rewritten(rewrite)


def like_own(words: frozenset[str]) -> Callable[[pytest.MonkeyPatch], None]:
    """Returns the patch that copies the user's own words of a class into all candidates."""

    def rewrite(texts: Texts, own: int, _prompt: str) -> tuple[Texts, int]:
        mine = [word for word in texts[own].split(" ") if word.strip(",.") in words]
        return tuple(_filled(text, words, mine) for text in texts), own

    return rewritten(rewrite)


def _filled(text: str, words: frozenset[str], mine: list[str]) -> str:
    own = iter(mine)
    return " ".join(
        next(own, word) if word.strip(",.") in words else word for word in text.split(" ")
    )


def reordered(
    order: Callable[[Texts, int, str], list[int]],
) -> Callable[[pytest.MonkeyPatch], None]:
    """Returns the patch that sends the candidates in another order."""

    def rewrite(texts: Texts, own: int, prompt: str) -> tuple[Texts, int]:
        places = order(texts, own, prompt)
        return tuple(texts[place] for place in places), places.index(own)

    return rewritten(rewrite)


def _own_first(texts: Texts, own: int, _prompt: str) -> list[int]:
    return [own, *(place for place in range(len(texts)) if place != own)]


def _by_likeness(texts: Texts, own: int, _prompt: str) -> list[int]:
    mine = set(texts[own].split())
    return sorted(range(len(texts)), key=lambda place: len(mine ^ set(texts[place].split())))


def _by_hash(texts: Texts, _own: int, prompt: str) -> list[int]:
    places = list(range(len(texts)))
    random.Random(prompt).shuffle(places)
    return places


def _decoys(texts: Texts, own: int, _prompt: str) -> tuple[Texts, int]:
    others = [text for place, text in enumerate(texts) if place != own]
    count = max(1, len(others) // 2)
    sent = sorted([texts[own], *secrets.SystemRandom().sample(others, count)])
    return tuple(sent), sent.index(texts[own])


def _neighbours(texts: Texts, own: int, _prompt: str) -> tuple[Texts, int]:
    mine = texts[own].split()
    near = [t for t in texts if sum(a != b for a, b in zip(mine, t.split(), strict=False)) <= 1]
    return tuple(near), near.index(texts[own])


def _window(texts: Texts, own: int, _prompt: str) -> tuple[Texts, int]:
    near = [texts[(own + step) % len(texts)] for step in (-1, 0, 1)]
    sent = sorted(set(near))
    return tuple(sent), sent.index(texts[own])


def _appended(texts: Texts, own: int, prompt: str) -> tuple[Texts, int]:
    return (texts, own) if prompt in texts else ((*texts, prompt), len(texts))


def _own_words(texts: Texts, own: int, prompt: str) -> tuple[Texts, int]:
    return tuple(prompt if place == own else text for place, text in enumerate(texts)), own


def _cut_like_own(texts: Texts, own: int, _prompt: str) -> tuple[Texts, int]:
    cut = tuple(text[: len(texts[own])] for text in texts)
    return cut, own


def _fewer(texts: Texts, own: int, _prompt: str) -> tuple[Texts, int]:
    return (texts[1:], own - 1) if own and len(texts) > 2 else (texts, own)


def renamed(field_name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Returns the patch that lets a public field follow the choice."""

    def leaky(prompt: str, negative: str = "", **options: object) -> Transformation:
        made = transform(prompt, negative, **options)  # type: ignore[arg-type]
        own = index_of(made.choice)
        told = {"negative_prompt": "blurry" * (own % 2), "lexicon_version": f"1.{own}"}
        texts = made.skeleton.candidates()
        return with_candidates(made, texts, own, **{field_name: told[field_name]})

    return lambda patch: patch.setattr(transcript, "transform", leaky)


def without_the_law(patch: pytest.MonkeyPatch) -> None:
    """Turns the run-time check off, so that the leak gets as far as the attackers."""
    patch.setattr(TRANSFORM_MODULE._Reader, "check_law", lambda _self, _skeleton: None)


def _no_ages(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AgeGrammar, "find", lambda _self, _folded: [])


def _no_names(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("device_client.transformation.marking.find_names", lambda _tokens, _lexicon: {})
    without_the_law(patch)


def _one_case(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pieces_module, "case_of", lambda _line, _place, _lexicon: Role.OBJECT)
    without_the_law(patch)


def _whole_negative(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TRANSFORM_MODULE, "without_attributes", lambda text, _lexicon: text)


def _unchanged(_patch: pytest.MonkeyPatch) -> None:
    pass


def lacking(*words: str) -> Callable[[], Device]:
    """Returns a device whose lexicon takes some words for ordinary ones."""

    def device() -> Device:
        lexicon = load_lexicon()
        entries = {word: row for word, row in lexicon.entries.items() if word not in words}
        return Device(
            lexicon=replace(
                lexicon,
                entries=entries,
                words=lexicon.words - set(words),
                dictionary=lexicon.dictionary | set(words),
            )
        )

    return device


def _spelt(pattern: str, spelling: str) -> Callable[[str], str]:
    return partial(re.compile(pattern).sub, spelling, count=1)


NOUNS = frozenset({"woman", "man", "women", "men", "girls", "boys", "girl", "boy"})
LEAKS: dict[str, Leak] = {
    "own candidate first": Leak("order", reordered(_own_first)),
    "own candidate last": Leak("order", reordered(lambda *a: _own_first(*a)[::-1])),
    "sorted by likeness to the own": Leak("order", reordered(_by_likeness)),
    "own place marked by a word": Leak("bag of words", for_own(lambda text: text + " please")),
    "rotated by the choice": Leak(
        "closure", reordered(lambda t, own, _p: [(own + n) % len(t) for n in range(len(t))])
    ),
    "shuffled by a hash of the prompt": Leak("closure", reordered(_by_hash)),
    "own words kept": Leak("closure", rewritten(_own_words)),
    "value outside the set appended": Leak("closure", rewritten(_appended)),
    "neighbours of the choice alone": Leak("closure", rewritten(_neighbours)),
    "block around the choice": Leak("closure", rewritten(_window)),
    "set size follows the choice": Leak("closure", rewritten(_fewer)),
    "cut at the own candidate's length": Leak("closure", rewritten(_cut_like_own)),
    "negative prompt follows the choice": Leak("closure", renamed("negative_prompt")),
    "version follows the choice": Leak("closure", renamed("lexicon_version")),
    "random decoys around the choice": Leak("intersection", rewritten(_decoys)),
    "article not recomputed": Leak("grammar", like_own(frozenset({"a", "an", "A", "An"}))),
    "possessive not masked": Leak("grammar", like_own(frozenset({"her", "his"}))),
    "subject pronoun not masked": Leak("grammar", like_own(frozenset({"she", "he"}))),
    "reflexive not masked": Leak("grammar", like_own(frozenset({"herself", "himself"}))),
    "pronoun's case by table": Leak("grammar", _one_case),
    "nouns by the own number": Leak(
        "grammar",
        rewritten(
            lambda texts, own, _prompt: (
                tuple(
                    text if place == own else text.replace("men", "man")
                    for place, text in enumerate(texts)
                ),
                own,
            )
        ),
    ),
    "capitals kept": Leak("case and Unicode", for_own(str.title)),
    "two spaces kept": Leak("case and Unicode", for_own(_spelt(" ", "  "))),
    "zero-width space kept": Leak("case and Unicode", for_own(_spelt("a", "a\u200b"))),
    "Cyrillic letter kept": Leak("case and Unicode", for_own(_spelt("a", "\u0430"))),
    "skin tone kept": Leak("case and Unicode", for_own(lambda text: text + "\U0001f3fd")),
    "weight kept": Leak("case and Unicode", for_own(_spelt(r"\b([a-z]{4,})\b", r"(\1:1.3)"))),
    "full stop kept": Leak("case and Unicode", for_own(lambda text: text + ".")),
    "negative prompt not masked": Leak(
        "negative prompt", _whole_negative, partial(Device, "man, beard")
    ),
    "ages in digits unknown": Leak("twins", _no_ages),
    "names not neutralised": Leak("twins", _no_names),
    "kinship unknown": Leak("twins", _unchanged, lacking("grandma", "grandpa")),
    "profession unknown": Leak("twins", _unchanged, lacking("actress", "actor")),
    "nationality unknown": Leak("twins", _unchanged, lacking("nigerian", "japanese", "indian")),
    "pronoun unknown": Leak("twins", _unchanged, lacking("she", "he")),
}
