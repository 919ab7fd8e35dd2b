"""Turns a graph that computes in float32 into one that computes in float16, types written out.

TensorRT 11 has no precision flags: a strongly typed network computes in the types that its ONNX
graph states. Inputs and outputs keep float32, so the orchestrator sees the same tensors whatever
serves them. What leads to a sine or cosine stays float32: the angles of the timestep embedding go
up to 999 rad, where float16 rounds to half a radian. (onnxruntime.transformers.float16 would round
them: it casts between two nodes that both stay float32.)
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx_ir as ir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

_ANGLES = {"Sin", "Cos"}
_HALF, _FLOAT = ir.DataType.FLOAT16, ir.DataType.FLOAT
_SMALLEST = float(np.finfo(np.float16).tiny)
_LARGEST = float(np.finfo(np.float16).max)
_ALIGNMENT = 64
_MIN_STORED_BYTES = 1024
# ONNX fixes the type of these inputs, operator -> places.
_ALWAYS_FLOAT = {"Resize": {1, 2}}


class SharedWeights:
    """One file of weights that several graphs refer to; equal tensors are stored once.

    Args:
        path: the file, made anew, in the folder of the graphs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[bytes, int] = {}
        path.write_bytes(b"")

    def place(self, tensor: ir.TensorProtocol | None) -> ir.TensorProtocol | None:
        """Refers to a tensor's bytes, appended unless they are there; a small one stays itself."""
        if tensor is None or tensor.nbytes >= _MIN_STORED_BYTES:
            return tensor and self._store(tensor)
        return ir.Tensor(tensor.numpy(), name=tensor.name)

    def _store(self, tensor: ir.TensorProtocol) -> ir.ExternalTensor:
        raw = tensor.tobytes()
        key = sha256(raw).digest()
        if key not in self._places:
            self._places[key] = self._append(raw)
        return ir.ExternalTensor(
            self.path.name, self._places[key], len(raw), tensor.dtype,
            shape=ir.Shape(tensor.shape.numpy()), name=tensor.name or "", base_dir=self.path.parent,
        )  # fmt: skip

    def _append(self, raw: bytes) -> int:
        with self.path.open("ab") as file:
            file.write(bytes(-file.tell() % _ALIGNMENT))
            offset = file.tell()
            file.write(raw)
        return offset


def write_half_graph(
    source: Path, target: Path, weights: SharedWeights, ranks: Mapping[str, int]
) -> None:
    """Write the float16 form of a graph.

    Args:
        source: a graph in float32; its weights may be float16 followed by a cast.
        target: the graph to write, beside the file of `weights`.
        weights: where the weights go.
        ranks: input name -> axes that the serving side gives it; one more than the graph has is a
            last axis of 1, which Triton wants beside the batch's.
    """
    proto = onnx.load(source, load_external_data=False)
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    _set_base_dir(model.graph, source.parent)
    _to_half(model.graph)
    for value in list(model.graph.inputs):
        if value.shape is not None and ranks.get(str(value.name), 0) == len(value.shape) + 1:
            _add_unit_axis(model.graph, value)
    _tidy(model.graph)
    for initializer in model.graph.initializers.values():
        initializer.const_value = weights.place(initializer.const_value)
    proto = ir.to_proto(model)
    proto.graph.ClearField("value_info")
    target.write_bytes(proto.SerializeToString(deterministic=True))


def _set_base_dir(graph: ir.Graph, folder: Path) -> None:
    for value in graph.initializers.values():
        if isinstance(value.const_value, ir.ExternalTensor):
            value.const_value.base_dir = folder


def _to_half(graph: ir.Graph) -> None:
    single = _ancestors(graph)
    angles = [value for node in graph if node in single for value in node.outputs]
    kept = [value for value in [*graph.inputs, *angles] if value.dtype == _FLOAT]
    _use_weights_directly(graph, single)
    for node in [node for node in graph if node not in single]:
        _convert_node(node)
    for value in list(graph.initializers.values()):
        if value.dtype == _FLOAT:
            _in_half(graph, value, single, _half_initializer)
    for value in kept:
        _in_half(graph, value, single, _cast_to_half)
    _keep_outputs(graph, single)


def _ancestors(graph: ir.Graph) -> set[ir.Node]:
    """The nodes that compute an angle, its sine and its cosine."""
    found: set[ir.Node] = set()
    todo = [node for node in graph if node.op_type in _ANGLES]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            producers = (value.producer() for value in node.inputs if value)
            todo += [producer for producer in producers if producer]
    return found


