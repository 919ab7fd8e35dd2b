"""The age grammar: ages 0..119 in digits, words and decades become private-use characters.

The prompt's canonical spelling holds no such character, so no user can forge what is written here.
"""

from __future__ import annotations

import re
from collections.abc import Container

from device_client.transformation.age_patterns import (
    DECADES,
    PEOPLE,
    RULES,
    TEENS,
    TENS,
    UNITS,
    Rule,
)

MAX_YEARS = 119
REFERENCE_YEAR = 2026
"""What years of birth are counted from; not the clock's, since a prompt reads the same for ever."""

_WORD = re.compile(r"[a-z]+")


def _number_words() -> dict[str, int]:
    words = {word: number for number, word in enumerate((*UNITS, *TEENS), 1)}
    words |= {word: 10 * number for number, word in enumerate(TENS, 2)}
    words |= {"fourty": 40, "hundred": 100, "a hundred": 100, "one hundred": 100}
    return words


_WORDS = _number_words()
_ANY_AGE = re.compile("|".join([r"\d", *_WORDS, *DECADES, "younger", "older"]))


def years_of(number: str) -> int | None:
    """Reads a number of years.

    Args:
        number: Digits, possibly with spaces between them, or English words, in lower case.

    Returns:
        The number, or None if it is not one of 0..119.
    """
    digits = number.replace(" ", "")
    if digits.isdigit():
        years = int(digits)
        return years if years <= MAX_YEARS else None
    words = [word for word in re.split(r"[ -]+", number) if word not in {"a", "and"}]
    total = sum(_WORDS.get(word, 0) for word in words if word != "hundred")
    if "hundred" in words:
        total = 100 + total - (words[0] == "one")
    return total


def _decade_years(part: str, decade: str) -> int:
    start = DECADES.get(decade) or _WORDS.get(decade) or int(re.sub(r"\D", "", decade))
    offset = 2 if part.startswith(("early", "very early")) else 8 if "late" in part else 5
    return start + offset


class AgeGrammar:
    """Writes ages as private-use characters, one per public value.

    Args:
        up_to_years: Highest age, inclusive, of all values but the last.
        people: Words that mean persons or describe them, in lower case.
    """

    def __init__(self, up_to_years: tuple[int, ...], people: Container[str]) -> None:
        self._up_to_years = up_to_years
        self._people = people

    def value_of(self, years: int) -> int:
        """Returns the place of the public value for an age in whole years."""
        return sum(years > limit for limit in self._up_to_years)

    def find(self, folded: str) -> list[tuple[int, int, str]]:
        """Finds the ages of a text.

        Args:
            folded: Text in lower case.

        Returns:
            For every age its start, end and replacement, from left to right.
        """
        found: list[tuple[int, int, str]] = []
        if _ANY_AGE.search(folded):
            for rule in RULES:
                for match in rule.pattern.finditer(folded):
                    if not rule.of_person or self._mentions_person(folded[: match.start()]):
                        self._add(match, rule, found)
        return sorted(found)

    def _mentions_person(self, folded: str) -> bool:
        return any(word in self._people for word in _WORD.findall(folded))

    def _add(self, match: re.Match[str], rule: Rule, found: list[tuple[int, int, str]]) -> None:
        groups = match.groupdict()
        start, end = match.span("span" if "span" in groups else 0)
        years = _years(groups)
        if (
            years is None
            or ("w" in groups and groups["w"] not in self._people)
            or any(start < other_end and other < end for other, other_end, _ in found)
        ):
            return
        kind = PEOPLE if groups.get("s") else rule.kind
        found.append((start, end, rule.verb + chr(ord(kind) + self.value_of(years))))


def _years(groups: dict[str, str | None]) -> int | None:
    if compared := groups.get("than") or groups.get("than_self"):
        return 0 if compared == "younger" else MAX_YEARS
    if decade := groups.get("d"):
        return _decade_years(groups.get("p") or "", decade)
    if decade := groups.get("tens"):
        return REFERENCE_YEAR - (1900 + int(decade) + 5)
    if year := groups.get("year"):
        age = REFERENCE_YEAR - int(year)
        return age if 0 <= age <= MAX_YEARS else None
    if not (groups.get("u") or "y").startswith("y"):
        return 0
    return years_of(groups["n"] or "")
