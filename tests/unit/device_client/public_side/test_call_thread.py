import threading
from collections.abc import Iterator

import pytest

from device_client.public_side.call_thread import CallThread


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
