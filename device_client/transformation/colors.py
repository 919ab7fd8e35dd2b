"""Colours: "black" is said of a person or of a thing, and only the first is a slot."""

from __future__ import annotations

from device_client.transformation.forms import HEADS, HINTS, Role
from device_client.transformation.lexicon.model import Lexicon
from device_client.transformation.noun_phrase import (
    Found,
    described_by,
    is_noun,
    is_one,
    is_one_of_persons,
    means_person,
)
from device_client.transformation.tokens import Line

_MAX_BETWEEN = 3
_BE = frozenset({"is", "are", "was", "were", "be", "being", "been", "am", "s", "re", "m"})
_SOME = frozenset({"one", "other", "others"})
_BEFORE_OTHERS = frozenset({"and", "or", "one"})
_LABELS = frozenset({"race", "ethnicity", "skin", "complexion"})
_OF_SKIN = frozenset({"color", "colour", "tone"})
_SIGNS = frozenset(":=-")
_WHO = frozenset({"who", "i", "you", "we"})


def free_colors(line: Line, lexicon: Lexicon) -> None:
    """Gives back the colours that describe things.

    Args:
        line: The masked text; changed in place.
        lexicon: Persons, things and boundaries.
    """
    for place, mark in enumerate(line.marks):
        if mark is not None and mark.color:
            found, noun = described_by(line, place, lexicon)
            if not (
                _is_of_skin(line, place, found, noun, lexicon)
                or is_noun(line, place, lexicon)
                or _follows_person(line, place, lexicon)
                or _is_of_one(line, place, lexicon)
                or _is_labelled(line, place, lexicon)
            ):
                line.unmark(place)


def _is_of_skin(line: Line, place: int, found: Found, noun: int, lexicon: Lexicon) -> bool:
    """Tells "a black bus driver" from "a black leather hat" and "a black-haired woman"."""
    between = [
        key
        for here, key in enumerate(line.keys[place + 1 : noun], place + 1)
        if key and not _joins(line, here, place, lexicon)
    ]
    return (
        found is Found.PERSON
        and len(between) <= _MAX_BETWEEN
        and line.key_after(place) != "-"
        and _is_plain(between, is_job=line.marks[noun] is None, lexicon=lexicon)
        and _ends_phrase(line, noun, lexicon)
    )


def _joins(line: Line, here: int, place: int, lexicon: Lexicon) -> bool:
    """Tells the signs of a list of adjectives: "a black, bearded man", "black and asian women"."""
    if line.keys[here] == ",":
        return place > 0 and line.keys[place - 1] in lexicon.context.determiners
    follows_mark = here - 1 != place and line.marks[here - 1] is not None
    return line.keys[here] == "and" and (follows_mark or line.key_after(here) == "x")


def _is_plain(between: list[str], *, is_job: bool, lexicon: Lexicon) -> bool:
    """Tells words that describe a person, or a job, from a thing that has the colour."""
    for place, key in enumerate(between):
        is_part = between[place + 1 : place + 2] == ["-"] or between[place - 1 : place] == ["-"]
        if is_part or key == "-":
            continue
        if not key.isalpha() or key in lexicon.animals | {"and"} or _wears(key, lexicon):
            return False
        if key in lexicon.things and not (is_job and place == len(between) - 1):
            return False
    return True


def _wears(key: str, lexicon: Lexicon) -> bool:
    """Tells "hooded" and "haired", whose colour is that of the hood or hair."""
    stem = key.removesuffix("ed")
    stems = {stem, stem[:-1], stem + "e"}
    return stem != key and any(word in lexicon.things | lexicon.context.body for word in stems)


def _ends_phrase(line: Line, noun: int, lexicon: Lexicon) -> bool:
    """Tells whether a noun names a person and ends its phrase, further persons passed over."""
    mark = line.marks[noun]
    if mark is not None:
        return mark.form.role not in HINTS
    if line.keys[noun] not in lexicon.persons:
        return is_one(line, noun, lexicon)
    while line.key_after(noun) in lexicon.persons:
        noun += 1
    following = line.key_after(noun)
    ends = not following.isalpha() or following in lexicon.context.boundaries | {"x", "and"}
    return ends or following.endswith("ing") or following in lexicon.verb_forms


def _is_of_one(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "two men, one black, the other white" from "one black chair"."""
    start = place - 1
    if place == 0 or line.keys[start] not in _SOME:
        return False
    if start and line.keys[start - 1] == "the":
        start -= 1
    is_object = start > 0 and line.keys[start - 1] in lexicon.context.boundaries
    return (
        not is_object
        and _ends_here(line, place, lexicon)
        and is_one_of_persons(line, place - 1, lexicon)
    )


def _ends_here(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells a colour that no noun follows."""
    following = line.key_after(place)
    return not following.isalpha() or following in lexicon.context.boundaries | _BEFORE_OTHERS


def _is_labelled(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "race: black" and "skin color: black"."""
    if place < 2 or line.keys[place - 1] not in _SIGNS or not _ends_here(line, place, lexicon):
        return False
    label, before = line.keys[place - 2], line.keys[max(place - 3, 0)]
    return label in _LABELS or (label in _OF_SKIN and before == "skin")


def _follows_person(line: Line, place: int, lexicon: Lexicon) -> bool:
    """Tells "the doctor is black" and "a doctor, black, in a lab" from "her hat is black"."""
    following = line.key_after(place)
    if following.isalpha() and following not in lexicon.context.boundaries | {"and", "or"}:
        return False
    colors = lexicon.context.color_words | {"x"}  # a mark may be one too
    if following in {"&", ","} and line.key_after(place + 1) in colors:
        return False
    while place and (
        line.marks[place - 1] or line.keys[place - 1] in lexicon.context.adverbs | {"and"}
    ):
        mark = line.marks[place - 1]
        if mark is not None and mark.form.role is not Role.ADJECTIVE:
            break
        place -= 1
    sign = line.keys[place - 1] if place else ""
    if place < 2 or not (sign in _BE or (sign == "," and not following.isalpha())):
        return False
    subject = place - 2
    if line.keys[subject] in {"'", "not"} and subject:
        subject -= 1
    return _is_person(line, subject, lexicon, is_subject=sign != ",")


def _is_person(line: Line, place: int, lexicon: Lexicon, *, is_subject: bool) -> bool:
    mark, key = line.marks[place], line.keys[place]
    if mark is not None:
        roles = HEADS | {Role.SUBJECT if is_subject else Role.ADJECTIVE}
        return mark.form.role in roles and (
            mark.form.role is not Role.ADJECTIVE or mark.form.attribute == "gender"
        )
    if is_subject and key == "they":
        return means_person(line, place, lexicon)
    if is_subject and key in _SOME:
        return is_one_of_persons(line, place, lexicon)
    if is_subject and key == "that" and place:
        return _is_person(line, place - 1, lexicon, is_subject=False)
    return (key in lexicon.persons and key not in lexicon.context.no_skin) or (
        is_subject and key in _WHO
    )
