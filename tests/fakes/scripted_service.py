"""A real gRPC server that follows a test's script and records all that a client does."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from tokenizers import Tokenizer

from device_client.private_side.graph import Graph
from obclip.card import Limits, ServiceCard
from obclip.guidance import guide
from obclip.noise import initial_latents
from obclip.plan import Profile
from obclip.solver import DpmSolver, SolverState
from obclip.tensors import encode
from obclip.v1 import generation_pb2, service_card_pb2
from tests.fakes.tiny_bundle import TinyBundle

SERVICE = "obclip.v1.ObclipService"
LIMITS = Limits(
    max_candidates=64,
    max_prompt_bytes=1024,
    max_prompt_tokens=40,
    max_steps=100,
    max_guidance_scale=20.0,
    max_queue=4,
    request_timeout_s=60,
)

Response = generation_pb2.GenerateResponse
Request = generation_pb2.GenerateRequest
# Turns the honest responses to a request into what the server really does.
Script = Callable[[Request, Iterable[Response], grpc.ServicerContext], Iterator[Response]]


@dataclass(frozen=True)
class Call:
    """What the service sees of one call.

    Attributes:
        method: "GetServiceCard" or "Generate".
        metadata: All headers, in order.
        request: The request's bytes.
        read_to_the_end: The client took every response and the trailers.
        time_left_s: Of the deadline the client gave the call, less what the way here took; that is
            the machine's, so calls are equal whatever it is.
    """

    method: str
    metadata: tuple[tuple[str, str | bytes], ...]
    request: bytes
    read_to_the_end: bool
    time_left_s: float = field(compare=False)


@dataclass
class ScriptedService:
    """The running server.

    Attributes:
        address: "127.0.0.1:port"; of "localhost", gRPC is content with one of two addresses.
        transcript: All calls so far, in order of their end.
    """

    address: str = ""
    transcript: list[Call] = field(default_factory=list)
    _begun: int = 0
    _ended: threading.Condition = field(default_factory=threading.Condition)

    def wait_for_calls(self, count: int) -> tuple[Call, ...]:
        """Returns the transcript once all calls that came have ended, and at least `count` have.

        Raises:
            TimeoutError: They have not after ten seconds.
        """
        with self._ended:
            if not self._ended.wait_for(
                lambda: len(self.transcript) >= max(count, self._begun), timeout=10
            ):
                raise TimeoutError(f"{len(self.transcript)} calls ended, {count} were made")
            return tuple(self.transcript)

    def begin(self) -> None:
        """Counts a call that has come."""
        with self._ended:
            self._begun += 1

    def end(self, call: Call) -> None:
        """Adds a call that has ended."""
        with self._ended:
            self.transcript.append(call)
            self._ended.notify_all()


def service_card(bundle: TinyBundle, limits: Limits = LIMITS, **changes: Any) -> ServiceCard:
    """Returns the card of an honest service for this bundle."""
    card = bundle.card
    facts: dict[str, Any] = {
        "service_version": "0.1.0",
        "models": card.models,
        "latents": card.latents,
        "scheduler": card.schedule,
        "limits": limits,
        "profiles": (Profile.BARE, Profile.BALANCED),
        "step_kinds": card.step_kinds,
    }
    return ServiceCard(**(facts | changes))


def honest(_request: Request, responses: Iterable[Response], _context: Any) -> Iterator[Response]:
    """The script of a service that does what the contract says."""
    yield from responses


class HonestCloud:
    """Denoises all candidates with the bundle's cloud UNet, in this process."""

    def __init__(self, bundle: TinyBundle) -> None:
        """Opens the cloud's models."""
        folder, self._card = bundle.folder, bundle.card
        names = frozenset({"latents", "timestep", "encoder_hidden_states"})
        self._unet = Graph(folder / "unet" / "model.onnx", names, 1)
        self._text = Graph(folder / "text_encoder" / "model.onnx", frozenset({"input_ids"}), 1)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
        self._tokenizer.enable_padding(length=self._card.text.max_tokens, pad_id=0)

    def respond(self, request: Request) -> Iterator[Response]:
        """Yields the contract's stream for a request."""
        yield Response(queue_position=generation_pb2.QueuePosition(requests_ahead=0))
        count, total = len(request.candidates), request.switch_point
        state = SolverState(initial_latents(request.seed, count, self._card.latents.shape))
        solver = DpmSolver(self._card.schedule, request.steps)
        text = self._embed([request.negative_prompt] * count + list(request.candidates))
        for step in range(total):
            timestep = np.full(2 * count, solver.timesteps[step], np.float32)
            doubled = np.concatenate([state.latents, state.latents])
            output = self._unet.run(latents=doubled, timestep=timestep, encoder_hidden_states=text)
            guided = guide(output[:count], output[count:], request.guidance_scale)
            state = solver.step(state, guided, step)
            progress = generation_pb2.StepProgress(steps_done=step + 1, steps_total=total)
            yield Response(step_progress=progress)
        yield Response(batch=self._to_proto(state))
        yield Response(
            statistics=generation_pb2.Statistics(
                server_s=0.5,
                model_s=0.25,
                evals=2.0 * count * total,
                batch_sizes=[2 * count] * total,
            )
        )

    def _embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        ids = [self._tokenizer.encode(text).ids for text in texts]
        return self._text.run(input_ids=np.array(ids, np.int64))

    def _to_proto(self, state: SolverState) -> generation_pb2.LatentBatch:
        wire_type = self._card.latents.tensor_type
        batch = generation_pb2.LatentBatch(latents=encode(state.latents, wire_type))
        if state.previous_x0 is not None:
            batch.previous_x0.CopyFrom(encode(state.previous_x0, wire_type))
        return batch


@contextmanager
def scripted_service(
    cloud: HonestCloud,
    card: ServiceCard | service_card_pb2.ServiceCard,
    script: Script = honest,
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[ScriptedService]:
    """Runs the server on a free port of this machine.

    Args:
        cloud: Makes the honest responses.
        card: What the server says about itself.
        script: What it does with them.
        credentials: Serve TLS with these.
    """
    service = ScriptedService()
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_handlers(service, cloud, card, script),))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    service.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield service
    finally:
        server.stop(grace=0).wait(timeout=10)


def _handlers(
    service: ScriptedService, cloud: HonestCloud, card: Any, script: Script
) -> grpc.GenericRpcHandler:
    def get_card(request: bytes, context: grpc.ServicerContext) -> bytes:
        message = card.to_proto() if isinstance(card, ServiceCard) else card
        _record(service, "GetServiceCard", request, context, lambda: True)
        response = service_card_pb2.GetServiceCardResponse(card=message)
        return bytes(response.SerializeToString())

    def generate(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        finished = threading.Event()
        _record(service, "Generate", request, context, finished.is_set)
        message = Request.FromString(request)
        for response in script(message, cloud.respond(message), context):
            yield response.SerializeToString()
        finished.set()

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "GetServiceCard": grpc.unary_unary_rpc_method_handler(get_card),
            "Generate": grpc.unary_stream_rpc_method_handler(generate),
        },
    )


def _record(
    service: ScriptedService,
    method: str,
    request: bytes,
    context: grpc.ServicerContext,
    finished: Callable[[], bool],
) -> None:
    service.begin()
    metadata = tuple((item.key, item.value) for item in context.invocation_metadata())
    time_left_s = context.time_remaining()
    registered = context.add_callback(
        lambda: service.end(Call(method, metadata, request, finished(), time_left_s))
    )
    assert registered
