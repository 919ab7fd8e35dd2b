import pytest

from device_client.transformation.age_patterns import AFTER, BEFORE, PEOPLE
from device_client.transformation.ages import AgeGrammar, years_of

WORDS = "woman women man men girl girls emma she he chef ceo sisters father son couple sailor"
GRAMMAR = AgeGrammar((34, 59), frozenset(WORDS.split()))


def read(text: str) -> list[tuple[str, int]]:
    """Returns the kind and value of every age found."""
    kinds = {BEFORE: "before", AFTER: "after", PEOPLE: "people"}
    marks = [mark for _, _, mark in GRAMMAR.find(text)]
    return [(kinds[chr(ord(mark[-1]) & 0xFF00)], ord(mark[-1]) & 0xFF) for mark in marks]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a 25-year-old woman", [("before", 0)]),
        ("a 4 0 - year - old man", [("before", 1)]),
        ("a seventy-eight year old man", [("before", 2)]),
        ("she is about 20 years old", [("before", 0)]),
        ("a 6 month old baby", [("before", 0)]),
        ("a 19yo girl", [("before", 0)]),
        ("a woman aged 61", [("after", 2)]),
        ("a man at the age of 90", [("after", 2)]),
        ("a woman in her late 30s", [("after", 1)]),
        ("a man in his mid - 4 0 s", [("after", 1)]),
        ("a man in his twenties", [("after", 0)]),
        ("a thirty-something", [("before", 1)]),
        ("two 5-year-olds", [("people", 0)]),
        ("an 18 year girl", [("before", 0)]),
        ("a hundred and five years old", [("before", 2)]),
        ("a 60-70 year old woman", [("before", 2)]),
        ("a twenty to forty year old man", [("before", 1)]),
        ("a 60+ year old", [("before", 2)]),
        ("a 5 1/2 year old kid", [("before", 0)]),
        ("2 25 year old women", [("before", 0)]),
        ("men aged 18-25", [("after", 0)]),
        ("woman (age: 21)", [("after", 0)]),
        ("she is 67 and smiling", [("before", 2)]),
        ("a woman turning 30, smiling", [("after", 0)]),
        ("emma, 25, freckles", [("after", 0)]),
        ("a woman (61), studio", [("after", 2)]),
        ("a chef, late fifties", [("after", 1)]),
        ("he turned 70.", [("before", 2)]),
        ("my grandmother at 80 baking bread", [("after", 2)]),
        ("a woman, at about forty, smiling", [("after", 1)]),
        ("man (40) and woman (25) in a car", [("after", 1), ("after", 0)]),
        ("two girls (12 and 9)", [("after", 0)]),
        ("a sailor (60s), weathered", [("after", 2)]),
        ("a woman pushing 50 doing yoga", [("after", 1)]),
        ("a man on the wrong side of fifty", [("after", 1)]),
        ("a woman well into her nineties", [("after", 2)]),
        ("a woman hitting forty, smiling", [("after", 1)]),
        ("a man well past fifty", [("after", 1)]),
        ("a man no older than thirty", [("after", 0)]),
        ("female ceo, late 40s, grey blazer", [("after", 1)]),
        ("a chef, smiling, mid 30s, apron", [("before", 1)]),
        ("a man who just turned 18 buying a beer", [("before", 0)]),
        ("she has just turned sixty", [("before", 2)]),
        ("a girl who turned 30 last week", [("before", 0)]),
        ("two sisters, 4 and 7, in a garden", [("after", 0)]),
        ("a couple, both 75", [("after", 2)]),
        ("father 60, son 30", [("after", 2), ("after", 0)]),
        ("born in 1938, she rides a bicycle", [("after", 2)]),
        ("a woman (b. 1990)", [("after", 1)]),
        ("a man, born in the 60s", [("after", 2)]),
        ("under-12 girls rugby team", [("before", 0)]),
        ("over 60s women", [("before", 2)]),
        ("a u21 chef", [("before", 0)]),
        ("a man of forty, in Paris", [("after", 1)]),
        ("a woman, late 50s", [("after", 1)]),
        ("a woman in her 60s looks away", [("after", 2)]),
        ("a 105yo man", [("before", 2)]),
        ("a fifty-odd-year-old man", [("before", 1)]),
        ("a man who looks about 80", [("before", 2)]),
        ("a man who looks 25 but is really 50", [("before", 0), ("before", 1)]),
        ("a woman who is 50 but looks like 25, in a park", [("before", 1), ("before", 0)]),
        ("a man who could pass for 30", [("before", 0)]),
        ("a woman who doesn't look a day over 40", [("before", 1)]),
        ("a woman who is actually 50", [("before", 1)]),
        ("a woman, 60 going on 30", [("before", 2)]),
        ("a 6 year old going on 30 girl", [("before", 0)]),
        ("a man who appears to be 80", [("before", 2)]),
        ("a woman who looks 20 years younger", [("before", 0)]),
        ("a man who seems ten years older than he is", [("before", 2)]),
        ("a woman who looks much younger than her age, smiling", [("before", 0)]),
        ("she looks a decade younger", [("before", 0)]),
        ("a woman looking 40 years younger", [("after", 0)]),
        ("a man thirty years older, in a park", [("after", 2)]),
        ("a woman made to look 30 years older", [("after", 2)]),
        ("a woman looking younger than her years", [("after", 0)]),
        ("a woman who looks 40", [("before", 1)]),
        ("girls who look sixteen, laughing", [("before", 0)]),
        ("a woman looking 40, smiling", [("after", 1)]),
        ("a chef in her early-to-mid 40s", [("after", 1)]),
        ("a man in his mid-to-late fifties", [("after", 1)]),
        ("a woman in her forties or fifties", [("after", 1)]),
        ("a man, thirty, in a suit", [("after", 0)]),
        ("a woman, eighteen, blond hair", [("after", 0)]),
        ("a woman, barely twenty, holding a rifle", [("after", 0)]),
        ("a girl not yet twelve", [("after", 0)]),
        ("a 40-plus woman", [("before", 1)]),
        ("portrait of a woman, thirty years", [("after", 0)]),
        ("a man of about sixty years in a hat", [("after", 2)]),
    ],
)
def test_ages_in_digits_words_and_decades(text: str, found: list[tuple[str, int]]) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    "text",
    ["the year 1990", "a 300 year old oak", "in the 1960s", "8 k", "1 9 6 0 s style", "two women",
     "a middle-aged three", "a man in the 60s", "she is 67% done", "he is one of us",
     "he is 1.80 m tall", "doctor who is 60", "a mother of two",
     "a man in his 60s style suit", "a man at 5 in the morning", "a boy at 10 baker street",
     "shot at 50, f/2.8", "a street, late 60s, kodachrome", "a lake, 35, kodak", "u-96 submarine",
     "a man with 20 cats", "two men around one table", "a castle born in 1400", "a street (60s)",
     "a man and over 60 sheep", "a woman at 11 at night", "a woman at 90 degrees",
     "a man thirty years in prison", "a house, thirty, in rome",
     "a woman with thirty years of practice", "women, one, two", "a man looking at two dogs",
     "a castle that looks 80", "20+ women", "a castle 20 years older",
     "a woman ten years older than her sister", "a man older than dirt"],
)  # fmt: skip
def test_other_numbers_are_no_ages(text: str) -> None:
    assert read(text) == []


@pytest.mark.parametrize("years", range(120))
def test_every_age_has_one_value_in_digits_and_words(years: int) -> None:
    units = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert years_of(str(years)) == years
    if 21 <= years < 100 and years % 10:
        tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
        words = f"{tens[years // 10 - 2]}-{units[years % 10 - 1]}"
        assert read(f"a {words}-year-old man") == read(f"a {years}-year-old man") != []
