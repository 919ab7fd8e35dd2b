"""Writes a Triton repository whose step kinds are TensorRT plans, up to the build of the engines.

The engines themselves are built where the GPU is, by the script that is written beside the graphs;
everything before that runs, and is checked, on any machine.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
from google.protobuf import text_format
from onnx.external_data_helper import uses_external_data
from tritonclient.grpc import model_config_pb2 as pb

from cloud_service.export import tensorrt_engines
from cloud_service.export.errors import ExportFailed
from cloud_service.export.tensorrt_graph import SharedWeights, write_half_graph
from cloud_service.export.tensorrt_memory import GraphMemory, graph_memory, memory_table
from cloud_service.export.tensorrt_profiles import (
    Batch,
    ProfileShapes,
    optimisation_profiles,
    planned_batches,
)
from cloud_service.inference import MAX_ROWS
from cloud_service.model_repository import write_repository
from cloud_service.slots import slot_layout
from obclip.card import ModelCard, sha256_file
from obclip.plan import STEP_KINDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[np.float32]]

# Root mean square of the difference from float32 over that of the output.
MAX_ERROR = 0.02
_HEADER = """\
# The same tensors as for the python backend: the orchestrator cannot tell which one serves it.
# {words}

"""
_PLAN_WORDS = (
    "A TensorRT plan, built by build_engines.py; profiles in its order, the last takes any batch."
)
_ONNX_WORDS = "In ONNX Runtime on the GPU, as exported: it runs once for a request."
_ANY_SIZE = -1
_MEMORY_WORDS = """\
# GPU memory, computed from the sizes of the graphs; not run

Each profile has a context of its own, and TensorRT gives each context the memory of the largest
one: *together* is weights + tensors + profiles x activations. Activations are those without fusion,
which is more than an engine takes; workspaces come on top. Error: root mean square of the
difference from float32 over that of the output, on random inputs, of the worst output. ONNX Runtime
on a CPU computes each operator in float32 and rounds its result: a GPU's own rounding is not in it.

"""
_SLOT_WORDS = """
A slot of shared memory for the largest set, {rows} rows, holds every tensor that passes between
steps: {mib:.1f} MiB. In CUDA memory it would save the copies to and from the host; the
orchestrator does not use such slots yet.
"""


@dataclass(frozen=True)
class _Plan:
    """One step kind on its way to an engine."""

    name: str
    graph: Path
    profiles: list[ProfileShapes]
    largest: Batch
    error: float


def write_tensorrt(bundle: Path, repository: Path, candidates: tuple[int, ...]) -> None:
    """Write the repository, and beside it in `<repository>_graphs` what its engines are made of.

    `<repository>_graphs` holds a strongly typed float16 graph for each step kind, their weights in
    one file, engines.json, build_engines.py and MEMORY.md. Text encoders go to ONNX Runtime's own
    backend, with their weights as they are.

    Args:
        bundle: a whole bundle, with ONNX graphs and card.
        repository: the folder to write; models of the same names are replaced.
        candidates: the buckets: numbers N of candidates that get profiles of their own.

    Raises:
        ExportFailed: a bucket is outside 1..64, or a graph loses too much in float16.
        InvalidBundle: the bundle lacks a graph.
    """
    if not candidates or not all(1 <= count <= MAX_ROWS for count in candidates):
        raise ExportFailed("candidates", "are none, or outside 1..64", "choose e.g. 2,6,12,30")
    card = ModelCard.load(bundle)
    graphs = repository.with_name(f"{repository.name}_graphs")
    graphs.mkdir(parents=True, exist_ok=True)
    earlier = _read_orders(graphs)
    weights = SharedWeights(graphs / "weights.bin")
    max_rows = min(MAX_ROWS, 2 * max(candidates))
    offered = [kind.name for kind in card.step_kinds]
    plans = []
    for name, (config, source) in _configs(bundle, card).items():
        model = repository / name
        (model / "1").mkdir(parents=True, exist_ok=True)
        if name in STEP_KINDS:
            batches = planned_batches(name, offered, candidates, max_rows)
            plan = _write_graph(config, source, graphs / f"{name}.onnx", weights, batches)
            plans.append(plan)
            _serve_plan(config, len(plan.profiles), max_rows)
        else:
            _copy_graph(source, model / "1")
            _serve_onnx(config)
        words = _HEADER.format(words=_PLAN_WORDS if name in STEP_KINDS else _ONNX_WORDS)
        text = words + text_format.MessageToString(config)
        (model / "config.pbtxt").write_text(text, encoding="utf-8")
    _write_orders(graphs, repository, plans, earlier)
    _write_memory(graphs, card, plans, max_rows)


def _configs(bundle: Path, card: ModelCard) -> dict[str, tuple[pb.ModelConfig, Path]]:
    """Model -> its config for the python backend, which names the tensors, and its graph."""
    with TemporaryDirectory() as folder:
        write_repository(Path(folder), bundle, card)
        found = {}
        for path in sorted(Path(folder).glob("*/config.pbtxt")):
            config = text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
            onnx_file = config.parameters["onnx_file"].string_value
            found[config.name] = (config, (path.parent / onnx_file).resolve())
    return found


def _write_graph(
    config: pb.ModelConfig,
    source: Path,
    target: Path,
    weights: SharedWeights,
    batches: list[Batch],
) -> _Plan:
    """Write the float16 graph of a step kind, checked and compared with the float32 one."""
    shapes = {tensor.name: list(tensor.dims) for tensor in config.input}
    axes = 1 + any(dims[0] == _ANY_SIZE for dims in shapes.values())
    ranks = {name: 1 + len(dims) for name, dims in shapes.items()}
    write_half_graph(source, target, weights, ranks)
    onnx.checker.check_model(str(target), full_check=True)
    error = _error(source, target)
    if not error <= MAX_ERROR:
        raise ExportFailed(
            str(target), f"loses {error:.1e} in float16, over {MAX_ERROR}", "serve it in float32"
        )
    rows = {name: [dim for dim in dims if dim != _ANY_SIZE] for name, dims in shapes.items()}
    profiles = optimisation_profiles(rows, axes, batches)
    largest = tuple(max(sizes) for sizes in zip(*batches, strict=True))
    return _Plan(config.name, target, profiles, largest, error)


def _error(source: Path, target: Path) -> float:
    """The largest error of an output; see MAX_ERROR. On random inputs of two rows, or two sets."""
    feeds, full = _run(source, {})
    _, half = _run(target, feeds)  # one after the other: each may hold gigabytes
    pairs = zip(full, half, strict=True)
    return max(_rms(one - other) / _rms(one) for one, other in pairs)


def _run(path: Path, given: Arrays) -> tuple[Arrays, list[NDArray[np.float32]]]:
    """What a graph gives for these inputs, or for random ones; with what it was fed."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    shapes = {node.name: _sizes(node.shape) for node in session.get_inputs()}
    random = np.random.default_rng(0)
    feeds = {
        name: given[name].reshape(shape)  # Triton's form of a timestep has an axis of 1 more
        if given
        else random.standard_normal(shape, np.float32)
        for name, shape in shapes.items()
    }
    if not given:
        feeds["timestep"] = random.uniform(0, 999, shapes["timestep"]).astype(np.float32)
    return feeds, session.run(None, feeds)


