"""The twin of a prompt: what another user would have written in its place."""

from __future__ import annotations

import re

_NOUNS = """
woman:man women:men girl:boy girls:boys mother:father mothers:fathers daughter:son
daughters:sons sister:brother sisters:brothers wife:husband actress:actor
waitress:waiter grandmother:grandfather grandma:grandpa bride:groom aunt:uncle
girlfriend:boyfriend policewoman:policeman businesswoman:businessman
""".split()  # noqa: SIM905  # so many literals read worse
_ADJECTIVES = "young:old elderly:teenage asian:african nigerian:japanese chinese:indian".split()  # noqa: SIM905
_PRONOUNS = "she:he herself:himself".split()  # noqa: SIM905
_NAMES = "emma:james mary:john".split()  # noqa: SIM905


def _words(pairs: list[str]) -> str:
    return "|".join(pair.replace(":", "|") for pair in pairs)


_SWAP = dict(pair.split(":") for pair in (*_NOUNS, *_ADJECTIVES, *_PRONOUNS, *_NAMES))
_SWAP |= {theirs: ours for ours, theirs in _SWAP.items()}
_NOUN, _ADJECTIVE, _NAME = _words(_NOUNS), _words(_ADJECTIVES), _words(_NAMES)
_NO_AGE = r"(?<!year )(?<!years )(?<!year-)(?<!years-)(?<!year - )(?<!years - )"
# An adjective right before its person, and a name that is no artist's.
_WORD = re.compile(
    rf"\b(?:({_NOUN}|{_words(_PRONOUNS)}|{_NO_AGE}(?:{_ADJECTIVE})"
    rf"(?= (?:(?:{_ADJECTIVE}) )?(?:{_NOUN})\b)|(?<=portrait of )(?:{_NAME})(?= in\b))"
    rf"|(his|him)|(her)(?= [a-z0-9])|(her))\b",
    re.IGNORECASE,
)
_PARTNERS = ("", "her", "his", "him")
_AGE = re.compile(rf"\b([1-9]\d)(?=[- ]years?[- ]old (?:{_NOUN})\b)")
_ARTICLE = re.compile(
    rf"\b(a)n?(?= (?=((?:{_ADJECTIVE}) (?:{_ADJECTIVE}|{_NOUN})|{_NOUN})\b))", re.IGNORECASE
)
_VOWELS = frozenset("aeiou")


def twin_of(prompt: str) -> str | None:
    """Returns the prompt with the sensitive words of a short list exchanged for their partners.

    Args:
        prompt: A user's text.

    Returns:
        The twin, its articles made to fit, or None if no word of the list occurs.
    """
    if not _WORD.search(prompt) and not _AGE.search(prompt):
        return None
    twin = _AGE.sub(lambda age: str(110 - int(age[1])), _WORD.sub(_partner, prompt))
    return _ARTICLE.sub(_article, twin)


def _partner(match: re.Match[str]) -> str:
    group = match.lastindex or 1
    partner = _SWAP[match[0].lower()] if group == 1 else _PARTNERS[group - 1]
    return partner.capitalize() if match[0][0].isupper() else partner


def _article(match: re.Match[str]) -> str:
    return match[1] + ("n" if match[2][0].lower() in _VOWELS else "")