def _use_weights_directly(graph: ir.Graph, single: set[ir.Node]) -> None:
    """Let half nodes read a float16 weight itself, not its cast to float32."""
    for node in list(graph):
        weight = node.inputs[0] if node.op_type == "Cast" else None
        if weight is None or not weight.is_initializer() or weight.dtype != _HALF:
            continue
        for user, place in list(node.outputs[0].uses()):
            if user not in single:
                user.replace_input_with(place, weight)
        if not node.outputs[0].uses():
            graph.remove(node, safe=True)


def _convert_node(node: ir.Node) -> None:
    """Change what a node states about its types."""
    for value in node.outputs:
        if value.dtype == _FLOAT:
            value.dtype = _HALF
    if node.op_type == "Cast" and node.attributes["to"].as_int() == _FLOAT:
        node.attributes["to"] = ir.AttrInt64("to", _HALF)
    for name, attribute in list(node.attributes.items()):
        if attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype == _FLOAT:
            node.attributes[name] = ir.AttrTensor(name, _half(attribute.as_tensor()))


def _in_half(
    graph: ir.Graph,
    value: ir.Value,
    single: set[ir.Node],
    make: Callable[[ir.Graph, ir.Value], ir.Value],
) -> None:
    """Give the half nodes that read a float32 value its float16 form, made when one does."""
    half: ir.Value | None = None
    for user, place in list(value.uses()):
        if user in single or place in _ALWAYS_FLOAT.get(user.op_type, ()):
            continue
        half = half or make(graph, value)
        user.replace_input_with(place, half)


def _half_initializer(graph: ir.Graph, value: ir.Value) -> ir.Value:
    assert value.const_value is not None  # noqa: S101 -- an initializer
    tensor = _half(value.const_value)
    half = ir.Value(
        name=f"{value.name}:half", shape=value.shape, type=ir.TensorType(_HALF), const_value=tensor
    )
    graph.register_initializer(half)
    return half


def _cast_to_half(graph: ir.Graph, value: ir.Value) -> ir.Value:
    node = _cast(value, _HALF)
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], node)
    else:
        graph.insert_after(producer, node)
    return node.outputs[0]


def _keep_outputs(graph: ir.Graph, single: set[ir.Node]) -> None:
    """Cast what half nodes give back to the float32 of the interface, under the same name."""
    for place, value in enumerate(list(graph.outputs)):
        if value.dtype != _HALF or value.producer() in single:
            continue
        name = value.name
        value.name = f"{name}:half"
        node = _cast(value, _FLOAT)
        node.outputs[0].name = name
        graph.append(node)
        graph.outputs[place] = node.outputs[0]


def _cast(value: ir.Value, dtype: ir.DataType) -> ir.Node:
    node = ir.node("Cast", [value], {"to": dtype})
    node.outputs[0].name = f"{value.name}:cast"
    node.outputs[0].shape, node.outputs[0].type = value.shape, ir.TensorType(dtype)
    return node


def _half(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """The nearest float16 values; what is too large or would vanish takes the nearest that is."""
    values: NDArray[Any] = tensor.numpy()
    finite = np.isfinite(values)
    magnitude = np.clip(np.abs(values), np.where(values == 0, 0, _SMALLEST), _LARGEST)
    half = np.where(finite, np.copysign(magnitude, values), values).astype(np.float16)
    return ir.Tensor(half, name=tensor.name)


def _add_unit_axis(graph: ir.Graph, value: ir.Value) -> None:
    """Let an input have a last axis of 1 more, under the same name."""
    assert value.shape is not None  # noqa: S101 -- the caller looked
    place = list(graph.inputs).index(value)
    wide = ir.Value(name=value.name, shape=ir.Shape([*value.shape, 1]), type=value.type)
    axes = ir.Value(
        name=f"{value.name}:axis",
        shape=ir.Shape([1]),
        type=ir.TensorType(ir.DataType.INT64),
        const_value=ir.tensor(np.array([-1], np.int64)),
    )
    graph.register_initializer(axes)
    node = ir.node("Squeeze", [wide, axes])
    narrow = node.outputs[0]
    narrow.name, narrow.shape, narrow.type = f"{value.name}:row", value.shape, value.type
    value.replace_all_uses_with(narrow)
    graph.inputs[place] = wide
    graph.insert_before(graph[0], node)


def _tidy(graph: ir.Graph) -> None:
    """Drop initializers that nothing reads any more, and give each node a name of its own."""
    for name, value in list(graph.initializers.items()):
        if not value.uses() and not value.is_graph_output():
            del graph.initializers[name]
    for index, node in enumerate(graph):
        node.name = f"{node.op_type}_{index}"
