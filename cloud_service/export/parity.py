"""Compares a graph in ONNX Runtime with the torch module that it was exported from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

BATCH_SIZES = (1, 2, 3)
_REPEATS = 3
_LARGE_BYTES = 2**30


@dataclass(frozen=True)
class Parity:
    """How far a graph is from its module, over all outputs and batch sizes.

    Attributes:
        max_absolute: largest |graph - module|.
        max_relative: largest |graph - module| over the largest |module| of the same output.
        torch_ms: fastest of three passes at batch size 2, in milliseconds; of one for a large
            module.
        ort_ms: the same for the graph, which has to widen a large module's weights in each pass.
    """

    max_absolute: float
    max_relative: float
    torch_ms: float
    ort_ms: float


def compare(
    module: torch.nn.Module, onnx_file: Path, examples: Mapping[str, torch.Tensor]
) -> Parity:
    """Run both on batches of 1, 2 and 3 samples, 1 and 2 where the module is over 1 GiB.

    Args:
        module: called with the examples' values in their order; returns one tensor, or several in
            a tuple or a dict.
        onnx_file: the graph, its external data beside it; outputs in the module's order.
        examples: input name -> (2, ...), two different samples.

    Returns:
        The differences and times. Not-a-number anywhere makes the differences NaN.
    """
    is_large = sum(weight.nbytes for weight in module.parameters()) > _LARGE_BYTES
    session = _open(onnx_file, is_large=is_large)
    pairs = [
        pair
        for size in BATCH_SIZES[: 2 if is_large else None]
        for pair in _answers(module, session, batch_of(examples, size))
    ]
    absolute = [float(np.max(np.abs(ours - theirs))) for ours, theirs in pairs]
    scales = [float(np.max(np.abs(theirs))) for _, theirs in pairs]
    return Parity(
        max_absolute=float(np.max(absolute)),
        max_relative=float(np.max(np.divide(absolute, np.maximum(scales, 1e-12)))),
        torch_ms=_fastest_ms(lambda: _run_module(module, examples), 1 if is_large else _REPEATS),
        ort_ms=_fastest_ms(
            lambda: session.run(None, _feeds(examples)), 1 if is_large else _REPEATS
        ),
    )


def _open(onnx_file: Path, *, is_large: bool) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    if is_large:  # or it would widen all weights while loading, beside torch's copy
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
    return ort.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def batch_of(examples: Mapping[str, torch.Tensor], size: int) -> dict[str, torch.Tensor]:
    """Repeat the examples' samples in turn: `size` rows each."""
    return {name: value[torch.arange(size) % len(value)] for name, value in examples.items()}


def _answers(
    module: torch.nn.Module, session: ort.InferenceSession, batch: Mapping[str, torch.Tensor]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    ours = session.run(None, _feeds(batch))
    return list(zip(ours, _run_module(module, batch), strict=True))


def _run_module(
    module: torch.nn.Module, batch: Mapping[str, torch.Tensor]
) -> list[NDArray[np.float32]]:
    with torch.inference_mode():
        output = module(*batch.values())
    if isinstance(output, torch.Tensor):
        return [output.numpy()]
    tensors = output.values() if isinstance(output, dict) else output
    return [tensor.numpy() for tensor in tensors]


def _feeds(batch: Mapping[str, torch.Tensor]) -> dict[str, NDArray[np.generic]]:
    return {name: value.numpy() for name, value in batch.items()}


def _fastest_ms(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3
