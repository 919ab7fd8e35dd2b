"""What we need of Triton, asked of the mock and of the real tritonserver."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.fakes.tiny_bundle import SIZES, TinyBundle

LATENT = (SIZES.channels, SIZES.height, SIZES.width)
EMBEDDING = (SIZES.tokens, SIZES.embedding)
Feeds = dict[str, NDArray[Any]]


@pytest.fixture
async def client(triton_url: str) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(triton_url) as opened:
        yield opened


def _text(rows: int, token: int = 5) -> Feeds:
    return {"input_ids": np.full((rows, SIZES.tokens), token, np.int64)}


def _denoise(rows: int, seed: int = 0) -> Feeds:
    random = np.random.default_rng(seed)
    return {
        "latents": random.normal(size=(rows, *LATENT)).astype(np.float32),
        "timestep": random.integers(0, 1000, (rows, 1)).astype(np.float32),
        "encoder_hidden_states": random.normal(size=(rows, *EMBEDDING)).astype(np.float32),
    }


def _inputs(feeds: Feeds) -> list[InferInput]:
    return [
        InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)).set_data_from_numpy(
            array
        )
        for name, array in feeds.items()
    ]


async def _infer(client: InferenceServerClient, model: str, feeds: Feeds) -> Any:
    output = {"text_encoder": "last_hidden_state", "unet_full": "model_output"}[model]
    result = await client.infer(model, _inputs(feeds), client_timeout=30)
    return result.as_numpy(output)


def _reference(graph: Path, feeds: Feeds) -> Any:
    session = ort.InferenceSession(str(graph))
    squeezed = {name: a[:, 0] if name == "timestep" else a for name, a in feeds.items()}
    return session.run(None, squeezed)[0]


async def test_says_that_it_is_live_and_ready(client: InferenceServerClient) -> None:
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert await client.is_model_ready("unet_full")


async def test_names_itself(client: InferenceServerClient) -> None:
    metadata = await client.get_server_metadata()
    assert metadata.name == "triton"
    assert metadata.version


@dataclass(frozen=True)
class Described:
    model: str
    inputs: dict[str, tuple[str, list[int]]]
    outputs: dict[str, tuple[str, list[int]]]


DESCRIBED = [
    Described(
        "text_encoder",
        {"input_ids": ("INT64", [-1, SIZES.tokens])},
        {"last_hidden_state": ("FP32", [-1, *EMBEDDING])},
    ),
    Described(
        "unet_full",
        {
            "latents": ("FP32", [-1, *LATENT]),
            "timestep": ("FP32", [-1, 1]),
            "encoder_hidden_states": ("FP32", [-1, *EMBEDDING]),
        },
        {"model_output": ("FP32", [-1, *LATENT]), "feature": ("FP32", [-1, *LATENT])},
    ),
]


@pytest.mark.parametrize("expected", DESCRIBED, ids=lambda described: described.model)
async def test_describes_its_models(client: InferenceServerClient, expected: Described) -> None:
    metadata = await client.get_model_metadata(expected.model)
    found = Described(
        metadata.name,
        {tensor.name: (tensor.datatype, list(tensor.shape)) for tensor in metadata.inputs},
        {tensor.name: (tensor.datatype, list(tensor.shape)) for tensor in metadata.outputs},
    )
    assert found == expected


@pytest.mark.parametrize("model", ["text_encoder", "unet_full"])
async def test_gives_the_config_that_lets_sets_merge(
    client: InferenceServerClient, model: str
) -> None:
    config = (await client.get_model_config(model)).config
    assert config.max_batch_size == 64
    assert config.HasField("dynamic_batching")
    assert not config.response_cache.enable


@pytest.mark.parametrize("rows", [1, 2, 64])
async def test_encodes_text_as_the_graph_does(
    client: InferenceServerClient, bundle: TinyBundle, rows: int
) -> None:
    feeds = {"input_ids": np.random.default_rng(rows).integers(0, 40, (rows, SIZES.tokens))}
    expected = _reference(bundle.folder / "text_encoder" / "model.onnx", feeds)
    np.testing.assert_allclose(await _infer(client, "text_encoder", feeds), expected, rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 64])
async def test_denoises_each_row_at_its_own_timestep(
    client: InferenceServerClient, bundle: TinyBundle, rows: int
) -> None:
    feeds = _denoise(rows)
    expected = _reference(bundle.folder / "unet" / "model.onnx", feeds)
    found = await _infer(client, "unet_full", feeds)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


async def test_merges_concurrent_requests_and_gives_each_its_own_rows(
    client: InferenceServerClient, bundle: TinyBundle
) -> None:
    # A busy machine may hand over one request after another, and then there is nothing to merge.
    for first_seed in range(0, 1000, 100):
        if await _burst_is_merged(client, bundle, first_seed):
            return
    pytest.fail("ten bursts, and no two requests ran together")


async def _burst_is_merged(
    client: InferenceServerClient, bundle: TinyBundle, first_seed: int
) -> bool:
    before = (await client.get_inference_statistics("unet_full")).model_stats[0]
    requests = [_denoise(1 + seed % 3, seed) for seed in range(first_seed, first_seed + 100)]
    answers = await asyncio.gather(*(_infer(client, "unet_full", feeds) for feeds in requests))
    after = (await client.get_inference_statistics("unet_full")).model_stats[0]
    for feeds, answer in zip(requests, answers, strict=True):
        expected = _reference(bundle.folder / "unet" / "model.onnx", feeds)
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-5)
    rows = sum(len(feeds["latents"]) for feeds in requests)
    assert after.inference_count - before.inference_count == rows
    return after.execution_count - before.execution_count < len(requests)


def _without(feeds: Feeds, name: str) -> Feeds:
    return {key: array for key, array in feeds.items() if key != name}


REFUSED = {
    "batch over the limit": ("text_encoder", _text(65)),
    "batch of nothing": ("text_encoder", _text(0)),
    "wrong length": ("text_encoder", {"input_ids": np.zeros((1, 3), np.int64)}),
    "wrong type": ("text_encoder", {"input_ids": np.zeros((1, SIZES.tokens), np.int32)}),
    "input missing": ("unet_full", _without(_denoise(1), "timestep")),
    "batch sizes that differ": ("unet_full", _denoise(2) | {"timestep": _denoise(1)["timestep"]}),
    "values out of range": ("text_encoder", _text(1, token=987654)),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refuses_as_invalid_and_stays_ready(client: InferenceServerClient, case: str) -> None:
    model, feeds = REFUSED[case]
    with pytest.raises(InferenceServerException) as caught:
        await _infer(client, model, feeds)
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert "987654" not in caught.value.message()
    assert await client.is_server_ready()


async def test_refuses_an_unknown_model_as_not_found(client: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        await client.infer("unet_unknown", _inputs(_text(1)))
    assert caught.value.status() == "StatusCode.NOT_FOUND"


async def test_a_bad_request_fails_alone(client: InferenceServerClient) -> None:
    requests = [_text(1, token=10**6 if index % 7 == 3 else index) for index in range(40)]
    answers = await asyncio.gather(
        *(_infer(client, "text_encoder", feeds) for feeds in requests), return_exceptions=True
    )
    failed = [isinstance(answer, InferenceServerException) for answer in answers]
    assert failed == [index % 7 == 3 for index in range(40)]
