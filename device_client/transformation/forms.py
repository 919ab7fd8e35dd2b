"""What a slot can look like: the forms of an attribute, one text per public value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto


class Role(StrEnum):
    """The part that a form plays in a sentence; the same for every value of its attribute.

    HINT, OUTFIT, TRAIT and ORIGIN are no slots, but give an attribute away: an adjective, a noun, a
    whole phrase, a place.
    """

    NOUN = auto()
    PLURAL = auto()
    ADJECTIVE = auto()
    TITLE = auto()
    SUBJECT = auto()
    OBLIQUE = auto()
    OBJECT = auto()
    POSSESSIVE = auto()
    ABSOLUTE = auto()
    REFLEXIVE = auto()
    HINT = auto()
    OUTFIT = auto()
    TRAIT = auto()
    ORIGIN = auto()


PRONOUNS = frozenset({Role.SUBJECT, Role.OBLIQUE, Role.REFLEXIVE})
HINTS = frozenset({Role.HINT, Role.OUTFIT, Role.TRAIT, Role.ORIGIN})
HEADS = frozenset({Role.NOUN, Role.PLURAL, Role.TITLE})


@dataclass(frozen=True, slots=True)
class Form:
    """One row of the lexicon: the texts that stand for each other in a slot.

    Attributes:
        attribute: Name of the attribute, e.g. "gender"; two joined by "+" for a hint at both.
        role: Part of the sentence, the same for all texts.
        texts: One text per public value of the attribute, in canonical order.
        neutral: Text without the attribute; empty if the word is left out.
        is_telling: Of a hint: whether it states a value as surely as the value's name would.
    """

    attribute: str
    role: Role
    texts: tuple[str, ...]
    neutral: str
    is_telling: bool = False


@dataclass(slots=True)
class Mark:
    """A sensitive word of a prompt that is being read.

    Attributes:
        form: Its row in the lexicon: public.
        value: Place of its value in `form.texts`: the user's secret.
        surface: The word as the user wrote it: the user's secret.
        strong: Whether it means a person wherever it stands.
        after: Whether it follows its person and is to be moved before it ("aged 25").
        color: Whether it is a colour too, and means a person only right before one.
    """

    form: Form
    value: int
    surface: str
    strong: bool = False
    after: bool = False
    color: bool = False
