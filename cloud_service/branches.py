"""The two guidance branches of a candidate set, and which rows of them a step computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from obclip.plan import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from obclip.plan import Step

    Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Branches:
    """One tensor in both branches.

    Attributes:
        unconditional: (U, ...) float32, rows without the prompts.
        conditional: (C, ...) float32, rows with them.
        both: (U + C, ...) float32, where they lie side by side; kept, not copied, as long as a step
            computes the same rows.
    """

    unconditional: Array = field(repr=False)
    conditional: Array = field(repr=False)
    both: Array | None = field(default=None, repr=False)

    @classmethod
    def split(cls, rows: Array, step: Step, candidates: int) -> Branches:
        """Both branches of an answer to `step`, from (U + C, ...)."""
        count = step.unconditional.of(candidates)
        return cls(rows[:count], rows[count:], rows)

    def rows(self, step: Step, candidates: int) -> Array:
        """What `step` computes, (U + C, ...): rows of a mean where it computes one."""
        counts = (step.unconditional.of(candidates), step.conditional.of(candidates))
        if self.both is not None and counts == (len(self.unconditional), len(self.conditional)):
            return self.both
        return np.concatenate(
            [
                _fit(self.unconditional, step.unconditional, candidates),
                _fit(self.conditional, step.conditional, candidates),
            ]
        )


def _fit(array: Array, rows: Rows, candidates: int) -> Array:
    count = rows.of(candidates)
    if len(array) == count:
        return array
    if count == 1:
        mean: Array = array.mean(axis=0, keepdims=True)
        return mean
    return array[:0] if count == 0 else np.repeat(array, count, axis=0)
