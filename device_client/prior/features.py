"""The public words around a slot, hashed to buckets."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import lru_cache

from device_client.transformation.skeleton import Place, Skeleton

BUCKETS = 8192
_WORD = re.compile(r"[a-z]+")


def buckets_of(skeleton: Skeleton) -> list[list[int]]:
    """Returns the buckets of each slot, in the order of the slots.

    Args:
        skeleton: The prompt with its sensitive slots emptied.

    Returns:
        For each slot the distinct buckets of its features, 0..BUCKETS-1, ascending.
    """
    if not skeleton.slots:
        return []
    words = {word for piece in skeleton.pieces for word in _words(piece)}
    text = {_bucket(f"word {word}") for word in words}
    near = list(_near(skeleton))
    return [
        sorted(text.union(_bucket(feature) for feature in _own(skeleton, slot, near)))
        for slot in range(len(skeleton.slots))
    ]


def _words(piece: str | Place) -> list[str]:
    return _WORD.findall(piece.lower()) if isinstance(piece, str) else []


def _near(skeleton: Skeleton) -> Iterator[tuple[int, str]]:
    """Yields the features of each place: its form, the word before and the word after it."""
    pieces = skeleton.pieces
    for number, piece in enumerate(pieces):
        if not isinstance(piece, Place):
            continue
        yield piece.slot, f"form {piece.form.role} {piece.form.neutral}"
        before = _words(pieces[number - 1])[-1:] if number else []
        after = _words(pieces[number + 1])[:1] if number + 1 < len(pieces) else []
        yield piece.slot, f"before {' '.join(before)}"
        yield piece.slot, f"after {' '.join(after)}"


def _own(skeleton: Skeleton, slot: int, near: list[tuple[int, str]]) -> Iterator[str]:
    person = skeleton.slots[slot].person
    yield from (feature for owner, feature in near if owner == slot)
    for owner, feature in near:
        if owner != slot and skeleton.slots[owner].person == person:
            yield f"same person {feature}"
    yield f"person {min(person, 3)}"


@lru_cache(maxsize=65536)
def _bucket(feature: str) -> int:
    return zlib.crc32(feature.encode()) % BUCKETS
