"""The token budget: the skeleton is cut so that its longest candidate fits the text encoder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from device_client.transformation.skeleton import Piece, Place, Skeleton
from obclip.errors import PromptRefused

_MAX_TRIES = 40
_WORD_END = re.compile(r"(?<=\S)(?= )")
_IDLE_END = " ,;:-|&("
_REMEDY = "shorten the prompt, or name fewer persons in it"


@dataclass(frozen=True)
class TokenBudget:
    """What the text encoder takes.

    Attributes:
        tokenize: Returns the token ids of a text, the begin and end marks included.
        max_tokens: The most tokens of one candidate, the marks included.
    """

    tokenize: Callable[[str], Sequence[int]]
    max_tokens: int

    def fits(self, candidates: Sequence[str]) -> bool:
        """Tells whether the longest candidate fits."""
        return all(len(self.tokenize(text)) <= self.max_tokens for text in candidates)

    def check_distinct(self, candidates: Sequence[str]) -> None:
        """Refuses candidates that the encoder cannot tell apart.

        Raises:
            PromptRefused: Two candidates have the same tokens.
        """
        if len({tuple(self.tokenize(text)) for text in candidates}) < len(candidates):
            raise PromptRefused(
                "the model family's vocabulary cannot tell its candidates apart",
                "describe the persons in other words",
            )


def shortened(
    skeleton: Skeleton, budget: TokenBudget, is_closed: Callable[[Skeleton], bool]
) -> Skeleton:
    """Cuts the end of a skeleton, whole words at a time, until its longest candidate fits.

    Where the cut falls depends on the skeleton alone. A cut inside a phrase
    ("portrait of an old") may change how the rest reads; then the cut moves on.

    Args:
        skeleton: All candidates of a prompt.
        budget: The limit.
        is_closed: Tells whether every candidate of a skeleton leads back to it.

    Returns:
        The longest beginning that fits and is closed.

    Raises:
        PromptRefused: No such beginning was found.
    """
    if budget.fits(skeleton.candidates()):
        return skeleton
    cuts = list(_beginnings(skeleton.pieces))
    low, high = 0, len(cuts) - 1
    while low < high:
        middle = (low + high) // 2
        if budget.fits(skeleton.with_pieces(cuts[middle]).candidates()):
            high = middle
        else:
            low = middle + 1
    for pieces in cuts[low : low + _MAX_TRIES]:
        shorter = skeleton.with_pieces(pieces)
        if budget.fits(shorter.candidates()) and is_closed(shorter):
            return shorter
    raise PromptRefused("it is longer than the text encoder takes", _REMEDY)


def _beginnings(pieces: tuple[Piece, ...]) -> Iterator[tuple[Piece, ...]]:
    """Yields the beginnings of a skeleton that end with a word, the longest first."""
    for count in range(len(pieces), 0, -1):
        last = pieces[count - 1]
        if isinstance(last, Place):
            yield pieces[:count]
            continue
        for match in reversed(list(_WORD_END.finditer(last))):
            if text := last[: match.start()].rstrip(_IDLE_END):
                yield (*pieces[: count - 1], text)
