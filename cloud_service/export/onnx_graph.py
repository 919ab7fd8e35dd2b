"""Exports a torch module as an ONNX graph without weights: they stay in their safetensors file."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnx_ir as ir
import torch
from onnxscript.optimizer import optimize_ir

from cloud_service.export.errors import ExportFailed
from cloud_service.export.macs import count_one_and_two
from cloud_service.export.parity import Parity, compare
from cloud_service.export.weights_file import StoredTensor, WeightsFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPSET = 20
MAX_RELATIVE_ERROR = 1e-4
_MAX_EMBEDDED_BYTES = 4096
_FLOATS = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE, ir.DataType.BFLOAT16}
# From 64 samples on diffusers' Upsample2D copies its input, which is nothing to a graph; but a
# range that goes beyond is traced twice. The graph itself takes any size.
_TRACED_BATCH = 63
_AXES = ("batch", "candidates")
# Of torch 2.13's own code while it exports.
_KNOWN_WARNINGS = (".*LeafSpec.* is deprecated", ".*The axis name: \\w+ will not be used")


@dataclass(frozen=True)
class GraphPlan:
    """One graph to export.

    Attributes:
        module: float32, holding exactly the values of the weights files; takes the inputs by
            position, returns one tensor, or several in a tuple or a dict.
        weights_files: safetensors files of float16 or float32 tensors, names do not matter.
        onnx_file: the graph to write, in a folder at or above the weights files' (ONNX Runtime
            refuses data from elsewhere).
        examples: input name -> (2, ...), in the order of the module's arguments. Axis 0 is the
            batch and may have any size from 1 in the graph; the others are fixed.
        output_names: of its outputs, in order.
        batch_axes: leading axes that may have any size; 2 for sets of rows.
        max_relative_error: largest |graph - module| that is let pass, over the largest |module|.
    """

    module: torch.nn.Module
    weights_files: tuple[Path, ...]
    onnx_file: Path
    examples: Mapping[str, torch.Tensor]
    output_names: Sequence[str]
    batch_axes: int = 1
    max_relative_error: float = MAX_RELATIVE_ERROR


@dataclass(frozen=True)
class ExportedGraph:
    """A graph on disk.

    Attributes:
        onnx_file: the graph.
        graph_bytes: its size.
        weight_bytes: of the tensors it reads from the weights file.
        macs: for one sample, see `macs.RULE`; for a set of one row with batch reuse.
        macs_of_two: for a set of two rows with batch reuse, else for two samples.
        parity: with the module.
        export_s: seconds that tracing and optimising took.
    """

    onnx_file: Path
    graph_bytes: int
    weight_bytes: int
    macs: int
    macs_of_two: int
    parity: Parity
    export_s: float


def export_module(plan: GraphPlan) -> ExportedGraph:
    """Write a module's graph beside its weights, and check it against the module.

    The graph reads each weight from its file by offset and length and casts it to float32, so one
    copy on disk serves torch and ONNX Runtime. `plan.onnx_file` appears only after the check.

    Raises:
        ExportFailed: a weight is not in the files, or the graph differs from the module.
    """
    folder = plan.onnx_file.parent
    if not all(file.is_relative_to(folder) for file in plan.weights_files):
        raise ExportFailed(str(plan.onnx_file), "is not beside its weights", "write it there")
    start = time.perf_counter()
    module = plan.module.eval()
    model = _trace(module, plan)
    weights = _read_from_files(model, plan)
    _optimise(model, weights)
    proto = _bare_proto(model)
    _refuse_embedded_weights(proto, plan.weights_files)
    export_s = time.perf_counter() - start
    macs, macs_of_two = count_one_and_two(module, plan.examples, plan.batch_axes)
    return ExportedGraph(
        onnx_file=plan.onnx_file,
        graph_bytes=proto.ByteSize(),
        weight_bytes=_weight_bytes(proto, weights),
        macs=macs,
        macs_of_two=macs_of_two,
        parity=_save_if_equal(proto, plan, macs),
        export_s=export_s,
    )


def _trace(module: torch.nn.Module, plan: GraphPlan) -> ir.Model:
    names = _AXES[: plan.batch_axes]
    dims = [torch.export.Dim(name, min=1, max=_TRACED_BATCH) for name in names]
    with warnings.catch_warnings():
        for message in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message)
        program = torch.onnx.export(
            module,
            tuple(plan.examples.values()),
            input_names=list(plan.examples),
            output_names=list(plan.output_names),
            dynamic_shapes=tuple(dict(enumerate(dims[: x.ndim])) for x in plan.examples.values()),
            opset_version=OPSET,
            dynamo=True,
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise ExportFailed(type(module).__name__, "was not exported", "install torch 2.13")
    return program.model


def _read_from_files(model: ir.Model, plan: GraphPlan) -> dict[str, StoredTensor]:
    """Replace every weight that a file holds by a reference to it.

    Returns:
        Name of each graph value that is such a weight -> its place in its file.
    """
    files, folder = [WeightsFile(path) for path in plan.weights_files], plan.onnx_file.parent
    replaced: dict[str, StoredTensor] = {}
    for name, value in list(model.graph.initializers.items()):
        if value.dtype != ir.DataType.FLOAT or value.const_value is None:
            continue
        values = value.const_value.numpy()
        found = ((file.find(values), file.path) for file in files)
        stored, path = next((place for place in found if place[0]), (None, folder))
        if stored is None:
            continue
        source = _external(name, ir.Shape(values.shape), stored, (folder, path.relative_to(folder)))
        model.graph.initializers[name] = source
        weight = _as_float32(model.graph, source)
        value.replace_all_uses_with(weight)
        value.const_value = None  # torch's exporter keeps the value, and with it the weight
        replaced |= {name: stored, str(weight.name): stored}
    return replaced


def _external(
    name: str, shape: ir.Shape, stored: StoredTensor, place: tuple[Path, Path]
) -> ir.Value:
    dtype = ir.DataType.from_numpy(stored.dtype)
    folder, file = place
    data = ir.ExternalTensor(
        file.as_posix(), stored.offset, stored.length, dtype,
        shape=shape, name=name, base_dir=folder,
    )  # fmt: skip
    return ir.Value(name=name, shape=shape, type=ir.TensorType(dtype), const_value=data)


def _as_float32(graph: ir.Graph, source: ir.Value) -> ir.Value:
    if source.dtype == ir.DataType.FLOAT:
        return source
    cast = ir.node("Cast", [source], {"to": ir.DataType.FLOAT})
    weight = cast.outputs[0]
    weight.name, weight.shape = f"{source.name}:float", source.shape
    weight.type = ir.TensorType(ir.DataType.FLOAT)
    graph.insert_before(graph[0], cast)
    return weight


def _optimise(model: ir.Model, weights: Mapping[str, StoredTensor]) -> None:
    """Fold constants, but nothing that reads a weight: a folded weight would be a second copy.

    ONNX Runtime folds the casts and transpositions when it loads the graph.
    """

    def folds(node: ir.Node) -> bool | None:
        reads_weight = any(i is not None and i.name in weights for i in node.inputs)
        return False if reads_weight else None

    optimize_ir(model, should_fold=folds)


def _bare_proto(model: ir.Model) -> onnx.ModelProto:
    """The model without names of Python code, traces and shapes that ONNX Runtime infers."""
    proto: onnx.ModelProto = ir.to_proto(model)
    graph = proto.graph
    graph.ClearField("value_info")
    parts = (proto, graph, *graph.node, *graph.input, *graph.output, *graph.initializer)
    for part in parts:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return proto


def _weight_bytes(proto: onnx.ModelProto, weights: Mapping[str, StoredTensor]) -> int:
    kept = (weights[t.name] for t in proto.graph.initializer if t.name in weights)
    return sum({(tensor.name, tensor.offset): tensor.length for tensor in kept}.values())


def _refuse_embedded_weights(proto: onnx.ModelProto, weights_files: Sequence[Path]) -> None:
    for tensor in proto.graph.initializer:
        embedded = 0 if tensor.external_data else onnx.numpy_helper.to_array(tensor).nbytes
        if tensor.data_type in _FLOATS and embedded > _MAX_EMBEDDED_BYTES:
            raise ExportFailed(
                tensor.name,
                f"{embedded} bytes of weights that {weights_files[0].name} does not hold",
                "round the module to the file's type, and merge no layers before the export",
            )


def _save_if_equal(proto: onnx.ModelProto, plan: GraphPlan, macs: int) -> Parity:
    onnx_file = plan.onnx_file
    partial = onnx_file.with_suffix(".onnx.partial")
    try:
        partial.write_bytes(proto.SerializeToString(deterministic=True))
        parity = compare(plan.module, partial, plan.examples, macs)
        limit = plan.max_relative_error
        if not parity.max_relative <= limit:
            raise ExportFailed(
                str(onnx_file),
                f"differs from PyTorch by {parity.max_relative:.1e}, over {limit}",
                "look for an operator that the exporter translates wrongly",
            )
        partial.replace(onnx_file)
    finally:
        partial.unlink(missing_ok=True)
    return parity
