"""The attackers: what each makes of the transcripts that a server sees.

An attacker knows this program, its lexicon and English, but not the user. It returns how likely it
holds each candidate to be the user's, and is measured against the truth by `game`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device_client.audit.grammar import mistakes
from device_client.audit.transcript import Hidden, Transcript

Guess = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """All that an attacker has.

    Attributes:
        requests: What the server saw, for the same prompt sent again and again.
        read_again: Plays the device on a candidate of the first request, by its place.
    """

    requests: tuple[Transcript, ...] = field(repr=False)
    read_again: Callable[[int], Transcript] = field(repr=False)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The candidates of the first request."""
        return self.requests[0].candidates


class Attack(Protocol):
    """An attacker."""

    @property
    def name(self) -> str:
        """For the table."""

    def learn(self, games: Sequence[Hidden]) -> None:
        """Takes transcripts with their truths, of other prompts than it will be measured on."""

    def guess(self, view: View) -> Guess:
        """Returns a probability for each candidate of the first request, (N,) float64."""


def even(suspects: Sequence[bool]) -> Guess:
    """Returns equal probabilities for all suspects; for all, if there is none."""
    weights = np.asarray(suspects, dtype=np.float64)
    weights = weights if weights.any() else np.ones_like(weights)
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class _Untaught:
    """An attacker that needs no examples."""

    name: str

    def learn(self, games: Sequence[Hidden]) -> None:
        """Learns nothing."""


class ClosureAttack(_Untaught):
    """Plays the device on every candidate: the real one must lead to what was seen."""

    def __init__(self) -> None:
        super().__init__("closure")

    def guess(self, view: View) -> Guess:
        """See `Attack`."""
        again = (view.read_again(place) for place in range(len(view.candidates)))
        return even([transcript == view.requests[0] for transcript in again])


class GrammarAttack(_Untaught):
    """Rules out what no person would write: "an young man", "a woman ... around his eyes"."""

    def __init__(self) -> None:
        super().__init__("grammar")

    def guess(self, view: View) -> Guess:
        """See `Attack`."""
        counts = [mistakes(candidate) for candidate in view.candidates]
        return even([count == min(counts) for count in counts])


class NegativeAttack(_Untaught):
    """Rules out what the negative prompt forbids."""

    def __init__(self) -> None:
        super().__init__("negative prompt")

    def guess(self, view: View) -> Guess:
        """See `Attack`."""
        forbidden = set(view.requests[0].negative_prompt.lower().replace(",", " ").split())
        return even(
            [forbidden.isdisjoint(candidate.lower().split()) for candidate in view.candidates]
        )


class SurfaceAttack(_Untaught):
    """Looks for the one spelling that differs: case, spaces, quotes, invisible characters."""

    def __init__(self) -> None:
        super().__init__("case and Unicode")

    def guess(self, view: View) -> Guess:
        """See `Attack`."""
        looks = [_look(candidate) for candidate in view.candidates]
        usual, often = Counter(looks).most_common(1)[0]
        if 2 * often > len(looks):
            return even([look != usual for look in looks])
        return even([look == max(looks) for look in looks])


def _look(text: str) -> tuple[int, ...]:
    """Counts the traits of a spelling: odd characters, capitals, spaces, signs, the end."""
    odd = sum(not character.isascii() for character in text)
    invisible = sum(unicodedata.category(character) in {"Cf", "Cc", "Mn"} for character in text)
    capitals = sum(character.isupper() for character in text)
    spaces = text.count("  ") + len(text) - len(text.strip())
    signs = sum(not character.isalnum() and character not in " -'" for character in text)
    return invisible, odd, capitals, spaces, signs, int(text[-1:].isalnum())


class IntersectionAttack(_Untaught):
    """Keeps what is common to repeated requests for one prompt."""

    def __init__(self) -> None:
        super().__init__("intersection")

    def guess(self, view: View) -> Guess:
        """See `Attack`."""
        common = set.intersection(*(set(request.candidates) for request in view.requests))
        return even([candidate in common for candidate in view.candidates])


_PLACES: dict[str, Callable[[tuple[str, ...]], int]] = {
    "first": lambda _texts: 0,
    "last": lambda texts: len(texts) - 1,
    "middle": lambda texts: len(texts) // 2,
    "alphabet": lambda texts: texts.index(min(texts)),
    "longest": lambda texts: texts.index(max(texts, key=len)),
    "shortest": lambda texts: texts.index(min(texts, key=len)),
}


class OrderAttack:
    """Learns which place in the list tells most, and guesses it."""

    name = "order"

    def __init__(self) -> None:
        self._place = _PLACES["first"]

    def learn(self, games: Sequence[Hidden]) -> None:
        """See `Attack`."""
        hits = {
            name: sum(place(game.seen.candidates) == game.truth for game in games)
            for name, place in _PLACES.items()
        }
        self._place = _PLACES[max(hits, key=lambda name: hits[name])]

    def guess(self, view: View) -> Guess:
        """See `Attack`."""
        own = self._place(view.candidates)
        return even([place == own for place in range(len(view.candidates))])


class WordsAttack:
    """A naive Bayes classifier on the words, capitals and place of a candidate: real or not?"""

    name = "bag of words"

    def __init__(self) -> None:
        self._weights: dict[str, float] = {}

    def learn(self, games: Sequence[Hidden]) -> None:
        """See `Attack`."""
        real: Counter[str] = Counter()
        others: Counter[str] = Counter()
        for game in games:
            texts = game.seen.candidates
            for place in range(len(texts)):
                share = 1.0 if place == game.truth else 1 / max(len(texts) - 1, 1)
                counts = real if place == game.truth else others
                for feature in _features(texts, place):
                    counts[feature] += share  # type: ignore[assignment]  # a weighted count
        self._weights = {
            feature: float(np.log((real[feature] + 1) / (others[feature] + 1)))
            for feature in real | others
        }

    def guess(self, view: View) -> Guess:
        """See `Attack`."""
        texts = view.candidates
        scores = np.array([self._score(texts, place) for place in range(len(texts))])
        likely = np.exp(scores - scores.max())
        best = np.isclose(likely, 1.0)
        return even(best.tolist())

    def _score(self, texts: tuple[str, ...], place: int) -> float:
        return sum(self._weights.get(feature, 0.0) for feature in _features(texts, place))


def _features(texts: tuple[str, ...], place: int) -> set[str]:
    ends = {0: "<first>", len(texts) - 1: "<last>"}
    return {*texts[place].split(), ends.get(place, "<inside>")}


def shipped() -> tuple[tuple[Attack, ...], tuple[Attack, ...]]:
    """Returns the attackers for the user's own words, and those for a choice drawn by lot."""
    own = (
        ClosureAttack(),
        GrammarAttack(),
        SurfaceAttack(),
        NegativeAttack(),
        IntersectionAttack(),
    )
    return own, (OrderAttack(), WordsAttack())
