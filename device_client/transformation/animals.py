"""Animals: their kin is no person, and where they are alone, "he" and "she" are "it"."""

from __future__ import annotations

from device_client.transformation.forms import PRONOUNS, Role
from device_client.transformation.lexicon.model import Entry, Item, Lexicon
from device_client.transformation.pronouns import case_of
from device_client.transformation.tokens import Line

PERSONS = frozenset({"person", "people"})
_KIN = frozenset({"parent", "parents", "sibling", "siblings", "offspring"})
_IT = {Role.SUBJECT: "it", Role.OBJECT: "it", Role.REFLEXIVE: "itself"}


def is_of_animal(before: list[str], lexicon: Lexicon) -> bool:
    """Tells "its mother" and "its baby" after an animal and no person.

    Args:
        before: The keys before the word; none of them is sensitive.
        lexicon: Animals and persons.
    """
    return (
        before[-1:] == ["its"]
        and not lexicon.animals.isdisjoint(before)
        and not _names_person(before, lexicon)
    )


def without_person(entry: Entry) -> Entry | None:
    """Returns "parent" for "mother", nothing for "baby", and any other entry as it is."""
    form = entry.items[0].form
    if entry.items[-1].text in PERSONS:
        return None
    if form is None or form.neutral not in _KIN or len(entry.items) > 1:
        return entry
    return Entry(entry.rest, (Item(form.neutral),))


def without_pronouns(line: Line, lexicon: Lexicon) -> Line:
    """Writes "it" and "its" in a text about animals alone: "a bear and his ears".

    Args:
        line: A settled line.
        lexicon: Animals and persons.

    Returns:
        The line; unchanged if it names a person, or a pronoun before any animal.
    """
    marks = [(place, found) for place, found in enumerate(line.marks) if found]
    if (
        not marks
        or any(found.form.role not in PRONOUNS for _, found in marks)
        or lexicon.animals.isdisjoint(line.keys[: marks[0][0]])
        or _names_person(line.keys, lexicon)
    ):
        return line
    for place, found in marks:
        role = case_of(line, place, lexicon) if found.form.role is Role.OBLIQUE else found.form.role
        word = _IT.get(role, "its")
        line.dropped.add(place)
        line.inserted[place] = [word.capitalize() if found.surface[0].isupper() else word]
    return line.compact()


def _names_person(keys: list[str], lexicon: Lexicon) -> bool:
    return any(
        key in lexicon.persons and not (key in _KIN and _is_kin_of_animal(keys, place, lexicon))
        for place, key in enumerate(keys)
    )


def _is_kin_of_animal(keys: list[str], place: int, lexicon: Lexicon) -> bool:
    """Tells "parent bear" and "its parent"."""
    return keys[place - 1 : place] == ["its"] or not lexicon.animals.isdisjoint(
        keys[place + 1 : place + 2]
    )
