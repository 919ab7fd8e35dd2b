"""ONNX graphs of a few kilobytes with the names and shapes of a real bundle's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from obclip.plan import STEP_KINDS, StepKind


@dataclass(frozen=True)
class TinySizes:
    """Shapes of the tiny family."""

    channels: int = 4
    height: int = 8
    width: int = 8
    tokens: int = 12
    embedding: int = 16
    vocabulary: int = 64
    scaling_factor: float = 0.5


@dataclass
class _Graph:
    seed: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def weight(self, name: str, shape: Sequence[int], scale: float) -> str:
        return self.constant(name, self._random.normal(0, scale, shape).astype(np.float32))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def save(
        self,
        path: Path,
        inputs: Mapping[str, tuple[int, list[Any]]],
        outputs: Mapping[str, list[Any]],
    ) -> None:
        graph = helper.make_graph(
            self.nodes,
            path.stem,
            [helper.make_tensor_value_info(name, *value) for name, value in inputs.items()],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            self.initializers,
        )
        opset = helper.make_opsetid("", 18)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=9)
        onnx.checker.check_model(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)


def write_text_encoder(path: Path, sizes: TinySizes, seed: int) -> None:
    """Embeds tokens and positions; refuses token ids outside the vocabulary, as real ones do."""
    graph = _Graph(seed)
    tokens = graph.weight("tokens", (sizes.vocabulary, sizes.embedding), 1.0)
    positions = graph.weight("positions", (sizes.tokens, sizes.embedding), 0.3)
    gathered = graph.node("Gather", [tokens, "input_ids"], "gathered")
    summed = graph.node("Add", [gathered, positions], "summed")
    graph.node("Tanh", [summed], "last_hidden_state")
    graph.save(
        path,
        {"input_ids": (TensorProto.INT64, ["batch", sizes.tokens])},
        {"last_hidden_state": ["batch", sizes.tokens, sizes.embedding]},
    )


def write_unet(path: Path, sizes: TinySizes, seed: int, kind: str | None = None) -> None:
    """A convolution of the latents, moved by the timestep and by the mean of the text embedding.

    Without a step kind it leaves nothing, as the device's UNet. The convolution with the time is
    "down", the text is "attention"; the shapes of a step kind of batch reuse have one axis more,
    and its text is that of the set's first row.
    """
    graph = _Graph(seed)
    known = STEP_KINDS[kind] if kind else StepKind()
    has_sets = kind == "unet_reuse"
    batch: list[Any] = ["sets", "candidates"] if has_sets else ["batch"]
    latent = [*batch, sizes.channels, sizes.height, sizes.width]
    _time_and_text(graph, sizes, has_sets=has_sets)
    kernel = graph.weight("kernel", (sizes.channels, sizes.channels, 3, 3), 0.15)
    _convolve(graph, sizes, kernel, has_sets=has_sets)
    if "attention_down" not in known.takes:
        graph.node("Identity", ["text_planes"], "attention_down")
    if "attention_up" not in known.takes:
        graph.node("Mul", ["text_planes", graph.constant("part", np.float32(0.5))], "attention_up")
    if "skips" not in known.takes:
        graph.node("Add", ["convolved", "time_planes"], "timed")
        graph.node("Add", ["timed", "attention_down"], "skips")
    if "feature" not in known.takes:
        graph.node("Add", ["skips", "attention_up"], "feature")
    graph.node("Mul", ["latents", graph.constant("tenth", np.float32(0.1))], "scaled")
    graph.node("Add", ["feature", "scaled"], "model_output")
    inputs = {
        "latents": latent,
        "timestep": batch[:1],
        "encoder_hidden_states": [*batch, sizes.tokens, sizes.embedding],
        **dict.fromkeys(known.takes, latent),
    }
    graph.save(
        path,
        {name: (TensorProto.FLOAT, shape) for name, shape in inputs.items()},
        dict.fromkeys(("model_output", *known.leaves), latent),
    )


def _time_and_text(graph: _Graph, sizes: TinySizes, *, has_sets: bool) -> None:
    """Values "time_planes" and "text_planes", which broadcast with the latents."""
    extra = int(has_sets)
    axes = _axes(graph, "text_axis", [1 + extra])
    graph.node("ReduceMean", ["encoder_hidden_states", axes], "text", keepdims=0)
    weight = graph.weight("text_weight", (sizes.embedding, sizes.channels), 0.5)
    graph.node("MatMul", ["text", weight], "text_bias")
    time_axes = _axes(graph, "time_axis", list(range(1, 2 + extra)))
    graph.node("Unsqueeze", ["timestep", time_axes], "column")
    graph.node("Div", ["column", graph.constant("thousand", np.float32(1000.0))], "time")
    time_weight = graph.weight("time_weight", (1, sizes.channels), 0.3)
    graph.node("MatMul", ["time", time_weight], "time_bias")
    planes = _axes(graph, "plane_axes", [2 + extra, 3 + extra])
    graph.node("Unsqueeze", ["time_bias", planes], "time_planes")
    if not has_sets:
        graph.node("Unsqueeze", ["text_bias", planes], "own_text_planes")
    else:
        bounds = [_axes(graph, f"bound_{value}", [value]) for value in (0, 1, 1)]
        graph.node("Slice", ["text_bias", *bounds], "pivot_text")
        graph.node("Unsqueeze", ["pivot_text", planes], "own_text_planes")
    zeros = graph.node("Sub", ["latents", "latents"], "zeros")
    graph.node("Add", [zeros, "own_text_planes"], "text_planes")


def _convolve(graph: _Graph, sizes: TinySizes, kernel: str, *, has_sets: bool) -> None:
    if not has_sets:
        graph.node("Conv", ["latents", kernel], "convolved", pads=[1, 1, 1, 1])
        return
    rows = _axes(graph, "row_shape", [-1, sizes.channels, sizes.height, sizes.width])
    graph.node("Reshape", ["latents", rows], "rows")
    graph.node("Conv", ["rows", kernel], "convolved_rows", pads=[1, 1, 1, 1])
    graph.node("Shape", ["latents"], "latents_shape")
    graph.node("Reshape", ["convolved_rows", "latents_shape"], "convolved")


def write_vae_decoder(path: Path, sizes: TinySizes, seed: int) -> None:
    """Latents to an image eight times as large, in [0, 1]."""
    graph = _Graph(seed)
    factor = graph.constant("scaling_factor", np.float32(sizes.scaling_factor))
    scaled = graph.node("Div", ["latents", factor], "scaled")
    kernel = graph.weight("kernel", (3, sizes.channels, 1, 1), 0.3)
    colours = graph.node("Conv", [scaled, kernel], "colours")
    scales = graph.constant("scales", np.array([1, 1, 8, 8], np.float32))
    large = graph.node("Resize", [colours, "", scales], "large", mode="nearest")
    halved = graph.node("Div", [large, graph.constant("two", np.float32(2.0))], "halved")
    half = graph.constant("half", np.float32(0.5))
    shifted = graph.node("Add", [halved, half], "shifted")
    low, high = graph.constant("low", np.float32(0)), graph.constant("high", np.float32(1))
    graph.node("Clip", [shifted, low, high], "image")
    graph.save(
        path,
        {"latents": (TensorProto.FLOAT, ["batch", sizes.channels, sizes.height, sizes.width])},
        {"image": ["batch", 3, 8 * sizes.height, 8 * sizes.width]},
    )


def _axes(graph: _Graph, name: str, axes: list[int]) -> str:
    if any(tensor.name == name for tensor in graph.initializers):
        return name
    return graph.constant(name, np.array(axes, np.int64))
