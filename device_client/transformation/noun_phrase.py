"""What an adjective describes, from the masked text alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from device_client.transformation.forms import HEADS, HINTS, PRONOUNS, Mark, Role
from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.tokens import Line

_MAX_WORDS = 6
_REACH = 60  # tokens; bounds the time of a long list
_PASSED = frozenset("-\"'()[]:.0123456789")
_ENDS = frozenset(".;!?")
_JOINING = frozenset({"and", "or", "&"})


class Found(Enum):
    """What an adjective describes."""

    PERSON = auto()
    BODY = auto()
    THING = auto()
    NOTHING = auto()


@dataclass(slots=True)
class _Scan:
    """What was passed on the way to the right.

    Attributes:
        words: Plain words so far.
        run: Plain words since the last comma or mark.
        last: Place of the last plain word before a comma.
        closed: Whether a comma was passed.
        noun: Place of the last "female" or "male", which may stand for a noun.
    """

    words: int = 0
    run: int = 0
    last: int = -1
    closed: bool = False
    noun: int = -1

    def pass_word(self, place: int) -> None:
        self.words += 1
        self.run += 1
        if not self.closed:
            self.last = place


def described_by(line: Line, place: int, lexicon: Lexicon) -> tuple[Found, int]:
    """Looks to the right of an adjective for the noun that it describes.

    Args:
        line: The masked text.
        place: Place of the adjective.
        lexicon: Nouns and boundaries.

    Returns:
        What it describes, and the noun's place; NOTHING if no noun follows.
    """
    scan = _Scan()
    for here in range(place + 1, min(place + _REACH, len(line.keys))):
        mark = line.marks[here]
        found = _at_mark(mark, here, scan, lexicon) if mark else _at_word(line, here, scan, lexicon)
        if found is Found.NOTHING:
            break
        if found is not None:
            return found, here
    if scan.noun > scan.last:
        return Found.PERSON, scan.noun
    return _unknown_noun(line, scan.last, lexicon)


def is_person_noun(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells whether a noun for a person stands at a place, which may lie outside the line."""
    if not 0 <= place < len(line.keys):
        return False
    mark = line.marks[place]
    return line.keys[place] in lexicon.persons or (mark is not None and mark.form.role in HEADS)


def _at_mark(mark: Mark, here: int, scan: _Scan, lexicon: Lexicon) -> Found | None:
    """Judges a marked word: a noun, an end, or None for one to pass."""
    role = mark.form.role
    if role in HEADS or mark.form.neutral in lexicon.persons:
        return Found.PERSON
    if role in PRONOUNS:
        return Found.NOTHING
    if role in HINTS - {Role.HINT}:
        scan.pass_word(here)
        return None
    scan.run = 0
    if mark.form.attribute == "gender":
        scan.noun = here
    return None


def _at_word(line: Line, here: int, scan: _Scan, lexicon: Lexicon) -> Found | None:
    """Judges a plain word: a noun, an end, or None for one to pass."""
    key = line.keys[here]
    if key in lexicon.persons:
        return Found.PERSON
    if key in lexicon.context.body:
        return Found.BODY
    if is_one(line, here, lexicon):
        return Found.PERSON if means_person(line, here, lexicon) else Found.THING
    ends_unknown = scan.last == here - 1 and _ends_unknown(line, here, lexicon)
    if not ends_unknown and _is_passed(line, here, scan, lexicon):
        return None
    is_boundary = key in lexicon.context.boundaries and line.key_after(here) != "-"
    ends = not key.isalpha() or is_boundary or ends_unknown or _is_verb(line, here, lexicon)
    if ends or scan.words == _MAX_WORDS:
        return Found.NOTHING
    scan.pass_word(here)
    return None


def _is_verb(line: Line, here: int, lexicon: Lexicon) -> bool:
    """Tells "walks", "slowly walks" and "drank" after a noun."""
    while line.keys[here].endswith("ly") and here + 1 < len(line.keys):
        here += 1
    return line.keys[here] in lexicon.verb_forms


def _is_passed(line: Line, here: int, scan: _Scan, lexicon: Lexicon) -> bool:
    """Tells the signs inside a noun phrase: "young, tall (but kind) woman"."""
    key = line.keys[here]
    if key == ",":
        listed = scan.run == 0 or (
            scan.run == 1 and scan.last >= 0 and line.keys[scan.last] not in lexicon.things
        )
        scan.closed, scan.run = scan.closed or listed, 0 if listed else scan.run
        return listed
    if key in {"and", "or"}:
        return bool(line.marks[here - 1])
    return key in _PASSED or key.isdigit() or (key == "." and line.keys[here - 1].isdigit())


