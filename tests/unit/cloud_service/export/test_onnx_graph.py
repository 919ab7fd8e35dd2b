"""One module to one graph that reads its weights from the safetensors file."""

import numpy as np
import onnxruntime as ort
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra: export)")
torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra: export)")
pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from cloud_service.export.errors import ExportFailed  # noqa: E402 -- after the skips
from cloud_service.export.graph_modules import VaeDecoder  # noqa: E402
from cloud_service.export.onnx_graph import GraphPlan, export_module  # noqa: E402
from tests.fakes.tiny_pipeline import kl_vae, randomise  # noqa: E402


class Classifier(torch.nn.Module):
    """Convolution and batch norm, which exporters like to merge, and several outputs."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 24, 3)
        self.norm = torch.nn.BatchNorm2d(24)
        self.gender = torch.nn.Linear(24, 2)
        self.age = torch.nn.Linear(24, 60)

    def forward(self, images):
        features = torch.relu(self.norm(self.convolution(images))).mean((2, 3))
        return {"gender": self.gender(features), "age": self.age(features), "features": features}


class Counting(torch.nn.Module):
    """Gives another answer each time, so no graph can equal it."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.linear(x) + self.calls


def rounded(module):
    return randomise(module).half().float()


def save(module, path, dtype=torch.float16):
    state = {name: t.to(dtype) for name, t in module.state_dict().items() if t.is_floating_point()}
    safetensors.save_file(state, path)
    return path


def export(module, weights, examples, names):
    return export_module(
        GraphPlan(module, (weights,), weights.with_name("model.onnx"), examples, names)
    )


def run(path, **feeds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options).run(None, feeds)


@pytest.fixture
def classifier():
    module = rounded(Classifier())
    with torch.no_grad():
        module.norm.running_mean.normal_()
        module.norm.running_var.uniform_(0.5, 2)
    return module.half().float()


IMAGES = {"images": torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))}
HEADS = ("gender", "age", "features")


def external(path):
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    return [tensor for tensor in tensors if tensor.external_data]


def test_a_classifier_keeps_all_its_weights_in_the_file(classifier, tmp_path):
    weights = save(classifier, tmp_path / "model.safetensors")
    graph = export(classifier, weights, IMAGES, HEADS)
    assert len(external(graph.onnx_file)) == 10
    floats = [t for t in classifier.state_dict().values() if t.is_floating_point()]
    assert graph.weight_bytes == sum(2 * tensor.numel() for tensor in floats)


@pytest.mark.parametrize(("dtype", "casts"), [(torch.float16, 2), (torch.float32, 0)])
def test_a_file_may_be_of_either_float_type(tmp_path, dtype, casts):
    module = rounded(torch.nn.Linear(40, 30))
    weights = save(module, tmp_path / "model.safetensors", dtype)
    graph = export(module, weights, {"x": torch.ones(2, 40)}, ["y"])
    model = onnx.load(graph.onnx_file, load_external_data=False)
    assert [tensor.name for tensor in external(graph.onnx_file)] == ["weight", "bias"]
    assert sum(node.op_type == "Cast" for node in model.graph.node) == casts


def test_a_classifiers_outputs_have_its_names_and_any_batch_size(classifier, tmp_path):
    graph = export(classifier, save(classifier, tmp_path / "model.safetensors"), IMAGES, HEADS)
    images = torch.rand(5, 3, 9, 9)
    with torch.inference_mode():
        wanted = classifier(images)
    found = run(graph.onnx_file, images=images.numpy())
    for name, array in zip(HEADS, found, strict=True):
        np.testing.assert_allclose(array, wanted[name].numpy(), rtol=0, atol=1e-5)
    outputs = onnx.load(graph.onnx_file, load_external_data=False).graph.output
    assert [output.name for output in outputs] == list(HEADS)


def test_the_graph_follows_its_weights_file(classifier, tmp_path):
    weights = save(classifier, tmp_path / "model.safetensors")
    graph = export(classifier, weights, IMAGES, HEADS)
    images = IMAGES["images"].numpy()
    before = run(graph.onnx_file, images=images)[0]
    with torch.no_grad():
        classifier.gender.weight.mul_(2)
        classifier.gender.bias.mul_(2)
    save(classifier, weights)
    np.testing.assert_allclose(run(graph.onnx_file, images=images)[0], 2 * before, atol=1e-5)


def test_the_same_module_gives_the_same_bytes(classifier, tmp_path):
    weights = save(classifier, tmp_path / "model.safetensors")
    first, second = (
        export(classifier, weights, IMAGES, HEADS).onnx_file.read_bytes() for _ in range(2)
    )
    assert first == second


def test_weights_that_the_file_does_not_hold_are_refused(classifier, tmp_path):
    weights = save(classifier, tmp_path / "model.safetensors")
    with torch.no_grad():
        classifier.age.weight[0, 0] += 1e-3
    with pytest.raises(ExportFailed, match=r"age\.weight: 5760 bytes .* round the module"):
        export(classifier, weights, IMAGES, HEADS)
    assert [path.name for path in tmp_path.iterdir()] == [weights.name]


def test_a_graph_that_differs_from_its_module_is_not_kept(tmp_path):
    module = rounded(Counting())
    weights = save(module, tmp_path / "model.safetensors")
    with pytest.raises(ExportFailed, match="differs from PyTorch"):
        export(module, weights, {"x": torch.ones(2, 4)}, ["y"])
    assert [path.name for path in tmp_path.iterdir()] == [weights.name]


def test_a_plan_says_how_far_its_graph_may_be(tmp_path):
    module = rounded(Counting())
    weights = save(module, tmp_path / "model.safetensors")
    plan = GraphPlan(
        module, (weights,), tmp_path / "model.onnx", {"x": torch.ones(2, 4)}, ["y"],
        max_relative_error=1.0,
    )  # fmt: skip
    graph = export_module(plan)
    assert 1e-3 < graph.parity.max_relative <= 1
    assert graph.onnx_file.exists()


def test_a_graph_away_from_its_weights_is_refused(classifier, tmp_path):
    weights = save(classifier, tmp_path / "model.safetensors")
    with pytest.raises(ExportFailed, match="not beside its weights"):
        export_module(
            GraphPlan(classifier, (weights,), tmp_path / "graphs" / "model.onnx", IMAGES, HEADS)
        )


def test_an_autoencoder_kl_decodes_scales_and_clamps(tmp_path):
    vae = randomise(kl_vae())
    with torch.no_grad():
        vae.decoder.conv_out.weight.mul_(20)
    vae = vae.half().float()
    weights = save(vae, tmp_path / "vae.safetensors")
    latents = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    graph = export(VaeDecoder(vae), weights, {"latents": latents}, ["image"])
    with torch.inference_mode():
        wanted = (vae.decode(30 * latents / 0.18215).sample / 2 + 0.5).clamp(0, 1).numpy()
    found = run(graph.onnx_file, latents=30 * latents.numpy())[0]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    assert (found.min(), found.max()) == (0, 1)
