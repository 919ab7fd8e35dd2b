import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from cloud_service.admission import AdmissionQueue
from cloud_service.health import Health as ServerHealth
from cloud_service.metrics import Metrics
from cloud_service.server import add_services, build_server
from cloud_service.service import RunningService
from cloud_service.servicer import ObclipServicer, ServicerParts
from cloud_service.startup_error import CannotStart
from obclip.card import ServiceCard
from obclip.v1 import service_card_pb2, service_pb2_grpc
from tests.conftest import StartService
from tests.fakes.http2_reader import connected
from tests.fakes.mock_triton import MockTriton
from tests.generation_calls import generate

Health = health_pb2.HealthCheckResponse
SERVICE = "obclip.v1.ObclipService"
WATCH = "/grpc.health.v1.Health/Watch"


@pytest.mark.parametrize("name", ["", SERVICE])
async def test_is_serving(channel: grpc.aio.Channel, name: str) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
    assert answer.status == Health.SERVING


async def test_health_follows_triton(start_service: StartService, mock_triton: MockTriton) -> None:
    async with (
        start_service(readiness_interval_s=0.01) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        watch = aiter(health_pb2_grpc.HealthStub(channel).Watch(request, timeout=20))
        assert (await anext(watch)).status == Health.SERVING
        mock_triton.is_ready = False
        assert (await anext(watch)).status == Health.NOT_SERVING
        mock_triton.is_ready = True
        assert (await anext(watch)).status == Health.SERVING


async def test_lists_its_services(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(requests), timeout=10)]
    names = {service.name for service in answers[0].list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


async def test_onlookers_leave_places_for_generations(
    channel: grpc.aio.Channel, service: RunningService
) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    watches = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=60) for _ in range(100)]
    opened = await asyncio.gather(*(anext(aiter(w)) for w in watches), return_exceptions=True)
    refused = [each for each in opened if isinstance(each, grpc.aio.AioRpcError)]
    assert 0 < len(refused) < len(opened)
    assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert "call Check instead" in str(refused[0].details())
    answer = await generate(channel, service.card, candidates=["a"], switch_point=1)
    assert answer.latents is not None
    reflected = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10
    )
    with pytest.raises(grpc.aio.AioRpcError, match="RESOURCE_EXHAUSTED"):
        await anext(aiter(reflected))
    for watch in watches:
        watch.cancel()
    while True:  # places come back as the calls end
        again = stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        try:
            assert (await anext(aiter(again))).status == Health.SERVING
            break
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _impatient(card: ServiceCard, connection_age_s: float = 60) -> AsyncIterator[str]:
    """The address of a server that waits two seconds for a call's message, and for a reader."""
    limits = dataclasses.replace(card.limits, request_timeout_s=2)
    card = dataclasses.replace(card, limits=limits)
    server = build_server(card, max_running=1, request_s=2, connection_age_s=connection_age_s)
    queue = AdmissionQueue(max_running=1, max_waiting=0)
    parts = ServicerParts(card, None, None, queue, Metrics(queue, lambda: 0))  # type: ignore[arg-type]
    add_services(server, ObclipServicer(parts), ServerHealth())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.mark.parametrize("method", [f"/{SERVICE}/Generate", f"/{SERVICE}/GetServiceCard"])
async def test_callers_who_send_no_message_keep_nobody_out_for_long(
    card: ServiceCard, method: str
) -> None:
    async with (
        _impatient(card) as address,
        connected(address) as caller,
        grpc.aio.insecure_channel(address) as channel,
    ):
        for _ in range(300):
            caller.call(method, None)
        await _until_taken_and_free(channel)


async def test_who_reads_no_answer_keeps_others_out_until_his_connection_ends(
    card: ServiceCard,
) -> None:
    async with (
        _impatient(card, connection_age_s=1) as address,
        connected(address, window_bytes=0) as caller,
        grpc.aio.insecure_channel(address) as channel,
    ):
        for _ in range(300):
            caller.call(f"/{SERVICE}/GetServiceCard", b"")
        await _until_taken_and_free(channel)


