"""A user's own attributes, values and words, in a small file.

Example of the file:

    [attributes.religion]
    values = ["christian", "muslim", "hindu"]
    words.muslim = ["islamic", "hijabi"]

    [attributes.ethnicity]
    words.asian = ["ainu"]

A new attribute's values are adjectives; each person described by one has N multiplied by their
number, up to the cap.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device_client.transformation.forms import Form, Role
from device_client.transformation.lexicon.model import Attribute, Item
from obclip.errors import InvalidRequest

if TYPE_CHECKING:
    from pathlib import Path

    from device_client.transformation.lexicon.builder import LexiconBuilder

_NAME = re.compile(r"[a-z][a-z_]{1,30}")
_WORD = re.compile(r"[a-z]+(?:[ -][a-z]+){0,4}")
_MAX_VALUES = 30


@dataclass(frozen=True)
class Words:
    """The words of one value.

    Attributes:
        value: The public value.
        words: What stands for it.
    """

    value: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class OwnAttribute:
    """One attribute of a user's file.

    Attributes:
        name: A new name, or that of a known attribute.
        values: The public values in canonical order; empty for a known attribute.
        words: Further words for the values.
    """

    name: str
    values: tuple[str, ...]
    words: tuple[Words, ...]


@dataclass(frozen=True)
class Extension:
    """A user's file, validated as far as it can be without the lexicon.

    Attributes:
        attributes: In the order of the file.
        version: What it adds to the lexicon's version: "+" and a digest of the file, or nothing.
    """

    attributes: tuple[OwnAttribute, ...] = ()
    version: str = ""


def read_extension(path: Path) -> Extension:
    """Reads and validates a user's file.

    Args:
        path: A TOML file as in this module's example.

    Raises:
        InvalidRequest: It cannot be read, or holds something else.
    """
    try:
        content = path.read_bytes()
        table = tomllib.loads(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise _invalid("is no readable TOML file", "check its path and its brackets") from None
    unknown = set(table) - {"attributes"}
    if unknown or not isinstance(table.get("attributes"), dict):
        raise _invalid("has other tables than [attributes.NAME]", "remove them")
    attributes = tuple(_attribute(name, rows) for name, rows in table["attributes"].items())
    return Extension(attributes, "+" + hashlib.sha256(content).hexdigest()[:8])


def _attribute(name: str, table: Any) -> OwnAttribute:
    if not _NAME.fullmatch(name) or not isinstance(table, dict) or set(table) - {"values", "words"}:
        raise _invalid(f"has an attribute {name[:30]!r} that is no name with values and words", "")
    values = _word_list(table.get("values", []))
    words = table.get("words", {})
    if not isinstance(words, dict) or len(values) > _MAX_VALUES or len(values) == 1:
        raise _invalid(f"gives {name} no values to choose from", f"name 2 to {_MAX_VALUES}")
    return OwnAttribute(
        name, values, tuple(Words(key, _word_list(row)) for key, row in words.items())
    )


def _word_list(words: Any) -> tuple[str, ...]:
    if not isinstance(words, list) or not all(
        isinstance(word, str) and _WORD.fullmatch(word) for word in words
    ):
        raise _invalid("has a list with something else than lower-case words", "write words alone")
    if len(set(words)) < len(words):
        raise _invalid("has a word twice in one list", "remove one")
    return tuple(words)


def add_extension(
    builder: LexiconBuilder, extension: Extension, known: tuple[Attribute, ...]
) -> list[Attribute]:
    """Adds a user's words to a lexicon.

    Args:
        builder: The lexicon so far.
        extension: The user's words.
        known: Its attributes so far.

    Returns:
        The new attributes.

    Raises:
        InvalidRequest: A word means something else already, or a value does not exist.
    """
    values = {attribute.name: attribute.values for attribute in known}
    made = []
    for own in extension.attributes:
        if own.name not in values:
            made.append(_add_attribute(builder, own))
            values[own.name] = own.values
        elif own.values:
            raise _invalid(f"changes the values of {own.name}", "add words to them instead")
        _add_words(builder, own, values[own.name])
    return made


def _add_attribute(builder: LexiconBuilder, own: OwnAttribute) -> Attribute:
    if not own.values:
        raise _invalid(f"gives {own.name} no values", "name at least two")
    form = Form(own.name, Role.ADJECTIVE, own.values, "")
    for value in own.values:
        _check_new(builder, value)
    builder.add_form(form, own.values)
    return Attribute(own.name, own.values)


def _add_words(builder: LexiconBuilder, own: OwnAttribute, values: tuple[str, ...]) -> None:
    form = builder.forms.get((own.name, Role.ADJECTIVE))
    for row in own.words:
        if form is None or row.value not in values:
            raise _invalid(f"has words for a value that {own.name} does not have", "see its values")
        for word in row.words:
            _check_new(builder, word)
            builder.add(word, (Item("", form, values.index(row.value)),), strong=True)


def _check_new(builder: LexiconBuilder, word: str) -> None:
    if builder.has(word):
        raise _invalid("has a word that the lexicon gives another meaning", "choose another word")


def _invalid(reason: str, remedy: str) -> InvalidRequest:
    return InvalidRequest("lexicon", reason, remedy or "see the example in the documentation")
