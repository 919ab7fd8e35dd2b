"""A TensorRT repository up to the build: graphs, profiles, configs, orders, memory. No GPU."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from cloud_service.denoising import DenoisingRun
from cloud_service.job import GenerationJob
from cloud_service.model_repository import write_repository
from obclip.plan import STEP_KIND_GRAPHS, STEP_KINDS, Profile, make_plan
from tests.fakes.recorded_tensorrt import RecordedTensorrt
from tests.fakes.scripted_service import service_card
from tests.fakes.step_kind_model import StepKindModel

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra: export)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra: export)")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: cloud)")
pb = pytest.importorskip(
    "tritonclient.grpc.model_config_pb2", reason="tritonclient is not installed (extra: cloud)"
)

from cloud_service.export import tensorrt  # noqa: E402 -- needs onnxscript
from cloud_service.export.errors import ExportFailed  # noqa: E402
from cloud_service.export.tensorrt_engines import (  # noqa: E402
    BuildFailed,
    build_all,
    build_engine,
    read_orders,
)
from cloud_service.export.tensorrt_graph import SharedWeights, write_half_graph  # noqa: E402
from cloud_service.export.tensorrt_memory import graph_memory  # noqa: E402
from cloud_service.export.tensorrt_profiles import planned_batches  # noqa: E402

# The embedded family's graphs were exported from diffusers.
FAMILY = Path(__file__).parents[4] / "demo_models" / "weights"
CANDIDATES = (2, 6)
FLOAT, HALF = 1, 10


@pytest.fixture(scope="session")
def written(bundle, tmp_path_factory):
    """The repository of the tiny bundle; its graphs lie in `triton_graphs` beside it."""
    repository = tmp_path_factory.mktemp("tensorrt") / "triton"
    tensorrt.write_tensorrt(bundle.folder, repository, CANDIDATES)
    return repository


@pytest.fixture
def repository(written, tmp_path):
    """A copy of a test's own."""
    shutil.copytree(written.parent, tmp_path / "copy")
    return tmp_path / "copy" / written.name


def graphs_of(repository):
    return repository.with_name(f"{repository.name}_graphs")


def config_of(folder):
    return text_format.Parse((folder / "config.pbtxt").read_text(), pb.ModelConfig())


def orders_of(repository):
    return read_orders(graphs_of(repository) / "engines.json")


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_a_config_has_the_tensors_of_the_python_backends(written, bundle, tmp_path, kind):
    write_repository(tmp_path, bundle.folder, bundle.card)
    plan, python = config_of(written / kind), config_of(tmp_path / kind)
    assert (plan.platform, plan.backend) == ("tensorrt_plan", "")
    assert list(plan.input) == list(python.input)
    assert list(plan.output) == list(python.output)
    assert plan.name == kind
    assert not plan.response_cache.enable
    assert not plan.parameters


def test_all_models_allow_one_batch_size(written):
    sizes = {config_of(written / kind).max_batch_size for kind in STEP_KINDS}
    assert sizes == {2 * max(CANDIDATES)}


def test_sets_of_two_users_never_merge_in_the_kind_that_shares_maps(written):
    assert not config_of(written / "unet_reuse").HasField("dynamic_batching")
    assert config_of(written / "unet_full").HasField("dynamic_batching")


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_an_instance_serves_every_profile(written, kind):
    (order,) = [order for order in orders_of(written) if order.name == kind]
    (group,) = config_of(written / kind).instance_group
    assert list(group.profile) == [str(index) for index in range(len(order.profiles))]
    assert group.kind == pb.ModelInstanceGroup.KIND_GPU


def test_the_text_encoder_is_served_as_it_is(written, bundle):
    config = config_of(written / "text_encoder")
    assert config.platform == "onnxruntime_onnx"
    ids = np.arange(80).reshape(2, 40) % 60
    here, there = (
        ort.InferenceSession(path).run(None, {"input_ids": ids})[0]
        for path in (
            bundle.folder / "text_encoder" / "model.onnx",
            written / "text_encoder" / "1" / config.default_model_filename,
        )
    )
    np.testing.assert_array_equal(here, there)


