"""The model that Triton's python backend runs: one ONNX graph in ONNX Runtime on the CPU.

Runs inside Triton's stub process, so it needs numpy and ONNX Runtime alone.
"""

import ctypes
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

Feeds = dict[str, NDArray[Any]]
_SHARED_WEIGHTS = "shared_weights"  # as in cloud_service.shared_weights, which imports too much


class TritonPythonModel:
    """One ONNX graph whose inputs and outputs all have a leading batch axis.

    Triton calls `initialize` once, then `execute` with every group of requests that its dynamic
    batcher formed. The config parameters are `onnx_file`, relative to the model's folder, and
    `intra_op_threads`.
    """

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the graph named by the model's config."""
        parameters = json.loads(args["model_config"])["parameters"]
        onnx_file = Path(args["model_repository"]) / parameters["onnx_file"]["string_value"]
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(parameters["intra_op_threads"]["string_value"])
        # Spinning threads would take the cores from the orchestrator and from the other models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = (
            4  # its error lines quote input values; the exception says enough
        )
        onnx_file = onnx_file.resolve()
        if (onnx_file.parent / _SHARED_WEIGHTS).exists():
            # The graph is optimised, and its weights are mapped: packing would copy them.
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.add_session_config_entry("session.disable_prepacking", "1")
        self._session = ort.InferenceSession(
            str(onnx_file), options, providers=["CPUExecutionProvider"]
        )
        # What optimising took: almost as much as the weights, and not given back by itself.
        ctypes.CDLL(None).malloc_trim(0)
        self._inputs = {node.name: len(node.shape) for node in self._session.get_inputs()}
        self._outputs = [node.name for node in self._session.get_outputs()]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Runs all requests as one batch and gives each its rows.

        Args:
            requests: Triton's requests; their batch sizes may differ, their other axes are equal.

        Returns:
            One response for each request, in order. One that ONNX Runtime refuses fails alone.
        """
        feeds = [self._feeds(request) for request in requests]
        wanted = {name for request in requests for name in request.requested_output_names()}
        outputs = [name for name in self._outputs if name in wanted]
        try:
            answers = self._run_merged(feeds, outputs)
        except Exception:
            # ONNX Runtime names no culprit, and one user's bad ids must not fail another's request.
            return [self._respond_alone(feed, outputs) for feed in feeds]
        return [_response(answer) for answer in answers]

    def finalize(self) -> None:
        """Frees the graph's memory before Triton ends the process."""
        del self._session

    def _feeds(self, request: Any) -> Feeds:
        return {
            name: _drop_unit_axes(pb_utils.get_input_tensor_by_name(request, name).as_numpy(), axes)
            for name, axes in self._inputs.items()
        }

    def _run_merged(self, feeds: list[Feeds], outputs: list[str]) -> list[Feeds]:
        merged = {name: np.concatenate([feed[name] for feed in feeds]) for name in self._inputs}
        answer = dict(zip(outputs, self._session.run(outputs, merged), strict=True))
        first_input = next(iter(self._inputs))
        ends = np.cumsum([len(feed[first_input]) for feed in feeds])
        return [
            {name: array[end - len(feed[first_input]) : end] for name, array in answer.items()}
            for feed, end in zip(feeds, ends, strict=True)
        ]

    def _respond_alone(self, feed: Feeds, outputs: list[str]) -> Any:
        try:
            return _response(self._run_merged([feed], outputs)[0])
        except Exception:
            # Fixed words: ONNX Runtime's own quote input values, and those are somebody's prompt.
            error = pb_utils.TritonError(
                "the model refused the values of this request", pb_utils.TritonError.INVALID_ARG
            )
            return pb_utils.InferenceResponse(error=error)


def _drop_unit_axes(array: NDArray[Any], axes: int) -> NDArray[Any]:
    """Triton wants a non-batch axis on every tensor; the graph's timestep has none."""
    return array.reshape(array.shape[:axes]) if array.ndim > axes else array


def _response(outputs: Feeds) -> Any:
    return pb_utils.InferenceResponse(
        output_tensors=[pb_utils.Tensor(name, array) for name, array in outputs.items()]
    )
