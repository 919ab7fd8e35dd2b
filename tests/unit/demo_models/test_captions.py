"""Laws of the caption grammar."""

from __future__ import annotations

import re

import numpy as np
import pytest

from demo_models.captions import MAX_TOKENS, VOCABULARY, caption, tokenize
from demo_models.portrait import Portrait, sample_portrait, usual_hair

CAPTIONS = 2000


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Portrait, str]]:
    rng = np.random.default_rng(11)
    portraits = [sample_portrait(rng) for _ in range(CAPTIONS)]
    return [(p, caption(p, rng)) for p in portraits]


def test_captions_keep_to_vocabulary_and_length(pairs: list[tuple[Portrait, str]]) -> None:
    for _, text in pairs:
        tokens = tokenize(text)
        assert set(tokens) <= set(VOCABULARY)
        assert len(tokens) <= MAX_TOKENS


def test_captions_are_clean_text(pairs: list[tuple[Portrait, str]]) -> None:
    for _, text in pairs:
        assert re.fullmatch(r"[a-z][a-z ,.-]*", text)
        assert not re.search(r"  | [,.]|[,.]{2}|,\.|[{}\[\]]|,$", text)
        assert not re.search(r"\ba ([aio]|elderly|unhappy)|\ban [b-df-hj-np-tv-z]", text)


@pytest.mark.parametrize(
    ("attribute", "absent", "words"),
    [
        ("glasses", False, r"glasses|spectacles"),
        ("hat", "none", r"\bcap\b|beanie|\bhat\b"),
        ("beard", "none", r"beard|mo?ustache"),
    ],
)
def test_what_is_worn_is_named_iff_present(
    pairs: list[tuple[Portrait, str]], attribute: str, absent: object, words: str
) -> None:
    for p, text in pairs:
        named = re.search(words, text) is not None
        assert named == (getattr(p, attribute) != absent), text


@pytest.mark.parametrize(
    ("attribute", "word"),
    [
        ("ethnicity", "{value}"),
        ("age", "young|old|elderly|senior|middle|mature|teenage|youthful|aged"),
        ("gender", r"\b(man|male|guy|gentleman|woman|female|lady)\b"),
    ],
)
def test_identity_is_sometimes_left_out(
    pairs: list[tuple[Portrait, str]], attribute: str, word: str
) -> None:
    patterns = (word.format(value=getattr(p, attribute)) for p, _ in pairs)
    named = [re.search(pattern, text) for pattern, (_, text) in zip(patterns, pairs, strict=True)]
    share = sum(match is not None for match in named) / CAPTIONS
    assert 0.86 < share < 0.94


def test_hair_is_left_out_only_where_it_is_usual(pairs: list[tuple[Portrait, str]]) -> None:
    named = re.compile(r"\b(hair|bald|buzz|bob|afro|bun|curl|pony)")
    silent = [p for p, text in pairs if not named.search(text)]
    assert 0.03 * CAPTIONS < len(silent) < 0.4 * CAPTIONS
    for p in silent:
        assert (p.hair_style, p.hair_colour) == usual_hair(p)


def test_pronouns_agree_with_gender(pairs: list[tuple[Portrait, str]]) -> None:
    wrong = {"male": r"\b(she|her|woman|lady|female)\b", "female": r"\b(he|his|man|guy|male)\b"}
    for p, text in pairs:
        assert not re.search(wrong[p.gender], text)


def test_captions_are_reproducible_and_various(pairs: list[tuple[Portrait, str]]) -> None:
    p = pairs[0][0]
    assert caption(p, np.random.default_rng(3)) == caption(p, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    assert len({caption(p, rng) for _ in range(200)}) > 150


def test_every_word_of_the_vocabulary_occurs() -> None:
    rng = np.random.default_rng(5)
    seen: set[str] = set()
    for _ in range(20000):
        seen.update(tokenize(caption(sample_portrait(rng), rng)))
    assert seen == set(VOCABULARY)