def test_weights_in_other_files_come_along(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "second").mkdir(parents=True)
    target.mkdir()
    for folder in (source, source / "second"):
        shutil.copyfile(
            FAMILY / "text_encoder" / "model.fp16.safetensors", folder / "model.fp16.safetensors"
        )
    model = onnx.load(FAMILY / "text_encoder" / "model.onnx", load_external_data=False)
    for tensor in model.graph.initializer[:5]:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = f"second/{entry.value}"
    onnx.save(model, source / "model.onnx")
    tensorrt._copy_graph(source / "model.onnx", target)
    assert ort.InferenceSession(target / "model.onnx").get_inputs()[0].name == "input_ids"
    assert (target / "second" / "model.fp16.safetensors").is_file()


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_a_real_graph_computes_in_half_but_for_its_angles(tmp_path, kind):
    weights = SharedWeights(tmp_path / "weights.bin")
    path = tmp_path / "graph.onnx"
    write_half_graph(FAMILY / STEP_KIND_GRAPHS[kind], path, weights, {"timestep": 2})
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.shape_inference.infer_shapes(onnx.load(path, load_external_data=False))
    types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    heavy = {"Conv", "Gemm", "MatMul", "Softmax", "InstanceNormalization", "LayerNormalization"}
    computed = {types[n.output[0]] for n in model.graph.node if n.op_type in heavy}
    angles = {types[n.output[0]] for n in model.graph.node if n.op_type in {"Sin", "Cos"}}
    assert (computed, angles) == ({HALF}, {FLOAT})
    ends = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in ends} == {FLOAT}
    large = [tensor for tensor in model.graph.initializer if tensor.external_data]
    assert {tensor.data_type for tensor in large} == {HALF}
    assert path.stat().st_size < 300 * 1024


@pytest.fixture(scope="module")
def angles(tmp_path_factory):
    """The whole UNet in half, which tells the sine and the cosine of its timestep's angles too."""
    path = tmp_path_factory.mktemp("half") / "graph.onnx"
    weights = SharedWeights(path.with_name("weights.bin"))
    write_half_graph(FAMILY / STEP_KIND_GRAPHS["unet_full"], path, weights, {"timestep": 2})
    model = onnx.load(path, load_external_data=False)
    for name in ("sin", "cos"):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, FLOAT, None))
    onnx.save(model, path)
    return ort.InferenceSession(path)


@pytest.mark.parametrize("timestep", [0, 1, 500, 998, 999])
def test_a_timestep_is_as_exact_as_in_float32(angles, timestep):
    """Rounded to float16, 999 is right but its angles would be a quarter of a radian wrong."""
    feeds = {
        "latents": np.zeros((1, 8, 16, 16), np.float32),
        "timestep": np.full((1, 1), timestep, np.float32),
        "encoder_hidden_states": np.zeros((1, 48, 128), np.float32),
    }
    sine, cosine = (values[0] for values in angles.run(["sin", "cos"], feeds))
    expected = timestep * 10_000.0 ** -(np.arange(len(sine)) / len(sine))
    np.testing.assert_allclose(sine, np.sin(expected), atol=2e-4)
    np.testing.assert_allclose(cosine, np.cos(expected), atol=2e-4)


def test_kinds_that_share_weights_store_them_once(tmp_path):
    weights = SharedWeights(tmp_path / "weights.bin")
    sizes = []
    for kind in ("unet_full", "unet_reuse", "unet_cached"):
        write_half_graph(FAMILY / STEP_KIND_GRAPHS[kind], tmp_path / f"{kind}.onnx", weights, {})
        sizes.append(weights.path.stat().st_size)
    assert sizes[0] == sizes[1] == sizes[2] > 20_000_000


