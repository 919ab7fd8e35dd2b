"""A bundle's graphs in this process, behind the interface that the orchestrator's loop calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from cloud_service.inference import MAX_ROWS, MODEL_OUTPUT
from obclip.plan import STEP_KIND_GRAPHS

if TYPE_CHECKING:
    from cloud_service.inference import UnetAnswer, UnetCall


class GraphBackend:
    """An `InferenceBackend` without Triton, for pictures whose cost nobody asks.

    Args:
        bundle: the bundle's folder.
        threads: of ONNX Runtime.
    """

    max_batch_size = MAX_ROWS

    def __init__(self, bundle: Path, threads: int) -> None:
        self._bundle, self._threads = bundle, threads
        self._text_encoder = open_graph(bundle / "text_encoder" / "model.onnx", threads)
        self._kinds: dict[str, Any] = {}

    async def encode_text(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `InferenceBackend.encode_text`."""
        states: NDArray[np.float32] = self._text_encoder.run(None, {"input_ids": input_ids})[0]
        return states

    async def denoise(self, call: UnetCall) -> UnetAnswer:
        """See `InferenceBackend.denoise`."""
        if call.kind not in self._kinds:
            path = self._bundle / STEP_KIND_GRAPHS[call.kind]
            self._kinds[call.kind] = open_graph(path, self._threads)
        feeds = {
            "latents": call.latents,
            "timestep": call.timesteps,
            "encoder_hidden_states": call.embeddings,
            **call.cached,
        }
        names = [MODEL_OUTPUT, *call.leaves]
        return dict(zip(names, self._kinds[call.kind].run(names, feeds), strict=True))


def open_graph(path: Path, threads: int) -> Any:
    """Opens one graph for this process."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
