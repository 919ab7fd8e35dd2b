"""First step of reading: find the lexicon's words in a text and mark them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from device_client.transformation.animals import PERSONS, is_of_animal, without_person
from device_client.transformation.forms import HEADS, Form, Mark, Role
from device_client.transformation.lexicon.model import Entry, Item, Lexicon, find_entry
from device_client.transformation.morphology import derive
from device_client.transformation.names import Span, as_adjectives, find_names
from device_client.transformation.noun_phrase import is_modifier, is_person_noun
from device_client.transformation.tokens import Line, Tokens, cut, fold, starts_with_vowel_sound

_NOTHING = (Item("", Form("age", Role.HINT, (), "")),)
_ENDS = frozenset(".!?")
_NAMING = frozenset({"named", "called"})
_OWNING = frozenset({"my", "our", "your", "their", "its", "s", "'"})
_RELATIVES = {"relative": ("woman", "person"), "relatives": ("women", "people")}
_MIN_UNKNOWN_LETTERS = 4
_SHE_WOLF = re.compile(r"\b(s?he)-(?=[^\W\d_])(?!s?he\b)", re.IGNORECASE)
_POLE = re.compile(
    r"\b([Aa]n?|(?i:two|three|four|five|six|several|many))(?: ([a-z]+))? Pole(s?)\b"
    r"(?!-| (?:[A-Z]|dancer|dance\b|vault))"
)


def mark(text: str, lexicon: Lexicon) -> Line:
    """Cuts a canonicalised text into tokens and marks the words that the lexicon knows.

    Args:
        text: Text that `canonicalise` returned.
        lexicon: The words.

    Returns:
        The line; what it says besides its marks does not depend on their values.
    """
    tokens = cut(*_in_full(text, lexicon))
    line = Line()
    done = 0
    for place, end, entry in _found(tokens, lexicon):
        line.add_all(tokens, done, place)
        gap = tokens.gaps[place]
        surface = tokens.text(place, end)
        if entry.name:
            _add_name(line, entry, gap, surface, lexicon)
        else:
            _add_entry(line, _without_relation(entry, line, lexicon), surface, gap, lexicon)
        done = end
    line.add_all(tokens, done, len(tokens.keys))
    return line


def _in_full(text: str, lexicon: Lexicon) -> tuple[str, str]:
    """Writes ages, "she-wolf" and "Pole", which their spelling tells, in full; folds the text."""
    if "-" in text:
        text = _SHE_WOLF.sub(_sex, text)
    if " Pole" in text:
        text = _POLE.sub(lambda match: _of_poland(match, lexicon), text)
    folded = fold(text)
    for start, end, replacement in reversed(lexicon.ages.find(folded)):
        text = text[:start] + replacement + text[end:]
        folded = folded[:start] + replacement + folded[end:]
    return text, folded


def _sex(match: re.Match[str]) -> str:
    word = "female " if len(match[1]) == len("she") else "male "
    return word.capitalize() if match[1][0].isupper() else word


def _of_poland(match: re.Match[str], lexicon: Lexicon) -> str:
    """Tells "an old Pole" from "a flag Pole"."""
    article, adjective, many = match.groups()
    if adjective and adjective not in lexicon.describing | lexicon.words:
        return match[0]
    noun = "Polish people" if many else "Polish person"
    return " ".join(filter(None, (article, adjective, noun)))


def _found(tokens: Tokens, lexicon: Lexicon) -> Iterator[tuple[int, int, Entry]]:
    """Yields the start and end of every word of the lexicon, and its entry, left to right."""
    keys, entries = tokens.keys, lexicon.entries
    names = find_names(tokens, lexicon)
    plain = lexicon.plain
    places = sorted({place for place, key in enumerate(keys) if key not in plain} | names.keys())
    done, persons = 0, False
    for place in places:
        if place < done:
            continue
        entry, end = find_entry(entries.get(keys[place], ()), keys, place)
        span = names.get(place)
        if span is not None and not _is_thing(entry, end, span):
            done = span.end
            entry = Entry((), span.kind.items, name=True, after=True) if span.kind else None
        elif entry is None:
            done, entry = place + 1, _derived(keys[place], lexicon)
        else:
            done = end
            if not _acts(entry, tokens.key(end), lexicon):
                entry = _in_context(entry, tokens, end, lexicon)
                if entry and (
                    tokens.key(end) in lexicon.animals
                    or (not persons and is_of_animal(keys[:place], lexicon))
                ):
                    entry = without_person(entry)
        if entry is not None:
            persons = persons or entry.name or _is_noun(entry)
            yield place, done, entry


def _is_thing(entry: Entry | None, end: int, span: Span) -> bool:
    """Tells "Jack Daniels", a compound of the lexicon, from a person's name."""
    if entry is None or span.kind is None or span.end > end:
        return False
    is_plain = all(item.form is None for item in entry.items)
    return span.end < end or (is_plain and bool(entry.rest))


