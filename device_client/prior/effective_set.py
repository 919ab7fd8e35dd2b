"""How many candidates are left for an attacker who knows which values go with which words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from device_client.prior.model import load_prior
from device_client.transformation.skeleton import Skeleton

MIN_SIZE = 1.5
MAX_POSTERIOR = 0.9


@dataclass(frozen=True)
class EffectiveSet:
    """The candidates as the prior model weighs them.

    Attributes:
        size: 2^H, H the Shannon entropy of the posterior in bits; 1..N.
        largest_posterior: Of the likeliest candidate, 1/N..1.
        accuracy: Of the model, for each attribute in the set, on lines that it has not seen.
    """

    size: float
    largest_posterior: float
    accuracy: dict[str, float]

    def warning(self, n: int) -> str | None:
        """Returns what to tell the user if the words left suggest the values, else None.

        Args:
            n: Number of candidates.
        """
        if n < 2 or (self.size >= MIN_SIZE and self.largest_posterior <= MAX_POSTERIOR):
            return None
        return (
            f"the words left suggest one candidate with {self.largest_posterior:.0%}: "
            f"{n} candidates hide like {self.size:.1f}"
        )

    def in_words(self, n: int) -> str:
        """Returns one line for the user.

        Args:
            n: Number of candidates.
        """
        line = (
            f"Effective set: {self.size:.1f} of {n} candidates; "
            f"the likeliest has {self.largest_posterior:.0%}"
        )
        known = ", ".join(f"{name} {share:.0%}" for name, share in self.accuracy.items())
        return f"{line}. The model behind it guesses right: {known}." if known else f"{line}."


def effective_set(skeleton: Skeleton) -> EffectiveSet:
    """Weighs the candidates of a skeleton; a function of the skeleton alone.

    Args:
        skeleton: The prompt with its sensitive slots emptied.
    """
    prior = load_prior()
    posterior = prior.posterior(skeleton)
    entropy = -float(np.sum(posterior * np.log2(np.maximum(posterior, 1e-300))))
    rows = prior.facts["attributes"]
    occurring = dict.fromkeys(slot.attribute for slot in skeleton.slots)
    return EffectiveSet(
        size=float(2**entropy),
        largest_posterior=float(posterior.max()),
        accuracy={name: rows[name]["accuracy"] for name in occurring if name in rows},
    )
