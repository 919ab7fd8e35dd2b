"""The two calls of the wire contract."""

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc

from cloud_service.admission import AdmissionQueue
from cloud_service.denoising import Cost, DenoisingRun
from cloud_service.job import GenerationJob, check_request
from cloud_service.metrics import Metrics
from cloud_service.tokenizer import PromptTokenizer
from cloud_service.triton_client import TritonClient
from obclip.card import LatentFormat, ServiceCard
from obclip.errors import Cancelled, DeadlineExceeded, ObclipError, to_status
from obclip.solver import SolverState
from obclip.tensors import encode
from obclip.v1 import generation_pb2, service_card_pb2, service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]
# Of a failure that the operator has to mend.
_OURS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS}

_NEWS_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServicerParts:
    """What the servicer works with.

    Attributes:
        card: what every caller is told.
        tokenizer: of the card's text encoder.
        backend: runs the models.
        queue: who runs and who waits.
        metrics: what is counted.
    """

    card: ServiceCard
    tokenizer: PromptTokenizer
    backend: TritonClient
    queue: AdmissionQueue
    metrics: Metrics


class ObclipServicer(service_pb2_grpc.ObclipServiceServicer):
    """Serves the card and generations.

    Messages are written with `context.write`, not yielded: so a client that goes away cancels this
    code where it is, and its place and tensors are freed at once.
    """

    def __init__(self, parts: ServicerParts) -> None:
        self._parts = parts
        self._card = parts.card.to_proto()

    async def GetServiceCard(  # noqa: N802 -- gRPC's names
        self, request: service_card_pb2.GetServiceCardRequest, context: Context
    ) -> service_card_pb2.GetServiceCardResponse:
        """Answers with the card, the same for every caller."""
        del request, context
        return service_card_pb2.GetServiceCardResponse(card=self._card)

    async def Generate(  # noqa: N802 -- gRPC's names
        self, request: generation_pb2.GenerateRequest, context: Context
    ) -> None:
        """Streams queue positions, step progress, one batch and statistics."""
        start = time.perf_counter()
        status, words = grpc.StatusCode.CANCELLED, ""  # what remains when the client goes away
        try:
            status, words = await self._answer(request, context)
        finally:
            self._parts.metrics.count_end(status, time.perf_counter() - start)
        if status is not grpc.StatusCode.OK:
            # Waits behind a batch that is not read, which is all that is held of the run by then.
            await context.abort(status, words)

    async def _answer(
        self, request: generation_pb2.GenerateRequest, context: Context
    ) -> tuple[grpc.StatusCode, str]:
        """Sends all messages; any error becomes the status that the table names."""
        try:
            job = check_request(request, self._parts.card, self._parts.tokenizer)
            async with _deadline(self._parts.card.limits.request_timeout_s):
                with self._parts.queue.place() as place:
                    async for ahead in place.positions():
                        await _send_news(context, _queue_position(ahead))
                    state, cost = await self._run(job, context)
                    await place.make_way()
                    await _send(context, _batch(state, self._parts.card.latents))
                    await _send(context, _statistics(cost))
        except Exception as error:
            status, words = to_status(error)
            log_failure(status, error)
            return status, words
        return grpc.StatusCode.OK, ""

    async def _run(self, job: GenerationJob, context: Context) -> tuple[SolverState, Cost]:
        async def report(steps_done: int) -> None:
            await _send_news(context, _step_progress(steps_done, len(job.plan.steps)))

        with self._parts.backend.for_one_run() as backend:
            run = DenoisingRun(job, self._parts.card, backend)
            state = await run.run(report)
        self._parts.metrics.count_run(job.candidates, run.cost)
        return state, run.cost


async def _send(context: Context, response: generation_pb2.GenerateResponse) -> None:
    try:
        await context.write(response)
    except grpc.aio.InternalError as error:  # the caller has just left
        raise Cancelled from error


async def _send_news(context: Context, response: generation_pb2.GenerateResponse) -> None:
    """Sends a few bytes, which a caller who does not take them must not keep a place with."""
    async with _deadline(_NEWS_S):
        await _send(context, response)


@contextlib.asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded from error


def log_failure(status: grpc.StatusCode, error: Exception) -> None:
    """Logs what the operator has to mend.

    Args:
        status: that the caller gets.
        error: what it stands for. The words of one that is not ours may quote a prompt: its type
            and where it happened must do.
    """
    if status not in _OURS:
        return
    words = f"{type(error).__name__}: {error}"
    if status is grpc.StatusCode.INTERNAL:
        known = words if isinstance(error, ObclipError) else type(error).__name__
        words = "\n".join([known, *traceback.format_tb(error.__traceback__)])
    _log.error("request failed: %s", words)


def _queue_position(ahead: int) -> generation_pb2.GenerateResponse:
    return generation_pb2.GenerateResponse(
        queue_position=generation_pb2.QueuePosition(requests_ahead=ahead)
    )


def _step_progress(done: int, total: int) -> generation_pb2.GenerateResponse:
    return generation_pb2.GenerateResponse(
        step_progress=generation_pb2.StepProgress(steps_done=done, steps_total=total)
    )


def _batch(state: SolverState, latent_format: LatentFormat) -> generation_pb2.GenerateResponse:
    batch = generation_pb2.LatentBatch(latents=encode(state.latents, latent_format.tensor_type))
    if state.previous_x0 is not None:
        batch.previous_x0.CopyFrom(encode(state.previous_x0, latent_format.tensor_type))
    return generation_pb2.GenerateResponse(batch=batch)


def _statistics(cost: Cost) -> generation_pb2.GenerateResponse:
    return generation_pb2.GenerateResponse(
        statistics=generation_pb2.Statistics(
            server_s=cost.server_s,
            model_s=cost.model_s,
            evals=cost.evals,
            batch_sizes=cost.batch_sizes,
        )
    )
