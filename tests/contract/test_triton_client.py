"""The orchestrator's client, over the mock and over the real tritonserver."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import numpy as np
import pytest

from cloud_service.inference import UnetCall
from cloud_service.startup_error import CannotStart
from cloud_service.triton_client import TritonClient
from obclip.card import CachedTensor, LatentFormat, ModelCard
from obclip.errors import BackendUnavailable, ServiceFailed
from obclip.plan import STEP_KINDS
from tests.fakes.tiny_bundle import SIZES, TinyBundle

LATENTS = np.zeros((2, SIZES.channels, SIZES.height, SIZES.width), np.float32)
TIMESTEPS = np.array([999, 0], np.float32)
Connect = Callable[..., TritonClient]


@pytest.fixture
def connect(triton_url: str, bundle: TinyBundle) -> Connect:
    def make(
        card: ModelCard = bundle.card, *, url: str = triton_url, call_timeout_s: float = 30
    ) -> TritonClient:
        return TritonClient(url, card, call_timeout_s=call_timeout_s)

    return make


@pytest.fixture
async def client(connect: Connect) -> AsyncIterator[TritonClient]:
    async with connect() as opened:
        yield opened


async def test_reads_the_batch_size_from_models_that_fit(client: TritonClient) -> None:
    assert await client.is_ready(10)
    await client.check_models()
    assert client.max_batch_size == 64


async def test_encodes_and_denoises(client: TritonClient) -> None:
    embeddings = await client.encode_text(np.ones((2, SIZES.tokens), np.int64))
    assert embeddings.shape == (2, SIZES.tokens, SIZES.embedding)
    answer = await client.denoise(UnetCall("unet_full", LATENTS, TIMESTEPS, embeddings))
    output = answer["model_output"]
    assert set(answer) == {"model_output"}
    assert output.shape == LATENTS.shape
    assert output.dtype == np.float32
    assert not np.allclose(output[0], output[1])  # the timesteps differ


async def test_what_a_kind_leaves_another_takes(client: TritonClient) -> None:
    """At the same point the kinds on cached tensors compute what the whole UNet does."""
    embeddings = await client.encode_text(np.ones((2, SIZES.tokens), np.int64))
    here = (LATENTS + 1, TIMESTEPS, embeddings)
    full = await client.denoise(UnetCall("unet_full", *here, leaves=("feature",)))
    sets = (LATENTS[:, None] + 1, TIMESTEPS, embeddings[:, None])
    names = ("skips", "attention_down", "attention_up")
    left = await client.denoise(UnetCall("unet_reuse", *sets, leaves=names))
    assert left["skips"].shape == (2, 1, *LATENTS.shape[1:])
    have = {name: array[:, 0] for name, array in left.items()} | {"feature": full["feature"]}
    for kind in ("unet_shallow", "unet_cached", "unet_up", "unet_up_cached"):
        taken = {name: have[name] for name in STEP_KINDS[kind].takes}
        answer = await client.denoise(UnetCall(kind, *here, taken))
        for output in (answer["model_output"], have["model_output"]):
            np.testing.assert_allclose(output, full["model_output"], rtol=1e-4, atol=1e-5)


async def test_a_run_in_shared_memory_is_the_run_by_messages(client: TritonClient) -> None:
    """What is left in a slot is taken from there, whether all of it, some rows, or rearranged."""
    embeddings = await client.encode_text(np.ones((2, SIZES.tokens), np.int64))
    here = (LATENTS + 1, TIMESTEPS, embeddings)
    async with client.sharing_memory(count=1, rows=2):
        with client.for_one_run() as backend:
            full = await backend.denoise(UnetCall("unet_full", *here, leaves=("feature",)))
            feature = full["feature"]
            for rows in (feature, feature[1:], feature[::-1]):
                part = (LATENTS[: len(rows)], TIMESTEPS[: len(rows)], embeddings[: len(rows)])
                call = UnetCall("unet_shallow", *part, {"feature": rows})
                found = (await backend.denoise(call))["model_output"].copy()
                expected = (await client.denoise(call))["model_output"]
                np.testing.assert_array_equal(found, expected)


async def test_more_sets_than_slots_go_by_messages(client: TritonClient) -> None:
    async with client.sharing_memory(count=1, rows=2):
        with client.for_one_run() as first, client.for_one_run() as second:
            assert first is not client
            assert second is client
        with client.for_one_run() as third:
            assert third is not client
    with client.for_one_run() as last:
        assert last is client


async def test_a_set_larger_than_its_slot_goes_by_messages(client: TritonClient) -> None:
    embeddings = await client.encode_text(np.ones((2, SIZES.tokens), np.int64))
    call = UnetCall("unet_full", LATENTS, TIMESTEPS, embeddings)
    expected = (await client.denoise(call))["model_output"]
    many = [np.repeat(array, 32, axis=0) for array in (LATENTS, TIMESTEPS, embeddings)]
    async with client.sharing_memory(count=1, rows=1):
        with client.for_one_run() as backend:
            answer = await backend.denoise(UnetCall("unet_full", *many))
    np.testing.assert_allclose(answer["model_output"][::32], expected, rtol=1e-5, atol=1e-6)


async def test_a_slot_whose_call_failed_serves_nobody_any_more(
    connect: Connect, bundle: TinyBundle
) -> None:
    """Triton may still write there."""
    card = replace(bundle.card, latents=LatentFormat(4, 8, 7, "float32"))
    async with connect(card) as client, client.sharing_memory(count=1, rows=2):
        embeddings = await client.encode_text(np.ones((2, SIZES.tokens), np.int64))
        call = UnetCall("unet_full", LATENTS[..., :7], TIMESTEPS, embeddings)
        with client.for_one_run() as backend:
            assert backend is not client
            with pytest.raises(ServiceFailed):
                await backend.denoise(call)
        with client.for_one_run() as backend:
            assert backend is client


async def test_says_which_model_is_absent(
    client: TritonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud_service.triton_client.TEXT_ENCODER", "absent")
    with pytest.raises(CannotStart, match="Triton has no model absent; let Triton serve"):
        await client.check_models()


async def test_says_what_does_not_fit(connect: Connect, bundle: TinyBundle) -> None:
    feature = (CachedTensor("feature", (4, 8, 9)), *bundle.card.cached_tensors[1:])
    async with connect(replace(bundle.card, cached_tensors=feature)) as client:
        with pytest.raises(CannotStart, match=r"unet_full takes .* the bundle"):
            await client.check_models()
    other = replace(bundle.card, latents=LatentFormat(8, 8, 8, "float32"))
    async with connect(other) as client:
        with pytest.raises(CannotStart, match=r"unet_full takes .* the bundle"):
            await client.check_models()


async def test_a_refusal_by_the_model_is_a_failure_of_ours(client: TritonClient) -> None:
    ids = np.full((1, SIZES.tokens), 10**6, np.int64)
    with pytest.raises(ServiceFailed):
        await client.encode_text(ids)


async def test_no_server_is_unavailable(connect: Connect) -> None:
    async with connect(url="127.0.0.1:1") as client:
        assert not await client.is_ready(5)
        with pytest.raises(CannotStart, match="answered UNAVAILABLE for unet_full; check that it"):
            await client.check_models()
        with pytest.raises(BackendUnavailable):
            await client.encode_text(np.ones((1, SIZES.tokens), np.int64))


async def test_a_caller_that_gives_up_waits_for_its_call(client: TritonClient) -> None:
    """To cancel the call itself can crash Triton."""
    ids = np.ones((2, SIZES.tokens), np.int64)
    for _ in range(50):
        waiting = asyncio.ensure_future(client.encode_text(ids))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert (await client.encode_text(ids)).shape == (2, SIZES.tokens, SIZES.embedding)