async def test_a_watcher_who_does_not_read_stops_nobody(
    start_service: StartService, mock_triton: MockTriton
) -> None:
    async with (
        start_service(readiness_interval_s=0.01) as service,
        connected(service.address, window_bytes=0) as caller,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        caller.call(WATCH, b"")
        health = health_pb2_grpc.HealthStub(channel)
        watch = aiter(health.Watch(health_pb2.HealthCheckRequest(), timeout=20))
        assert (await anext(watch)).status == Health.SERVING
        mock_triton.is_ready = False
        assert (await anext(watch)).status == Health.NOT_SERVING
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == Health.NOT_SERVING


async def test_a_watcher_who_leaves_takes_nobodys_notices_along(
    start_service: StartService, mock_triton: MockTriton
) -> None:
    async with (
        start_service(readiness_interval_s=0.01) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        leaves, stays = (stub.Watch(health_pb2.HealthCheckRequest(), timeout=20) for _ in range(2))
        assert {(await call.read()).status for call in (leaves, stays)} == {Health.SERVING}
        leaves.cancel()
        assert await leaves.code() is grpc.StatusCode.CANCELLED
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)  # behind the cancellation
        mock_triton.is_ready = False
        assert (await stays.read()).status == Health.NOT_SERVING


async def _until_taken_and_free(channel: grpc.aio.Channel) -> None:
    """Waits until all places are taken, and then until one is free."""
    async with asyncio.timeout(20):
        while not await _is_refused(channel):
            pass
        while await _is_refused(channel):
            await asyncio.sleep(0.05)


async def _is_refused(channel: grpc.aio.Channel) -> bool:
    stub = service_pb2_grpc.ObclipServiceStub(channel)
    call = stub.GetServiceCard(service_card_pb2.GetServiceCardRequest(), timeout=10)
    code = await call.code()
    assert code in {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    return bool(code is grpc.StatusCode.RESOURCE_EXHAUSTED)


async def test_watchers_who_send_no_message_leave_places_for_generations(card: ServiceCard) -> None:
    async with (
        _impatient(card) as address,
        connected(address) as caller,
        grpc.aio.insecure_channel(address) as channel,
    ):
        for _ in range(300):
            caller.call(WATCH, None)
        for _ in range(20):
            assert not await _is_refused(channel)


async def test_takes_the_largest_request_and_gives_the_largest_batch(
    channel: grpc.aio.Channel, service: RunningService
) -> None:
    limits = service.card.limits
    candidates = [f"{index:02d}" + "x" * (limits.max_prompt_bytes - 2) for index in range(32)]
    answer = await generate(
        channel,
        service.card,
        candidates=candidates,
        negative_prompt="y" * limits.max_prompt_bytes,
        switch_point=1,
    )
    assert answer.latents is not None
    assert len(answer.latents) == limits.max_candidates


async def test_refuses_compressed_messages(service: RunningService) -> None:
    gzip = grpc.Compression.Gzip
    async with grpc.aio.insecure_channel(service.address, compression=gzip) as channel:
        stub = service_pb2_grpc.ObclipServiceStub(channel)
        request = service_card_pb2.GetServiceCardRequest()
        # An unknown field is kept on the wire: enough bytes to be worth compressing.
        request.MergeFromString(b"\xfa\x01\xe8\x07" + b"x" * 1000)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetServiceCard(request, timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_two_services_cannot_share_a_port(
    start_service: StartService, service: RunningService
) -> None:
    with pytest.raises(CannotStart, match=f"cannot listen on {service.address}; choose another"):
        async with start_service(listen=service.address):
            pass


async def test_a_stopping_server_says_so_and_ends_its_calls(start_service: StartService) -> None:
    async with start_service() as service:
        channel = grpc.aio.insecure_channel(service.address)
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        watch = aiter(health_pb2_grpc.HealthStub(channel).Watch(request, timeout=20))
        assert (await anext(watch)).status == Health.SERVING
        following = asyncio.ensure_future(anext(watch))
    assert (await following).status == Health.NOT_SERVING
    await channel.close()
