"""Calls to an orchestrator as any client may make them, without the device's code."""

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from obclip.card import ServiceCard
from obclip.tensors import decode
from obclip.v1 import generation_pb2, profile_pb2, service_pb2_grpc

CANDIDATES = ("a photo of a man", "a photo of a woman")
Request = generation_pb2.GenerateRequest


@dataclass
class Answer:
    """A whole stream.

    Attributes:
        events: names of the messages, in order.
        positions: requests ahead, in order.
        steps: steps done, in order.
    """

    events: list[str] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    latents: NDArray[np.float32] | None = None
    previous_x0: NDArray[np.float32] | None = None
    statistics: generation_pb2.Statistics | None = None


def request_for(card: ServiceCard, **changes: Any) -> Request:
    """A valid request with some fields changed."""
    fields = {
        "candidates": CANDIDATES,
        "negative_prompt": "",
        "seed": 7,
        "steps": 25,
        "guidance_scale": 2.5,
        "switch_point": 5,
        "profile": profile_pb2.ACCELERATION_PROFILE_BARE,
        "cloud_unet_digest": card.models.cloud_unet,
        "lexicon_version": "1",
    }
    return Request(**(fields | changes))


def call(channel: grpc.aio.Channel, request: Request, timeout_s: float = 30) -> Any:
    """Starts a generation."""
    return service_pb2_grpc.ObclipServiceStub(channel).Generate(request, timeout=timeout_s)


async def generate(channel: grpc.aio.Channel, card: ServiceCard, **changes: Any) -> Answer:
    """Makes a generation and reads all of it."""
    request = request_for(card, **changes)
    return await read_answer(call(channel, request), card, len(request.candidates))


async def read_answer(
    stream: AsyncIterable[generation_pb2.GenerateResponse],
    card: ServiceCard,
    candidates: int,
    into: Answer | None = None,
) -> Answer:
    """Reads a stream to its end; `into` keeps what came before an error."""
    answer = into or Answer()
    shape = (candidates, *card.latents.shape)
    async for response in stream:
        event = str(response.WhichOneof("event"))
        answer.events.append(event)
        if event == "queue_position":
            answer.positions.append(response.queue_position.requests_ahead)
        elif event == "step_progress":
            answer.steps.append(response.step_progress.steps_done)
        elif event == "batch":
            _read_batch(answer, response.batch, card, shape)
        else:
            answer.statistics = response.statistics
    return answer


def _read_batch(
    answer: Answer,
    batch: generation_pb2.LatentBatch,
    card: ServiceCard,
    shape: tuple[int, ...],
) -> None:
    expected = {"expected_type": card.latents.tensor_type, "expected_shape": shape}
    answer.latents = decode(batch.latents, **expected)
    if batch.HasField("previous_x0"):
        answer.previous_x0 = decode(batch.previous_x0, **expected)
