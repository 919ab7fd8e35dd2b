"""Puts the lexicon together from its data files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from device_client.transformation.age_patterns import AFTER, BEFORE, PEOPLE
from device_client.transformation.ages import AgeGrammar
from device_client.transformation.animals import PERSONS
from device_client.transformation.forms import HINTS, Form, Role
from device_client.transformation.lexicon.builder import LexiconBuilder, plural_of
from device_client.transformation.lexicon.extension import (
    Extension,
    add_extension,
    read_extension,
)
from device_client.transformation.lexicon.files import read_rows, read_toml, read_words
from device_client.transformation.lexicon.misspellings import without_a_letter
from device_client.transformation.lexicon.model import (
    Attribute,
    Context,
    Entry,
    FirstName,
    Item,
    Lexicon,
    NameKind,
)
from device_client.transformation.morphology import derive_person

VERSION = "1"

_GENDERS = ("female", "male")
_NO_PLURAL = ("ese", "ish", "ch", "sh", "ss", "s", "x", "ic", "ed", "ern", "afro", "balkan")
# Singular nouns that "he" and "she" cannot mean.
_GROUPS = (
    "people", "ppl", "poeple", "folks", "couple", "pair", "family", "crowd", "group", "team",
    "band", "audience",
)  # fmt: skip


def _add_gender(builder: LexiconBuilder) -> None:
    for female, male, neutral, females, males, neutrals in read_rows("gender_nouns.tsv"):
        builder.add_form(Form("gender", Role.NOUN, (female, male), neutral), (female, male))
        builder.add_form(Form("gender", Role.PLURAL, (females, males), neutrals), (females, males))
    pronouns: dict[Role, Form] = {}
    for name, female, male, neutral in read_rows("gender_words.tsv"):
        form = Form("gender", Role(name), (female, male), neutral.removeprefix("-"))
        if form.role in {Role.OBJECT, Role.POSSESSIVE, Role.ABSOLUTE}:
            pronouns[form.role] = form
        else:
            builder.add_form(form, (female, male))
    oblique = Form("gender", Role.OBLIQUE, ("her", "him"), "them")
    builder.forms.update({("gender", role): form for role, form in pronouns.items()})
    for form in pronouns.values():
        for value, text in enumerate(form.texts):
            builder.add(text, (Item("", oblique, value),))


def _add_adjectives(builder: LexiconBuilder, name: str, table: dict[str, Any]) -> Attribute:
    values = tuple(table["values"])
    form = Form(name, Role.ADJECTIVE, values, "")
    builder.add_form(form, values)
    if plurals := table.get("plural_nouns"):
        people = Form(name, Role.PLURAL, tuple(plurals), "people")
        builder.add_form(people, plurals)
        for value, (word,) in table["color_nouns"].items():
            builder.add(word, (Item("", people, values.index(value)),), color=True)
    for kind in ("words", "strong_words", "color_words"):
        flags = {"strong": kind == "strong_words", "color": kind == "color_words"}
        for value, words in table.get(kind, {}).items():
            for word in words:
                builder.add(word, (Item("", form, values.index(value)),), **flags)
    return Attribute(name, values)


def _add_ages(builder: LexiconBuilder, values: tuple[str, ...]) -> None:
    adjective = builder.forms["age", Role.ADJECTIVE]
    for value in range(len(values)):
        item = Item("", adjective, value)
        builder.add(chr(ord(BEFORE) + value), (item,), strong=True)
        builder.add(chr(ord(AFTER) + value), (item,), strong=True, after=True)
        builder.add(chr(ord(PEOPLE) + value), (item, Item("people")), strong=True)


def _add_peoples(builder: LexiconBuilder, word: str, value: int) -> None:
    """Adds "Kenyans" for "Kenyan"; "Chinese" and "Irish" have no plural."""
    if not word.endswith(_NO_PLURAL):
        plural = builder.forms["ethnicity", Role.PLURAL]
        builder.add(plural_of(word), (Item("", plural, value),))


def _add_halves(builder: LexiconBuilder, word: str, value: int, *, color: bool = False) -> None:
    """Adds "half Kenyan" for "Kenyan": of two halves the first is the value."""
    item = Item("", builder.forms["ethnicity", Role.ADJECTIVE], value)
    for share in ("half", "part"):
        builder.add(f"{share} {word}", (item,), color=color)


def _add_nationalities(builder: LexiconBuilder, values: tuple[str, ...]) -> None:
    adjective = builder.forms["ethnicity", Role.ADJECTIVE]
    for value, places, people in read_rows("nationalities.tsv"):
        index = values.index(value)
        for place in places.split("|"):
            kind = "country" if place == places.split("|")[0] else "city"
            builder.add(place, (Item("", Form("ethnicity", Role.ORIGIN, (), kind), index),))
        for word in people.split("|") if people != "-" else ():
            builder.add(word, (Item("", adjective, index),))
            _add_peoples(builder, word, index)
            _add_halves(builder, word, index)
    for stem in read_words("demonym_stems.txt"):
        for noun in ("woman", "man", "women", "men"):
            builder.add(stem + noun, builder.items_of(f"{stem} {noun}"))


def _add_aliases(builder: LexiconBuilder) -> None:
    for singular, canonical, plural, plurals in read_rows("aliases.tsv"):
        for surfaces, words in ((singular, canonical), (plural, plurals)):
            items = builder.items_of(words)
            for surface in surfaces.split("|") if words != "-" else ():
                builder.add(surface, items)


def _add_correlates(builder: LexiconBuilder, values: tuple[str, ...]) -> None:
    adjective = builder.forms["ethnicity", Role.ADJECTIVE]
    for value, surfaces in read_rows("skin.tsv"):
        for surface in surfaces.split("|"):
            builder.add(
                surface, (Item("", adjective, values.index(value)),), strong=True, after=True
            )
    for attribute, mode, surfaces, replacement, *stated in read_rows("correlates.tsv"):
        role = {"phrase": Role.TRAIT, "noun": Role.OUTFIT}.get(mode, Role.HINT)
        index = builder.forms[attribute, Role.ADJECTIVE].texts.index(stated[0]) if stated else 0
        form = Form(attribute, role, (), replacement.removeprefix("-"), is_telling=bool(stated))
        item = Item("", form, index)
        for surface in surfaces.split("|"):
            builder.add(surface, (item,), strong=mode == "always")


def _misspelt() -> dict[str, tuple[str, ...]]:
    """Returns the words that are often misspelt, by what is left of them without one letter."""
    index: dict[str, tuple[str, ...]] = {}
    for word in read_words("often_misspelt.txt"):
        for rest in {word, *without_a_letter(word)}:
            index[rest] = (*index.get(rest, ()), word)
    return index


def _name_kinds(builder: LexiconBuilder) -> dict[str, NameKind]:
    return {
        "female": NameKind(builder.items_of("woman")),
        "male": NameKind(builder.items_of("man")),
        "-": NameKind((Item("person"),)),
    }


def _add_characters(builder: LexiconBuilder) -> None:
    kinds = _name_kinds(builder)
    for surfaces, kind in read_rows("characters.tsv"):
        for surface in surfaces.split("|"):
            builder.add(surface, kinds[kind].items, name=True)


def _add_compounds(builder: LexiconBuilder) -> None:
    for compound in read_words("compounds.txt"):
        builder.add(compound, builder.items_of(f"={compound}"))


def _first_names(builder: LexiconBuilder) -> dict[str, FirstName]:
    """Returns the given names; a place's name ("jordan") counts only with a family name."""
    kinds = _name_kinds(builder)
    places = {word for word in builder.words() if _is_place(builder.entries[word][-1])}
    known = builder.words() - places
    rows = (row for row in read_rows("first_names.tsv") if row[0] not in known)
    return {
        name: FirstName(kinds[kind], weak == "weak" or name in places) for name, kind, weak in rows
    }


