"""Last step of reading: the marked line becomes the skeleton's pieces and slots."""

from __future__ import annotations

from device_client.transformation.forms import HEADS, Form, Mark, Role
from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.pronouns import case_of
from device_client.transformation.skeleton import Piece, Place, Slot
from device_client.transformation.tokens import Line

SlotKey = tuple[int, str]
"""A person and an attribute."""

_ENDS = frozenset(".;!?")
_OPENING = frozenset('(["')
_ARTICLES = frozenset({"a", "an"})


def make_pieces(
    line: Line, owners: dict[int, int], keys: list[SlotKey], lexicon: Lexicon
) -> tuple[Piece, ...]:
    """Cuts a line into literal text and places.

    Args:
        line: A settled line.
        owners: Persons by the mark's place.
        keys: The slots in canonical order.
        lexicon: Decides the case of pronouns.

    Returns:
        The pieces; they do not depend on the marks' values.
    """
    pieces: list[Piece] = []
    done = 0
    for place, owner in owners.items():
        mark = line.marks[place]
        if mark is None:
            continue
        form = _cased(line, place, mark, lexicon)
        start = _start_of_phrase(line, place) if form.role is not Role.PLURAL else place
        if text := line.text(done, start):
            pieces.append(text)
        article = line.texts[start][0] if start < place else ""
        lead = line.text(start + 1, place) + line.gaps[place] if article else line.gaps[place]
        if article and line.gaps[start]:
            pieces = _with_space(pieces)
        done, possessive = _after_possessive(line, place, form)
        slot = keys.index((owner, form.attribute))
        pieces.append(Place(slot, form, article, lead, _is_capital(line, place, mark), possessive))
    if text := line.text(done):
        pieces.append(text)
    return tuple(pieces)


def make_slots(keys: list[SlotKey], lexicon: Lexicon) -> tuple[Slot, ...]:
    """Names the slots: "age" for the first person, "age of person 2" for the second.

    Args:
        keys: The slots in canonical order.
        lexicon: The public values.
    """
    persons = list(dict.fromkeys(person for person, _ in keys))
    slots = []
    for person, attribute in keys:
        number = persons.index(person) + 1
        name = attribute if number == 1 else f"{attribute} of person {number}"
        slots.append(Slot(name, attribute, number, lexicon.values_of(attribute)))
    return tuple(slots)


def _cased(line: Line, place: int, mark: Mark, lexicon: Lexicon) -> Form:
    if mark.form.role is Role.OBLIQUE:
        return lexicon.forms[mark.form.attribute, case_of(line, place, lexicon)]
    return mark.form


def _start_of_phrase(line: Line, place: int) -> int:
    """Returns the place of the article that the value decides, or `place` if there is none."""
    start = place
    while start and line.keys[start - 1] in _OPENING:
        start -= 1
    has_article = start and line.keys[start - 1] in _ARTICLES and line.text(start, place + 1)
    return start - 1 if has_article else place


def _with_space(pieces: list[Piece]) -> list[Piece]:
    """Adds the space before an article to the plain text: a place starts with the article."""
    if pieces and isinstance(pieces[-1], str):
        return [*pieces[:-1], pieces[-1] + " "]
    return [*pieces, " "]


def _after_possessive(line: Line, place: int, form: Form) -> tuple[int, bool]:
    """Returns the place after a mark and the "'s" that may follow it, and whether it does."""
    keys = line.keys
    if form.role not in HEADS or place + 1 >= len(keys) or keys[place + 1] != "'":
        return place + 1, False
    if place + 2 < len(keys) and keys[place + 2] == "s" and not line.gaps[place + 2]:
        return place + 3, True
    return (place + 2, True) if form.role is Role.PLURAL else (place + 1, False)


def _is_capital(line: Line, place: int, mark: Mark) -> bool:
    """Tells whether a sentence begins here with a capital; elsewhere values are lower case."""
    return mark.surface[:1].isupper() and (place == 0 or line.keys[place - 1] in _ENDS)
