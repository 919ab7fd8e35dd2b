"""Second step of reading: which person each adjective belongs to, from the masked text alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from device_client.transformation.forms import HEADS, HINTS, PRONOUNS, Mark, Role
from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.tokens import Line
from device_client.transformation.traits import hidden_attributes, settle_traits

_MAX_WORDS = 6
_MAX_ROUNDS = 4
_PASSED = frozenset("-\"'()[]:.0123456789")
_ENDS = frozenset(".;!?")


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
    for here in range(place + 1, len(line.keys)):
        mark = line.marks[here]
        found = _at_mark(mark, here, scan, lexicon) if mark else _at_word(line, here, scan, lexicon)
        if found is Found.NOTHING:
            break
        if found is not None:
            return found, here
    if scan.noun > scan.last:
        return Found.PERSON, scan.noun
    return _unknown_noun(line, scan.last, lexicon)


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
    if _is_passed(line, here, scan, lexicon):
        return None
    is_verb = key.endswith("s") and key in lexicon.context.acts
    ends = not key.isalpha() or key in lexicon.context.boundaries or is_verb
    if ends or scan.words == _MAX_WORDS:
        return Found.NOTHING
    scan.pass_word(here)
    return None


def _is_passed(line: Line, here: int, scan: _Scan, lexicon: Lexicon) -> bool:
    """Tells the signs inside a noun phrase: "young, tall (but kind) woman"."""
    key = line.keys[here]
    if key == ",":
        listed = scan.run == 0 or (
            scan.run == 1 and scan.last >= 0 and line.keys[scan.last] not in lexicon.things
        )
        scan.closed, scan.run = scan.closed or listed, 0 if listed else scan.run
        return listed
    if key == "and":
        return bool(line.marks[here - 1])
    return key in _PASSED or key.isdigit() or (key == "." and line.keys[here - 1].isdigit())


def _unknown_noun(line: Line, last: int, lexicon: Lexicon) -> tuple[Found, int]:
    """Decides for a phrase without a known person: fails closed if its last word is unknown."""
    if last < 0 or line.keys[last] in lexicon.describing:
        return Found.NOTHING, -1
    known = (
        line.marks[last] is not None
        or line.keys[last] in lexicon.dictionary
        or line.keys[last] in lexicon.things
    )
    return (Found.THING, last) if known else (Found.PERSON, last)


def settle(line: Line, lexicon: Lexicon) -> Line:
    """Leaves out what is said twice, moves what follows its person, frees what describes a thing.

    Args:
        line: A line that `mark` returned.
        lexicon: Nouns and boundaries.

    Returns:
        A line on which this function is the identity.
    """
    for _ in range(_MAX_ROUNDS):
        settled = _settle_once(line, lexicon)
        if settled is line:
            break
        line = settled
    return line


def _settle_once(line: Line, lexicon: Lexicon) -> Line:
    said: dict[tuple[int, str], Mark] = {}
    things: list[int] = []
    _free_colors(line, lexicon)
    for place, mark in enumerate(line.marks):
        if mark is None or place in line.dropped:
            continue
        if mark.form.role is Role.ORIGIN:
            _settle_origin(line, place, mark, lexicon)
        if mark.form.role is not Role.ADJECTIVE or (
            mark.after and _move(line, place, mark, lexicon)
        ):
            continue
        if mark.form.attribute == "ethnicity" and _is_noun(line, place, lexicon):
            continue
        found, noun = described_by(line, place, lexicon)
        if found is Found.PERSON:
            _describe(line, place, noun, said, lexicon.context.adverbs)
        elif found is Found.THING and not _is_descent(line, noun, lexicon):
            things.append(place)
        elif _is_descent(line, noun, lexicon) or not (
            mark.form.attribute == "gender" or _stands_alone(line, place, lexicon)
        ):
            _move(line, place, mark, lexicon)
    _merge_nouns(line)
    _free(line, [place for place in things if place not in line.dropped])
    settle_traits(line, lexicon)
    return line.compact()


def _free_colors(line: Line, lexicon: Lexicon) -> None:
    for place, mark in enumerate(line.marks):
        if mark is not None and mark.color:
            found, noun = described_by(line, place, lexicon)
            if not _is_of_skin(line, place, found, noun, lexicon) and not _is_noun(
                line, place, lexicon
            ):
                line.unmark(place)


def _is_noun(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "a black who smiles", "an asian in the rain" and "two blacks" from adjectives."""
    context, start = lexicon.context, place
    while start and (before := line.marks[start - 1]) and before.form.role is Role.ADJECTIVE:
        start -= 1
    article = line.keys[start - 1] if start else ""
    mark, following = line.marks[place], line.key_after(place)
    if mark and mark.form.role is Role.PLURAL:
        return article in context.counts or _acts(line, place + 1, lexicon)
    if article not in {"a", "an", "another"}:
        return False
    if following == "and" and line.keys[place + 2 : place + 3] in (["a"], ["an"]):
        other = line.marks[place + 3] if place + 3 < len(line.marks) else None
        return bool(other and other.form == (mark and mark.form)) and _is_noun(
            line, place + 3, lexicon
        )
    return not following or following in _ENDS or _acts(line, place + 1, lexicon)


