import threading
import time
from collections.abc import Iterator

import pytest

from device_client.public_side.call_thread import MAX_WAITING, CallThread


class Handle:
    """A call that never answers until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()

    def responses(self) -> Iterator[int]:
        yield 1
        assert self.cancelled.wait(timeout=10)


def read(handle: Handle) -> Iterator[int]:
    return handle.responses()


def test_the_responses_come_in_order() -> None:
    with CallThread(Handle, lambda _handle: iter(range(5))) as responses:
        assert list(responses) == list(range(5))


def test_a_service_that_hurries_waits_for_its_reader() -> None:
    taken: list[int] = []

    def note(_handle: Handle) -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    with CallThread(Handle, note) as responses:
        for read_so_far, _response in enumerate(responses, 1):
            time.sleep(0.01)
            # Those that wait, the one at hand and the one that waits for a place.
            assert len(taken) <= read_so_far + MAX_WAITING + 1
    assert len(taken) == 50


def test_leaving_ends_a_reader_that_waits_for_a_place() -> None:
    before = set(threading.enumerate())
    with CallThread(Handle, lambda _handle: iter(range(50))) as responses:
        next(iter(responses))
    assert set(threading.enumerate()) <= before


def fail(_handle: Handle) -> Iterator[int]:
    yield 1
    raise ConnectionError


def test_a_failure_is_raised_where_the_responses_are_read() -> None:
    with CallThread(Handle, fail) as responses:
        taken = iter(responses)
        assert next(taken) == 1
        with pytest.raises(ConnectionError):
            next(taken)


def interrupt(call: CallThread[Handle, int], responses: int) -> None:
    with call:
        for _number, _response in zip(range(responses), call, strict=False):
            pass
        raise KeyboardInterrupt


def test_leaving_early_cancels_the_call() -> None:
    handle = Handle()
    with pytest.raises(KeyboardInterrupt):
        interrupt(CallThread(lambda: handle, read), 1)
    assert handle.cancelled.is_set()


def test_leaving_before_the_call_has_started_cancels_it_too() -> None:
    handle, go = Handle(), threading.Event()

    def start() -> Handle:
        assert go.wait(timeout=10)
        return handle

    late = threading.Timer(0.05, go.set)
    late.start()
    with pytest.raises(KeyboardInterrupt):
        interrupt(CallThread(start, read), 0)
    late.join()
    assert handle.cancelled.is_set()
