"""Collects the entries of a lexicon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from device_client.transformation.forms import Form, Role
from device_client.transformation.lexicon.files import read_rows
from device_client.transformation.lexicon.model import Entry, Item, find_entry
from device_client.transformation.tokens import Tokens, cut, fold


def plural_of(noun: str) -> str:
    """Returns the regular plural of an English noun."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    return noun + "s"


def _cut(text: str) -> Tokens:
    return cut(text, fold(text))


class LexiconBuilder:
    """Collects entries; canonical words first, then what is written with them."""

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {}
        self.forms: dict[tuple[str, Role], Form] = {}

    def add(self, surface: str, items: tuple[Item, ...], **flags: bool) -> None:
        """Adds an entry; the first one of a surface stays.

        A hyphen or space between two words of a surface matches either; "=" matches a hyphen alone.
        """
        tokens = _cut(surface.replace("-", " ")).keys
        first, *rest = ("-" if sign == "=" else sign for sign in tokens)
        self.add_entry(first, Entry(tuple(rest), items, **flags))

    def add_entry(self, first: str, entry: Entry) -> bool:
        """Adds an entry unless there is one of these tokens; tells whether it did."""
        known = self.entries.setdefault(first, [])
        if any(other.rest == entry.rest for other in known):
            return False
        known.append(entry)
        known.sort(key=lambda other: -len(other.rest))
        return True

    def has(self, surface: str) -> bool:
        """Tells whether there is an entry of this surface."""
        first, *rest = _cut(surface.replace("-", " ")).keys
        return any(entry.rest == tuple(rest) for entry in self.entries.get(first, ()))

    def neutral_words(self) -> frozenset[str]:
        """Returns every word that may stand in another's place."""
        items = [
            item for entries in self.entries.values() for entry in entries for item in entry.items
        ]
        texts = [item.text or (item.form.neutral if item.form else "") for item in items]
        return frozenset(word for text in texts for word in text.split())

    def words(self) -> frozenset[str]:
        """Returns the entries of one token."""
        return frozenset(first for first, entries in self.entries.items() if not entries[-1].rest)

    def close(self) -> None:
        """Adds the counterparts of phrases with a canonical word: "east african", so "east asian".

        Without them a slot beside an ordinary word could render a phrase that reads differently.
        """
        forms = self._canonical_words()
        pending = [
            ((first, *entry.rest), entry)
            for first, entries in self.entries.items()
            for entry in entries
            if entry.rest
        ]
        while pending:
            tokens, entry = pending.pop()
            for swapped, made in _counterparts(tokens, entry, forms):
                if self.add_entry(swapped[0], made):
                    pending.append((swapped, made))

    def _canonical_words(self) -> dict[str, Form]:
        words = {
            word: Form("gender", Role.NOUN, pair, "")
            for pair in map(tuple, read_rows("counterparts.tsv"))
            for word in pair
        }
        for first, entries in self.entries.items():
            items = () if entries[-1].rest else entries[-1].items
            form = items[0].form if len(items) == 1 else None
            if form is not None and first in form.texts:
                words[first] = form
        return words

    def add_form(self, form: Form, surfaces: Iterable[str]) -> None:
        """Adds a form and the words that stand for its values."""
        self.forms.setdefault((form.attribute, form.role), form)
        for value, surface in enumerate(surfaces):
            self.add(surface, (Item("", form, value),))

    def items_of(self, canonical: str) -> tuple[Item, ...]:
        """Reads canonical words with the entries so far; after "=" they are plain text."""
        if canonical.startswith("="):
            return tuple(Item(word) for word in canonical[1:].split())
        tokens = _cut(canonical)
        keys = tokens.keys
        items: list[Item] = []
        place = 0
        while place < len(keys):
            entry, end = find_entry(self.entries.get(keys[place], ()), keys, place)
            glued = place > 0 and not tokens.gaps[place]
            if entry is None:
                items.append(Item(tokens.texts[place], glued=glued))
                end = place + 1
            else:
                items += entry.items
            place = end
        return tuple(items)


def _counterparts(
    tokens: tuple[str, ...], entry: Entry, forms: dict[str, Form]
) -> Iterator[tuple[tuple[str, ...], Entry]]:
    """Yields the phrase with each of its canonical words exchanged for one of another value."""
    for place, token in enumerate(tokens):
        form = forms.get(token)
        for value, other in enumerate(form.texts if form else ()):
            if form is not None and other.isalpha():
                swapped = (*tokens[:place], other, *tokens[place + 1 :])
                items = tuple(_with_value(item, form.attribute, value) for item in entry.items)
                yield swapped, replace(entry, rest=swapped[1:], items=items)


def _with_value(item: Item, attribute: str, value: int) -> Item:
    if item.form is None or item.form.attribute != attribute:
        return item
    return Item(item.text, item.form, value, item.glued)