def _acts(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "standing beside" from "standing desk"."""
    key, following = line.keys[place] if place < len(line.keys) else "", line.key_after(place)
    ends = not following.isalpha() or following in lexicon.context.boundaries
    return key in lexicon.context.acts and (ends or not key.endswith("ing"))


def _merge_nouns(line: Line) -> None:
    """Leaves out "woman" right before another noun for the same person: "hijabi girl"."""
    last = -1
    for place, mark in enumerate(line.marks):
        if mark is None:
            last = -1
        elif mark.form.role in {Role.NOUN, Role.PLURAL} and mark.form.attribute == "gender":
            before = line.marks[last] if last >= 0 else None
            if before is not None and before.form.neutral in {"person", "people"}:
                line.dropped.add(last)
            last = place


def _settle_origin(line: Line, place: int, mark: Mark, lexicon: Lexicon) -> None:
    """Turns "a man from the Netherlands" into "a european man"."""
    start = place - 1 if place and line.keys[place - 1] == "the" else place
    if (
        start
        and line.keys[start - 1] == "from"
        and (head := _person_before(line, start, lexicon)) >= 0
        and start - head <= 3
    ):
        form = lexicon.forms[mark.form.attribute, Role.ADJECTIVE]
        line.dropped.update(range(start - 1, place))
        _move(line, place, Mark(form, mark.value, mark.surface), lexicon)


def _is_of_skin(line: Line, place: int, found: Found, noun: int, lexicon: Lexicon) -> bool:
    """Tells "a black woman" from "a black leather hat" and "black demon horns"."""
    between = [key for key in line.keys[place + 1 : noun] if key]
    plain = all(
        key.isalpha() and not key.endswith("ed") and key not in lexicon.things for key in between
    )
    return found is Found.PERSON and len(between) <= 2 and plain and _is_last(line, noun, lexicon)


def _is_last(line: Line, noun: int, lexicon: Lexicon) -> bool:
    """Tells whether a noun names a person and ends its phrase."""
    mark = line.marks[noun]
    if mark is not None:
        return mark.form.role not in HINTS
    following = line.key_after(noun)
    ends = not following.isalpha() or following in lexicon.context.boundaries | {"x", "and"}
    return line.keys[noun] in lexicon.persons and (ends or following.endswith("ing"))


def _describe(
    line: Line,
    place: int,
    noun: int,
    said: dict[tuple[int, str], Mark],
    adverbs: frozenset[str],
) -> None:
    mark, head = line.marks[place], line.marks[noun]
    if mark is None:
        return
    if head is not None and head.form.role in HEADS and head.form.attribute == mark.form.attribute:
        head.value = mark.value
        line.drop_with_adverbs(place, adverbs)
    elif (noun, mark.form.attribute) in said:
        line.dropped.add(place)
        if place and line.keys[place - 1] in {"and", ","}:
            line.dropped.add(place - 1)
    else:
        said[noun, mark.form.attribute] = mark


def _free(line: Line, things: list[int]) -> None:
    """Gives back the words that describe things, but "Japanese garden" beside a Japanese person."""
    hidden = hidden_attributes(line, set(things))
    for place in things:
        mark = line.marks[place]
        if mark is None or mark.form.attribute == "gender":
            continue
        if mark.strong or (mark.form.attribute != "age" and mark.form.attribute in hidden):
            line.dropped.add(place)
            continue
        line.unmark(place)
        if mark.form.attribute != "age":
            line.hints.append((mark.form.attribute, mark.surface))


def _stands_alone(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "she is old", ", old," and "the old" from an adjective that follows its person."""
    if place == 0:
        return True
    key = line.keys[place - 1]
    return (
        not (key == "" or key.isalpha())
        or key in lexicon.context.copulas
        or key in lexicon.context.determiners
        or key in {"and", "or"}
    )


def _move(line: Line, place: int, mark: Mark, lexicon: Lexicon) -> bool:
    """Moves what follows its person before it; tells whether there is one."""
    head = _person_before(line, place, lexicon)
    if head < 0:
        return False
    line.dropped.update(_with_preposition(line, place, lexicon))
    if (noun := line.marks[head]) and noun.form.attribute == mark.form.attribute:
        return True
    start = head
    while start and _is_before_noun(line, start - 1, lexicon):
        start -= 1
        before = line.marks[start]
        if before and before.form.attribute == mark.form.attribute:
            return True
    others = line.inserted.setdefault(start, [])
    if not any(
        isinstance(other, Mark) and other.form.attribute == mark.form.attribute for other in others
    ):
        mark.after = False
        others.append(mark)
    return True


def _is_before_noun(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells an adjective, and the first of two nouns for one person: "artist girl"."""
    before = line.marks[place]
    if before:
        return before.form.role in HEADS | {Role.ADJECTIVE}
    return line.keys[place] in lexicon.persons


def _is_descent(line: Line, noun: int, lexicon: Lexicon) -> bool:
    return noun >= 0 and line.keys[noun] in lexicon.context.descent


def _with_preposition(line: Line, place: int, lexicon: Lexicon) -> range:
    """Returns the places of "with very dark skin" or "of Russian descent" around the adjective."""
    start, end = place, place + 1
    if end < len(line.keys) and line.keys[end] in lexicon.context.descent:
        end += 1
    while start and line.keys[start - 1] in lexicon.context.adverbs:
        start -= 1
    if (
        start
        and (end > place + 1 or line.marks[place] is not None)
        and line.keys[start - 1] in {"with", "of"}
        and not _shares(line, end)
    ):
        start -= 1
    return range(start, end)


def _shares(line: Line, end: int) -> bool:
    return end < len(line.keys) and line.keys[end] == "and"


def _person_before(line: Line, place: int, lexicon: Lexicon) -> int:
    for here in range(place - 1, -1, -1):
        mark = line.marks[here]
        if line.keys[here] in _ENDS:
            return -1
        if mark is not None and mark.form.role in PRONOUNS:
            return -1
        if (mark is not None and mark.form.role in HEADS) or line.keys[here] in lexicon.persons:
            return here
    return -1
