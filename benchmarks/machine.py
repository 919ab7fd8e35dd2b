"""What ran a measurement."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import onnxruntime


def machine() -> dict[str, Any]:
    """What ran the measurement."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
