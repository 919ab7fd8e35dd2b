"""One ONNX graph of the bundle, opened in ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from obclip.errors import InvalidBundle

SILENT = 4  # ONNX Runtime's severity "fatal": what fails is raised, and printed once, by us


class Graph:
    """A graph with named inputs, of whose outputs the first counts.

    Attributes:
        path: The .onnx file.
    """

    def __init__(self, path: Path, inputs: frozenset[str], threads: int) -> None:
        """Opens the graph.

        Args:
            path: The .onnx file; its weights lie beside it.
            inputs: The input names that the caller will feed.
            threads: Threads for one operator, >= 1.

        Raises:
            InvalidBundle: The file is missing, is no ONNX graph, or has other inputs.
        """
        self.path = path
        self._session = _open(path, threads)
        self._output = self._session.get_outputs()[0].name
        found = frozenset(node.name for node in self._session.get_inputs())
        if found != inputs:
            wanted = ", ".join(sorted(inputs))
            raise InvalidBundle(str(path), f"does not have exactly the inputs {wanted}")

    def run(self, **inputs: NDArray[np.float32] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns the graph's first output, float32, for the inputs named at construction."""
        (output,) = self._session.run([self._output], inputs)
        return np.asarray(output, dtype=np.float32)


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as failure:  # ONNX Runtime's errors share no public base class
        raise InvalidBundle(str(path), "cannot be opened by ONNX Runtime") from failure