def _is_place(entry: Entry) -> bool:
    form = entry.items[0].form
    return form is not None and form.role is Role.ORIGIN


def _people(builder: LexiconBuilder, vocabulary: dict[str, Any]) -> frozenset[str]:
    """Returns the words that mean persons or describe them, "schooler" of "high schooler" too."""
    names = {name for name, first in vocabulary["first_names"].items() if not first.weak}
    entries = [entry for entries in builder.entries.values() for entry in entries if entry.rest]
    nouns = {entry.rest[-1] for entry in entries if entry.items[-1].text in PERSONS}
    return _values(builder).union(vocabulary["persons"], names, nouns)


def _values(builder: LexiconBuilder) -> frozenset[str]:
    """Returns the words that state a value."""
    return frozenset(word for word in builder.words() if not _is_hint(builder.entries[word][-1]))


def _persons(builder: LexiconBuilder) -> dict[str, bool]:
    persons: dict[str, bool] = {}
    known = _values(builder)
    for noun in (*read_words("beings.txt"), *read_words("persons.txt")):
        if noun not in known:
            persons.setdefault(noun, False)
            persons.setdefault(plural_of(noun), True)
    return persons | dict.fromkeys(_GROUPS, True)


def _animals() -> frozenset[str]:
    names = [row[0] for row in read_rows("things.txt") if row[1:] == ["animal"]]
    return frozenset(names) | {plural_of(name) for name in names}


