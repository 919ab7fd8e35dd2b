import pytest

from device_client.public_side.response_stream import ResponseStream
from obclip.errors import WireError
from obclip.v1 import generation_pb2

Response = generation_pb2.GenerateResponse
QUEUE = Response(queue_position=generation_pb2.QueuePosition(requests_ahead=2))
BATCH = Response(batch=generation_pb2.LatentBatch())
STATISTICS = Response(statistics=generation_pb2.Statistics(server_s=1.5))
STEPS = 3


def step(done: int, total: int = STEPS) -> Response:
    return Response(step_progress=generation_pb2.StepProgress(steps_done=done, steps_total=total))


GOOD = [QUEUE, QUEUE, step(1), step(2), step(3), BATCH, STATISTICS]


def read(responses: list[Response]) -> list[tuple[str, int, int]]:
    told: list[tuple[str, int, int]] = []
    stream = ResponseStream(STEPS, lambda *event: told.append(event))
    for response in responses:
        stream.take(response)
    answer = stream.finish()
    assert answer.statistics.server_s == 1.5
    assert answer.received_bytes == sum(response.ByteSize() for response in responses)
    return told


def test_a_whole_stream_is_read_and_told() -> None:
    expected = [("queue", 2, 0)] * 2 + [("cloud", done, STEPS) for done in (1, 2, 3)]
    assert read(GOOD) == expected


def test_queue_and_progress_may_be_left_out() -> None:
    assert read([BATCH, STATISTICS]) == []


@pytest.mark.parametrize(
    "responses",
    [
        [],
        [BATCH],
        [STATISTICS],
        [STATISTICS, BATCH],
        [BATCH, BATCH, STATISTICS],
        [BATCH, STATISTICS, STATISTICS],
        [step(1), QUEUE, BATCH, STATISTICS],
        [BATCH, step(1), STATISTICS],
        [step(0), BATCH, STATISTICS],
        [step(4), BATCH, STATISTICS],
        [step(1, total=4), BATCH, STATISTICS],
        [step(2), step(1), BATCH, STATISTICS],
        [Response(), BATCH, STATISTICS],
        [BATCH, STATISTICS, Response()],
        [BATCH, Response(statistics=generation_pb2.Statistics(server_s=float("nan")))],
        [BATCH, Response(statistics=generation_pb2.Statistics(model_s=-1.0))],
    ],
)
def test_any_other_stream_is_refused(responses: list[Response]) -> None:
    with pytest.raises(WireError):
        read(responses)


def test_nothing_is_told_after_a_fault() -> None:
    told: list[str] = []
    stream = ResponseStream(STEPS, lambda phase, _step, _total: told.append(phase))
    for response in (STATISTICS, QUEUE, step(1)):
        stream.take(response)
    assert told == []