def test_a_graph_that_loses_too_much_is_refused(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(tensorrt, "MAX_ERROR", 1e-9)
    with pytest.raises(ExportFailed, match="in float16, over 1e-09; serve it in float32"):
        tensorrt.write_tensorrt(bundle.folder, tmp_path / "triton", (2,))
    assert not (graphs_of(tmp_path / "triton") / "engines.json").exists()
    assert not list(tmp_path.rglob("unet_*/config.pbtxt"))


@pytest.mark.parametrize("candidates", [(), (0,), (2, 65), (-1,)])
def test_buckets_outside_the_range_are_refused(bundle, tmp_path, candidates):
    with pytest.raises(ExportFailed, match="candidates"):
        tensorrt.write_tensorrt(bundle.folder, tmp_path / "triton", candidates)


async def _calls(card, profile, count, switch_point, *, guided):
    plan = make_plan(25, switch_point, profile)
    job = GenerationJob(
        candidate_ids=np.arange(count)[:, np.newaxis].repeat(40, axis=1),
        negative_ids=np.zeros((1, 40), np.int64),
        seed=1,
        steps=25,
        guidance_scale=3.0 if guided else 1.0,
        plan=plan if guided else plan.without_guidance(),
    )
    model = StepKindModel(max_batch_size=60)

    async def ignore(_steps_done):
        pass

    await DenoisingRun(job, card, model).run(ignore)
    return {(call.kind, call.latents.shape[:-3]) for call in model.calls}


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("profile", Profile)
async def test_every_call_of_the_loop_has_a_profile_of_its_own(bundle, profile, guided):
    card = service_card(bundle)
    for count in (1, 2, 6, 30, 40):
        planned = {
            kind: set(planned_batches(kind, STEP_KINDS, (count,), 60)) for kind in STEP_KINDS
        }
        for switch_point in (1, 5, 10):
            for kind, batch in await _calls(card, profile, count, switch_point, guided=guided):
                assert batch in planned[kind], (kind, count)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("unet_full", {(1,), (2,), (6,), (7,), (12,)}),
        ("unet_shallow", {(6,), (7,), (12,)}),
        ("unet_reuse", {(1, 6), (2, 6)}),
        ("unet_up_cached", {(6,), (12,)}),
    ],
)
def test_the_batches_of_one_bucket(kind, expected):
    assert set(planned_batches(kind, STEP_KINDS, (6,), 64)) == expected


def test_profiles_that_the_bundle_has_no_graphs_for_cost_no_batches():
    assert planned_batches("unet_full", ["unet_full"], (6,), 64) == [(6,), (12,)]


def test_the_last_profile_takes_any_number_of_candidates(written):
    for order in orders_of(written):
        *static, general = order.profiles
        assert all(low == best == high for p in static for low, best, high in p.values())
        smallest, _, largest = general["latents"]
        axes = 2 if order.name == "unet_reuse" else 1
        assert smallest[:axes] == [1] * axes
        assert largest == [
            max(p["latents"][2][axis] for p in static) for axis in range(len(largest))
        ]


