"""The grammar attacker: of a set of renderings, the one that a person would write."""

from __future__ import annotations

import re

_PAIRS = """
woman:man women:men girl:boy girls:boys lady:gentleman ladies:gentlemen mother:father
daughter:son sister:brother wife:husband queen:king princess:prince actress:actor
waitress:waiter grandmother:grandfather grandma:grandpa bride:groom aunt:uncle
mom:dad girlfriend:boyfriend policewoman:policeman businesswoman:businessman
""".split()  # noqa: SIM905  # so many literals read worse
FEMALE = frozenset(pair.split(":")[0] for pair in _PAIRS)
MALE = frozenset(pair.split(":")[1] for pair in _PAIRS)
_SHE = frozenset({"she", "her", "hers", "herself"})
_HE = frozenset({"he", "him", "his", "himself"})
_PLURAL = frozenset({"women", "men", "girls", "boys", "ladies", "gentlemen", "people", "persons"})
_SINGULAR = "|".join(sorted((FEMALE | MALE) - _PLURAL))
_WORD = re.compile(r"[a-z]+")
_ARTICLE = re.compile(r"\b(an?) \W?([a-z]+)")
_VOWEL = re.compile(r"(?!eu|uni(?!n)|us(?:e|u)|one\b|once)[aeiou]|hour|honest|heir|honou?r")
_WRONG = (
    re.compile(rf"\b(?:two|three|four|five|six|many|several|both) (?:[a-z]+ )?(?:{_SINGULAR})\b"),
    re.compile(rf"\ban? (?:[a-z]+ )?(?:{'|'.join(sorted(_PLURAL))})\b"),
    re.compile(
        r"\b(?:she|he|him|hers) "
        r"(?:eyes?|face|hands?|hair|head|arms?|legs?|mouth|dog|cat|hat|house|book|phone|bike)\b"
    ),
    re.compile(r"\b(?:of|with|at|for|behind|beside|near) (?:she|he|hers)\b"),
    re.compile(r"\b(?:asked|told|gave|hugs?|kissed|kisses|sees|saw|loves?) (?:she|he|hers)\b"),
    re.compile(r"\b([a-z]+) \1\b"),
)


def mistakes(text: str) -> int:
    """Counts what an English reader would call wrong: articles, pronouns, number, agreement.

    Args:
        text: One candidate.

    Returns:
        The number of mistakes; only its differences between candidates mean something.
    """
    lower = text.lower()
    spoken = ((article == "an", word) for article, word in _ARTICLE.findall(lower))
    articles = sum(is_an != (_VOWEL.match(word) is not None) for is_an, word in spoken)
    patterns = sum(len(pattern.findall(lower)) for pattern in _WRONG)
    return int(articles + patterns + _disagreements(_WORD.findall(lower)))


def _disagreements(words: list[str]) -> int:
    """Counts the pronouns that do not fit the one person of a text."""
    nouns = [word for word in words if word in FEMALE or word in MALE]
    she = sum(word in _SHE for word in words)
    he = sum(word in _HE for word in words)
    if len(nouns) == 1:
        return he if nouns[0] in FEMALE else she
    return min(she, he) if not nouns else 0
