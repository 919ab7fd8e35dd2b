"""Loss curves of the recipe's logs as one picture, for the model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

NETWORKS: Final = (
    "classifier",
    "autoencoder",
    "text_encoder",
    "cloud_unet",
    "device_unet",
)
_SMOOTHING: Final = 5


def draw_curves(work: Path, picture: Path) -> dict[str, float]:
    """Draws the loss of every network over its training time.

    Args:
        work: folder of the recipe.
        picture: PNG to write.

    Returns:
        Wall time of each network's training in minutes.
    """
    figure, axes = plt.subplots(1, len(NETWORKS), figsize=(16, 3), constrained_layout=True)
    minutes = {}
    for name, axis in zip(NETWORKS, axes, strict=True):
        rows = [json.loads(line) for line in (work / name / "log.jsonl").read_text().splitlines()]
        time_min = np.array([row["elapsed_s"] for row in rows]) / 60
        loss = np.array([row["loss"] for row in rows])
        width = min(_SMOOTHING, len(rows))
        axis.plot(time_min[width - 1 :], np.convolve(loss, np.ones(width) / width, "valid"))
        axis.set(title=name.replace("_", " "), xlabel="minutes", yscale="log")
        minutes[name] = float(time_min[-1])
    axes[0].set_ylabel("loss")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=80)
    return minutes
