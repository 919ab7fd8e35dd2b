"""The door: from a user's prompt to a public skeleton and a private choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device_client.limits import DEFAULT_MAX_CANDIDATES
from device_client.private_side.choice import Choice
from device_client.transformation.blocks import partition
from device_client.transformation.budget import TokenBudget, shortened
from device_client.transformation.canonicalise import canonicalise
from device_client.transformation.lexicon import Lexicon, load_lexicon
from device_client.transformation.negative import without_attributes
from device_client.transformation.reading import read
from device_client.transformation.skeleton import Skeleton
from device_client.transformation.unreadable import refuse_unreadable
from obclip.errors import InvalidRequest, PromptRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMEDY = "use simpler words for the persons in it"


@dataclass(frozen=True)
class Transformation:
    """A prompt in two halves.

    Attributes:
        skeleton: All that may leave the device.
        choice: Which candidate the user meant, and the user's own words; never leaves the device.
    """

    skeleton: Skeleton
    choice: Choice = field(repr=False)


def transform(
    prompt: str,
    negative_prompt: str = "",
    *,
    lexicon: Lexicon | None = None,
    max_candidates: int = DEFAULT_MAX_CANDIDATES,
    token_budget: TokenBudget | None = None,
) -> Transformation:
    """Splits a prompt into what the cloud sees and what only the device knows.

    Args:
        prompt: The user's words.
        negative_prompt: What the picture should not show; sensitive words in it are left out.
        lexicon: The words to know; the shipped ones by default.
        max_candidates: Most candidates to send, at least 2. Fewer than the prompt has combinations
            of values selects a block of a fixed public partition, which tells the cloud
            log2(total / n) bits.
        token_budget: What the text encoder takes; a longer skeleton is cut.

    Returns:
        The skeleton, checked against the skeleton law for every candidate, and the choice.

    Raises:
        PromptRefused: The prompt holds something that the lexicon cannot hide.
        InvalidRequest: `max_candidates` is below 2.
    """
    if max_candidates < 2:
        raise InvalidRequest("max_candidates", f"is {max_candidates}", "choose at least 2")
    lexicon = lexicon or load_lexicon()
    reader = _Reader(lexicon, max_candidates, _public_negative(negative_prompt, lexicon))
    own_words = canonicalise(prompt, lexicon.pictures)
    refuse_unreadable(own_words, lexicon)
    skeleton, values = reader.read_all(own_words)
    if token_budget is not None:
        whole = skeleton
        skeleton = shortened(skeleton, token_budget, reader.is_closed)
        values = _values_of(skeleton, whole, values)
    skeleton, index = reader.block_of(skeleton, values)
    reader.check_law(skeleton)
    if token_budget is not None:
        token_budget.check_distinct(skeleton.candidates())
    return Transformation(skeleton, Choice(skeleton.members.index(index), own_words))


def _public_negative(negative_prompt: str, lexicon: Lexicon) -> str:
    text = canonicalise(negative_prompt, lexicon.pictures)
    refuse_unreadable(text, lexicon)
    return without_attributes(text, lexicon)


def _values_of(skeleton: Skeleton, whole: Skeleton, values: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the values of the slots that the cut has left."""
    by_slot = dict(zip(whole.slots, values, strict=True))
    return tuple(by_slot[slot] for slot in skeleton.slots)


@dataclass(frozen=True)
class _Reader:
    """Reads texts under one set of public settings."""

    lexicon: Lexicon
    max_candidates: int
    negative_prompt: str

    def read_all(self, text: str) -> tuple[Skeleton, tuple[int, ...]]:
        """Returns the skeleton of a text, not yet cut into blocks, and the text's own values."""
        if not text:
            raise PromptRefused("it is empty", "describe the picture that you want")
        cap = max(self.lexicon.candidate_cap, self.max_candidates)
        reading = read(text, self.lexicon, cap)
        skeleton = Skeleton(
            reading.pieces,
            reading.slots,
            self.negative_prompt,
            self.lexicon.version,
            reading.hints,
            max_candidates=self.max_candidates,
        )
        return skeleton, reading.values

    def block_of(self, skeleton: Skeleton, values: tuple[int, ...]) -> tuple[Skeleton, int]:
        """Returns the skeleton with the block that holds these values, and their place."""
        index = _place_of(skeleton, values)
        if skeleton.total <= self.max_candidates:
            return skeleton, index
        sizes = tuple(len(slot.values) for slot in skeleton.slots)
        blocks = enumerate(partition(sizes, self.max_candidates))
        return skeleton.in_block(next(number for number, block in blocks if index in block)), index

    def is_closed(self, skeleton: Skeleton) -> bool:
        """Tells whether every candidate leads back to the skeleton, and no two are equal.

        One that would be refused leads nowhere: of "her5" and "his5" the first looks disguised, so
        whoever sends the two must have meant the second.
        """
        candidates = skeleton.candidates()
        again = (self._read_again(text) for text in candidates)
        whole = skeleton.in_block(None)  # equal places of it lie in equal blocks
        wanted = ((whole, member) for member in skeleton.members)
        try:
            return len(set(candidates)) == len(candidates) and _all_equal(again, wanted)
        except PromptRefused:
            return False

    def _read_again(self, candidate: str) -> tuple[Skeleton, int]:
        text = canonicalise(candidate, self.lexicon.pictures)
        refuse_unreadable(text, self.lexicon)
        skeleton, values = self.read_all(text)
        return skeleton, _place_of(skeleton, values)

    def check_law(self, skeleton: Skeleton) -> None:
        """Reads every candidate again; the verdict depends on the skeleton alone.

        Raises:
            PromptRefused: A candidate does not lead back to the skeleton.
        """
        if not self.is_closed(skeleton):
            raise PromptRefused("its candidates do not all lead back to it", _REMEDY)
        if _public_negative(self.negative_prompt, self.lexicon) != self.negative_prompt:
            raise PromptRefused("its negative prompt does not lead back to itself", _REMEDY)


def _place_of(skeleton: Skeleton, values: tuple[int, ...]) -> int:
    """Returns the place of these values in the canonical order of all combinations."""
    place = 0
    for value, slot in zip(values, skeleton.slots, strict=True):
        place = place * len(slot.values) + value
    return place


def _all_equal(
    again: Iterable[tuple[Skeleton, int]], wanted: Iterable[tuple[Skeleton, int]]
) -> bool:
    return all(ours == theirs for ours, theirs in zip(again, wanted, strict=True))
