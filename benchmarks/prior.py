"""Trains the prior model of device_client/prior on files of prompts, and prints how good it is.

    python -m benchmarks.prior PROMPTS.txt ... --out device_client/prior/people.npz

The shipped model saw image prompts alone: sentences made for other tests, with each pronoun equally
often, would teach it that nothing can be guessed.

One prompt a line. A fifth of the lines is held out; lines with equal skeletons stay together. The
same files and release of torch give the same model.
"""

from __future__ import annotations

import argparse
import json
import platform
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from device_client.prior.features import BUCKETS, buckets_of
from device_client.private_side.choice import index_of
from device_client.transformation import load_lexicon, transform
from obclip.errors import PromptRefused

HELD_OUT: Final = 5  # one line in so many
STEPS: Final = 200
LEARNING_RATE: Final = 0.05
PENALTY: Final = 0.01


@dataclass(frozen=True)
class Example:
    """One slot of one prompt.

    Attributes:
        buckets: Of its features.
        value: What the user meant.
    """

    buckets: list[int]
    value: int


Examples = dict[str, list[Example]]


def read_examples(prompts: Iterable[str]) -> tuple[Examples, Examples]:
    """Returns the examples by attribute, those to learn from and those held out.

    Args:
        prompts: The lines; refused ones are left out.
    """
    learnt: Examples = defaultdict(list)
    held_out: Examples = defaultdict(list)
    for prompt in prompts:
        try:
            made = transform(prompt)
        except PromptRefused:
            continue
        skeleton = made.skeleton
        sizes = tuple(len(slot.values) for slot in skeleton.slots)
        values = np.unravel_index(index_of(made.choice), sizes) if sizes else ()
        is_held_out = zlib.crc32(skeleton.masked_text.encode()) % HELD_OUT == 0
        examples = held_out if is_held_out else learnt
        rows = zip(skeleton.slots, buckets_of(skeleton), values, strict=True)
        for slot, buckets, value in rows:
            examples[slot.attribute].append(Example(buckets, int(value)))
    return learnt, held_out


def train(examples: list[Example], values: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fits a logistic regression with a quadratic penalty.

    Args:
        examples: To learn from.
        values: Number of values.

    Returns:
        Weights (BUCKETS, values) and bias (values,), float32.
    """
    flat, offsets, targets = _packed(examples)
    weights = torch.zeros(BUCKETS, values, requires_grad=True)
    bias = torch.zeros(values, requires_grad=True)
    optimiser = torch.optim.Adam([weights, bias], lr=LEARNING_RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        logits = torch.nn.functional.embedding_bag(flat, weights, offsets, mode="sum") + bias
        loss = torch.nn.functional.cross_entropy(logits, targets)
        (loss + PENALTY * weights.square().sum()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return weights.detach().numpy(), bias.detach().numpy()


def _packed(examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    lengths = [len(example.buckets) for example in examples]
    flat = [bucket for example in examples for bucket in example.buckets]
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    targets = [example.value for example in examples]
    return torch.tensor(flat), torch.tensor(offsets), torch.tensor(targets)


@dataclass(frozen=True)
class Packed:
    """Weights as they are shipped.

    Attributes:
        weights: (BUCKETS, values) int8.
        bias: (values,) float32.
        scale: Of one unit of the weights.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.float32]
    scale: float

    def judge(self, examples: list[Example]) -> dict[str, float]:
        """Returns accuracy, share of the commonest value, and log loss in bits."""
        likely = np.stack([self._posterior(example) for example in examples])
        truth = np.array([example.value for example in examples])
        right = likely[np.arange(len(truth)), truth]
        return {
            "accuracy": round(float((likely.argmax(axis=1) == truth).mean()), 4),
            "majority": round(float(np.bincount(truth).max() / len(truth)), 4),
            "log_loss": round(float(-np.log2(right).mean()), 4),
            "slots": len(truth),
        }

    def _posterior(self, example: Example) -> NDArray[np.float64]:
        logits = self.bias + self.scale * self.weights[example.buckets].sum(axis=0, dtype=float)
        likely = np.exp(logits - logits.max())
        return np.asarray(likely / likely.sum())


def pack(weights: NDArray[np.float32], bias: NDArray[np.float32]) -> Packed:
    """Rounds weights to int8."""
    scale = float(np.abs(weights).max() / 127)
    return Packed(np.round(weights / scale).astype(np.int8), bias, scale)


def build(prompts: Iterable[str]) -> tuple[dict[str, Packed], dict[str, Any]]:
    """Trains a model for each shipped attribute.

    Args:
        prompts: The lines.

    Returns:
        The models, and the facts that go into the file.
    """
    lexicon = load_lexicon()
    learnt, held_out = read_examples(prompts)
    models, rows = {}, {}
    for attribute in lexicon.attributes:
        own = pack(*train(learnt[attribute.name], len(attribute.values)))
        models[attribute.name] = own
        judged = own.judge(held_out[attribute.name])
        rows[attribute.name] = {"values": attribute.values, "scale": own.scale} | judged
    return models, {"lexicon_version": lexicon.version, "attributes": rows}


def main() -> None:
    """Runs the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("prompts", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    files = sorted(arguments.prompts)
    models, facts = build(line for path in files for line in path.read_text("utf-8").splitlines())
    print(f"torch {torch.__version__}, {platform.machine()}; held out: 1 line in {HELD_OUT}")
    for name, row in facts["attributes"].items():
        told = {key: row[key] for key in ("accuracy", "majority", "log_loss", "slots")}
        print(f"{name:<12}" + "  ".join(f"{key} {value}" for key, value in told.items()))
    if arguments.out:
        arrays: dict[str, Any] = {f"{name}_weights": own.weights for name, own in models.items()}
        arrays |= {f"{name}_bias": own.bias for name, own in models.items()}
        np.savez_compressed(arguments.out, facts=np.array(json.dumps(facts)), **arrays)
        print(f"{arguments.out}: {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
