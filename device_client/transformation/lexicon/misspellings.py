"""Slips of the finger: a letter lost, added, changed, or exchanged with its neighbour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_MIN_LETTERS = 5


def without_a_letter(word: str) -> Iterator[str]:
    """Yields what is left of a word without one of its letters; the first letter stays."""
    for place in range(1, len(word)):
        yield word[:place] + word[place + 1 :]


def correct(word: str, index: Mapping[str, tuple[str, ...]]) -> str | None:
    """Finds the word that this one is a misspelling of.

    Words that leave the same without one letter are near; `_one_slip` decides.

    Args:
        word: A word that is no ordinary one.
        index: Known words by what is left of them without a letter.

    Returns:
        The known word, or None.
    """
    if len(word) < _MIN_LETTERS:
        return None
    near = {known for rest in (word, *without_a_letter(word)) for known in index.get(rest, ())}
    fitting = sorted(known for known in near if _one_slip(word, known))
    return min(fitting, key=lambda known: abs(len(known) - len(word)), default=None)


def _one_slip(word: str, known: str) -> bool:
    if len(word) != len(known):
        return True
    differing = [
        place
        for place, (ours, theirs) in enumerate(zip(word, known, strict=True))
        if ours != theirs
    ]
    if len(differing) == 1:
        return True
    return (
        len(differing) == 2
        and differing[1] == differing[0] + 1
        and word[differing[0]] == known[differing[1]]
    )