def _is_hint(entry: Entry) -> bool:
    form = entry.items[0].form
    return form is not None and form.role in HINTS


def _context() -> Context:
    table = read_toml("context.toml")
    table |= table.pop("pronouns")
    verbs = table.pop("plural_verbs")
    return Context(plural_verbs=verbs, **{name: frozenset(words) for name, words in table.items()})


def _verb_forms(verbs: frozenset[str], context: Context) -> frozenset[str]:
    third_person = {plural_of(verb) for verb in verbs} - context.no_verbs
    return context.past | third_person | {word for word in context.acts if word.endswith("s")}


def _add_derived(builder: LexiconBuilder, dictionary: frozenset[str], context: Context) -> None:
    """Adds the ordinary words that are made like "watchman"."""
    for word in sorted(dictionary - builder.words() - context.underived):
        if items := derive_person(word, builder.entries):
            builder.add(word, items)


def load_lexicon(extension: Path | None = None) -> Lexicon:
    """Returns the lexicon that this release ships, with the user's own words if there are any.

    Args:
        extension: A TOML file, see `extension.py`.

    Returns:
        The lexicon; the files are read once.

    Raises:
        InvalidRequest: The user's file cannot be used.
    """
    return _load(read_extension(extension) if extension else Extension())


@cache
def _load(extension: Extension) -> Lexicon:
    builder = LexiconBuilder()
    _add_gender(builder)
    tables = read_toml("adjectives.toml")["attributes"]
    attributes = [_add_adjectives(builder, name, table) for name, table in tables.items()]
    ages, ethnicities = (attribute.values for attribute in attributes)
    _add_ages(builder, ages)
    attributes += add_extension(builder, extension, (Attribute("gender", _GENDERS), *attributes))
    _add_nationalities(builder, ethnicities)
    _add_aliases(builder)
    _add_characters(builder)
    _add_compounds(builder)
    _add_correlates(builder, ethnicities)
    for kind in ("words", "strong_words", "color_words"):
        is_color = kind == "color_words"
        for index, value in enumerate(ethnicities):
            for word in (value, *tables["ethnicity"][kind].get(value, ())):
                _add_halves(builder, word, index, color=is_color)
                if not is_color:
                    _add_peoples(builder, word, index)
    builder.close()
    vocabulary = _vocabulary(builder)
    return Lexicon(
        version=VERSION + extension.version,
        attributes=(Attribute("gender", _GENDERS), *attributes),
        forms=builder.forms,
        misspelt=_misspelt(),
        warnings={name: frozenset(words) for name, *words in read_rows("warnings.tsv")},
        pictures=dict(read_rows("emoji.tsv")),
        ages=AgeGrammar(tuple(tables["age"]["up_to_years"]), _people(builder, vocabulary)),
        **vocabulary,
    )


def _vocabulary(builder: LexiconBuilder) -> dict[str, Any]:
    """Returns the word lists of a lexicon, the entries among them."""
    context, first_names = _context(), _first_names(builder)
    titles = {title: NameKind(builder.items_of(words)) for title, words in read_rows("titles.tsv")}
    things = frozenset(read_words("things.txt"))
    surnames = frozenset(read_words("surnames.txt"))
    verbs, describing = (frozenset(read_words(f"{name}.txt")) for name in ("verbs", "describing"))
    dictionary = frozenset(read_words("dictionary.txt")) | builder.neutral_words()
    _add_derived(builder, dictionary | things | {*read_words("persons.txt")}, context)
    persons, words = _persons(builder), builder.words()
    ordinary = words | persons.keys() | things | dictionary | surnames | first_names.keys()
    return {
        "entries": {first: tuple(entries) for first, entries in builder.entries.items()},
        "words": words,
        "persons": persons,
        "mentions": persons.keys() | {"", "a", "an", "the"},
        "things": things - words - persons.keys() - context.boundaries,
        "animals": _animals() - words - persons.keys(),
        "verbs": verbs,
        "verb_forms": _verb_forms(verbs, context),
        "describing": describing,
        "no_family_names": verbs | describing | things | context.article_after,
        "dictionary": dictionary,
        "ordinary": ordinary,
        "plain": ordinary - builder.entries.keys(),
        "first_names": first_names,
        "name_words": first_names.keys() | context.credits | titles.keys(),
        "titles": titles,
        "surnames": surnames,
        "common_surnames": frozenset(read_words("common_surnames.txt")),
        "context": context,
    }
