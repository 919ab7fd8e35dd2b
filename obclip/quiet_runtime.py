"""ONNX Runtime tells nobody what it runs.

Its Linux wheels of 1.29 and later report to their maker: a lasting number of this device, the
program, the names of the models, and how long they ran on batches of which size. Of the private
side that is made by who knows the user's choice. The packages that use it call `switch_off` first.
"""

from __future__ import annotations

import os
import sys
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"
_OFF: Final = "1"


def switch_off() -> None:
    """Have ONNX Runtime start without its reports, in this process and those that it starts.

    Raises:
        ImportError: it has been imported with them, and they can no longer be stopped.
    """
    if "onnxruntime" in sys.modules and os.environ.get(VARIABLE) != _OFF:
        raise ImportError(
            f"onnxruntime was imported first, and may report what it runs to its maker; set "
            f"{VARIABLE}={_OFF}, or import ObCLIP's packages before it"
        )
    os.environ[VARIABLE] = _OFF
