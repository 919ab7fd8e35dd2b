"""Judges portraits with the family's attribute classifier: accuracies and Frechet distances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from demo_models.portrait import GLASSES, VALUES, Portrait, attribute_indices

JUDGED: Final = ("gender", "age", "ethnicity", "glasses", "hat", "background", "expression")
_BATCH: Final = 50
_RESAMPLES: Final = 300


@dataclass(frozen=True)
class Verdict:
    """What the classifier sees.

    Attributes:
        features: (images, 160) float32.
        guesses: for each attribute (images,) int64, indices into its values.
    """

    features: NDArray[np.float32]
    guesses: dict[str, NDArray[np.int64]]


class PortraitJudge:
    """The attribute classifier in ONNX Runtime.

    Args:
        bundle: the family's folder.
        threads: of ONNX Runtime.
    """

    def __init__(self, bundle: Path, threads: int = 2) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            bundle / "classifier" / "model.onnx", options, providers=["CPUExecutionProvider"]
        )

    def judge(self, images_u8: NDArray[np.uint8]) -> Verdict:
        """Classifies (images, 128, 128, 3) uint8."""
        parts = [
            self._session.run(None, {"images": _to_float(images_u8[i : i + _BATCH])})
            for i in range(0, len(images_u8), _BATCH)
        ]
        features, *logits = (np.concatenate(column) for column in zip(*parts, strict=True))
        guesses = {n: x.argmax(axis=1) for n, x in zip(VALUES, logits, strict=True)}
        return Verdict(features, guesses)


def _to_float(images_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images_u8.transpose(0, 3, 1, 2).astype(np.float32) / 255


def accuracies(verdict: Verdict, portraits: list[Portrait]) -> dict[str, float]:
    """Returns the share of right guesses per attribute, `glasses_recall`, and `all` judged at once.

    Args:
        verdict: of one image per portrait.
        portraits: what was asked for.
    """
    wanted = [attribute_indices(portrait) for portrait in portraits]
    hits = _hits(verdict, wanted)
    figures = {name: float(hit.mean()) for name, hit in hits.items()}
    wearing = np.array([w["glasses"] == GLASSES.index(True) for w in wanted])
    figures["glasses_recall"] = float(hits["glasses"][wearing].mean())
    figures["all"] = float(np.all(list(hits.values()), axis=0).mean())
    return figures


def all_right(verdict: Verdict, portraits: list[Portrait]) -> NDArray[np.bool_]:
    """Whether all attributes of each image are right, (images,)."""
    hits = _hits(verdict, [attribute_indices(portrait) for portrait in portraits])
    right: NDArray[np.bool_] = np.all(list(hits.values()), axis=0)
    return right


def _hits(verdict: Verdict, wanted: list[dict[str, int]]) -> dict[str, NDArray[np.bool_]]:
    return {n: verdict.guesses[n] == np.array([w[n] for w in wanted]) for n in JUDGED}


class FrechetDistance:
    """Distance to a set of features as normal distributions (Heusel et al., arXiv 1706.08500).

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S2^1/2 S1 S2^1/2)^1/2).

    Args:
        reference: (pictures, features) float32.
    """

    def __init__(self, reference: NDArray[np.float32]) -> None:
        wide = reference.astype(np.float64)
        self._mean, covariance = wide.mean(axis=0), np.cov(wide, rowvar=False)
        values, vectors = np.linalg.eigh(covariance)
        self._root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
        self._trace = float(values.sum())

    def to(self, features: NDArray[np.float32]) -> float:
        """The distance of (pictures, features)."""
        wide = features.astype(np.float64)
        shift = wide.mean(axis=0) - self._mean
        covariance = np.cov(wide, rowvar=False)
        middle = np.linalg.eigvalsh(self._root @ covariance @ self._root)
        shared = np.sqrt(middle.clip(min=0)).sum()
        return float(shift @ shift + np.trace(covariance) + self._trace - 2 * shared)

    def difference(
        self, ours: NDArray[np.float32], theirs: NDArray[np.float32], rng: np.random.Generator
    ) -> tuple[float, float, float]:
        """How much farther our pictures are than theirs, paired by prompt.

        Prompts are resampled, the same ones for both. A resample repeats pictures, which moves both
        distances, so only its spread is used.

        Args:
            ours: (prompts, N, features) float32.
            theirs: of the same prompts and noise.
            rng: source of the resamples.

        Returns:
            The difference, and its 95 % interval: 1.96 standard deviations over 300 resamples to
            either side.
        """
        mean = self._minus(ours, theirs)
        drawn = rng.integers(len(ours), size=(_RESAMPLES, len(ours)))
        spread = 1.96 * float(np.std([self._minus(ours[p], theirs[p]) for p in drawn], ddof=1))
        return mean, mean - spread, mean + spread

    def _minus(self, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
        return self.to(np.concatenate(ours)) - self.to(np.concatenate(theirs))
