"""What ran a measurement, and what was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnxruntime

from obclip.card import ModelCard


def machine() -> dict[str, Any]:
    """What ran the measurement."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def models(bundle: Path) -> dict[str, str]:
    """The digests of a bundle's parts."""
    return asdict(ModelCard.load(bundle).models)


def models_words(digests: Mapping[str, str]) -> str:
    """A line that tells families and trainings apart."""
    return (
        f"Models: {digests['family']}, cloud UNet `{digests['cloud_unet']:.12}`, device UNet "
        f"`{digests['device_unet']:.12}`."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
