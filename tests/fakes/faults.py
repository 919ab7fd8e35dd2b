"""What a faulty or malicious service does to the stream, as scripts for the scripted service."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
import numpy as np

from obclip.v1 import generation_pb2, tensor_pb2
from tests.fakes.scripted_service import Request, Response, Script

Batch = generation_pb2.LatentBatch
FLOATS = np.dtype("<f4")
DELAY_S = 0.2


def on_batch(damage: Callable[[Batch], object]) -> Script:
    """Returns the script that damages the batch and is honest otherwise."""

    def script(
        _request: Request, responses: Iterable[Response], _context: Any
    ) -> Iterator[Response]:
        for response in responses:
            if response.WhichOneof("event") == "batch":
                damage(response.batch)
            yield response

    return script


def value_at(tensor: str, position: int, value: float) -> Script:
    """Returns the script that overwrites all numbers of one candidate.

    Args:
        tensor: "latents" or "previous_x0".
        position: The candidate.
        value: What to write.
    """

    def damage(batch: Batch) -> None:
        message = getattr(batch, tensor)
        array = np.frombuffer(message.data, FLOATS).reshape(tuple(message.shape)).copy()
        array[position] = value
        message.data = array.tobytes()

    return on_batch(damage)


def reorder(order: Callable[[list[Response]], list[Response]]) -> Script:
    """Returns the script that sends another list of responses."""

    def script(
        _request: Request, responses: Iterable[Response], _context: Any
    ) -> Iterator[Response]:
        yield from order(list(responses))

    return script


def status_after(count: int, code: grpc.StatusCode) -> Script:
    """Returns the script that fails with `code` after `count` responses."""

    def script(
        _request: Request, responses: Iterable[Response], context: grpc.ServicerContext
    ) -> Iterator[Response]:
        for number, response in enumerate(responses):
            if number == count:
                context.abort(code, "scripted")
            yield response

    return script


def error_naming(position: int) -> Script:
    """Returns the script that fails in place of the batch and names a candidate."""

    def script(
        _request: Request, responses: Iterable[Response], context: grpc.ServicerContext
    ) -> Iterator[Response]:
        for response in responses:
            if response.WhichOneof("event") == "batch":
                context.abort(grpc.StatusCode.INTERNAL, f"candidate {position} failed")
            yield response

    return script


def delay_after(count: int) -> Script:
    """Returns the script that is slow to go on after `count` responses, and honest otherwise."""

    def script(
        _request: Request, responses: Iterable[Response], _context: Any
    ) -> Iterator[Response]:
        for number, response in enumerate(responses):
            if number == count:
                threading.Event().wait(DELAY_S)
            yield response

    return script


def stall_after(count: int, tell: Callable[[float], object] = bool) -> Script:
    """Returns the script that stops sending after `count` responses, until the client gives up.

    Args:
        count: Responses before that.
        tell: Gets the seconds that are left to the client's deadline when it stops.
    """

    def script(
        _request: Request, responses: Iterable[Response], context: grpc.ServicerContext
    ) -> Iterator[Response]:
        gone = threading.Event()
        for number, response in enumerate(responses):
            if number == count:
                tell(context.time_remaining())
                context.add_callback(gone.set)
                assert gone.wait(timeout=30)
            yield response

    return script


def _is(event: str) -> Callable[[Response], bool]:
    return lambda response: response.WhichOneof("event") == event


def _without(event: str) -> Script:
    return reorder(lambda all_: [response for response in all_ if not _is(event)(response)])


def _twice(event: str) -> Script:
    return reorder(lambda all_: [r for one in all_ for r in [one] * (2 if _is(event)(one) else 1)])


def _cut_data(batch: Batch) -> None:
    batch.latents.data = batch.latents.data[:-4]


def _drop_candidate(batch: Batch) -> None:
    for tensor in (batch.latents, batch.previous_x0):
        tensor.data = tensor.data[: len(tensor.data) // tensor.shape[0] * (tensor.shape[0] - 1)]
        tensor.shape[0] -= 1


def _halve_precision(batch: Batch) -> None:
    batch.latents.type = tensor_pb2.TENSOR_TYPE_FLOAT16


def _oversize(batch: Batch) -> None:
    batch.latents.data = bytes(16 * 2**20)


BROKEN: dict[str, Script] = {
    "without a batch": _without("batch"),
    "without statistics": _without("statistics"),
    "batch twice": _twice("batch"),
    "statistics twice": _twice("statistics"),
    "backwards": reorder(lambda all_: all_[::-1]),
    "progress after the batch": reorder(lambda all_: all_[2:] + all_[:2]),
    "nothing at all": reorder(lambda _all: []),
    "an empty event": reorder(lambda all_: [*all_, Response()]),
    "too many steps": reorder(
        lambda all_: [
            Response(step_progress=generation_pb2.StepProgress(steps_done=9, steps_total=9)),
            *all_,
        ]
    ),
    "wrong shape": on_batch(_drop_candidate),
    "wrong type": on_batch(_halve_precision),
    "cut data": on_batch(_cut_data),
    "oversize": on_batch(_oversize),
    "no previous prediction": on_batch(lambda batch: batch.ClearField("previous_x0")),
}
AT_CANDIDATE: dict[str, Callable[[int], Script]] = {
    "NaN latents": lambda position: value_at("latents", position, np.nan),
    "infinite latents": lambda position: value_at("latents", position, np.inf),
    "empty latents": lambda position: value_at("latents", position, 0.0),
    "huge latents": lambda position: value_at("latents", position, 1e30),
    "NaN prediction": lambda position: value_at("previous_x0", position, np.nan),
    "huge prediction": lambda position: value_at("previous_x0", position, 1e4),
}
STATUSES = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.CANCELLED,
)
