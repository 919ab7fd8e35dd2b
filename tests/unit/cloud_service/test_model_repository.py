from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from cloud_service.model_repository import embedded_repository, write_repository
from cloud_service.settings import embedded_bundle
from obclip.card import CARD_FILE, ModelCard
from obclip.errors import InvalidBundle
from obclip.plan import STEP_KINDS, UNET_REUSE
from tests.fakes.tiny_bundle import TinyBundle

MODELS = ("text_encoder", *STEP_KINDS)


def _config(repository: Path, model: str) -> ModelConfig:
    return text_format.Parse((repository / model / "config.pbtxt").read_text(), ModelConfig())


def _shapes(config: ModelConfig) -> dict[str, list[int]]:
    return {tensor.name: list(tensor.dims) for tensor in [*config.input, *config.output]}


def test_shapes_are_the_bundles(model_repository: Path) -> None:
    assert _shapes(_config(model_repository, "unet_full")) == {
        "latents": [4, 8, 8],
        "timestep": [1],
        "encoder_hidden_states": [40, 16],
        "model_output": [4, 8, 8],
        "feature": [4, 8, 8],
    }
    assert _shapes(_config(model_repository, "text_encoder")) == {
        "input_ids": [40],
        "last_hidden_state": [40, 16],
    }


@pytest.mark.parametrize("model", MODELS)
def test_warms_up_and_merges_and_caches_nothing(model_repository: Path, model: str) -> None:
    config = _config(model_repository, model)
    inputs = {tensor.name: list(tensor.dims) for tensor in config.input}
    warmed = {name: list(tensor.dims) for name, tensor in config.model_warmup[0].inputs.items()}
    assert warmed == {name: [abs(axis) for axis in dims] for name, dims in inputs.items()}
    # The batch size of batch reuse counts sets, so merged calls would have rows without bound.
    assert config.HasField("dynamic_batching") == (model != UNET_REUSE)
    assert not config.response_cache.enable


@pytest.mark.parametrize("model", MODELS)
def test_names_the_graph_by_a_relative_path(model_repository: Path, model: str) -> None:
    name = _config(model_repository, model).parameters["onnx_file"].string_value
    assert not name.startswith("/")
    assert (model_repository / model / name).is_file()


def test_needs_every_graph(tmp_path: Path, bundle: TinyBundle) -> None:
    with pytest.raises(InvalidBundle, match=r"model\.onnx: is absent"):
        write_repository(tmp_path / "models", tmp_path, bundle.card)


@pytest.mark.parametrize(
    "file", [f"{m}/{f}" for m in MODELS for f in ("config.pbtxt", "1/model.py")]
)
def test_the_committed_repository_is_what_would_be_written(tmp_path: Path, file: str) -> None:
    bundle = embedded_bundle()
    if not (bundle / CARD_FILE).is_file():
        pytest.skip("demo_models/weights/card.json is missing: make models")
    # Beside the bundle, so that the relative paths are those of the committed files.
    written = bundle.parent.parent / f"triton_models_{tmp_path.name}"
    try:
        write_repository(written, bundle, ModelCard.load(bundle))
        assert (written / file).read_text() == (embedded_repository() / file).read_text()
    finally:
        for path in sorted(written.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        written.rmdir()
