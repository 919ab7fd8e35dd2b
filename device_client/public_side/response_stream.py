"""Reads the response stream: what may come, in which order, and what is kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from obclip.errors import WireError
from obclip.v1 import generation_pb2

# Called with the phase "queue", "cloud" or "device", the steps done (requests ahead, in the queue)
# and the steps to do.
OnProgress = Callable[[str, int, int], None]

# The contract's order. Events of one rank may repeat where the contract says so.
_RANK = {"queue_position": 0, "step_progress": 1, "batch": 2, "statistics": 3}
_REPEATABLE = frozenset({"queue_position", "step_progress"})


@dataclass(frozen=True, eq=False)
class Answer:
    """A complete stream, not yet validated.

    Attributes:
        batch: The batch of all candidates as it came.
        statistics: What the service says about its work.
        received_bytes: Size of all messages.
    """

    batch: generation_pb2.LatentBatch = field(repr=False)
    statistics: generation_pb2.Statistics
    received_bytes: int


class ResponseStream:
    """Takes the events of one stream and keeps at most one batch.

    A break of the contract is remembered, not raised: the caller reads on to the trailers, so that
    the service cannot tell from the moment at which reading ends what the device thought of it.
    """

    def __init__(self, switch_point: int, on_progress: OnProgress) -> None:
        """Expects the stream of a request.

        Args:
            switch_point: Steps that the service has to report.
            on_progress: Told about public events as they come.
        """
        self._switch_point = switch_point
        self._on_progress = on_progress
        self._rank = 0
        self._steps_done = 0
        self._batch: generation_pb2.LatentBatch | None = None
        self._statistics: generation_pb2.Statistics | None = None
        self._fault: str | None = None
        self._received_bytes = 0

    def take(self, response: generation_pb2.GenerateResponse) -> None:
        """Takes the next event; after a fault, only its size."""
        self._received_bytes += response.ByteSize()
        if self._fault is None:
            self._fault = self._check_order(response) or self._handle(response)

    def finish(self) -> Answer:
        """Returns the answer once the trailers have come.

        Raises:
            WireError: The stream broke the contract.
        """
        if self._fault is not None:
            raise WireError(self._fault)
        if self._batch is None or self._statistics is None:
            raise WireError("the stream ended before the batch and its statistics came")
        return Answer(self._batch, self._statistics, self._received_bytes)

    def _check_order(self, response: generation_pb2.GenerateResponse) -> str | None:
        event = response.WhichOneof("event")
        if event is None:
            return "the stream has an event that this release does not know"
        last, self._rank = self._rank, _RANK[event]
        if self._rank > last or (self._rank == last and event in _REPEATABLE):
            return None
        return f"the stream has a {event} out of order"

    def _handle(self, response: generation_pb2.GenerateResponse) -> str | None:
        match response.WhichOneof("event"):
            case "queue_position":
                self._on_progress("queue", response.queue_position.requests_ahead, 0)
            case "step_progress":
                return self._handle_step(response.step_progress)
            case "batch":
                self._batch = response.batch
            case "statistics":
                return self._handle_statistics(response.statistics)
        return None

    def _handle_step(self, progress: generation_pb2.StepProgress) -> str | None:
        done, total = progress.steps_done, progress.steps_total
        if total != self._switch_point or not self._steps_done < done <= total:
            return f"the stream reports step {done} of {total} out of order"
        self._steps_done = done
        self._on_progress("cloud", done, total)
        return None

    def _handle_statistics(self, statistics: generation_pb2.Statistics) -> str | None:
        numbers = (statistics.server_s, statistics.model_s, statistics.evals)
        if not all(math.isfinite(number) and number >= 0 for number in numbers):
            return "the stream's statistics are not numbers of seconds and passes"
        self._statistics = statistics
        return None
