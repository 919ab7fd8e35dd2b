"""Judges portraits with the family's attribute classifier: accuracies and the Frechet distance."""

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
    hits = {n: verdict.guesses[n] == np.array([w[n] for w in wanted]) for n in JUDGED}
    figures = {name: float(hit.mean()) for name, hit in hits.items()}
    wearing = np.array([w["glasses"] == GLASSES.index(True) for w in wanted])
    figures["glasses_recall"] = float(hits["glasses"][wearing].mean())
    figures["all"] = float(np.all(list(hits.values()), axis=0).mean())
    return figures


def frechet_distance(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Distance of two sets of features as normal distributions (Heusel et al., arXiv 1706.08500).

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2).

    Args:
        ours: (a, features).
        theirs: (b, features).
    """
    first, second = ours.astype(np.float64), theirs.astype(np.float64)
    shift = first.mean(axis=0) - second.mean(axis=0)
    cov_1, cov_2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = _square_root(cov_1)
    middle = _square_root(root @ cov_2 @ root)
    return float(shift @ shift + np.trace(cov_1 + cov_2 - 2 * middle))


def _square_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    root: NDArray[np.float64] = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root
