"""Compares a graph in ONNX Runtime with the torch module that it was exported from."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_TIMED_SIZE = 2
_SIZES = (1, _TIMED_SIZE, 3, _TIMED_SIZE, _TIMED_SIZE)
_SIZES_OF_LARGE = (1, _TIMED_SIZE)
_LARGE_BYTES = 2**30
_LARGE_MACS = 10**11


@dataclass(frozen=True)
class Parity:
    """How far a graph is from its module, over all outputs and batch sizes.

    Attributes:
        max_absolute: largest |graph - module|.
        max_relative: largest |graph - module| over the largest |module| of the same output.
        torch_ms: fastest of three passes at batch size 2, in milliseconds; the only one of a large
            module.
        ort_ms: the same for the graph, which has to widen a large module's weights in each pass.
    """

    max_absolute: float
    max_relative: float
    torch_ms: float
    ort_ms: float


def compare(
    module: torch.nn.Module, onnx_file: Path, examples: Mapping[str, torch.Tensor], macs: int
) -> Parity:
    """Run both on batches of 1, 2 and 3 samples, 1 and 2 where the module is large.

    Large is over 1 GiB, or over 100 GMAC for one sample. Such a module loses its weights as soon as
    it has answered, so that the graph does not come on top of it.

    Args:
        module: called with the examples' values in their order; returns one tensor, or several in
            a tuple or a dict. A large one is on the meta device afterwards.
        onnx_file: the graph, its external data beside it; outputs in the module's order.
        examples: input name -> (2, ...), two different samples.
        macs: of one sample.

    Returns:
        The differences and times. Not-a-number anywhere makes the differences NaN.
    """
    weight_bytes = sum(weight.nbytes for weight in module.parameters())
    is_large = weight_bytes > _LARGE_BYTES or macs > _LARGE_MACS
    batches = [batch_of(examples, n) for n in (_SIZES_OF_LARGE if is_large else _SIZES)]
    wanted, torch_ms = _answers(partial(_run_module, module), batches)
    if is_large:
        module.to("meta")
        gc.collect()  # the exporter's cycles hold weights too
    session = _open(onnx_file, is_large=is_large)
    found, ort_ms = _answers(lambda batch: session.run(None, _feeds(batch)), batches)
    pairs = list(zip(found, wanted, strict=True))
    absolute = [float(np.max(np.abs(ours - theirs))) for ours, theirs in pairs]
    scales = [float(np.max(np.abs(theirs))) for _, theirs in pairs]
    return Parity(
        max_absolute=float(np.max(absolute)),
        max_relative=float(np.max(np.divide(absolute, np.maximum(scales, 1e-12)))),
        torch_ms=torch_ms,
        ort_ms=ort_ms,
    )


def _open(onnx_file: Path, *, is_large: bool) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    if is_large:  # or it would widen all weights while loading
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
    return ort.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def batch_of(examples: Mapping[str, torch.Tensor], size: int) -> dict[str, torch.Tensor]:
    """Repeat the examples' samples in turn: `size` rows each."""
    return {name: value[torch.arange(size) % len(value)] for name, value in examples.items()}


def _answers(
    run: Callable[[Mapping[str, torch.Tensor]], Sequence[NDArray[np.float32]]],
    batches: Sequence[Mapping[str, torch.Tensor]],
) -> tuple[list[NDArray[np.float32]], float]:
    """The outputs of all batches in one list, and the fastest pass at batch size 2 in ms."""
    answers: list[NDArray[np.float32]] = []
    times = []
    for batch in batches:
        start = time.perf_counter()
        answers += run(batch)
        if len(next(iter(batch.values()))) == _TIMED_SIZE:
            times.append(time.perf_counter() - start)
    return answers, min(times) * 1e3


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
