"""Who runs, who waits, who is refused: a bounded first-in-first-out queue."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from obclip.errors import QueueFull


class Place:
    """One request's place in the queue."""

    def __init__(self, queue: "AdmissionQueue") -> None:
        self._queue = queue
        self._moved = asyncio.Event()

    async def positions(self) -> AsyncIterator[int]:
        """Requests before this one: now, and after every move; ends with 0 when its turn comes."""
        while ahead := self._queue.ahead_of(self):
            self._moved.clear()
            yield ahead
            await self._moved.wait()
        yield 0

    def notify(self) -> None:
        """Tells the waiting request that the queue moved."""
        self._moved.set()


class AdmissionQueue:
    """Lets few requests run, some wait, and refuses the rest.

    Args:
        max_running: requests that run at the same time, >= 1.
        max_waiting: requests that wait for a slot, >= 0.
    """

    def __init__(self, *, max_running: int, max_waiting: int) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._places: list[Place] = []

    @property
    def running(self) -> int:
        """Requests that have a slot."""
        return min(len(self._places), self._max_running)

    @property
    def waiting(self) -> int:
        """Requests without a slot yet."""
        return len(self._places) - self.running

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Takes a place, and gives it up at the end, whatever the reason.

        Raises:
            QueueFull: as many requests wait as are allowed.
        """
        if len(self._places) >= self._max_running + self._max_waiting:
            raise QueueFull
        place = Place(self)
        self._places.append(place)
        try:
            yield place
        finally:
            self._places.remove(place)
            for other in self._places:
                other.notify()

    def ahead_of(self, place: Place) -> int:
        """Requests that came before, or 0 when this one has a slot."""
        index = self._places.index(place)
        return 0 if index < self._max_running else index
