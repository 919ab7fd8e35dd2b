"""How much GPU memory a graph would take, computed from its sizes; not measured on a GPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
import onnx_ir as ir
from onnxscript.optimizer import optimize_ir

from cloud_service.export.errors import ExportFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cloud_service.export.tensorrt_profiles import Batch

# These give another shape to the same bytes.
_VIEWS = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"}
_MIB = 2**20


@dataclass(frozen=True)
class GraphMemory:
    """Bytes of one graph at one batch.

    Attributes:
        weights: of its initializers.
        tensors: of its inputs and outputs.
        activations: largest sum of what lies between, each operator's output from its making to its
            last use. TensorRT fuses operators, which needs less, and adds workspaces.
    """

    weights: int
    tensors: int
    activations: int


def graph_memory(graph_file: Path, batch: Batch) -> GraphMemory:
    """Count a graph's bytes.

    Args:
        graph_file: the ONNX graph.
        batch: size of each leading axis.

    Raises:
        ExportFailed: a tensor's size does not follow from the inputs'.
    """
    model = ir.load(graph_file)
    for value in model.graph.inputs:
        value.shape = _with_batch(value.shape, batch)
    weights = sum(v.const_value.nbytes for v in model.graph.initializers.values() if v.const_value)
    sizes = _inferred(model) or _inferred(model, fold=True)
    if sizes is None:
        raise ExportFailed(str(graph_file), "has a tensor of unknown size", "export it again")
    ends = [*model.graph.inputs, *model.graph.outputs]
    return GraphMemory(
        weights, sum(sizes[str(value.name)] for value in ends), _peak(model.graph, sizes)
    )


def memory_table(rows: Mapping[str, tuple[GraphMemory, Batch, int, float]]) -> str:
    """The table in Markdown.

    Args:
        rows: model -> its bytes, its largest batch, its profiles, and its error in float16.
    """
    lines = [
        "| model | largest batch | weights MiB | tensors MiB | activations MiB | profiles "
        "| together MiB | error in float16 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    total = 0
    for name, (memory, batch, profiles, error) in rows.items():
        together = memory.weights + memory.tensors + profiles * memory.activations
        total += together
        sizes = [_mib(memory.weights), _mib(memory.tensors), _mib(memory.activations)]
        cells = [name, " x ".join(map(str, batch)), *sizes, str(profiles), _mib(together)]
        lines.append(f"| {' | '.join(cells)} | {error:.1e} |")
    lines.append(f"| all | | | | | | {_mib(total)} | |")
    return "\n".join(lines) + "\n"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:.1f}"


def _with_batch(shape: ir.Shape | None, batch: Batch) -> ir.Shape:
    assert shape is not None  # noqa: S101 -- inputs have shapes
    return ir.Shape(
        [dim if isinstance(dim, int) else batch[axis] for axis, dim in enumerate(shape)]
    )


def _inferred(model: ir.Model, *, fold: bool = False) -> dict[str, int] | None:
    """Value -> bytes, or None when a shape is unknown."""
    if fold:  # makes constants of computed shapes; slow, so only where it is needed
        optimize_ir(model, should_fold=_reads_no_weight)
    for value in model.graph.outputs:
        value.shape = None
    proto = onnx.shape_inference.infer_shapes(ir.to_proto(model), data_prop=True)
    graph = ir.from_proto(proto).graph
    sizes = [_bytes(value) for node in graph for value in node.outputs]
    if None in sizes:
        return None
    values = [*graph.inputs, *(value for node in graph for value in node.outputs)]
    return {str(value.name): _bytes(value) or 0 for value in values}


def _reads_no_weight(node: ir.Node) -> bool | None:
    values = (value.const_value for value in node.inputs if value)
    return False if any(isinstance(value, ir.ExternalTensor) for value in values) else None


def _bytes(value: ir.Value) -> int | None:
    if value.shape is None or value.dtype is None:
        return None
    dims = [dim for dim in value.shape if isinstance(dim, int)]
    if len(dims) != len(value.shape):
        return None
    return math.ceil(math.prod(dims) * value.dtype.itemsize)


def _peak(graph: ir.Graph, sizes: Mapping[str, int]) -> int:
    """Largest sum of the tensors alive at one node; inputs and outputs are counted elsewhere."""
    source = {value: value for value in graph.inputs}
    last_use: dict[ir.Value, int] = {}
    for index, node in enumerate(graph):
        for value in node.inputs:
            if value in source:
                last_use[source[value]] = index
        viewed = node.inputs[0] if node.op_type in _VIEWS else None
        for value in node.outputs:
            source[value] = source.get(viewed, value) if viewed else value
    ends = {source[value] for value in [*graph.inputs, *graph.outputs] if value in source}
    owned = {value for value in source.values() if value not in ends}
    return _largest_sum(graph, owned, last_use, sizes)


def _largest_sum(
    graph: ir.Graph,
    owned: set[ir.Value],
    last_use: Mapping[ir.Value, int],
    sizes: Mapping[str, int],
) -> int:
    ending: dict[int, list[ir.Value]] = {}
    for value, index in last_use.items():
        ending.setdefault(index, []).append(value)
    alive = peak = 0
    for index, node in enumerate(graph):
        alive += _total((value for value in node.outputs if value in owned), sizes)
        peak = max(peak, alive)
        alive -= _total((value for value in ending.get(index, ()) if value in owned), sizes)
    return peak


def _total(values: Iterable[ir.Value], sizes: Mapping[str, int]) -> int:
    return sum(sizes[str(value.name)] for value in values)
