from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from cloud_service.shared_weights import SHARED_WEIGHTS, share_weights, write_shared
from cloud_service.startup_error import CannotStart
from tests.fakes.tiny_graphs import TinySizes, write_unet

SIZES = TinySizes(channels=32)
KERNEL_BYTES = 32 * 32 * 3 * 3 * 4
TEXT_BYTES = 16 * 32 * 4
KINDS = {"unet/model.onnx": "unet_full", "unet/reuse.onnx": "unet_reuse"}


@pytest.fixture
def graphs(tmp_path: Path) -> Path:
    """Two step kinds of one UNet."""
    for graph, kind in KINDS.items():
        write_unet(tmp_path / "bundle" / graph, SIZES, 1, kind)
    return tmp_path / "bundle"


def _run(path: Path, *, is_set: bool) -> np.ndarray:
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(path), options)
    random, batch = np.random.default_rng(2), (1, 3) if is_set else (3,)
    feeds = {
        "latents": random.normal(size=(*batch, 32, 8, 8)).astype(np.float32),
        "timestep": np.full(batch[:1], 500, np.float32),
        "encoder_hidden_states": random.normal(size=(*batch, 12, 16)).astype(np.float32),
    }
    return np.asarray(session.run(["model_output"], feeds)[0])


def test_the_graphs_compute_the_same_with_one_copy_of_equal_weights(
    graphs: Path, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    write_shared(graphs, shared, KINDS)
    for graph, kind in KINDS.items():
        is_set = kind == "unet_reuse"
        expected = _run(graphs / graph, is_set=is_set)
        found = _run(shared / graph, is_set=is_set)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    names = {path.name for path in (shared / "unet").iterdir()}
    assert names == {"model.onnx", "reuse.onnx", SHARED_WEIGHTS}
    size = (shared / "unet" / SHARED_WEIGHTS).stat().st_size
    assert KERNEL_BYTES + TEXT_BYTES <= size <= KERNEL_BYTES + TEXT_BYTES + 2 * 4096


def test_every_graph_refers_to_the_one_file(graphs: Path, tmp_path: Path) -> None:
    write_shared(graphs, tmp_path / "shared", KINDS)
    for graph in KINDS:
        model = onnx.load(tmp_path / "shared" / graph, load_external_data=False)
        places = [
            {entry.key: entry.value for entry in tensor.external_data}
            for tensor in model.graph.initializer
            if tensor.external_data
        ]
        assert places
        assert {place["location"] for place in places} == {SHARED_WEIGHTS}
        assert all(int(place["offset"]) % 4096 == 0 for place in places)


async def test_works_in_a_process_of_its_own(graphs: Path, tmp_path: Path) -> None:
    await share_weights(graphs, tmp_path / "shared", KINDS)
    assert (tmp_path / "shared" / "unet" / SHARED_WEIGHTS).is_file()


async def test_a_graph_that_cannot_be_read_is_said(graphs: Path, tmp_path: Path) -> None:
    (graphs / "unet" / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(CannotStart, match="cannot be prepared; run -P -m cloud_service"):
        await share_weights(graphs, tmp_path / "shared", KINDS)
