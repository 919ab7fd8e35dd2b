"""Which case a pronoun has, and which verb form "they" takes, from the masked text alone."""

from __future__ import annotations

from device_client.transformation.forms import Role
from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.tokens import Line

_BEFORE_BACK = frozenset({"behind", "on", "against", "at", "over", "down", "along", "across"})


def case_of(line: Line, place: int, lexicon: Lexicon) -> Role:
    """Decides between him, his (with a noun) and his (alone) for a slot of her, hers, him or his.

    Args:
        line: The masked text.
        place: Place of the pronoun.
        lexicon: Words that follow an object.

    Returns:
        OBJECT, POSSESSIVE or ABSOLUTE.
    """
    context = lexicon.context
    before = line.keys[place - 1] if place else ""
    following = place + 1
    while following < len(line.keys) and line.keys[following] in {'"', "'", "("}:
        following += 1
    if following == len(line.keys) or _ends(line, following):
        return Role.ABSOLUTE if before in context.absolute_after else Role.OBJECT
    mark, key = line.marks[following], line.keys[following]
    if mark is not None:
        return Role.OBJECT if mark.form.role is Role.SUBJECT else Role.POSSESSIVE
    is_alone = key.isdigit() and _ends(line, following + 1)
    if (key in context.after_object or is_alone) and not _is_back(before, key):
        is_subject = _begins(before) and key in context.absolute_after
        return Role.ABSOLUTE if is_subject or before in context.absolute_after else Role.OBJECT
    if before in context.bare_verb_after and (
        key in lexicon.verbs or (key in lexicon.describing and _ends(line, following + 1))
    ):
        return Role.OBJECT
    owned = key in lexicon.animals or _has_two_nouns(line, following, lexicon)
    if before in context.giving and not owned:
        return Role.OBJECT
    return Role.POSSESSIVE


def _is_back(before: str, key: str) -> bool:
    """Tells "hands behind his back" from "sent her back"."""
    return key == "back" and (_begins(before) or before in _BEFORE_BACK)


def _begins(before: str) -> bool:
    return not before.isalpha() or before in {"and", "but"}


def _ends(line: Line, place: int) -> bool:
    if place >= len(line.keys):
        return True
    key = line.keys[place]
    return line.marks[place] is None and not key.isalnum() and key != "-"


def _has_two_nouns(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "gave his child a bath" from "gave him books"."""
    after = line.keys[place + 1] if place + 1 < len(line.keys) else ""
    return after in lexicon.context.determiners - {"of"}


def plural_verb(verb: str, lexicon: Lexicon) -> str:
    """Returns the form of a verb after "they", given the one after "he" or "she"."""
    known = lexicon.context.plural_verbs.get(verb)
    if known:
        return known
    for ending, replacement in (("ies", "y"), ("es", ""), ("s", "")):
        base = verb.removesuffix(ending) + replacement
        if verb.endswith(ending) and not verb.endswith("ss") and base in lexicon.dictionary:
            return base
    return verb
