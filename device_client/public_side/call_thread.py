"""A call in a thread of its own, so that Ctrl-C cannot strike inside gRPC.

Python delivers Ctrl-C to the main thread between any two of its steps. Inside gRPC's own code that
may leave a lock held for ever; here the main thread only waits on a queue that cannot be broken.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, Self, TypeVar


class Cancellable(Protocol):
    """A handle of a call."""

    def cancel(self) -> object:
        """Ends the call; without effect if it has ended."""


Handle = TypeVar("Handle", bound=Cancellable)
Response = TypeVar("Response")

# The thread ends as soon as its call is cancelled; it is never waited for any longer.
MAX_JOIN_S = 5.0
# Responses that wait for the device; gRPC's flow control keeps the others at the service.
MAX_WAITING = 2
# A Ctrl-C that comes just before the wait on the queue begins is noticed when the wait ends.
WAKE_S = 0.2


class CallThread(Generic[Handle, Response]):
    """One call, iterated by the thread that made this object and ended by leaving the context."""

    def __init__(
        self,
        start: Callable[[], Handle],
        read: Callable[[Handle], Iterable[Response]],
    ) -> None:
        """Prepares the call; entering the context starts it.

        Args:
            start: Starts the call and returns its handle.
            read: Reads the responses of a handle.
        """
        self._start, self._read = start, read
        self._arrived: SimpleQueue[Response | Exception | None] = SimpleQueue()
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(MAX_WAITING):
            self._places.put(None)
        self._call: Handle | None = None
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end()

    def __iter__(self) -> Iterator[Response]:
        """Yields the responses as they come, to the trailers.

        Raises:
            Exception: What starting or reading the call raised.
        """
        while (arrived := self._next()) is not None:
            if isinstance(arrived, Exception):
                raise arrived
            self._places.put(None)
            yield arrived

    def _next(self) -> Response | Exception | None:
        while True:
            with suppress(Empty):
                return self._arrived.get(timeout=WAKE_S)

    def _end(self) -> None:
        self._is_over = True
        if self._call is not None:
            self._call.cancel()  # no effect after the trailers; frees the service on Ctrl-C
        if self._thread.is_alive():
            self._thread.join(MAX_JOIN_S)

    def _run(self) -> None:
        try:
            self._call = self._start()
            if self._is_over:  # left before the call could be cancelled
                self._call.cancel()
            for response in self._read(self._call):
                self._wait_for_place()
                self._arrived.put(response)
            self._arrived.put(None)
        except Exception as failure:  # it is raised again where the responses are read
            self._arrived.put(failure)

    def _wait_for_place(self) -> None:
        while not self._is_over:
            with suppress(Empty):
                self._places.get(timeout=WAKE_S)
                break