def _unknown_noun(line: Line, last: int, lexicon: Lexicon) -> tuple[Found, int]:
    """Decides for a phrase without a known person: fails closed if its last word is unknown."""
    if last < 0 or line.keys[last] in lexicon.describing:
        return Found.NOTHING, -1
    return (Found.THING if _is_known(line, last, lexicon) else Found.PERSON), last


def _is_known(line: Line, place: int, lexicon: Lexicon) -> bool:
    key = line.keys[place]
    return line.marks[place] is not None or any(
        key in words for words in (lexicon.dictionary, lexicon.things, lexicon.describing)
    )


def _ends_unknown(line: Line, here: int, lexicon: Lexicon) -> bool:
    """Tells "busker and", "busker treating" and "busker's" from "lamp and" and "reading lamp"."""
    if here == 0 or _is_known(line, here - 1, lexicon):
        return False
    key, following = line.keys[here], line.key_after(here)
    acts = key.endswith(("ing", "ly")) and key not in lexicon.things
    return acts or key in _JOINING or (key == "'" and following == "s")


def is_one(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "a white one" from "a white one-piece swimsuit"."""
    following = line.key_after(place)
    return line.keys[place] in {"one", "ones"} and (
        (not following.isalpha() and not following.isdigit() and following != "-")
        or following in lexicon.context.boundaries | _JOINING
    )


def means_person(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells whether the last noun that a "one" or "they" can mean is a person."""
    for here in range(place - 1, -1, -1):
        key = line.keys[here]
        if is_person_noun(line, here, lexicon):
            return True
        if key in lexicon.things or key in lexicon.animals:
            return False
    return False


def is_one_of_persons(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells the "one" of "two men at a table, one black" from that of "a man with two cups"."""
    singular = 0
    for here in range(place - 1, -1, -1):
        mark, key = line.marks[here], line.keys[here]
        if is_person_noun(line, here, lexicon):
            if lexicon.persons[key] if mark is None else mark.form.role is Role.PLURAL:
                return True
            singular += 1
        elif _is_counted_thing(line, here, lexicon):
            return False
    return singular > 1 or means_person(line, place, lexicon)


def _is_counted_thing(line: Line, place: int, lexicon: Lexicon) -> bool:
    key = line.keys[place]
    return (
        not lexicon.context.counts.isdisjoint(line.keys[max(place - 2, 0) : place])
        and key.endswith("s")
        and not {key, key[:-1], key[:-2]}.isdisjoint(lexicon.things | lexicon.animals)
    )


def is_noun(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "a black who smiles", "an asian in the rain" and "two blacks" from adjectives."""
    context, start = lexicon.context, place
    while start and (before := line.marks[start - 1]) and before.form.role is Role.ADJECTIVE:
        start -= 1
    article = line.keys[start - 1] if start else ""
    mark, following = line.marks[place], line.key_after(place)
    if mark and mark.form.role is Role.PLURAL:
        counted = article in context.counts
        return counted or following in lexicon.verbs or _acts(line, place + 1, lexicon)
    if article not in {"a", "an", "another"}:
        is_the = article in {"the", "this", "that"} and place + 1 < len(line.keys)
        is_doing = following.endswith("ing") and _acts(line, place + 1, lexicon)
        return (is_the and (is_doing or _is_verb(line, place + 1, lexicon))) or (
            article in context.counts and following in lexicon.verbs
        )
    if following == "and" and line.keys[place + 2 : place + 3] in (["a"], ["an"]):
        other = line.marks[place + 3] if place + 3 < len(line.marks) else None
        return bool(other and other.form == (mark and mark.form)) and is_noun(
            line, place + 3, lexicon
        )
    return not following or following in _ENDS or _acts(line, place + 1, lexicon)


def _acts(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "standing beside" from "standing desk"."""
    if place >= len(line.keys):
        return False
    key, following = line.keys[place], line.key_after(place)
    ends = not following.isalpha() or following in lexicon.context.boundaries
    listed = key in lexicon.context.acts and (ends or not key.endswith("ing"))
    return listed or has_object(line, place, lexicon) or _is_verb(line, place, lexicon)


def has_object(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "drinking coffee" from "drinking fountain"."""
    context = lexicon.context
    return line.keys[place] in context.doings and line.key_after(place) not in context.tools


def is_modifier(key: str, lexicon: Lexicon) -> bool:
    """Tells a noun that may stand before another one from adjectives and small words."""
    context = lexicon.context
    return key.isalpha() and not any(
        key in words
        for words in (
            lexicon.describing,
            context.boundaries,
            context.determiners,
            context.adverbs,
            context.article_after,
        )
    )