def _sizes(shape: list[int | str]) -> list[int]:
    """Two of each axis that may have any size."""
    return [dim if isinstance(dim, int) else 2 for dim in shape]


def _rms(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _serve_plan(config: pb.ModelConfig, profiles: int, max_rows: int) -> None:
    """Change a config for the python backend to one for a TensorRT plan."""
    _serve(config, "tensorrt_plan", "model.plan")
    config.max_batch_size = max_rows
    config.instance_group[0].profile.extend(map(str, range(profiles)))


def _serve_onnx(config: pb.ModelConfig) -> None:
    """Change a config for the python backend to one for ONNX Runtime's."""
    _serve(config, "onnxruntime_onnx", "model.onnx")


def _serve(config: pb.ModelConfig, platform: str, filename: str) -> None:
    config.ClearField("backend")
    config.platform = platform
    config.default_model_filename = filename
    config.parameters.clear()
    del config.instance_group[:]
    config.instance_group.add(kind=pb.ModelInstanceGroup.KIND_GPU, count=1)


def _copy_graph(source: Path, folder: Path) -> None:
    """Copy a graph and the files that its weights lie in."""
    tensors = onnx.load(source, load_external_data=False).graph.initializer
    entries = [entry for t in tensors if uses_external_data(t) for entry in t.external_data]
    for name in {entry.value for entry in entries if entry.key == "location"}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.parent / name, folder / name)
    shutil.copyfile(source, folder / "model.onnx")


def _read_orders(graphs: Path) -> dict[str, Any]:
    """What engines.json says of an earlier export, taken away until this one is whole."""
    path = graphs / "engines.json"
    if not path.exists():
        return {}
    orders = json.loads(path.read_text(encoding="utf-8"))["engines"]
    path.unlink()
    return {order["name"]: order for order in orders}


def _write_orders(
    graphs: Path, repository: Path, plans: list[_Plan], earlier: dict[str, Any]
) -> None:
    """Write engines.json and the script that reads it; an engine of other parts goes."""
    weights = sha256_file(graphs / "weights.bin")
    orders = [_order(plan, repository.name, weights) for plan in plans]
    for order in orders:
        if order != earlier.get(order["name"]):
            (graphs / order["engine"]).unlink(missing_ok=True)
    shutil.copyfile(tensorrt_engines.__file__, graphs / "build_engines.py")
    text = json.dumps({"engines": orders}, indent=1)
    (graphs / "engines.json").write_text(text + "\n", encoding="utf-8")


def _order(plan: _Plan, repository: str, weights: str) -> dict[str, Any]:
    profiles = [
        {name: [list(shape) for shape in shapes] for name, shapes in profile.items()}
        for profile in plan.profiles
    ]
    parts = (sha256_file(plan.graph), weights, json.dumps(profiles))
    return {
        "name": plan.name,
        "graph": plan.graph.name,
        "engine": f"../{repository}/{plan.name}/1/model.plan",
        "made_of": sha256("\n".join(parts).encode()).hexdigest(),
        "profiles": profiles,
    }


def _write_memory(graphs: Path, card: ModelCard, plans: list[_Plan], max_rows: int) -> None:
    rows: dict[str, tuple[GraphMemory, Batch, int, float]] = {
        plan.name: (
            graph_memory(plan.graph, plan.largest), plan.largest, len(plan.profiles), plan.error
        )
        for plan in plans
    }  # fmt: skip
    slot_bytes = slot_layout(card, max_rows).slot_bytes
    slot = _SLOT_WORDS.format(rows=max_rows, mib=slot_bytes / 2**20)
    text = _MEMORY_WORDS + memory_table(rows) + slot
    (graphs / "MEMORY.md").write_text(text, encoding="utf-8")