def _derived(key: str, lexicon: Lexicon) -> Entry | None:
    if key in lexicon.ordinary or len(key) < _MIN_UNKNOWN_LETTERS:
        return None
    items = derive(key, lexicon)
    return Entry((), items) if items else None


def _acts(entry: Entry, following: str, lexicon: Lexicon) -> bool:
    """Tells a child that "eats" and children who "eat" from a child's things: "child seat"."""
    noun = entry.items[-1].text
    return (
        noun in PERSONS and (following in lexicon.verb_forms or _is_gerund(following, lexicon))
    ) or (
        noun == "people"
        and following in lexicon.verbs | lexicon.context.acts
        and following not in lexicon.animals
    )


def _is_gerund(key: str, lexicon: Lexicon) -> bool:
    """Tells "painting" and "hiking" from "clothing" and "duckling"."""
    stem = key.removesuffix("ing")
    if stem == key or len(stem) < 3 or key in lexicon.context.no_gerunds:
        return False
    bare = stem[:-1] if stem[-1] == stem[-2] else stem + "e"
    return any(word in lexicon.dictionary or word in lexicon.verbs for word in (stem, bare))


def _in_context(entry: Entry, tokens: Tokens, end: int, lexicon: Lexicon) -> Entry | None:
    """Reads "child" in "child actor" as an adjective, and in "child seat" as no person."""
    if entry.items[-1].text not in PERSONS:
        return entry
    following = tokens.key(end)
    is_thing = following in lexicon.things or following in lexicon.animals
    if _is_person(tokens.key(end + is_thing), lexicon):
        return Entry(entry.rest, entry.items[:-1] or _NOTHING, strong=True)
    return None if is_thing or _is_plain(entry, following, lexicon) else entry


def _is_person(key: str, lexicon: Lexicon) -> bool:
    others = lexicon.entries.get(key, ())
    return key in lexicon.persons or any(not other.rest and _is_noun(other) for other in others)


def _is_plain(entry: Entry, following: str, lexicon: Lexicon) -> bool:
    """Tells "an adult movie", where the word names no value and no person."""
    if len(entry.items) > 1 or following in lexicon.persons or following in lexicon.words:
        return False
    return following in lexicon.dictionary and following not in lexicon.context.boundaries | {"and"}


def _is_noun(entry: Entry) -> bool:
    last = entry.items[-1]
    return last.text in PERSONS or (last.form is not None and last.form.role in HEADS)


def _add_name(line: Line, entry: Entry, gap: str, surface: str, lexicon: Lexicon) -> None:
    """Adds what a name stands for.

    "Ann" is a woman; "nurse Ann" and "a nurse named Ann" are a female nurse. "A dog named Rex" and
    "scientists Ann and Bob" only lose the name.
    """
    if _named_thing(line, lexicon):
        line.pop()
        return
    if line.keys and line.keys[-1] in _NAMING and is_person_noun(line, len(line.keys) - 2, lexicon):
        line.pop()
    if not is_person_noun(line, len(line.keys) - 1, lexicon):
        _add_article(line, entry, gap, surface, lexicon)
        _add_entry(line, entry, surface, " ", lexicon)
    elif not _is_plural(line, lexicon) and (items := as_adjectives(entry.items, lexicon)):
        _add_entry(line, Entry((), items, after=True), surface, " ", lexicon)


def _without_relation(entry: Entry, line: Line, lexicon: Lexicon) -> Entry:
    """Reads "a grandmother" as "an old woman"; "my grandmother" stays an "old female relative".

    Nobody writes "a middle-aged female relative", so a set of those would tell who was meant.
    """
    *others, noun = entry.items
    if noun.text not in _RELATIVES or not others or _is_owned(line, lexicon):
        return entry
    if others[-1].form is None or others[-1].form.attribute != "gender":
        return Entry(entry.rest, (*others, Item(_RELATIVES[noun.text][1])), strong=entry.strong)
    known = lexicon.entries[_RELATIVES[noun.text][0]][-1].items[0]
    named = Item("", known.form, others.pop().value)
    return Entry(entry.rest, (*others, named), strong=entry.strong)


