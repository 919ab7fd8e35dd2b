"""The orchestrator as its clients see it: real gRPC on a free port, over the mock Triton."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import onnxruntime as ort
import pytest

from cloud_service import servicer
from cloud_service.admission import AdmissionQueue
from cloud_service.metrics import Metrics
from cloud_service.request_reader import NO_MESSAGE
from cloud_service.service import RunningService
from cloud_service.servicer import ObclipServicer, ServicerParts
from cloud_service.tokenizer import PromptTokenizer
from cloud_service.triton_client import TritonClient
from obclip.card import ServiceCard
from obclip.errors import QueueFull, to_status
from obclip.guidance import guide
from obclip.noise import initial_latents
from obclip.solver import DpmSolver, SolverState
from obclip.v1 import service_card_pb2, service_pb2_grpc
from tests.conftest import StartService
from tests.fakes.gate import Gate
from tests.fakes.http2_reader import connected
from tests.fakes.mock_triton import Feeds, MockTriton
from tests.fakes.tiny_bundle import TinyBundle
from tests.generation_calls import CANDIDATES, Answer, call, generate, read_answer, request_for

CANARY = "xyzzycanary"
UNET = "unet_full"
GENERATE = "/obclip.v1.ObclipService/Generate"


async def _status(stream: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in stream:
            pass
    return caught.value.code(), str(caught.value.details())


async def _refusal(answer: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer
    return caught.value.code(), str(caught.value.details())


async def test_tells_its_card(channel: grpc.aio.Channel, service: RunningService) -> None:
    stub = service_pb2_grpc.ObclipServiceStub(channel)
    answer = await stub.GetServiceCard(service_card_pb2.GetServiceCardRequest(), timeout=10)
    assert ServiceCard.from_proto(answer.card) == service.card


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("unary_stream", GENERATE),
        ("unary_unary", "/obclip.v1.ObclipService/GetServiceCard"),
        ("unary_unary", "/obclip.v1.BundleService/ReadBundleFile"),
        ("unary_stream", "/grpc.health.v1.Health/Watch"),
    ],
)
async def test_bytes_that_are_no_message_are_the_callers_mistake(
    channel: grpc.aio.Channel, caplog: pytest.LogCaptureFixture, kind: str, method: str
) -> None:
    answer = getattr(channel, kind)(method)(b"\xff" + CANARY.encode(), timeout=10)
    code, words = await _status(answer) if kind == "unary_stream" else await _refusal(answer)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert words == to_status(NO_MESSAGE)[1]
    assert not caplog.records


@pytest.mark.parametrize("switch_point", [0, 1, 5, 25])
async def test_streams_in_order(
    channel: grpc.aio.Channel, service: RunningService, switch_point: int
) -> None:
    answer = await generate(channel, service.card, switch_point=switch_point)
    steps = ["step_progress"] * switch_point
    assert answer.events == ["queue_position", *steps, "batch", "statistics"]
    assert answer.positions == [0]
    assert answer.steps == list(range(1, switch_point + 1))
    assert (answer.previous_x0 is None) == (switch_point == 0)
    assert answer.statistics is not None
    assert list(answer.statistics.batch_sizes) == [4] * switch_point
    assert answer.statistics.evals == 4 * switch_point


async def test_all_candidates_start_from_the_noise_of_the_seed(
    channel: grpc.aio.Channel, service: RunningService
) -> None:
    answer = await generate(channel, service.card, switch_point=0, seed=2**64 - 1)
    expected = initial_latents(2**64 - 1, 2, service.card.latents.shape)
    np.testing.assert_array_equal(answer.latents, expected)


async def test_the_same_request_gives_the_same_batch(
    channel: grpc.aio.Channel, service: RunningService
) -> None:
    one, other = [await generate(channel, service.card) for _ in range(2)]
    assert one.latents is not None
    assert other.latents is not None
    assert one.latents.tobytes() == other.latents.tobytes()


@pytest.mark.parametrize("switch_point", [0, 1, 5, 24])
async def test_where_the_run_is_split_does_not_matter(
    channel: grpc.aio.Channel, service: RunningService, bundle: TinyBundle, switch_point: int
) -> None:
    whole = await generate(channel, service.card, switch_point=25)
    first = await generate(channel, service.card, switch_point=switch_point)
    assert whole.latents is not None
    assert first.latents is not None
    state = SolverState(first.latents, first.previous_x0)
    for step in range(switch_point, 25):
        state = _local_step(bundle, service.card, state, step)
    np.testing.assert_allclose(state.latents, whole.latents, rtol=1e-4, atol=1e-5)


def _local_step(
    bundle: TinyBundle, card: ServiceCard, state: SolverState, step: int
) -> SolverState:
    solver = DpmSolver(card.scheduler, 25)
    ids = np.stack([_ids(bundle, text) for text in ("", "", *CANDIDATES)])
    embeddings = _session(bundle, "text_encoder").run(None, {"input_ids": ids})[0]
    output = _session(bundle, "unet").run(
        None,
        {
            "latents": np.concatenate([state.latents, state.latents]),
            "timestep": np.full(4, solver.timesteps[step], np.float32),
            "encoder_hidden_states": embeddings,
        },
    )[0]
    return solver.step(state, guide(output[:2], output[2:], 2.5), step)


def _session(bundle: TinyBundle, part: str) -> ort.InferenceSession:
    return ort.InferenceSession(str(bundle.folder / part / "model.onnx"))


def _ids(bundle: TinyBundle, text: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    path = bundle.folder / "tokenizer" / "tokenizer.json"
    return PromptTokenizer(path, bundle.card.text).encode(text, "candidates")


async def test_sets_of_different_users_merge_without_a_trace(
    start_service: StartService, mock_triton: MockTriton
) -> None:
    async with (
        start_service(max_running=3) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        seeds = (1, 2, 3)
        alone = [await generate(channel, service.card, seed=seed) for seed in seeds]
        gate = Gate(mock_triton.models[UNET])
        streams = [
            read_answer(call(channel, request_for(service.card, seed=seed)), service.card, 2)
            for seed in seeds
        ]
        together = asyncio.gather(*streams)
        await gate.reached.wait()
        executions = mock_triton.models[UNET].executions
        gate.opened.set()
        merged = await together
    assert mock_triton.models[UNET].executions - executions < 3 * 5
    for one, other in zip(alone, merged, strict=True):
        np.testing.assert_allclose(one.latents, other.latents, rtol=1e-4, atol=1e-5)


async def test_a_client_that_leaves_frees_its_place(
    start_service: StartService, mock_triton: MockTriton
) -> None:
    async with (
        start_service(max_running=1, max_queue=0) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        gate = Gate(mock_triton.models[UNET], after_calls=2)
        stream = call(channel, request_for(service.card))
        await gate.reached.wait()
        assert (await _status(call(channel, request_for(service.card))))[0] is (
            grpc.StatusCode.RESOURCE_EXHAUSTED
        )
        stream.cancel()
        gate.opened.set()
        answer = await _until_admitted(channel, service.card)
    assert answer.steps == [1, 2, 3, 4, 5]


async def _until_admitted(channel: grpc.aio.Channel, card: ServiceCard) -> Any:
    """The server learns of a cancelled call a moment later, so the first tries may be refused."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await generate(channel, card)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise


