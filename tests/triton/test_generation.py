"""The orchestrator over a real tritonserver."""

import os
import signal
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest

from cloud_service.service import RunningService, running_service
from cloud_service.settings import Settings
from tests.conftest import StartService
from tests.fakes.tiny_bundle import TinyBundle
from tests.generation_calls import Answer, call, generate, read_answer, request_for
from tests.triton.conftest import Traces, process_group

pytestmark = pytest.mark.triton


@pytest.fixture
async def service(
    start_service: StartService, real_triton_url: str
) -> AsyncIterator[RunningService]:
    async with start_service(triton_url=real_triton_url) as running:
        yield running


@pytest.mark.parametrize("switch_point", [0, 1, 5, 25])
async def test_gives_what_the_mock_gives(
    service: RunningService,
    channel: grpc.aio.Channel,
    start_service: StartService,
    switch_point: int,
) -> None:
    real = await generate(channel, service.card, switch_point=switch_point)
    async with (
        start_service() as mocked,
        grpc.aio.insecure_channel(mocked.address) as other_channel,
    ):
        mock = await generate(other_channel, mocked.card, switch_point=switch_point)
    assert real.events == mock.events
    np.testing.assert_allclose(real.latents, mock.latents, rtol=1e-4, atol=1e-5)


async def test_a_client_that_leaves_does_not_harm_the_next(
    service: RunningService, channel: grpc.aio.Channel
) -> None:
    for steps_read in range(6):
        stream = call(channel, request_for(service.card, switch_point=25))
        events = aiter(stream)
        for _ in range(steps_read):
            await anext(events)
        stream.cancel()
    answer = await generate(channel, service.card)
    assert answer.events[-1] == "statistics"


@pytest.mark.parametrize("victim", ["server", "model process"])
async def test_triton_killed_in_the_middle_is_unavailable(
    bundle: TinyBundle, traces: Traces, victim: str
) -> None:
    settings = Settings(bundle=bundle.folder, listen="127.0.0.1:0", shutdown_grace_s=5)
    async with running_service(settings) as service:
        assert service.triton is not None
        async with grpc.aio.insecure_channel(service.address) as channel:
            events = aiter(call(channel, request_for(service.card, switch_point=25)))
            first = await anext(events)
            assert first.WhichOneof("event") == "queue_position"
            with process_group(service.triton.pid) as group:
                models = [pid for pid in group.pids if pid != service.triton.pid]
                victims = [service.triton.pid] if victim == "server" else models
                for pid in victims:
                    os.kill(pid, signal.SIGKILL)
                answer = Answer()
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await read_answer(events, service.card, 2, answer)
                await service.triton.stop()
                assert group.wait_until_gone()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert set(answer.events) <= {"step_progress"}
    assert traces.left() == []
