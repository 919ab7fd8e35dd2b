"""What a check keeps in memory: models of gigabytes are never there twice."""

import gc
import weakref
from dataclasses import replace

import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra: export)")
torch = pytest.importorskip("torch", reason="torch is not installed (extra: export)")
pytest.importorskip("onnxscript", reason="onnxscript is not installed (extra: export)")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from cloud_service.export.errors import ExportFailed  # noqa: E402 -- after skips
from cloud_service.export.onnx_graph import GraphPlan, export_module  # noqa: E402 -- after skips
from cloud_service.export.parity import compare  # noqa: E402

EXAMPLES = {"x": torch.rand(2, 64, generator=torch.Generator().manual_seed(0))}
LARGE_MACS = 10**12


@pytest.fixture
def plan(tmp_path):
    module = torch.nn.Linear(64, 64).half().float()
    weights = tmp_path / "model.fp16.safetensors"
    safetensors.save_file({n: t.half() for n, t in module.state_dict().items()}, weights)
    return GraphPlan(module, (weights,), tmp_path / "model.onnx", EXAMPLES, ("y",))


def test_a_large_module_is_compared_and_then_lets_go_of_its_weights(plan):
    export_module(plan)
    assert {weight.device.type for weight in plan.module.parameters()} == {"cpu"}
    parity = compare(plan.module, plan.onnx_file, EXAMPLES, LARGE_MACS)
    assert 0 <= parity.max_relative < 1e-5
    assert parity.torch_ms > 0
    assert parity.ort_ms > 0
    assert {weight.device.type for weight in plan.module.parameters()} == {"meta"}


def test_a_large_module_that_differs_is_seen(plan):
    export_module(plan)
    with torch.no_grad():
        plan.module.bias.add_(1)
    assert compare(plan.module, plan.onnx_file, EXAMPLES, LARGE_MACS).max_absolute > 0.9


def test_an_export_leaves_no_weights_in_memory(plan):
    export_module(plan)
    weight = weakref.ref(plan.module.weight)
    plan.module.to("meta")
    gc.collect()
    assert weight() is None


def test_onnx_runtime_still_loses_digits_in_large_norms(tmp_path):
    """Why pictures may differ by more (docs/decisions/0009-parity.md); undo that if this fails."""
    norm, weights = torch.nn.GroupNorm(1, 1), tmp_path / "norm.fp16.safetensors"
    safetensors.save_file({n: t.half() for n, t in norm.state_dict().items()}, weights)
    values = torch.randn(2, 1, 2**23, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        error = (norm(values) - torch.nn.functional.group_norm(values.double(), 1)).abs().max()
    assert error < 1e-5
    plan = GraphPlan(norm, (weights,), tmp_path / "norm.onnx", {"x": values}, ("y",))
    with pytest.raises(ExportFailed, match="differs from PyTorch"):
        export_module(plan)
    assert export_module(replace(plan, max_relative_error=1e-3)).onnx_file.exists()
