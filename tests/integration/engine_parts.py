"""What an engine is built from, looked at without TensorRT: graph, profiles, config."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2 as pb

from cloud_service.export.tensorrt_engines import EngineOrder
from obclip.plan import UNET_REUSE, Profile, make_plan

_FLOAT, _HALF = 1, 10
_HEAVY = {"Conv", "Gemm", "MatMul", "Softmax", "InstanceNormalization", "LayerNormalization"}
_ANGLES = {"Sin", "Cos"}


def require_served(order: EngineOrder, repository: Path) -> None:
    """The config names the plan, the graph's tensors with its shapes, and every profile."""
    text = (repository / order.name / "config.pbtxt").read_text(encoding="utf-8")
    config = text_format.Parse(text, pb.ModelConfig())
    assert (config.name, config.platform) == (order.name, "tensorrt_plan")
    engine = repository / order.name / "1" / config.default_model_filename
    assert order.engine.resolve() == engine.resolve()
    graph = onnx.load(order.graph, load_external_data=False).graph
    for tensors, values in ((config.input, graph.input), (config.output, graph.output)):
        stated = {tensor.name: [max(dim, 0) for dim in tensor.dims] for tensor in tensors}
        assert stated == {value.name: _dims(value)[1:] for value in values}
    (group,) = config.instance_group
    assert list(group.profile) == [str(index) for index in range(len(order.profiles))]


def require_static_profiles(
    order: EngineOrder, kinds: Collection[str], candidates: tuple[int, ...], *, is_told: bool
) -> None:
    """Every call of a whole run of any profile fits a static profile exactly."""
    *static, general = order.profiles
    assert all(low == best == high for shapes in static for low, best, high in shapes.values())
    axes = 2 if order.name == UNET_REUSE else 1
    batches = {tuple(shapes["latents"][1][:axes]) for shapes in static}
    assert len(batches) == len(static)
    for profile in Profile:
        if not profile.step_kinds() <= set(kinds):
            continue
        plan = make_plan(25, 10, profile)
        for step in (plan.without_guidance() if is_told else plan).steps:
            for count in candidates:
                rows = step.samples(count)
                sets = step.sets(count)
                wanted = (sets, rows // sets) if order.name == UNET_REUSE else (rows,)
                assert step.kind != order.name or wanted in batches
    smallest, _, largest = general["latents"]
    assert smallest[:axes] == [1] * axes
    assert largest[0] == max(batch[0] for batch in batches)


def require_typed_half(graph: Path) -> None:
    """Heavy operators compute in float16, angles in float32; the interface is float32."""
    onnx.checker.check_model(str(graph), full_check=True)
    model = onnx.shape_inference.infer_shapes(onnx.load(graph, load_external_data=False))
    types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for operators, wanted in ((_HEAVY, _HALF), (_ANGLES, _FLOAT)):
        outputs = [node.output[0] for node in model.graph.node if node.op_type in operators]
        assert {types[name] for name in outputs if name in types} == {wanted}
    ends = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in ends} == {_FLOAT}


def error_in_half(full: Path, half: Path, profile: dict[str, list[list[int]]]) -> float:
    """The worst output's error, over its size, at the profile's best shape; root mean squares."""
    random = np.random.default_rng(0)
    feeds = {name: _noise(name, best, random) for name, (_, best, _) in profile.items()}
    wanted, found = _run(full, feeds), _run(half, feeds)
    pairs = zip(wanted, found, strict=True)
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(a)) for a, b in pairs)


def require_same_text_encoder(bundle: Path, model: Path) -> None:
    """The copy in the repository gives what the bundle's gives."""
    here, there = bundle / "model.onnx", model / "1" / "model.onnx"
    tokens = ort.InferenceSession(here).get_inputs()[0].shape[1]
    ids = np.arange(2 * tokens).reshape(2, tokens) % 11
    (one,), (other,) = (_run(path, {"input_ids": ids}) for path in (here, there))
    np.testing.assert_array_equal(one, other)


def _noise(name: str, shape: list[int], random: np.random.Generator) -> NDArray[np.float32]:
    low_high = {"timestep": (0, 999), "guidance": (1, 8)}.get(name)
    if low_high:
        return random.uniform(*low_high, shape).astype(np.float32)
    return random.standard_normal(shape, np.float32)


def _run(path: Path, feeds: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    ranks = {node.name: len(node.shape) for node in session.get_inputs()}
    # Triton's form of a number for each row has a last axis of 1.
    fitting = {n: x[..., 0] if x.ndim > ranks[n] else x for n, x in feeds.items()}
    outputs: list[NDArray[np.float32]] = session.run(None, fitting)
    return outputs


def _dims(value: Any) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]
