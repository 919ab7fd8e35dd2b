"""Second step of reading: which person each adjective belongs to, from the masked text alone."""

from __future__ import annotations

from device_client.transformation.colors import free_colors
from device_client.transformation.forms import HEADS, PRONOUNS, Mark, Role
from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.noun_phrase import (
    Found,
    described_by,
    has_object,
    is_modifier,
    is_noun,
    is_person_noun,
)
from device_client.transformation.tokens import Line
from device_client.transformation.traits import hidden_attributes, settle_traits

_MAX_ROUNDS = 4
_ENDS = frozenset(".;!?")
_NO_ENDS = frozenset({"style", "themed", "but"})


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


def _name_aged(line: Line, lexicon: Lexicon) -> None:
    """Writes "a senior person in a park" for "a senior in a park": only some ages are nouns."""
    for place in range(len(line.keys) - 1, 0, -1):
        mark = line.marks[place]
        if (
            mark
            and not mark.after
            and mark.form.attribute == "age"
            and mark.form.role is Role.ADJECTIVE
            and _begins_with_article(line, place, lexicon)
            and (
                _owns_or_acts(line, place, lexicon)
                or (
                    _ends_phrase(line, place, lexicon)
                    and described_by(line, place, lexicon)[0] is Found.NOTHING
                )
            )
        ):
            line.insert_word(place + 1, "person")


def _begins_with_article(line: Line, place: int, lexicon: Lexicon) -> bool:
    start = place
    while start and (
        ((mark := line.marks[start - 1]) and mark.form.role is Role.ADJECTIVE)
        or line.keys[start - 1] in lexicon.describing
    ):
        start -= 1
    return start > 0 and line.keys[start - 1] in {"a", "an", "another"}


def _ends_phrase(line: Line, place: int, lexicon: Lexicon) -> bool:
    following, then = line.key_after(place), line.key_after(place + 1)
    if following == ",":
        return then.endswith("ing") or then not in lexicon.describing
    return (
        following in {"", *_ENDS}
        or (following in {"and", "or"} and then in {"a", "an", "the"})
        or (
            following in lexicon.context.boundaries
            and following not in _NO_ENDS
            and not following.endswith("ing")
        )
        or following in lexicon.verb_forms
    )


def _owns_or_acts(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "a senior's hat" and "a senior reading a book" from "an old reading lamp"."""
    following, then = line.key_after(place), line.key_after(place + 1)
    if following == "'":
        return then == "s"
    ends = not then.isalpha() or then in lexicon.context.boundaries
    context = lexicon.context
    return following.endswith("ing") and (
        (following in context.acts and ends) or (not ends and has_object(line, place + 1, lexicon))
    )


def _settle_once(line: Line, lexicon: Lexicon) -> Line:
    said: dict[tuple[int, str], Mark] = {}
    things: list[int] = []
    _name_aged(line, lexicon)
    free_colors(line, lexicon)
    _name_stated(line, lexicon)
    for place, mark in enumerate(line.marks):
        if mark is None or place in line.dropped:
            continue
        if mark.form.role is Role.ORIGIN:
            _settle_origin(line, place, mark, lexicon)
        if mark.form.role is not Role.ADJECTIVE or (
            mark.after and _move(line, place, mark, lexicon)
        ):
            continue
        if mark.form.attribute == "ethnicity" and is_noun(line, place, lexicon):
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
    _merge_peoples(line)
    _free(line, [place for place in things if place not in line.dropped])
    settle_traits(line, lexicon)
    return line.compact()


def _name_stated(line: Line, lexicon: Lexicon) -> None:
    """Writes "male barista" for "bearded barista" where nothing else says so."""
    hidden = hidden_attributes(line)
    for place, mark in enumerate(line.marks):
        if mark is None or not mark.form.is_telling or mark.form.attribute in hidden:
            continue
        made = Mark(lexicon.forms[mark.form.attribute, Role.ADJECTIVE], mark.value, mark.surface)
        if mark.form.role is Role.HINT:
            found, noun = described_by(line, place, lexicon)
            made.after = found is Found.NOTHING and _stands_alone(line, place, lexicon)
            if made.after or (found is Found.PERSON and line.keys[noun] not in lexicon.animals):
                line.drop_adverbs(place, lexicon.context.adverbs)
                line.marks[place] = made
        elif (head := _person_before(line, place, lexicon)) >= 0:
            _state(line, head, made, lexicon)


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


def _merge_peoples(line: Line) -> None:
    """Leaves out the second half of "Afro-Cuban" and "Aboriginal Australian"."""
    for place, mark in enumerate(line.marks):
        start = place - 2 if place > 1 and line.keys[place - 1] == "-" else place - 1
        before = line.marks[start] if start >= 0 else None
        if (
            mark
            and before
            and mark.form.attribute == before.form.attribute == "ethnicity"
            and mark.form.role is before.form.role is Role.ADJECTIVE
        ):
            line.dropped.update(range(start + 1, place + 1))


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
        if place and line.keys[place - 1] in {"and", "or", ",", "-"}:
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
    _state(line, head, mark, lexicon)
    return True


def _state(line: Line, head: int, mark: Mark, lexicon: Lexicon) -> None:
    """Puts an adjective before a person's noun, unless one of its attribute is there."""
    if (noun := line.marks[head]) and noun.form.attribute == mark.form.attribute:
        return
    start = head
    while start and _is_before_noun(line, start - 1, lexicon):
        start -= 1
        before = line.marks[start]
        if before and before.form.attribute == mark.form.attribute:
            return
    others = line.inserted.setdefault(start, [])
    if not any(
        isinstance(other, Mark) and other.form.attribute == mark.form.attribute for other in others
    ):
        mark.after = False
        others.append(mark)


def _is_before_noun(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells an adjective, and the first of two nouns: "artist girl", "a bus driver"."""
    before, key = line.marks[place], line.keys[place]
    if before:
        return before.form.role in HEADS | {Role.ADJECTIVE}
    starts = place == 0 or line.keys[place - 1] in {"", *lexicon.context.determiners - {"of"}}
    return key in lexicon.persons or (starts and is_modifier(key, lexicon))


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
        and (line.keys[start - 1] == "of" or not _shares(line, end))
    ):
        start -= 1
    if start and line.keys[start - 1] == "and" and _ends_list(line, end):
        start -= 1
    return range(start, end)


def _ends_list(line: Line, end: int) -> bool:
    """Tells "freckles and dark skin, at dusk", where the "and" goes too."""
    return end < len(line.keys) and line.marks[end] is None and not line.keys[end].isalnum()


def _shares(line: Line, end: int) -> bool:
    return end < len(line.keys) and line.keys[end] == "and"


def _person_before(line: Line, place: int, lexicon: Lexicon) -> int:
    for here in range(place - 1, -1, -1):
        mark = line.marks[here]
        if line.keys[here] in _ENDS:
            return -1
        if mark is not None and mark.form.role in PRONOUNS:
            return -1
        if is_person_noun(line, here, lexicon):
            return here
        if mark is not None and _is_male(line, here, mark, lexicon):
            return here
    return -1


def _is_male(line: Line, place: int, mark: Mark, lexicon: Lexicon) -> bool:
    """Tells "an asian male in his 20s", where the word is a noun, from "a male voice"."""
    return (
        mark.form.role is Role.ADJECTIVE
        and mark.form.attribute == "gender"
        and _begins_with_article(line, place, lexicon)
        and (line.marks[place + 1 : place + 2] != [None] or _ends_phrase(line, place, lexicon))
    )
