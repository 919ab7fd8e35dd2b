"""Who runs, who waits, who is refused, who sends: a bounded first-in-first-out queue."""

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

    async def make_way(self) -> None:
        """Lets the next request run while this one sends its answer, at its caller's speed.

        Waits while as many send as may: each holds its answer in memory.
        """
        await self._queue.move_to_senders(self)

    def notify(self) -> None:
        """Tells the waiting request that the queue moved."""
        self._moved.set()


class AdmissionQueue:
    """Lets few requests run, some wait, and refuses the rest.

    Args:
        max_running: requests that run at the same time, >= 1.
        max_waiting: requests that wait for a slot, >= 0. As many as run and wait may send.
    """

    def __init__(self, *, max_running: int, max_waiting: int) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._places: list[Place] = []
        self._senders: set[Place] = set()
        self._free_senders = asyncio.Semaphore(max_running + max_waiting)

    @property
    def running(self) -> int:
        """Requests that have a slot."""
        return min(len(self._places), self._max_running)

    @property
    def waiting(self) -> int:
        """Requests without a slot yet."""
        return len(self._places) - self.running

    @property
    def sending(self) -> int:
        """Requests that are done but for their answer, which is on its way."""
        return len(self._senders)

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
            self._leave(place)

    async def move_to_senders(self, place: Place) -> None:
        """Gives the slot of a request that is done up, as soon as it may send."""
        await self._free_senders.acquire()
        self._leave(place)
        self._senders.add(place)

    def ahead_of(self, place: Place) -> int:
        """Requests that came before, or 0 when this one has a slot."""
        index = self._places.index(place)
        return 0 if index < self._max_running else index

    def _leave(self, place: Place) -> None:
        if place in self._senders:
            self._senders.remove(place)
            self._free_senders.release()
            return
        self._places.remove(place)
        for other in self._places:
            other.notify()
