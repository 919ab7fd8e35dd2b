"""The skeleton law, on people prompts and on generated ones: P(c) = P(p) for every candidate c."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_client.private_side.choice import index_of
from device_client.transformation import load_lexicon, transform
from device_client.transformation.forms import HINTS
from obclip.errors import PromptRefused

PEOPLE_PROMPTS = Path(__file__).parents[2].parent / "shared/data/people_prompts"
needs_people_prompts = pytest.mark.skipif(
    not PEOPLE_PROMPTS.is_dir(), reason="shared/data/people_prompts is not beside the checkout"
)

WORDS = """
    woman man girl boy lady guy grandma king actress child she he her him his hers herself young
    old elderly teenage african asian black white Nigerian french a an the and with of is in , . ( )
    - 's beard dress bearded pregnant emma watson Mr. Smith by greg rutkowski smiling red coat
    tells gives someone doctor dog Lagos from Japan dark skin 25 years aged 60 in her 30s house
    portrait stephen king jean - michel van bliss she-wolf he-man bear its mother who whites blacks
    stands angel-girl is are kneels drank Arabs jew mr mrs hijab grey-bearded oldwoman turned 67 man
    of forty named Jack march eats children drink bus driver long-haired police officer (age: 21)
    at both 75 (40) pushing born 1950 half over-60s late 40s grey-haired wrinkles just his back
