"""A prompt taken apart: its public pieces and slots, and the user's own values."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from device_client.transformation.animals import without_pronouns
from device_client.transformation.forms import Mark, Role
from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.marking import mark
from device_client.transformation.people import assign
from device_client.transformation.phrases import settle
from device_client.transformation.pieces import SlotKey, make_pieces, make_slots
from device_client.transformation.pronouns import case_of, plural_verb
from device_client.transformation.skeleton import Piece, Slot
from device_client.transformation.tokens import Line

_BEFORE_VERBS = frozenset({"also", "just", "never", "always", "now", "still"})
_NO_VERBS = frozenset({"this", "as", "always", "his", "us"})


@dataclass(frozen=True)
class Reading:
    """A prompt taken apart.

    Attributes:
        pieces: Public: literal text and places.
        slots: Public: what is to be filled.
        values: The user's secret: a value for each slot.
        hints: Public: (attribute, word) for words that stay although they may give one away.
    """

    pieces: tuple[Piece, ...] = field(repr=False)
    slots: tuple[Slot, ...]
    values: tuple[int, ...] = field(repr=False)
    hints: tuple[tuple[str, str], ...] = field(repr=False)


def read(text: str, lexicon: Lexicon, cap: int) -> Reading:
    """Takes a canonicalised prompt apart.

    Args:
        text: Text that `canonicalise` returned.
        lexicon: The words.
        cap: Most candidates; slots are neutralised from the last one on until no more are left.

    Returns:
        The reading. Its public part is the same for every way to fill its slots.
    """
    line = mark(text, lexicon)
    if any(line.marks):
        line = settle(line, lexicon)
        line = without_pronouns(line, lexicon)
    owners = assign(line, lexicon) if any(line.marks) else {}
    keys = _order(line, owners, lexicon)
    kept = _within(keys, lexicon, cap)
    if len(kept) < len(keys):
        line = neutralise(line, owners, set(kept), lexicon)
        owners = assign(line, lexicon)
        keys = _order(line, owners, lexicon)
    return Reading(
        make_pieces(line, owners, keys, lexicon),
        make_slots(keys, lexicon),
        _values(line, owners, keys),
        _hints(line, keys, lexicon),
    )


def _hints(line: Line, keys: list[SlotKey], lexicon: Lexicon) -> tuple[tuple[str, str], ...]:
    """Returns the plain words that may give an attribute away."""
    text = line.text() if line.hints else ""
    hints = {hint for hint in line.hints if hint[1] in text}
    for attribute in {attribute for _, attribute in keys}:
        found = lexicon.warnings.get(attribute, frozenset()).intersection(line.keys)
        hints |= {(attribute, word) for word in found}
    return tuple(sorted(hints))


def _order(line: Line, owners: dict[int, int], lexicon: Lexicon) -> list[SlotKey]:
    """Returns the slots in canonical order: by the person's first slot, then by attribute."""
    persons = list(dict.fromkeys(owners.values()))
    keys = {
        (owner, found.form.attribute)
        for place, owner in owners.items()
        if (found := line.marks[place])
    }
    return sorted(keys, key=lambda key: (persons.index(key[0]), lexicon.rank(key[1])))


def _values(line: Line, owners: dict[int, int], keys: list[SlotKey]) -> tuple[int, ...]:
    """Returns the user's own values; adjectives count before nouns: "wizard, female"."""
    values: dict[SlotKey, int] = {}
    marks = [(owner, found) for place, owner in owners.items() if (found := line.marks[place])]
    marks.sort(key=lambda pair: pair[1].form.role is not Role.ADJECTIVE)
    for owner, found in marks:
        values.setdefault((owner, found.form.attribute), found.value)
    return tuple(values[key] for key in keys)


def _within(keys: list[SlotKey], lexicon: Lexicon, cap: int) -> list[SlotKey]:
    kept = list(keys)
    while prod(len(lexicon.values_of(attribute)) for _, attribute in kept) > cap:
        kept.pop()
    return kept


def neutralise(line: Line, owners: dict[int, int], kept: set[SlotKey], lexicon: Lexicon) -> Line:
    """Writes neutral words for the slots that are not kept.

    Args:
        line: A settled line.
        owners: Persons by the mark's place.
        kept: Slots that stay.
        lexicon: Verb forms.

    Returns:
        The line without the other slots.
    """
    for place, owner in owners.items():
        found = line.marks[place]
        if found is None or (owner, found.form.attribute) in kept:
            continue
        line.inserted[place] = list(_neutral(line, place, found, lexicon).split())
        line.dropped.add(place)
        if found.form.role is Role.SUBJECT:
            _mend_verb(line, place, lexicon)
    return line.compact()


def _neutral(line: Line, place: int, found: Mark, lexicon: Lexicon) -> str:
    if found.form.role is Role.OBLIQUE:
        return lexicon.forms["gender", case_of(line, place, lexicon)].neutral
    return found.form.neutral


def _mend_verb(line: Line, place: int, lexicon: Lexicon) -> None:
    """Makes "she has" "they have"."""
    verb = place + 1
    while verb < len(line.keys) and (
        line.keys[verb].endswith("ly") or line.keys[verb] in _BEFORE_VERBS or line.keys[verb] == "'"
    ):
        verb += 1
    if verb < len(line.keys) and line.keys[verb] and line.keys[verb] not in _NO_VERBS:
        line.texts[verb] = line.keys[verb] = plural_verb(line.keys[verb], lexicon)
