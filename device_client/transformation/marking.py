"""First step of reading: find the lexicon's words in a text and mark them."""

from __future__ import annotations

from collections.abc import Iterator

from device_client.transformation.forms import HEADS, Form, Mark, Role
from device_client.transformation.lexicon.model import Entry, Item, Lexicon, find_entry
from device_client.transformation.morphology import derive
from device_client.transformation.names import find_names
from device_client.transformation.tokens import Line, Tokens, cut, fold, starts_with_vowel_sound

_PEOPLE = frozenset({"person", "people"})
_NOTHING = (Item("", Form("age", Role.HINT, (), "")),)
_MIN_UNKNOWN_LETTERS = 4


def mark(text: str, lexicon: Lexicon) -> Line:
    """Cuts a canonicalised text into tokens and marks the words that the lexicon knows.

    Args:
        text: Text that `canonicalise` returned.
        lexicon: The words.

    Returns:
        The line; what it says besides its marks does not depend on their values.
    """
    tokens = cut(*_with_ages(text, lexicon))
    line = Line()
    done = 0
    for place, end, entry in _found(tokens, lexicon):
        line.add_all(tokens, done, place)
        gap = tokens.gaps[place]
        if not entry.name or _add_article(line, entry, gap, lexicon):
            _add_entry(line, entry, tokens.text(place, end), " " if entry.name else gap)
        done = end
    line.add_all(tokens, done, len(tokens.keys))
    return line


def _with_ages(text: str, lexicon: Lexicon) -> tuple[str, str]:
    folded = fold(text)
    for start, end, replacement in reversed(lexicon.ages.find(folded)):
        text = text[:start] + replacement + text[end:]
        folded = folded[:start] + replacement + folded[end:]
    return text, folded


def _found(tokens: Tokens, lexicon: Lexicon) -> Iterator[tuple[int, int, Entry]]:
    """Yields the start and end of every word of the lexicon, and its entry, left to right."""
    keys, entries, ordinary = tokens.keys, lexicon.entries, lexicon.ordinary
    names = find_names(tokens, lexicon)
    places = [
        place
        for place, key in enumerate(keys)
        if key in entries or key not in ordinary or place in names
    ]
    done = 0
    for place in places:
        if place < done:
            continue
        entry, end = find_entry(entries.get(keys[place], ()), keys, place)
        span = names.get(place)
        if span is not None and (entry is None or span.kind is None or span.end >= end):
            done = span.end
            entry = Entry((), span.kind.items, name=True) if span.kind else None
        elif entry is None:
            done, entry = place + 1, _derived(keys[place], lexicon)
        else:
            done, entry = end, _in_context(entry, tokens.key(end), lexicon)
        if entry is not None:
            yield place, done, entry


def _derived(key: str, lexicon: Lexicon) -> Entry | None:
    if key in lexicon.ordinary or len(key) < _MIN_UNKNOWN_LETTERS:
        return None
    items = derive(key, lexicon)
    return Entry((), items) if items else None


def _in_context(entry: Entry, following: str, lexicon: Lexicon) -> Entry | None:
    """Reads "child" in "child actor" as an adjective, and in "child seat" as no person."""
    if entry.items[-1].text not in _PEOPLE:
        return entry
    if following in lexicon.things or _is_plain(entry, following, lexicon):
        return None
    others = lexicon.entries.get(following, ())
    if following in lexicon.persons or any(not other.rest and _is_noun(other) for other in others):
        return Entry(entry.rest, entry.items[:-1] or _NOTHING, strong=True)
    return entry


def _is_plain(entry: Entry, following: str, lexicon: Lexicon) -> bool:
    """Tells "an adult movie", where the word names no value and no person."""
    if len(entry.items) > 1 or following in lexicon.persons or following in lexicon.words:
        return False
    return following in lexicon.dictionary and following not in lexicon.context.boundaries | {"and"}


def _is_noun(entry: Entry) -> bool:
    last = entry.items[-1]
    return last.text in _PEOPLE or (last.form is not None and last.form.role in HEADS)


def _add_article(line: Line, entry: Entry, gap: str, lexicon: Lexicon) -> bool:
    """Puts "a" before a name's noun; tells whether the noun may follow.

    It may not beside another noun for the same person: "queen elizabeth".
    """
    before = line.marks[-1] if line.marks else None
    key = line.keys[-1] if line.keys else ","
    if (before and before.form.role in HEADS) or key in lexicon.persons:
        return False
    if not before and (not key.isalpha() or key in lexicon.context.article_after):
        article = "an" if starts_with_vowel_sound(entry.items[0].text or "x") else "a"
        line.add(gap, article, article)
    return True


def _add_entry(line: Line, entry: Entry, surface: str, gap: str) -> None:
    single = len(entry.items) == 1
    if line.keys and line.keys[-1].isdigit():
        gap = " "
    for number, item in enumerate(entry.items):
        space = "" if item.glued else " " if number else gap if line.keys else ""
        if item.form is None:
            line.add(space, item.text, fold(item.text))
            line.mend_article()
            continue
        own = surface if single or not item.form.texts else item.form.texts[item.value]
        if number == 0 and surface[:1].isupper():
            own = own[:1].upper() + own[1:]
        strong = entry.strong or (number == 0 and not single)
        made = Mark(item.form, item.value, own, strong, entry.after, entry.color)
        if number or single or not _goes_before(line, made):
            line.add(space, "", "", made)


def _goes_before(line: Line, made: Mark) -> bool:
    """Puts an age that is part of a noun ("girl") before the adjectives that stand there."""
    place = len(line.keys)
    while place and (before := line.marks[place - 1]) and before.form.role is Role.ADJECTIVE:
        if before.form.attribute == made.form.attribute:
            return True
        place -= 1
    if made.form.role is not Role.ADJECTIVE or place == len(line.keys):
        return False
    line.insert(place, made)
    return True