async def test_one_who_does_not_read_lets_the_next_one_run(start_service: StartService) -> None:
    """Its answer ends at the deadline, read or not."""
    async with (
        start_service(max_running=1, max_queue=1, metrics_port=0, request_timeout_s=5) as service,
        connected(service.address, window_bytes=1000) as caller,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        many = [f"a photo of {number} men" for number in range(32)]
        caller.call(GENERATE, request_for(service.card, candidates=many).SerializeToString())
        await _until_told(service, "obclip_sending 1.0")
        answer = await generate(channel, service.card)
        assert answer.events[-1] == "statistics"
        metrics = await _scrape(str(service.metrics_address))
        assert "obclip_sending 1.0" in metrics
        assert "obclip_running 0.0" in metrics
        await _until_told(service, 'obclip_requests_total{status="DEADLINE_EXCEEDED"} 1.0')
        assert "obclip_sending 0.0" in await _scrape(str(service.metrics_address))


async def test_one_who_reads_nothing_at_all_does_not_stay_in_line(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "_NEWS_S", 0.5)
    async with (
        start_service(max_running=1, max_queue=1, metrics_port=0) as service,
        connected(service.address, window_bytes=0) as caller,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        caller.call(GENERATE, request_for(service.card).SerializeToString())
        await _until_told(service, 'obclip_requests_total{status="DEADLINE_EXCEEDED"} 1.0')
        answer = await generate(channel, service.card)
        assert answer.events[-1] == "statistics"


async def _until_told(service: RunningService, line: str) -> None:
    async with asyncio.timeout(20):
        while line not in await _scrape(str(service.metrics_address)):
            await asyncio.sleep(0.05)


async def test_waits_in_line_and_refuses_what_is_too_much(
    start_service: StartService, mock_triton: MockTriton
) -> None:
    async with (
        start_service(max_running=1, max_queue=1) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        gate = Gate(mock_triton.models[UNET])
        running = asyncio.ensure_future(generate(channel, service.card))
        await gate.reached.wait()
        waiting = aiter(call(channel, request_for(service.card)))
        first = await anext(waiting)
        assert first.queue_position.requests_ahead == 1
        refused = await _status(call(channel, request_for(service.card)))
        assert refused == to_status(QueueFull())
        gate.opened.set()
        await running
        answer = await read_answer(waiting, service.card, 2)
    assert answer.positions == [0]
    assert answer.events[-1] == "statistics"


async def test_ends_a_request_that_takes_too_long(
    start_service: StartService, mock_triton: MockTriton
) -> None:
    async with (
        start_service(request_timeout_s=1, model_call_timeout_s=1.5) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        Gate(mock_triton.models[UNET])
        code, _ = await _status(call(channel, request_for(service.card)))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_gives_up_on_a_model_that_does_not_answer(
    start_service: StartService, mock_triton: MockTriton
) -> None:
    async with (
        start_service(model_call_timeout_s=0.3) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        Gate(mock_triton.models["text_encoder"])
        code, _ = await _status(call(channel, request_for(service.card)))
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED


async def _give_nan(feeds: Feeds) -> Feeds:
    return {"model_output": np.full_like(feeds["latents"], np.nan)}


async def _give_other_shape(feeds: Feeds) -> Feeds:
    return {"model_output": feeds["latents"][:, :1]}


async def _fail(feeds: Feeds) -> Feeds:
    raise RuntimeError(f"no luck with {feeds} {CANARY}")


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (_give_nan, grpc.StatusCode.DATA_LOSS),
        (_give_other_shape, grpc.StatusCode.DATA_LOSS),
        (_fail, grpc.StatusCode.INTERNAL),
    ],
)
async def test_a_broken_model_ends_the_stream_without_a_batch(
    channel: grpc.aio.Channel,
    service: RunningService,
    mock_triton: MockTriton,
    run: Callable[[Feeds], Any],
    code: grpc.StatusCode,
) -> None:
    mock_triton.models[UNET].run = run
    answer = Answer()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_answer(call(channel, request_for(service.card)), service.card, 2, answer)
    assert caught.value.code() is code
    assert answer.events[0] == "queue_position"
    assert "batch" not in answer.events


@pytest.mark.parametrize(
    ("run", "logged"),
    [
        (_give_nan, "WireError: broken data: latents"),
        (_give_other_shape, "WireError: broken data: unet_full gave model_output in another shape"),
        (_fail, "ServiceFailed: the service failed (INVALID_ARGUMENT)"),
        (None, "BackendUnavailable: the model backend is not available (Triton answered NOT_FOUND"),
    ],
)
async def test_what_failed_is_for_the_operator_alone(
    service: RunningService,
    mock_triton: MockTriton,
    caplog: pytest.LogCaptureFixture,
    run: Callable[[Feeds], Any] | None,
    logged: str,
) -> None:
    if run:
        mock_triton.models[UNET].run = run
    else:
        del mock_triton.models[UNET]
    async with grpc.aio.insecure_channel(service.address) as channel:
        request = request_for(service.card, candidates=[CANARY, f"{CANARY} b"])
        _, words = await _status(call(channel, request))
    assert f"request failed: {logged}" in caplog.text
    assert CANARY not in caplog.text + words
    assert logged.partition(": ")[2] not in words


class _Gone:
    """What gRPC gives the servicer in the moment in which its caller leaves."""

    async def write(self, _message: object) -> None:
        raise grpc.aio.InternalError

    async def abort(self, code: grpc.StatusCode, words: str) -> None:
        raise grpc.aio.AbortError(code, words)


async def test_a_caller_who_leaves_between_two_messages_is_no_failure(
    card: ServiceCard,
    tokenizer: PromptTokenizer,
    bundle: TinyBundle,
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = AdmissionQueue(max_running=1, max_waiting=0)
    metrics = Metrics(queue, lambda: 0)
    async with TritonClient("127.0.0.1:1", bundle.card, call_timeout_s=1) as client:
        servicer = ObclipServicer(ServicerParts(card, tokenizer, client, queue, metrics))
        with pytest.raises(grpc.aio.AbortError, match="CANCELLED"):
            await servicer.Generate(request_for(card), _Gone())  # type: ignore[arg-type]
    assert metrics.registry.get_sample_value("obclip_requests_total", {"status": "CANCELLED"}) == 1
    assert not caplog.text


REFUSED: list[tuple[dict[str, Any], grpc.StatusCode]] = [
    ({"candidates": [CANARY, CANARY]}, grpc.StatusCode.INVALID_ARGUMENT),
    ({"switch_point": 26}, grpc.StatusCode.INVALID_ARGUMENT),
    ({"profile": 0}, grpc.StatusCode.INVALID_ARGUMENT),
    ({"cloud_unet_digest": "0" * 64}, grpc.StatusCode.FAILED_PRECONDITION),
    ({"candidates": [CANARY * 20_000]}, grpc.StatusCode.RESOURCE_EXHAUSTED),
]


@pytest.mark.parametrize(
    ("changes", "code"), REFUSED, ids=["twice", "k", "profile", "digest", "size"]
)
async def test_refuses_with_the_tables_status(
    channel: grpc.aio.Channel,
    service: RunningService,
    changes: dict[str, Any],
    code: grpc.StatusCode,
) -> None:
    request = request_for(service.card, **changes)
    found, words = await _status(call(channel, request))
    assert found is code
    assert CANARY not in words


@pytest.fixture
def everything_said(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    caplog.set_level(logging.DEBUG)

    def said() -> str:
        output = capfd.readouterr()
        return caplog.text + output.out + output.err

    return said


async def test_says_no_prompt_anywhere(
    start_service: StartService, mock_triton: MockTriton, everything_said: Callable[[], str]
) -> None:
    async with (
        start_service(metrics_port=0) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        prompts = {"candidates": [CANARY, f"{CANARY} b"], "negative_prompt": f"{CANARY} c"}
        await generate(channel, service.card, **prompts)
        await _status(call(channel, request_for(service.card, **(prompts | {"steps": 0}))))
        mock_triton.models[UNET].run = _fail
        code, words = await _status(call(channel, request_for(service.card, **prompts)))
        metrics = await _scrape(str(service.metrics_address))
    assert code is grpc.StatusCode.INTERNAL
    said = everything_said()
    assert "request failed: ServiceFailed" in said  # an operator learns that, and where
    assert CANARY not in said + words + metrics
    assert 'obclip_requests_total{status="OK"} 1.0' in metrics
    assert 'obclip_requests_total{status="INTERNAL"} 1.0' in metrics


async def _scrape(address: str) -> str:
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return text.decode()
