"""A prompt as words: cut, marked and put together again."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from device_client.transformation.forms import Mark

_TOKEN = re.compile(r"( ?)([^\W\d_]+|\d+|\S)")
_STROKES = str.maketrans("øłđıħŧ", "oldiht")  # letters that Unicode does not take apart
_VOWEL_SOUND = re.compile(
    r"(?!eu|uni(?:[cfqtv]|on)|us[aeu]|uti|one\b|once)[aeiou]|hour|honest|honou?r|heir"
)


def fold(text: str) -> str:
    """Returns the text in lower case and without accents, character by character.

    Args:
        text: Canonicalised text.

    Returns:
        Text of the same length, to look words up with.
    """
    lower = text.lower()
    if lower.isascii():
        return lower
    bare = (unicodedata.normalize("NFD", character.lower())[0] for character in text)
    return "".join(bare).translate(_STROKES)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text cut into words, numbers and signs; one entry per token.

    Attributes:
        gaps: What stands before the token: "" or " ".
        texts: The token.
        keys: The token in lower case and without accents.
    """

    gaps: list[str]
    texts: list[str]
    keys: list[str]

    def key(self, place: int) -> str:
        """Returns a key, or an empty text after the end."""
        return self.keys[place] if place < len(self.keys) else ""

    def text(self, start: int, end: int) -> str:
        """Returns the tokens from `start` to `end` without the gap before the first."""
        return _join(self.gaps[start:end], self.texts[start:end]).removeprefix(" ")


def cut(text: str, folded: str) -> Tokens:
    """Cuts a text into tokens.

    Args:
        text: Canonicalised text.
        folded: What `fold` made of it.
    """
    pairs = _TOKEN.findall(text)
    gaps = [gap for gap, _ in pairs]
    texts = [token for _, token in pairs]
    same = folded == text
    return Tokens(gaps, texts, texts if same else [key for _, key in _TOKEN.findall(folded)])


def _join(gaps: list[str], texts: list[str]) -> str:
    return "".join([gap + text for gap, text in zip(gaps, texts, strict=True)])


def starts_with_vowel_sound(text: str) -> bool:
    """Tells whether English writes "an" before this text."""
    return _VOWEL_SOUND.match(text.lower()) is not None