def test_the_builder_makes_one_typed_engine_with_all_profiles(written):
    trt = RecordedTensorrt()
    for order in orders_of(written):
        trt.record.clear()
        assert build_engine(trt, order, 1 << 30) == b"engine"
        assert trt.record == [
            ("create_network", 1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
            ("parse", f"{order.name}.onnx"),
            ("set_memory_pool_limit", trt.MemoryPoolType.WORKSPACE, 1 << 30),
            ("build", len(order.profiles)),
        ]


@pytest.mark.parametrize(
    ("trt", "words"),
    [
        (RecordedTensorrt(parse_errors=("no Gelu", "no Split")), "no Gelu; no Split"),
        (RecordedTensorrt(refuses_profiles=True), "was refused"),
        (RecordedTensorrt(gives_nothing=True), "no engine was built"),
    ],
)
def test_what_tensorrt_refuses_leaves_no_engine(repository, trt, words):
    orders = orders_of(repository)
    with pytest.raises(BuildFailed, match=f"{orders[0].name}: .*{words}"):
        build_all(trt, orders, 1 << 30, lambda _line: None)
    assert not list(repository.rglob("model.plan*"))


def test_a_build_goes_on_where_it_stopped(repository):
    trt, lines = RecordedTensorrt(), []
    orders = orders_of(repository)
    build_all(trt, orders[:2], 1 << 30, lines.append)
    trt.record.clear()
    build_all(trt, orders, 1 << 30, lines.append)
    built = [call[1] for call in trt.record if call[0] == "parse"]
    assert built == [f"{order.name}.onnx" for order in orders[2:]]
    assert f"{orders[0].name}: is there" in lines
    assert all(order.engine.read_bytes() == b"engine" for order in orders)
    assert not list(repository.rglob("*.partial"))


def test_another_release_of_tensorrt_builds_anew(repository):
    trt, orders = RecordedTensorrt(), orders_of(repository)[:1]
    build_all(trt, orders, 1 << 30, lambda _line: None)
    trt.__version__ = "11.1.0"
    build_all(trt, orders, 1 << 30, lambda _line: None)
    assert [call[0] for call in trt.record].count("build") == 2


def test_an_export_of_other_parts_takes_the_old_engines_away(repository, bundle):
    build_all(RecordedTensorrt(), orders_of(repository), 1 << 30, lambda _line: None)
    tensorrt.write_tensorrt(bundle.folder, repository, CANDIDATES)
    assert len(list(repository.rglob("model.plan"))) == len(STEP_KINDS)
    tensorrt.write_tensorrt(bundle.folder, repository, (3,))
    assert not list(repository.rglob("model.plan"))


def test_the_script_needs_nothing_of_this_project(written):
    script = graphs_of(written) / "build_engines.py"
    done = subprocess.run(
        [sys.executable, "-I", script], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert done.stderr == (
        "build_engines: tensorrt is missing; run this in NVIDIA's TensorRT image\n"
    )


def test_the_orders_lie_beside_their_graphs(written):
    for order in orders_of(written):
        assert order.graph.is_file()
        assert order.engine.parent.is_dir()
        assert order.engine.resolve().is_relative_to(written)
    text = (graphs_of(written) / "engines.json").read_text()
    assert str(written.parent) not in text
    assert len(json.loads(text)["engines"]) == len(STEP_KINDS)


def _chain(path: Path) -> Path:
    """x (B, 4, 8) -> Relu -> Reshape -> Relu -> Relu: at the peak two tensors of B x 32 floats."""
    helper, proto = onnx.helper, onnx.TensorProto
    shape = onnx.numpy_helper.from_array(np.array([-1, 32], np.int64), "shape")
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Reshape", ["a", "shape"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    ends = [
        [helper.make_tensor_value_info(name, proto.FLOAT, dims)]
        for name, dims in (("x", ["batch", 4, 8]), ("y", ["batch", 32]))
    ]
    graph = helper.make_graph(nodes, "chain", *ends, [shape])
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


def test_memory_is_counted_from_sizes(tmp_path):
    memory = graph_memory(_chain(tmp_path / "chain.onnx"), (5,))
    one = 5 * 32 * 4
    assert memory.weights == 2 * 8
    assert memory.tensors == 2 * one
    assert memory.activations == 2 * one


def test_activations_grow_with_the_batch_and_weights_do_not(written):
    path = graphs_of(written) / "unet_full.onnx"
    small, large = (graph_memory(path, (rows,)) for rows in (2, 12))
    assert large.activations == 6 * small.activations
    assert large.tensors == 6 * small.tensors
    assert large.weights == small.weights


def test_the_table_names_every_kind_and_says_what_was_not_run(written):
    text = (graphs_of(written) / "MEMORY.md").read_text()
    assert all(f"| {kind} |" in text for kind in STEP_KINDS)
    assert "not run" in text.splitlines()[0]
