"""Distinguishing games: how often an attacker is right, against chance.

*Own words*: the prompts are what people wrote; the attacker names the candidate that was meant.
Every attacker in it ignores how usual a value is, so chance is 1/N. *By lot*: the user means each
candidate equally often, so that a learning attacker gains nothing from what the words around
suggest, which is its prior and no leak. *Twins*: the user wrote the prompt or its twin with other
sensitive words; the attacker says which, and chance is 1/2.

All probabilities are exact for the prompts played, no dice are thrown: an advantage of zero is
zero. The interval is for other prompts of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from device_client.audit.attacks import Attack, View, shipped
from device_client.audit.interval import clopper_pearson
from device_client.audit.transcript import Hidden, Hide, Transcript
from device_client.audit.twins import twin_of

REPEATS = 3
CERTAIN = 0.999
_EPSILON = 1e-9


@dataclass(frozen=True)
class Trial:
    """One prompt, hidden again for every candidate that the user may have meant.

    Attributes:
        own: The prompt itself, several times.
        by_lot: The candidates of the first time, each as the user's prompt.
        twin: The prompt with other sensitive words, or None if it has none.
    """

    own: tuple[Hidden, ...]
    by_lot: tuple[Hidden, ...]
    twin: Hidden | None = None

    @property
    def seen(self) -> Transcript:
        """What the server sees when the user means what the prompt says."""
        return self.own[0].seen

    def read_again(self, place: int) -> Transcript:
        """Returns what the server would see of a candidate."""
        return self.by_lot[place].seen


@dataclass(frozen=True)
class Score:
    """An attacker's results.

    Attributes:
        attack: Its name.
        game: "own words", "by lot" or "twins".
        prompts: Prompts played, those with something to guess.
        success: Share of right guesses.
        chance: The same for guessing blindly.
        ahead: Prompts on which it does better than chance.
        certain: Prompts on which it is sure, and right.
        exposed: Lines of these prompts, 0-based.
    """

    attack: str
    game: str
    prompts: int
    success: float
    chance: float
    ahead: int
    certain: int
    exposed: tuple[int, ...] = field(repr=False, default=())

    @property
    def advantage(self) -> float:
        """Success less chance."""
        return self.success - self.chance

    @property
    def success_interval(self) -> tuple[float, float]:
        """The 99 % Clopper-Pearson interval of the success, one game a prompt."""
        return clopper_pearson(round(self.success * self.prompts), self.prompts)

    @property
    def advantage_limit(self) -> float:
        """What the advantage does not exceed, at 99 % confidence, on prompts of the same kind.

        It is the upper Clopper-Pearson limit of the share of prompts with an advantage, for no
        prompt gives more than 1.
        """
        return clopper_pearson(self.ahead, self.prompts)[1]


def play(prompt: str, hide: Hide) -> Trial | None:
    """Hides a prompt in every way that a game needs.

    Args:
        prompt: A user's text.
        hide: The device.

    Returns:
        The trial, or None if prompt and twin are refused.
    """
    own, other = hide(prompt), twin_of(prompt)
    twin = None if other is None else hide(other)
    if not own.seen.candidates:
        if other is None or twin is None or not twin.seen.candidates:
            return None
        prompt, own, twin = other, twin, own  # one of the two is sent, which tells them apart
    again = tuple(hide(prompt) for _ in range(REPEATS - 1))
    many = len(own.seen.candidates) > 1
    by_lot = tuple(hide(text) for text in own.seen.candidates) if many else (own,)
    return Trial((own, *again), by_lot, twin)


def score_own(attack: Attack, trials: Sequence[Trial]) -> Score:
    """Plays the game on the user's own words.

    Args:
        attack: The attacker.
        trials: Prompts.
    """
    rows = [_own_row(attack, trial) for trial in trials]
    return _score(attack.name, "own words", rows)


def score_by_lot(attack: Attack, trials: Sequence[Trial]) -> Score:
    """Plays the game with a candidate drawn by lot; the attacker learns from every other prompt.

    Args:
        attack: The attacker.
        trials: Prompts; the even ones are for learning.
    """
    attack.learn([game for trial in trials[::2] for game in trial.by_lot if game.seen.candidates])
    rows = [_lot_row(attack, trial) if number % 2 else None for number, trial in enumerate(trials)]
    return _score(attack.name, "by lot", rows)


def score_twins(trials: Sequence[Trial]) -> Score:
    """Plays the game of telling a prompt from its twin.

    Args:
        trials: Prompts.
    """
    return _score("twins", "twins", [_twin_row(trial) for trial in trials])


# Success, chance and certainty on one prompt; None if there is nothing to guess.
_Row = tuple[float, float, bool] | None


def _own_row(attack: Attack, trial: Trial) -> _Row:
    count = len(trial.seen.candidates)
    if count < 2:
        return None
    requests = tuple(hidden.seen for hidden in trial.own)
    right = float(attack.guess(View(requests, trial.read_again))[trial.own[0].truth])
    return right, 1 / count, right >= CERTAIN


def _lot_row(attack: Attack, trial: Trial) -> _Row:
    if len(trial.seen.candidates) < 2:
        return None
    games = [game for game in trial.by_lot if game.seen.candidates]
    right = [attack.guess(View((game.seen,), trial.read_again))[game.truth] for game in games]
    chance = float(np.mean([1 / len(game.seen.candidates) for game in games]))
    return float(np.mean(right)), chance, bool(min(right) >= CERTAIN)


def _twin_row(trial: Trial) -> _Row:
    if trial.twin is None or trial.seen.block is not None:
        return None  # a block tells which one it is, as declared
    told_apart = trial.twin.seen != trial.seen
    return 1.0 if told_apart else 0.5, 0.5, told_apart


def _score(attack: str, game: str, rows: Iterable[_Row]) -> Score:
    played = [(line, *row) for line, row in enumerate(rows) if row is not None]
    exposed = tuple(line for line, right, chance, _sure in played if right > chance + _EPSILON)
    return Score(
        attack=attack,
        game=game,
        prompts=len(played),
        success=float(np.mean([right for _, right, _, _ in played])) if played else 0.0,
        chance=float(np.mean([chance for _, _, chance, _ in played])) if played else 0.0,
        ahead=len(exposed),
        certain=sum(sure for *_, sure in played),
        exposed=exposed,
    )


def audit(trials: Sequence[Trial]) -> list[Score]:
    """Plays every game with every attacker.

    Args:
        trials: Prompts; at least two, for there is something to learn from.
    """
    own, by_lot = shipped()
    return [
        *(score_own(attack, trials) for attack in own),
        *(score_by_lot(attack, trials) for attack in by_lot),
        score_twins(trials),
    ]