@dataclass(slots=True)
class Line:
    """A prompt cut into tokens, of which some are marked.

    The four lists have one entry per token. A marked token has an empty text and key, so that code
    that reads `keys` cannot see a value.

    Attributes:
        gaps: What stands before the token: "" or " ".
        texts: The token; empty if it is marked.
        keys: The token in lower case and without accents; empty if it is marked.
        marks: The mark, or None.
        dropped: Places that are to be left out by `compact`.
        inserted: Words and marks that `compact` puts before a place.
        hints: (attribute, word) for words that stay although they give an attribute away.
    """

    gaps: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    marks: list[Mark | None] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)
    inserted: dict[int, list[str | Mark]] = field(default_factory=dict)
    hints: list[tuple[str, str]] = field(default_factory=list)

    def add(self, gap: str, text: str, key: str, mark: Mark | None = None) -> None:
        """Appends one token."""
        self.gaps.append(gap)
        self.texts.append(text)
        self.keys.append(key)
        self.marks.append(mark)

    def add_all(self, tokens: Tokens, start: int, end: int) -> None:
        """Appends tokens that are not marked."""
        self.gaps += tokens.gaps[start:end]
        self.texts += tokens.texts[start:end]
        self.keys += tokens.keys[start:end]
        self.marks += [None] * (end - start)

    def insert(self, place: int, mark: Mark) -> None:
        """Puts a mark before a place."""
        self.gaps.insert(place, self.gaps[place])
        self.gaps[place + 1] = " "
        self.texts.insert(place, "")
        self.keys.insert(place, "")
        self.marks.insert(place, mark)

    def insert_word(self, place: int, word: str) -> None:
        """Puts a plain word before a place."""
        self.gaps.insert(place, " ")
        self.texts.insert(place, word)
        self.keys.insert(place, word)
        self.marks.insert(place, None)

    def add_item(self, gap: str, item: str | Mark) -> None:
        """Appends a word or a mark."""
        if isinstance(item, Mark):
            self.add(gap, "", "", item)
        else:
            self.add(gap, item, fold(item))

    def key_after(self, place: int) -> str:
        """Returns the key after a place: "x" for a mark, empty at the end."""
        if place + 1 >= len(self.keys):
            return ""
        return "x" if self.marks[place + 1] else self.keys[place + 1]

    def drop_with_adverbs(self, place: int, adverbs: frozenset[str]) -> None:
        """Leaves out an adjective, and the "very" before it."""
        self.dropped.add(place)
        self.drop_adverbs(place, adverbs)

    def drop_adverbs(self, place: int, adverbs: frozenset[str]) -> None:
        """Leaves out the "very" before an adjective."""
        while place and self.keys[place - 1] in adverbs:
            place -= 1
            self.dropped.add(place)

    def unmark(self, place: int) -> None:
        """Turns a mark back into the user's own word."""
        mark = self.marks[place]
        if mark is not None:
            self.marks[place] = None
            self.texts[place] = mark.surface
            self.keys[place] = fold(mark.surface)

    def text(self, start: int = 0, end: int | None = None) -> str:
        """Returns the tokens from `start` to `end` as one text; marks are empty."""
        return _join(self.gaps[start:end], self.texts[start:end])

    def compact(self) -> Line:
        """Returns the line without what was dropped and with what was inserted, articles mended."""
        if not self.dropped and not self.inserted:
            return self
        line = Line(hints=self.hints)
        left_out: str | None = None
        for place, key in enumerate(self.keys):
            for item in self.inserted.get(place, ()):
                line.add_item(_gap(line, self.gaps[place] if left_out is None else left_out), item)
                line.mend_article()
                left_out = " "
            if place in self.dropped:
                left_out = self._gap_of(place) if left_out is None else left_out
                continue
            if left_out is not None and line.closes_nothing(key):
                left_out = line.gaps[-1]
                line.pop()
                continue
            if left_out is not None and line.is_idle(key):
                continue
            if left_out is not None and not key.isalnum() and not self.marks[place]:
                line.drop_idle_preposition()
                left_out = self.gaps[place]
            gap = self.gaps[place] if left_out is None else left_out
            line.add(_gap(line, gap), self.texts[place], key, self.marks[place])
            if left_out is not None:
                line.mend_article()
            left_out = None
        line.trim(self)
        return line

    def _gap_of(self, place: int) -> str:
        return self.gaps[place] if self.keys[place].isalnum() or self.marks[place] else " "

    def closes_nothing(self, key: str) -> bool:
        """Tells whether a bracket closes an empty pair."""
        return bool(self.keys) and (self.keys[-1] + key) in {"()", "[]"}

    def is_idle(self, key: str) -> bool:
        """Tells whether a comma or an "and" has lost what stood before it."""
        last = self.keys[-1] if self.keys else ","
        return (key == "," and last == ",") or (key == "and" and last in {"with", ",", "and"})

    def drop_idle_preposition(self) -> None:
        """Removes a "with" that has lost its noun."""
        if self.keys and self.keys[-1] == "with":
            self.pop()

    def pop(self) -> None:
        """Removes the last token."""
        for column in (self.gaps, self.texts, self.keys, self.marks):
            column.pop()

    def mend_article(self) -> None:
        """Makes a literal article before the last token fit it."""
        if len(self.keys) > 1 and self.keys[-2] in {"a", "an"} and self.keys[-1]:
            article = "an" if starts_with_vowel_sound(self.keys[-1]) else "a"
            self.keys[-2] = article
            self.texts[-2] = self.texts[-2][0] + article[1:]

    def trim(self, whole: Line) -> None:
        """Removes a comma or preposition that stands last because what followed it was left out."""
        while (
            self.keys
            and self.keys[-1] in {",", "with", "and"}
            and len(whole.keys) - 1 in whole.dropped
        ):
            self.pop()


def _gap(line: Line, gap: str) -> str:
    return gap if line.keys else ""
