"""The lexicon as the parser uses it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from device_client.limits import DEFAULT_MAX_CANDIDATES
from device_client.transformation.ages import AgeGrammar
from device_client.transformation.forms import Form, Role


@dataclass(frozen=True, slots=True)
class Item:
    """One word that an entry stands for: literal text, or a form with a value.

    Attributes:
        text: The word; empty for a form.
        form: The form, or None.
        value: Place of the value in the form's texts.
        glued: Whether no space stands before it.
    """

    text: str
    form: Form | None = None
    value: int = 0
    glued: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A word or phrase of the lexicon and the canonical words that it stands for.

    Attributes:
        rest: The tokens after the first one.
        items: What it stands for.
        strong: Whether it means a person wherever it stands.
        name: Whether it is the name of one person.
        color: Whether it is a colour too.
        after: Whether it follows its person.
    """

    rest: tuple[str, ...]
    items: tuple[Item, ...]
    strong: bool = False
    name: bool = False
    color: bool = False
    after: bool = False


@dataclass(frozen=True, slots=True)
class NameKind:
    """What a given name suggests.

    Attributes:
        items: The canonical words for a person with this name.
    """

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class FirstName:
    """A given name.

    Attributes:
        kind: What it suggests.
        weak: Whether it is also an ordinary word, and counts only with a family name.
    """

    kind: NameKind
    weak: bool


@dataclass(frozen=True, slots=True)
class Attribute:
    """A sensitive attribute.

    Attributes:
        name: E.g. "gender".
        values: Its public values in canonical order.
    """

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """Words around slots; decisions use these and never a slot's value."""

    boundaries: frozenset[str]
    copulas: frozenset[str]
    determiners: frozenset[str]
    body: frozenset[str]
    after_object: frozenset[str]
    bare_verb_after: frozenset[str]
    absolute_after: frozenset[str]
    giving: frozenset[str]
    counts: frozenset[str]
    acts: frozenset[str]
    past: frozenset[str]
    no_verbs: frozenset[str]
    doings: frozenset[str]
    tools: frozenset[str]
    no_gerunds: frozenset[str]
    article_after: frozenset[str]
    credits: frozenset[str]
    direct_credits: frozenset[str]
    done_by: frozenset[str]
    color_words: frozenset[str]
    no_skin: frozenset[str]
    descent: frozenset[str]
    adverbs: frozenset[str]
    phrase_starts: frozenset[str]
    underived: frozenset[str]
    name_particles: frozenset[str]
    surname_marks: frozenset[str]
    plural_verbs: dict[str, str]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Everything that the transformation knows about words.

    Attributes:
        version: Goes over the wire; reveals which release of the client is in use.
        attributes: In canonical order.
        entries: For the first token of a phrase, its entries, the longest first.
        words: The entries of one token.
        forms: Forms by (attribute, role), for roles with one form.
        persons: Nouns that name a person and no gender -> whether it is a plural.
        mentions: They, the articles, and the empty key of a mark.
        things: Nouns that name no person.
        animals: Those of them that name an animal, and their plurals.
        verbs: Words that are mostly verbs, bare form.
        verb_forms: Their third person, and past forms: after a person they are no nouns.
        describing: Adjectives that are no nouns.
        dictionary: Ordinary English words.
        ordinary: Every word that is known at all.
        plain: Those of them that begin no entry.
        misspelt: Words that are often misspelt, by what is left of them without a letter.
        first_names: Given names.
        titles: Titles before a name and what they suggest.
        surnames: Family names that are no ordinary words.
        no_family_names: Ordinary words that are never read as a family name.
        common_surnames: Family names that are ordinary words too.
        context: Words around slots.
        ages: The age grammar.
        warnings: Words that say a little about an attribute, by the attribute.
        pictures: Words for emoji.
        name_words: Words without which a text holds no name.
        candidate_cap: More candidates are never made; slots are neutralised from the last one on.
    """

    version: str
    attributes: tuple[Attribute, ...]
    entries: dict[str, tuple[Entry, ...]] = field(repr=False)
    words: frozenset[str] = field(repr=False)
    forms: dict[tuple[str, Role], Form] = field(repr=False)
    persons: dict[str, bool] = field(repr=False)
    mentions: frozenset[str] = field(repr=False)
    things: frozenset[str] = field(repr=False)
    animals: frozenset[str] = field(repr=False)
    verbs: frozenset[str] = field(repr=False)
    verb_forms: frozenset[str] = field(repr=False)
    describing: frozenset[str] = field(repr=False)
    dictionary: frozenset[str] = field(repr=False)
    ordinary: frozenset[str] = field(repr=False)
    plain: frozenset[str] = field(repr=False)
    misspelt: dict[str, tuple[str, ...]] = field(repr=False)
    first_names: dict[str, FirstName] = field(repr=False)
    titles: dict[str, NameKind] = field(repr=False)
    surnames: frozenset[str] = field(repr=False)
    no_family_names: frozenset[str] = field(repr=False)
    common_surnames: frozenset[str] = field(repr=False)
    context: Context = field(repr=False)
    ages: AgeGrammar = field(repr=False)
    warnings: dict[str, frozenset[str]] = field(repr=False)
    pictures: dict[str, str] = field(repr=False)
    name_words: frozenset[str] = field(repr=False)
    candidate_cap: int = DEFAULT_MAX_CANDIDATES

    def values_of(self, attribute: str) -> tuple[str, ...]:
        """Returns the public values of an attribute in canonical order."""
        return next(known.values for known in self.attributes if known.name == attribute)

    def rank(self, attribute: str) -> int:
        """Returns the attribute's place in the canonical order."""
        return [known.name for known in self.attributes].index(attribute)


def find_entry(entries: Iterable[Entry], keys: list[str], place: int) -> tuple[Entry | None, int]:
    """Finds the longest entry at a place; hyphens between its words are passed over.

    Args:
        entries: Entries for the token at `place`, the longest first.
        keys: Folded tokens.
        place: Where to look.

    Returns:
        The entry and the place after it, or None and the place.
    """
    for entry in entries:
        end = place + 1
        for wanted in entry.rest:
            if end < len(keys) and keys[end] == "-" and wanted != "-":
                end += 1
            if end >= len(keys) or keys[end] != wanted:
                break
            end += 1
        else:
            return entry, end
    return None, place
