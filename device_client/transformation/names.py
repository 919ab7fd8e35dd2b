"""Names of people: "a woman" for the cloud, the name itself for the device."""

from __future__ import annotations

from dataclasses import dataclass

from device_client.transformation.credits import credited_places, is_family_name, is_name
from device_client.transformation.forms import Role
from device_client.transformation.lexicon.model import Item, Lexicon, NameKind
from device_client.transformation.tokens import Tokens

_MAX_TITLED = 4
_MAX_TOKENS = 8
_NAMED = frozenset(
    {"friends", "colleague", "partner"}
    | {"queen", "king", "princess", "prince", "duchess", "duke", "mother", "father"}
)
_SURELY_NAMED = frozenset(
    {"aunt", "auntie", "uncle", "sister", "brother", "daughter", "son", "grandma", "grandpa"}
    | {"wife", "husband", "girlfriend", "boyfriend", "friend", "named", "called"}
)
_NO_INITIALS = frozenset({"a", "i", "s"})


@dataclass(frozen=True, slots=True)
class Span:
    """A name in a text.

    Attributes:
        end: Place after its last token.
        kind: The gender that it suggests; None in a credit, where the name stays.
    """

    end: int
    kind: NameKind | None


def find_names(tokens: Tokens, lexicon: Lexicon) -> dict[int, Span]:
    """Finds the names of a text.

    Args:
        tokens: The text.
        lexicon: Given names, family names and ordinary words.

    Returns:
        The spans by their first place.
    """
    keys = tokens.keys
    if lexicon.name_words.isdisjoint(keys):
        return {}
    credited = credited_places(keys, lexicon)
    spans = {place: Span(place + 1, None) for place in credited}
    done = 0
    for place, key in enumerate(keys):
        if key not in lexicon.name_words or place < done or place in credited:
            continue
        span = _titled(tokens, place, lexicon) or _named(tokens, place, lexicon)
        if span is not None:
            spans[place] = span
            done = span.end
    return spans


def _titled(tokens: Tokens, place: int, lexicon: Lexicon) -> Span | None:
    """Reads "Mr. Bean", if a name follows the title."""
    kind = lexicon.titles.get(tokens.keys[place])
    if kind is None:
        return None
    start = place + 2 if tokens.key(place + 1) == "." else place + 1
    end = start
    while end - start < _MAX_TITLED and _follows_title(tokens, end, start, lexicon):
        end += 1
    return Span(end, _with_given_name(kind, tokens, start, end, lexicon)) if end > start else None


def _with_given_name(
    title: NameKind, tokens: Tokens, start: int, end: int, lexicon: Lexicon
) -> NameKind:
    """Adds the gender of "Dr. Emily Watson", of which the title tells nothing."""
    given = lexicon.first_names.get(tokens.keys[start])
    if given is None or (given.weak and end == start + 1) or any(item.form for item in title.items):
        return title
    return NameKind(title.items + as_adjectives(given.kind.items, lexicon))


def as_adjectives(items: tuple[Item, ...], lexicon: Lexicon) -> tuple[Item, ...]:
    """Returns the adjectives for what the nouns of a name tell: "female" for "woman"."""
    return tuple(
        Item("", lexicon.forms[item.form.attribute, Role.ADJECTIVE], item.value)
        for item in items
        if item.form is not None
    )


def _follows_title(tokens: Tokens, place: int, start: int, lexicon: Lexicon) -> bool:
    key = tokens.key(place)
    if not key.isalpha() or key in lexicon.words or key in lexicon.context.boundaries:
        return False
    if key in lexicon.context.surname_marks or (
        is_name(key, lexicon) and key not in lexicon.persons
    ):
        return True
    if place > start and key in lexicon.context.name_particles:
        return is_name(tokens.key(place + 1), lexicon)
    before = place - 2 if tokens.key(place - 1) == "." else place - 1
    return tokens.texts[place].istitle() and tokens.texts[before].istitle()


