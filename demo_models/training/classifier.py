"""Training of the attribute classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from demo_models.architecture import AttributeClassifier
from demo_models.portrait import VALUES
from demo_models.training.dataset import open_dataset


def images_float(images_u8: NDArray[np.uint8]) -> torch.Tensor:
    """Turns (B, H, W, 3) uint8 into (B, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(images_u8)).permute(0, 3, 1, 2).float() / 255


class ClassifierTask:
    """Cross-entropy of every attribute on renders disturbed by noise, blur and small shifts.

    Args:
        data: Folder of the training set.
        held_out: Folder of the held-out set, for the figures.
    """

    def __init__(self, data: Path, held_out: Path) -> None:
        self.network: nn.Module = AttributeClassifier()
        self._data, self._held_out = open_dataset(data), open_dataset(held_out)

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the mean cross-entropy over attributes of a random batch."""
        chosen = np.sort(rng.integers(len(self._data), size=count))
        images = _disturb(images_float(self._data.images_u8[chosen]), rng)
        labels = torch.from_numpy(self._data.attributes[chosen]).long()
        _, *logits = self.network(images.to(torch.bfloat16))
        losses = [functional.cross_entropy(x.float(), labels[:, i]) for i, x in enumerate(logits)]
        return torch.stack(losses).mean(), {}

    def sample(self, network: nn.Module, folder: Path, step: int) -> None:
        """Writes the accuracy of every attribute on held-out renders."""
        hits = []
        dtype = next(network.parameters()).dtype
        for start in range(0, len(self._held_out), 100):
            images = images_float(self._held_out.images_u8[start : start + 100])
            _, *logits = network(images.to(dtype))
            guesses = torch.stack([x.argmax(1) for x in logits], dim=1).numpy()
            hits.append(guesses == self._held_out.attributes[start : start + 100])
        accuracy = np.concatenate(hits).mean(axis=0)
        words = "  ".join(f"{n} {a:.3f}" for n, a in zip(VALUES, accuracy, strict=True))
        (folder / f"accuracy-{step}.txt").write_text(words + "\n")


def _disturb(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    dx, dy = rng.integers(-2, 3, size=2)
    images = torch.roll(images, (int(dy), int(dx)), dims=(2, 3))
    kind = rng.random()
    if kind < 0.3:
        images = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32))
    return images + float(rng.uniform(0, 0.06)) * noise
