"""The orchestrator over a real tritonserver."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from cloud_service.denoising import DenoisingRun
from cloud_service.job import GenerationJob
from cloud_service.service import RunningService, running_service
from cloud_service.settings import Settings, Transport
from cloud_service.triton_client import TritonClient
from obclip.plan import Profile, Switches, make_plan
from tests.conftest import StartService
from tests.fakes.tiny_bundle import TinyBundle, write_tiny_bundle
from tests.fakes.tiny_graphs import TinySizes
from tests.generation_calls import Answer, call, generate, read_answer, request_for
from tests.triton.conftest import Traces, process_group

pytestmark = pytest.mark.triton
THREE = ("a photo of a man", "a photo of a woman", "a photo of a child")


@pytest.fixture
async def service(
    start_service: StartService, real_triton_url: str
) -> AsyncIterator[RunningService]:
    async with start_service(triton_url=real_triton_url) as running:
        yield running


@pytest.mark.parametrize("transport", [Transport.MESSAGES, Transport.SHARED_MEMORY])
@pytest.mark.parametrize(
    ("profile", "switch_point"),
    [
        (Profile.BARE, 0),
        (Profile.BARE, 1),
        (Profile.BARE, 25),
        (Profile.BALANCED, 10),
        (Profile.FAST, 10),
        (Profile.PAPER, 5),
        (Profile.PAPER, 10),
    ],
)
async def test_gives_what_the_mock_gives(
    start_service: StartService,
    real_triton_url: str,
    transport: Transport,
    profile: Profile,
    switch_point: int,
) -> None:
    changes = {"switch_point": switch_point, "profile": profile.to_proto(), "candidates": THREE}
    async with start_service(profiles=tuple(Profile)) as mocked:
        mock = await _generate(mocked, changes)
    async with start_service(
        profiles=tuple(Profile), triton_url=real_triton_url, transport=transport
    ) as served:
        real = await _generate(served, changes)
    assert real.events == mock.events
    np.testing.assert_allclose(real.latents, mock.latents, rtol=1e-4, atol=1e-5)


async def test_step_kinds_that_share_weights_give_what_the_mock_gives(
    bundle: TinyBundle, start_service: StartService
) -> None:
    changes = {"switch_point": 10, "profile": Profile.PAPER.to_proto(), "candidates": THREE}
    async with start_service(profiles=(Profile.PAPER,)) as mocked:
        mock = await _generate(mocked, changes)
    settings = Settings(bundle=bundle.folder, listen="127.0.0.1:0", profiles=(Profile.PAPER,))
    async with running_service(settings) as served:
        real = await _generate(served, changes)
    np.testing.assert_allclose(real.latents, mock.latents, rtol=1e-4, atol=1e-5)


async def _generate(service: RunningService, changes: dict[str, Any]) -> Answer:
    async with grpc.aio.insecure_channel(service.address) as channel:
        return await generate(channel, service.card, **changes)


async def test_sharing_at_the_first_step_is_bare_up_to_rounding(
    bundle: TinyBundle, service: RunningService, real_triton_url: str
) -> None:
    async with TritonClient(real_triton_url, bundle.card, call_timeout_s=30) as client:
        await client.check_models()
        bare, shared = [
            await DenoisingRun(_job(bundle, saving), service.card, client).run(_ignore)
            for saving in (Profile.BARE, Switches(shared_until=1))
        ]
    np.testing.assert_allclose(shared.latents, bare.latents, rtol=1e-5, atol=1e-5)


def _job(bundle: TinyBundle, saving: Profile | Switches) -> GenerationJob:
    tokens = bundle.card.text.max_tokens
    return GenerationJob(
        candidate_ids=np.random.default_rng(5).integers(1, 40, (6, tokens)),
        negative_ids=np.zeros((1, tokens), np.int64),
        seed=3,
        steps=25,
        guidance_scale=2.5,
        plan=make_plan(25, 10, saving),
    )


async def _ignore(_steps_done: int) -> None: ...


async def test_sets_of_different_users_merge(tmp_path: Path) -> None:
    """By Triton's own count: of 8 users at a time, each with 6 samples in a call of the UNet."""
    slow = write_tiny_bundle(tmp_path, sizes=TinySizes(channels=64, height=48, width=48))
    settings = Settings(bundle=slow.folder, listen="127.0.0.1:0", max_running=8)
    async with (
        running_service(settings) as service,
        InferenceServerClient(service.triton_url) as triton,
    ):
        before = await _statistics(triton)
        answers = await asyncio.gather(
            *(_generate(service, {"seed": user, "candidates": THREE}) for user in range(8))
        )
        after = await _statistics(triton)
        samples = 8 * 5 * 6
        async with asyncio.timeout(30):  # Triton counts an execution after it has answered
            while after.inference_count - before.inference_count < samples:
                after = await _statistics(triton)
    assert all(answer.statistics.batch_sizes == [6] * 5 for answer in answers)
    assert after.inference_count - before.inference_count == samples
    mean = samples / (after.execution_count - before.execution_count)
    assert mean > 6


async def _statistics(triton: InferenceServerClient) -> Any:
    return (await triton.get_inference_statistics("unet_full")).model_stats[0]


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
