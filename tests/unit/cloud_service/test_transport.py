"""How tensors reach the models: counted at the mock Triton, through the whole service."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest

from cloud_service.inference import UnetCall
from cloud_service.service import RunningService, running_service
from cloud_service.settings import Settings, Transport
from cloud_service.startup_error import CannotStart
from cloud_service.triton_client import TritonClient
from obclip.errors import DeadlineExceeded
from obclip.plan import Profile
from tests.conftest import StartService
from tests.fakes.gate import Gate
from tests.fakes.mock_triton import MockTriton
from tests.fakes.tiny_bundle import TinyBundle
from tests.generation_calls import Answer, generate

ITEM_BYTES = 4
ROWS = 4  # two candidates, guided


async def _generate(service: RunningService, switch_point: int, profile: Profile) -> Answer:
    async with grpc.aio.insecure_channel(service.address) as channel:
        changes = {"switch_point": switch_point, "profile": profile.to_proto()}
        return await generate(channel, service.card, **changes)


async def _bytes_of_five_steps(service: RunningService, triton: MockTriton) -> int:
    """What steps 5 to 9 put into messages."""
    counts = [triton.tensor_bytes]
    for switch_point in (5, 10):
        await _generate(service, switch_point, Profile.BARE)
        counts.append(triton.tensor_bytes)
    return (counts[2] - counts[1]) - (counts[1] - counts[0])


async def test_in_shared_memory_messages_hold_timesteps_alone(
    start_service: StartService, mock_triton: MockTriton
) -> None:
    async with start_service(transport=Transport.SHARED_MEMORY) as service:
        assert len(mock_triton.regions.memory) == Settings().max_running
        assert await _bytes_of_five_steps(service, mock_triton) == 5 * ROWS * ITEM_BYTES
    assert not mock_triton.regions.memory


@pytest.mark.parametrize("transport", [Transport.AUTO, Transport.MESSAGES])
async def test_to_a_triton_elsewhere_all_goes_by_messages(
    start_service: StartService,
    mock_triton: MockTriton,
    bundle: TinyBundle,
    transport: Transport,
) -> None:
    latents, text = bundle.card.latents.shape, bundle.card.text.embedding_shape
    row = 2 * np.prod(latents) + np.prod(text) + 1
    async with start_service(transport=transport) as service:
        assert not mock_triton.regions.memory
        assert await _bytes_of_five_steps(service, mock_triton) == 5 * ROWS * row * ITEM_BYTES


@pytest.mark.parametrize("profile", Profile)
async def test_both_ways_give_the_same_latents(
    start_service: StartService, profile: Profile
) -> None:
    latents = []
    for transport in (Transport.MESSAGES, Transport.SHARED_MEMORY):
        async with start_service(transport=transport, profiles=tuple(Profile)) as service:
            latents.append((await _generate(service, 10, profile)).latents)
    np.testing.assert_array_equal(*latents)


def _call(bundle: TinyBundle) -> UnetCall:
    return UnetCall(
        "unet_full",
        np.zeros((2, *bundle.card.latents.shape), np.float32),
        np.zeros(2, np.float32),
        np.zeros((2, *bundle.card.text.embedding_shape), np.float32),
    )


async def test_after_a_restart_of_triton_one_set_fails_and_the_next_go_by_messages(
    start_service: StartService, mock_triton: MockTriton, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_service(transport=Transport.SHARED_MEMORY) as service:
        mock_triton.regions.unregister("")  # all
        with pytest.raises(grpc.aio.AioRpcError, match="not available; try again later"):
            await _generate(service, 5, Profile.BARE)
        for _ in range(Settings().max_running):
            answer = await _generate(service, 5, Profile.BARE)
            assert answer.events[-1] == "statistics"
    assert caplog.text.count("Triton has lost its shared memory, so tensors go by messages") == 1


async def test_slots_stay_registered_until_the_calls_in_them_have_ended(
    mock_triton: MockTriton, bundle: TinyBundle
) -> None:
    gate = Gate(mock_triton.models["unet_full"])
    async with TritonClient(mock_triton.url, bundle.card, call_timeout_s=10) as client:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(client.sharing_memory(count=1, rows=2))
            with client.for_one_run() as backend:
                running = asyncio.ensure_future(backend.denoise(_call(bundle)))
                await gate.reached.wait()
            leaving = asyncio.ensure_future(stack.aclose())
            await asyncio.wait({leaving}, timeout=0.3)
            assert mock_triton.regions.memory
            gate.opened.set()
            await asyncio.gather(running, leaving)
        assert not mock_triton.regions.memory


@pytest.mark.parametrize("gives_up", [False, True])
async def test_a_call_that_takes_too_long_spoils_its_slot(
    mock_triton: MockTriton,
    bundle: TinyBundle,
    caplog: pytest.LogCaptureFixture,
    gives_up: bool,
) -> None:
    """Whether or not its caller still waits: Triton may write there later."""
    gate = Gate(mock_triton.models["unet_full"])
    async with (
        TritonClient(mock_triton.url, bundle.card, call_timeout_s=0.5) as client,
        client.sharing_memory(count=1, rows=2),
    ):
        with client.for_one_run() as backend:
            waiting = asyncio.ensure_future(backend.denoise(_call(bundle)))
            await gate.reached.wait()
            if gives_up:
                waiting.cancel()
            with pytest.raises(asyncio.CancelledError if gives_up else DeadlineExceeded):
                await waiting
        assert client.free_slots == 0
        assert caplog.text.count("its slot of shared memory is used no more") == 1
        gate.opened.set()


@pytest.mark.triton
@pytest.mark.parametrize("transport", [Transport.AUTO, Transport.SHARED_MEMORY])
async def test_without_room_a_triton_of_our_own_gets_messages_unless_told_otherwise(
    bundle: TinyBundle,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    transport: Transport,
) -> None:
    @contextlib.asynccontextmanager
    async def no_room(*_: object) -> AsyncIterator[None]:
        raise CannotStart("there is no room", "make some")
        yield

    monkeypatch.setattr(TritonClient, "sharing_memory", no_room)
    settings = Settings(bundle=bundle.folder, listen="127.0.0.1:0", transport=transport)
    if transport is Transport.SHARED_MEMORY:
        with pytest.raises(CannotStart, match="no room"):
            async with running_service(settings):
                pass
        return
    with caplog.at_level(logging.WARNING):
        async with running_service(settings) as service:
            answer = await _generate(service, 5, Profile.BALANCED)
    assert answer.events[-1] == "statistics"
    assert "tensors go by messages: there is no room" in caplog.text
