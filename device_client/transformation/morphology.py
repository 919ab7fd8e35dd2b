"""Words that no list holds: "watchman", "catgirl", "warrioress", and misspellings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from device_client.transformation.forms import Form, Role
from device_client.transformation.lexicon.misspellings import correct
from device_client.transformation.lexicon.model import Item

if TYPE_CHECKING:
    from device_client.transformation.lexicon.model import Entry, Lexicon

_PERSON = re.compile(
    r"(?P<stem>[a-z]{2,}?)(?P<noun>wom[ae]n|m[ae]n|girls?|boys?|lady|ladies|guys?|dudes?)"
)
_FEMALE = re.compile(r"(?P<stem>[a-z]{3,}?)ess(?P<plural>es)?")
_BARE = frozenset({"woman", "man", "women", "men"})


@lru_cache(maxsize=16384)
def derive(key: str, lexicon: Lexicon) -> tuple[Item, ...] | None:
    """Reads a word that is no ordinary one.

    Args:
        key: A folded token that is in none of the lexicon's lists.
        lexicon: Canonical forms, and the words that only look derived.

    Returns:
        What the word stands for, or None if it names no person as far as its shape tells.
    """
    if key in lexicon.context.underived:
        return None
    known = correct(key, lexicon.misspelt)
    if known:
        return lexicon.entries[known][-1].items
    return derive_person(key, lexicon.entries) or _female(key, lexicon)


def derive_person(
    key: str, entries: Mapping[str, tuple[Entry, ...] | list[Entry]]
) -> tuple[Item, ...] | None:
    """Reads "watchman" and "catgirl" by their last part.

    Args:
        key: A folded token.
        entries: The lexicon's entries.

    Returns:
        A slot "watchwoman"/"watchman", "young cat woman", or "old woman"; None for other words.
    """
    match = _PERSON.fullmatch(key)
    if match is None:
        return None
    stem, noun = match["stem"], match["noun"]
    items = entries[noun][-1].items
    last = items[-1]
    if described := _adjective(stem, entries):
        return (*described, *items)
    if noun in _BARE and last.form is not None:
        return (Item("", _form(stem, last.form.role), last.value),)
    return (*items[:-1], Item(stem), last)


def _adjective(
    stem: str, entries: Mapping[str, tuple[Entry, ...] | list[Entry]]
) -> tuple[Item, ...]:
    known = entries.get(stem)
    items = known[-1].items if known and not known[-1].rest else ()
    is_adjective = len(items) == 1 and items[0].form and items[0].form.role is Role.ADJECTIVE
    return items if is_adjective else ()


@lru_cache(maxsize=1024)
def _form(stem: str, role: Role) -> Form:
    ends = ("women", "men", "people") if role is Role.PLURAL else ("woman", "man", "person")
    return Form("gender", role, (stem + ends[0], stem + ends[1]), stem + " " + ends[2])


def _female(key: str, lexicon: Lexicon) -> tuple[Item, ...] | None:
    match = _FEMALE.fullmatch(key)
    if match is None:
        return None
    stem = match["stem"]
    for noun in (stem, stem + "e", stem + "er", stem + "or", re.sub(r"tr$", "tor", stem)):
        if noun in lexicon.persons:
            female = Item("", lexicon.forms["gender", Role.ADJECTIVE], 0)
            return (female, Item(noun + "s" if match["plural"] else noun))
    return None