""".split()  # noqa: SIM905  # so many literals read worse


def refused_or_closed(prompt: str, **options: int) -> bool:
    """Tells whether a prompt was refused; fails if one of its candidates has another set.

    At least five candidates are asked; `transform` itself has read all of them again.
    """
    try:
        skeleton = transform(prompt, **options).skeleton
    except PromptRefused:
        return True
    candidates = skeleton.candidates()
    assert len(set(candidates)) == len(candidates)
    for index in range(0, len(candidates), max(1, len(candidates) // 5)):
        again = transform(candidates[index], **options)
        assert again.skeleton.candidates() == candidates, prompt
        assert index_of(again.choice) == index, prompt
    return False


def lines(name: str) -> list[str]:
    return (PEOPLE_PROMPTS / name).read_text(encoding="utf-8").splitlines()


@needs_people_prompts
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_people_prompts_are_closed_and_seldom_refused() -> None:
    prompts = [line for file in sorted(PEOPLE_PROMPTS.glob("*.txt")) for line in lines(file.name)]
    refused = sum(refused_or_closed(prompt) for prompt in prompts)
    assert refused <= 0.03 * len(prompts)


@needs_people_prompts
def test_a_tenth_of_the_people_prompts_is_closed() -> None:
    prompts = [line for file in sorted(PEOPLE_PROMPTS.glob("*.txt")) for line in lines(file.name)]
    refused = sum(refused_or_closed(prompt) for prompt in prompts[::10])
    assert refused <= 0.03 * len(prompts) / 10


@needs_people_prompts
@pytest.mark.parametrize("name", ["pairs_winobias.tsv", "pairs_winogender.tsv"])
def test_prompts_that_differ_in_pronouns_have_one_set(name: str) -> None:
    refused = 0
    rows = [line.split("\t") for line in lines(name)]
    for row in rows:
        ours, theirs = (candidates_of(prompt) for prompt in row)
        assert ours == theirs
        refused += ours is None
    assert refused < 0.05 * len(rows)


def candidates_of(prompt: str) -> tuple[str, ...] | None:
    try:
        return transform(prompt).skeleton.candidates()
    except PromptRefused:
        return None


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join))
@settings(max_examples=200, deadline=None)
def test_word_salad_is_closed_or_refused(prompt: str) -> None:
    refused_or_closed(prompt)


def disturbed(words: list[str], signs: list[tuple[int, str]]) -> str:
    """Returns the words with signs put in anywhere: "her5" and "wo-man"."""
    text = " ".join(words)
    for place, sign in signs:
        at = place % (len(text) + 1)
        text = text[:at] + sign + text[at:]
    return text


SIGNS = st.tuples(st.integers(0, 99), st.sampled_from("0134579.-_'!*()/&\u00e9\u00d6\u0131 "))


@given(
    st.builds(
        disturbed,
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
        st.lists(SIGNS, min_size=1, max_size=3),
    )
)
@settings(max_examples=300, deadline=None)
def test_disturbed_words_are_closed_or_refused(prompt: str) -> None:
    refused_or_closed(prompt)


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=10).map(" ".join), st.integers(2, 9))
@settings(max_examples=80, deadline=None)
def test_blocks_are_closed_or_refused(prompt: str, most: int) -> None:
    refused_or_closed(prompt, max_candidates=most)


AGES = st.one_of(
    st.sampled_from(["", "young ", "middle-aged ", "old ", "elderly ", "teenage "]),
    st.integers(1, 119).map(lambda years: f"{years}-year-old "),
)
ETHNICITIES = st.sampled_from(
    ["", "asian ", "Nigerian ", "french ", "black ", "latina ", "Indian "]
)
NOUNS = st.sampled_from(
    ["woman", "man", "girl", "boy", "lady", "grandpa", "actress", "king", "nun", "child", "doctor",
     "wizard", "policeman", "Emma"]
)  # fmt: skip
TAILS = st.sampled_from(
    ["", " with a beard", " holding her hat", " in his 60s", " from Spain", " and his dog",
     ", she smiles", " who hurt himself", " with dark skin", " in a dress", " in Tokyo"]
)  # fmt: skip
PERSONS = st.builds("a {}{}{}{}".format, AGES, ETHNICITIES, NOUNS, TAILS)
PROMPTS = st.builds(
    "{} {}{}".format,
    st.sampled_from(["portrait of", "a photo of", "", "oil painting,", "at the beach,"]),
    st.lists(PERSONS, min_size=1, max_size=3).map(" and ".join),
    st.sampled_from(["", ", smiling", ", by greg rutkowski", " in the rain, 8 k"]),
)


@given(PROMPTS)
@settings(max_examples=120, deadline=None)
def test_sentences_about_people_are_closed_and_not_refused(prompt: str) -> None:
    assert not refused_or_closed(prompt)


@given(st.text(max_size=60), st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_text_is_closed_or_refused(prompt: str, negative_prompt: str) -> None:
    try:
        skeleton = transform(prompt, negative_prompt).skeleton
    except PromptRefused:
        return
    again = transform(skeleton.candidates()[-1], skeleton.negative_prompt)
    assert again.skeleton == skeleton


@pytest.mark.parametrize(
    "frame", ["portrait of a {} smiling", "a {} in a red car", "two {} on a hill"]
)
def test_no_word_of_the_lexicon_stays_in_the_public_text(frame: str) -> None:
    lexicon = load_lexicon()
    for first, entries in lexicon.entries.items():
        for entry in entries:
            forms = [item.form for item in entry.items if item.form]
            slots = [form for form in forms if form.role not in HINTS]
            if not slots or entry.color or entry.name or not first.isascii() or not first.isalpha():
                continue
            surface = " ".join((first, *entry.rest))
            pieces = pieces_of(frame.format(surface))
            assert f" {surface} " not in f" {pieces} ", surface


def pieces_of(prompt: str) -> str:
    """Returns the plain text of a prompt's skeleton; empty if it is refused."""
    try:
        pieces = transform(prompt).skeleton.pieces
    except PromptRefused:
        return ""
    return " ".join(piece for piece in pieces if isinstance(piece, str)).lower()


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_hundred_thousand_prompts_are_closed() -> None:
    """`transform` itself reads every candidate again and refuses what is not closed."""
    coins = random.Random(20251)
    surfaces = [" ".join((first, *entry.rest)) for first, entries in load_lexicon().entries.items()
                for entry in entries if first.isascii()]  # fmt: skip
    refused = 0
    for _ in range(100_000):
        words = coins.choices(WORDS, k=coins.randint(2, 9)) + coins.choices(surfaces, k=2)
        coins.shuffle(words)
        refused += candidates_of(" ".join(words)) is None
    assert refused < 5_000
