"""The cheap mode: a fixed public partition of the value combinations into diverse blocks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise, product
from math import lcm, prod


@lru_cache(maxsize=256)
def partition(sizes: tuple[int, ...], max_members: int) -> tuple[tuple[int, ...], ...]:
    """Splits all value combinations into blocks of nearly equal size.

    The combinations are lined up so that each step changes every attribute at once, and the line is
    cut: every block then holds as many different values of every attribute as its size allows. The
    partition depends on nothing but the arguments, so repeating a request tells nothing new.

    Args:
        sizes: Number of values of each slot.
        max_members: Largest allowed block, at least 2.

    Returns:
        The blocks; a block holds places in the canonical order of combinations, ascending.
    """
    total = prod(sizes)
    count = -(-total // max_members)
    line = list(_diagonals(sizes))
    cuts = [total * block // count for block in range(count + 1)]
    return tuple(tuple(sorted(line[start:end])) for start, end in pairwise(cuts))


def _diagonals(sizes: tuple[int, ...]) -> Iterator[int]:
    seen: set[tuple[int, ...]] = set()
    for start in product(*(range(size) for size in sizes)):
        if start in seen:
            continue
        for step in range(lcm(*sizes)):
            values = tuple((value + step) % size for value, size in zip(start, sizes, strict=True))
            seen.add(values)
            yield _rank(values, sizes)


def _rank(values: tuple[int, ...], sizes: tuple[int, ...]) -> int:
    rank = 0
    for value, size in zip(values, sizes, strict=True):
        rank = rank * size + value
    return rank
