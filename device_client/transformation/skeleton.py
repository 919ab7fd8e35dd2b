"""The public half of a prompt: its text with emptied slots, and all ways to fill them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import product
from math import log2, prod

from device_client.limits import DEFAULT_MAX_CANDIDATES
from device_client.transformation.blocks import partition
from device_client.transformation.forms import Form, Role
from device_client.transformation.tokens import starts_with_vowel_sound


@dataclass(frozen=True, slots=True)
class Slot:
    """A sensitive attribute of one person.

    Attributes:
        name: E.g. "gender", or "gender of person 2".
        attribute: Name of the attribute.
        person: Number of the person, from 1.
        values: The public values in canonical order.
    """

    name: str
    attribute: str
    person: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a slot's value stands in the text.

    Attributes:
        slot: Place of the slot in the skeleton's slots.
        form: The texts that may stand here.
        article: "a" or "A" if an article comes first, which is made to fit; else empty.
        lead: What stands between the article, or the text before, and the value.
        capital: Whether the value starts a sentence that the user began with a capital.
        possessive: Whether "'s" follows.
    """

    slot: int
    form: Form
    article: str
    lead: str
    capital: bool
    possessive: bool


Piece = str | Place


@lru_cache(maxsize=4096)
def texts_of(place: Place) -> tuple[str, ...]:
    """Returns what may stand at a place, one text per value."""
    return tuple(_text(place, word) for word in place.form.texts)


def _text(place: Place, word: str) -> str:
    article = place.article
    if article and starts_with_vowel_sound(word):
        article += "n"
    if place.capital:
        word = word[0].upper() + word[1:]
    ending = ""
    if place.possessive:
        ending = "'" if place.form.role is Role.PLURAL and word.endswith("s") else "'s"
    return article + place.lead + word + ending


@dataclass(frozen=True)
class Skeleton:
    """What leaves the device about a prompt, and all of it.

    Skeleton law: reading any member of `candidates()` gives an equal skeleton. So the skeleton, and
    everything computed from it, is the same whichever candidate the user meant.

    Attributes:
        pieces: Literal text and places, in order.
        slots: In canonical order: by person, then by attribute.
        negative_prompt: Without any sensitive word.
        lexicon_version: Version of the words that were known.
        hints: (attribute, word) for the words left in it that may give an attribute away.
        block: Number of the block of the public partition, if not all are sent; else None.
        max_candidates: Upper limit of a block's size.
    """

    pieces: tuple[Piece, ...] = field(repr=False)
    slots: tuple[Slot, ...]
    negative_prompt: str = field(repr=False)
    lexicon_version: str
    hints: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    block: int | None = None
    max_candidates: int = DEFAULT_MAX_CANDIDATES

    def with_pieces(self, pieces: tuple[Piece, ...]) -> Skeleton:
        """Returns a skeleton of other pieces, with those of this one's slots that stand in them."""
        used = sorted({piece.slot for piece in pieces if isinstance(piece, Place)})
        moved = tuple(
            replace(piece, slot=used.index(piece.slot)) if isinstance(piece, Place) else piece
            for piece in pieces
        )
        return replace(self, pieces=moved, slots=tuple(self.slots[slot] for slot in used))

    def in_block(self, block: int | None) -> Skeleton:
        """Returns this skeleton with the candidates of one block alone, or with all of them."""
        return replace(self, block=block)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the slots, e.g. ("gender", "gender of person 2"); `slots` has their values."""
        return tuple(slot.name for slot in self.slots)

    @property
    def total(self) -> int:
        """Number of value combinations, before the choice of a block."""
        return prod(len(slot.values) for slot in self.slots)

    @property
    def n(self) -> int:
        """Number of candidates that are sent."""
        return len(self.members)

    @property
    def leakage_bits(self) -> float:
        """What the choice of the block tells the cloud, in bits; 0 without blocks."""
        return log2(self.total / self.n)

    @property
    def masked_text(self) -> str:
        """The prompt with a mark for every slot, for display."""
        parts = (self._shown(piece) for piece in self.pieces)
        return "".join(parts).strip()

    @cached_property
    def members(self) -> tuple[int, ...]:
        """The combinations that are sent, as places in the canonical order of all of them."""
        if self.block is None:
            return tuple(range(self.total))
        sizes = tuple(len(slot.values) for slot in self.slots)
        return partition(sizes, self.max_candidates)[self.block]

    @cached_property
    def _rendered(self) -> tuple[str, ...]:
        everything = tuple(self._render_all())
        return (
            everything
            if self.block is None
            else tuple(everything[member] for member in self.members)
        )

    def candidates(self) -> tuple[str, ...]:
        """Returns every rendering in canonical order: the last slot's value changes fastest."""
        return self._rendered

    def _render_all(self) -> Iterator[str]:
        tables = [
            (piece.slot, texts_of(piece)) if isinstance(piece, Place) else piece
            for piece in self.pieces
        ]
        for values in product(*(range(len(slot.values)) for slot in self.slots)):
            yield "".join(
                [part if isinstance(part, str) else part[1][values[part[0]]] for part in tables]
            )

    def _shown(self, piece: Piece) -> str:
        if isinstance(piece, str):
            return piece
        name = self.slots[piece.slot].name
        word = "/".join(piece.form.texts) if len(piece.form.texts) == 2 else name
        ending = "'s" if piece.possessive else ""
        return f"{piece.article}{piece.lead}[{word}]{ending}"
