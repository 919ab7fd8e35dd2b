"""The prior model: a logistic regression on hashed words, shipped as one small file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_client.prior.features import buckets_of
from device_client.transformation.skeleton import Skeleton

FILE = Path(__file__).with_name("people.npz")


@dataclass(frozen=True, eq=False)
class AttributeModel:
    """The model of one attribute.

    Attributes:
        values: The public values that it was trained for.
        weights: (BUCKETS, len(values)) int8, in units of `scale`.
        bias: (len(values),) float32.
        scale: Of one unit of the weights.
    """

    values: tuple[str, ...]
    weights: NDArray[np.int8] = field(repr=False)
    bias: NDArray[np.float32] = field(repr=False)
    scale: float

    def posterior(self, buckets: list[int]) -> NDArray[np.float64]:
        """Returns the probability of each value, (len(values),) float64."""
        logits = self.bias + self.scale * self.weights[buckets].sum(axis=0, dtype=np.float64)
        likely = np.exp(logits - logits.max())
        return np.asarray(likely / likely.sum())


@dataclass(frozen=True, eq=False)
class PriorModel:
    """The models of all attributes.

    Attributes:
        attributes: By the attribute's name.
        facts: How it was trained, and how well it does on lines that it has not seen; for each
            attribute `accuracy`, `majority` (of guessing the commonest value), `log_loss` in bits
            and `slots`.
    """

    attributes: dict[str, AttributeModel]
    facts: dict[str, Any]

    def posterior(self, skeleton: Skeleton) -> NDArray[np.float64]:
        """Returns how likely each candidate is to be meant, given the public words.

        Slots are taken as independent; an attribute that the model does not know is uniform.

        Args:
            skeleton: The prompt with its sensitive slots emptied.

        Returns:
            (N,) float64, in the canonical order of the candidates; the sum is 1.
        """
        joint = np.ones(1)
        for slot, buckets in zip(skeleton.slots, buckets_of(skeleton), strict=True):
            model = self.attributes.get(slot.attribute)
            if model is None or model.values != slot.values:
                own = np.full(len(slot.values), 1 / len(slot.values))
            else:
                own = model.posterior(buckets)
            joint = np.outer(joint, own).ravel()
        sent = joint[list(skeleton.members)]
        return np.asarray(sent / sent.sum())


@cache
def load_prior() -> PriorModel:
    """Returns the model that this release ships; the file is read once."""
    with np.load(FILE, allow_pickle=False) as arrays:
        facts = json.loads(str(arrays["facts"]))
        models = {
            name: AttributeModel(
                tuple(row["values"]), arrays[f"{name}_weights"], arrays[f"{name}_bias"],
                row["scale"],
            )
            for name, row in facts["attributes"].items()
        }  # fmt: skip
    return PriorModel(models, facts)