def _is_owned(line: Line, lexicon: Lexicon) -> bool:
    """Tells "her dear" from "a dear"."""
    for key, mark in zip(reversed(line.keys), reversed(line.marks), strict=True):
        if mark is None and key not in lexicon.describing:
            return key in _OWNING
        if mark is not None and mark.form.role is not Role.ADJECTIVE:
            return mark.form.role is Role.OBLIQUE
    return False


def _named_thing(line: Line, lexicon: Lexicon) -> bool:
    """Tells "a dog named" from "a nurse named"."""
    if len(line.keys) < 2 or line.keys[-1] not in _NAMING:
        return False
    key = line.keys[-2]
    return key in lexicon.animals or (key in lexicon.things and key not in lexicon.persons)


def _is_plural(line: Line, lexicon: Lexicon) -> bool:
    mark = line.marks[-1]
    return lexicon.persons[line.keys[-1]] if mark is None else mark.form.role is Role.PLURAL


def _add_article(line: Line, entry: Entry, gap: str, surface: str, lexicon: Lexicon) -> None:
    """Puts "a" before a name's noun, unless the line has a determiner there."""
    before = line.marks[-1] if line.marks else None
    key = line.keys[-1] if line.keys else ","
    if not before and (not key.isalpha() or key in lexicon.context.article_after):
        article = "an" if starts_with_vowel_sound(entry.items[0].text or "x") else "a"
        capital = surface[0].isupper() and (not line.keys or key in _ENDS)
        line.add(gap, article.capitalize() if capital else article, article)


def _add_entry(line: Line, entry: Entry, surface: str, gap: str, lexicon: Lexicon) -> None:
    single = len(entry.items) == 1
    if line.keys and line.keys[-1].isdigit():
        gap = " "
    placed = False
    for number, item in enumerate(entry.items):
        space = "" if item.glued else " " if placed else gap if line.keys else ""
        if item.form is None:
            line.add(space, item.text, fold(item.text))
            line.mend_article()
            placed = True
            continue
        own = surface if single or not item.form.texts else item.form.texts[item.value]
        if number == 0 and surface[:1].isupper():
            own = own[:1].upper() + own[1:]
        strong = entry.strong or (number == 0 and not single)
        made = Mark(item.form, item.value, own, strong, entry.after, entry.color)
        if number or single or not _goes_before(line, made, space, lexicon):
            line.add(space, "", "", made)
            placed = True


def _goes_before(line: Line, made: Mark, gap: str, lexicon: Lexicon) -> bool:
    """Puts an age that is part of a noun ("girl") before the adjectives that stand there."""
    place = _start_of_compound(line, gap, lexicon)
    while place:
        start = place - 2 if place > 1 and line.keys[place - 1] == "-" else place - 1
        before = line.marks[start]
        if before is None or before.form.role is not Role.ADJECTIVE:
            break
        if before.form.attribute == made.form.attribute:
            return True
        place = start  # of both in "Somali-American girl"
    place = _start_of_glued(line, place)
    is_age = made.form.role is Role.ADJECTIVE and made.form.attribute == "age"
    if not is_age or place == len(line.keys):
        return False
    line.insert(place, made)
    return True


def _start_of_compound(line: Line, gap: str, lexicon: Lexicon) -> int:
    """Returns the place of "angel" in "angel-girl" and "an angel girl"; else that of "girl"."""
    place = len(line.keys)
    if not gap:
        return _start_of_glued(line, place)
    start = place
    while start and line.marks[start - 1] is None and is_modifier(line.keys[start - 1], lexicon):
        start -= 1
    starts = (
        not start or line.marks[start - 1] or line.keys[start - 1] in lexicon.context.determiners
    )
    return start if starts else place


def _start_of_glued(line: Line, place: int) -> int:
    """Returns the place of "half" for that of the last word in "half-japanese"."""
    while (
        place > 1
        and line.keys[place - 1] == "-"
        and line.keys[place - 2].isalpha()
        and not line.gaps[place - 1]
        and not "".join(line.gaps[place : place + 1])
    ):
        place -= 2
    return place