def _named(tokens: Tokens, place: int, lexicon: Lexicon) -> Span | None:
    """Reads a given name and the family name after it; a weak one needs that, or a verb."""
    name = lexicon.first_names.get(tokens.keys[place])
    if name is None:
        return None
    end = place + 1
    while end - place < _MAX_TOKENS and _continues(tokens, end, lexicon):
        end += 1
    while end > place + 1 and tokens.keys[end - 1] in lexicon.context.name_particles:
        end -= 1
    if name.weak and not (
        _has_family_name(tokens, place, end, lexicon) or _is_person(tokens, place, lexicon)
    ):
        return None
    return Span(end, name.kind)


def _has_family_name(tokens: Tokens, place: int, end: int, lexicon: Lexicon) -> bool:
    family = tokens.keys[place + 1 : end]
    if any(key in lexicon.surnames or _is_given_name(key, lexicon) for key in family):
        return True
    is_place = tokens.keys[place] in lexicon.words
    return bool(family) and not is_place and family[0] not in lexicon.ordinary


def _is_given_name(key: str, lexicon: Lexicon) -> bool:
    name = lexicon.first_names.get(key)
    return name is not None and not name.weak


def _is_person(tokens: Tokens, place: int, lexicon: Lexicon) -> bool:
    """Tells "Robin holding a cat", "Rose's cat" and "my friend Mark" from "robin" and "rose"."""
    following = tokens.key(place + 1)
    before = tokens.keys[place - 1] if place else ""
    if tokens.keys[place] in lexicon.words and before in lexicon.context.boundaries:
        return False
    is_doing = following.endswith("ing") and following not in lexicon.context.no_gerunds
    acts = is_doing or following == "'" or following in lexicon.verb_forms
    if before in _SURELY_NAMED:
        return tokens.texts[place].istitle() or not _is_verb(tokens.keys[place], lexicon)
    return tokens.texts[place].istitle() and (acts or before in _NAMED)


def _is_verb(key: str, lexicon: Lexicon) -> bool:
    """Tells "my brother drew a cat" from "my brother mark": verbs that fit one person."""
    return key in lexicon.verb_forms or key == "will"


def _continues(tokens: Tokens, place: int, lexicon: Lexicon) -> bool:
    key = tokens.key(place)
    if key in {"-", "."}:
        return _is_glued_name(tokens, place, lexicon)
    if key in lexicon.words or key in lexicon.persons:
        return is_family_name(tuple(tokens.keys[place - 1 : place + 2]), lexicon) or (
            key in lexicon.context.surname_marks
        )
    if key in lexicon.common_surnames:
        return _ends_name(tokens.key(place + 1), lexicon)
    initial = len(key) == 1 and key.isalpha() and key not in _NO_INITIALS
    if initial or key in lexicon.context.name_particles or is_name(key, lexicon):
        return True
    return _is_rare_family_name(tokens, place, lexicon)


def _is_rare_family_name(tokens: Tokens, place: int, lexicon: Lexicon) -> bool:
    """Tells "stephen bliss" from "stephen jumps": two words that stand alone."""
    key, given = tokens.key(place), lexicon.first_names.get(tokens.keys[place - 1])
    before = tokens.keys[place - 2] if place > 1 else ","
    if given is None or given.weak or key not in lexicon.dictionary:
        return False
    if key in lexicon.no_family_names or key.endswith(("ing", "ed", "ly", "s")):
        return False
    begins = not before.isalpha() or before in lexicon.context.article_after
    return begins and _ends_name(tokens.key(place + 1), lexicon)


def _is_glued_name(tokens: Tokens, place: int, lexicon: Lexicon) -> bool:
    """Tells the hyphen of "jean-michel" and the point of "j.lo"."""
    after = place + 1
    if not tokens.key(after).isalpha() or tokens.gaps[place] or tokens.gaps[after]:
        return False
    return is_name(tokens.keys[after], lexicon) or tokens.texts[after].istitle()


def _ends_name(following: str, lexicon: Lexicon) -> bool:
    """Tells whether a name may end before this word: "emma stone in", but not "emma stone wall"."""
    if not following.isalpha() or following.endswith("ing") or following == "and":
        return True
    return following in lexicon.context.boundaries
