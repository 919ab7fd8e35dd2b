"""Words that give an attribute away without naming a value: left out, replaced or reported."""

from __future__ import annotations

from device_client.transformation.forms import HINTS, Mark, Role
from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.noun_phrase import is_person_noun
from device_client.transformation.tokens import Line

_MAX_ADJECTIVES = 4
_ENDS = frozenset(".;!?")
_FLOWING = frozenset(
    {"running", "dripping", "flowing", "blowing", "streaming", "hanging", "falling", "reaching"}
)
"""What a beard or mascara does, and not the person whose it is."""

_IS = frozenset({"is", "are", "was", "were"})


def settle_traits(line: Line, lexicon: Lexicon) -> None:
    """Leaves out or replaces what gives a hidden attribute away.

    Args:
        line: A line whose adjectives are settled but not yet compacted.
        lexicon: Boundaries of phrases.
    """
    hints = [
        (place, mark) for place, mark in enumerate(line.marks) if mark and mark.form.role in HINTS
    ]
    hidden = hidden_attributes(line) if hints else set()
    for place, mark in hints:
        if place in line.dropped:
            continue
        attributes = mark.form.attribute.split("+")
        if not mark.strong and hidden.isdisjoint(attributes):
            line.unmark(place)
            line.hints += [(attribute, mark.surface) for attribute in attributes]
        elif mark.form.role is Role.TRAIT and _cut_phrase(line, place, lexicon):
            continue
        elif mark.form.role is Role.ORIGIN:
            _replace_origin(line, place, mark, lexicon)
        else:
            _replace(line, place, mark.form.neutral, lexicon)


def hidden_attributes(line: Line, without: set[int] | None = None) -> set[str]:
    """Returns the attributes that have a slot, the places in `without` not counted."""
    left_out = line.dropped | (without or set())
    moved = [item for items in line.inserted.values() for item in items if isinstance(item, Mark)]
    slots = [
        mark for place, mark in enumerate(line.marks) if mark and place not in left_out
    ] + moved
    return {mark.form.attribute for mark in slots if mark.form.role not in HINTS}


def _replace(line: Line, place: int, words: str, lexicon: Lexicon) -> None:
    if not words:
        line.drop_with_adverbs(place, lexicon.context.adverbs)
        words = _predicate(line, place, lexicon)
    if words:
        line.dropped.add(place)
        line.inserted.setdefault(place, []).extend(words.split())


def _predicate(line: Line, place: int, lexicon: Lexicon) -> str:
    """Returns "shown" where an adjective that is left out was all that was said: "he is bald".

    Of "is pregnant and happy" the "and" goes with it.
    """
    start = place
    while start and start - 1 in line.dropped:
        start -= 1
    before, following = line.keys[start - 1] if start else "", line.key_after(place)
    ends = not following.isalpha() or following in lexicon.context.boundaries
    if before == "and" and (ends or is_person_noun(line, place + 1, lexicon)):
        line.dropped.add(start - 1)
    elif before in _IS and following == "and":
        line.dropped.add(place + 1)
    elif before in _IS and ends:
        return "shown"
    return ""


def _replace_origin(line: Line, place: int, mark: Mark, lexicon: Lexicon) -> None:
    """Writes "in a city" for "in Lagos", and "city street" for "Lagos street"."""
    before = line.keys[place - 1] if place else ""
    alone = (
        place + 1 == len(line.keys)
        or not line.keys[place + 1].isalpha()
        or line.keys[place + 1] in lexicon.context.boundaries
    )
    words = mark.form.neutral
    if (
        alone
        and before in lexicon.context.boundaries
        and before not in lexicon.context.determiners - {"of"}
    ):
        words = "a " + words
    _replace(line, place, words, lexicon)


def _cut_phrase(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Drops "with a long beard"; tells whether the words around it allow that."""
    start = place
    while start and place - start < _MAX_ADJECTIVES and _is_adjective(line, start - 1, lexicon):
        start -= 1
    if start and _is_determiner(line, start - 1, lexicon):
        start -= 1
    before = line.keys[start - 1] if start else ","
    following = line.key_after(place)
    goes_on = following.isalpha() and following not in lexicon.context.boundaries | {"and"}
    if goes_on and (start == 0 or before in _ENDS):
        return False  # "eyeliner marks his eyes": the subject is needed
    owner = line.marks[start] if goes_on else None
    if owner is not None and owner.form.role is Role.OBLIQUE:
        return False  # "his beard covered in frost"
    if goes_on and not following.endswith("ing"):
        line.dropped.add(place)
        return True
    if following in _FLOWING and before == ",":
        end = _end_of_clause(line, place)
        line.dropped.update(range(start - 1, end))
        return True
    if before not in lexicon.context.phrase_starts:
        return False
    if following == "and" and before not in {"and", ","}:
        line.dropped.update(range(start, place + 2))
    else:
        line.dropped.update(range(max(start - 1, 0), place + 1))
    return True


def _end_of_clause(line: Line, place: int) -> int:
    """Returns the place of the next comma or full stop, or of the end."""
    ends = (at for at in range(place, len(line.keys)) if line.keys[at] in _ENDS | {","})
    return next(ends, len(line.keys))


def _is_adjective(line: Line, place: int, lexicon: Lexicon) -> bool:
    mark, key = line.marks[place], line.keys[place]
    if mark is not None:
        return mark.form.role in {Role.ADJECTIVE, Role.HINT}
    context = lexicon.context
    return (
        key.isalpha()
        and not (key.endswith("ing") and line.keys[max(place - 1, 0)] == ",")
        and key not in context.boundaries | context.phrase_starts | context.determiners
        and key not in lexicon.persons
    ) or key == "-"


def _is_determiner(line: Line, place: int, lexicon: Lexicon) -> bool:
    mark = line.marks[place]
    return (
        mark.form.role is Role.OBLIQUE
        if mark
        else line.keys[place] in lexicon.context.determiners - {"of"}
    )
