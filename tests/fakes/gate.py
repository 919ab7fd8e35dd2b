"""Holds a mock model until a test lets it go."""

import asyncio

from tests.fakes.mock_triton import Feeds, MockModel


class Gate:
    """Put before a model: calls stop here until the gate is opened.

    Attributes:
        reached: is set when a call stands before the gate.
        opened: to be set by the test.
    """

    def __init__(self, model: MockModel, *, after_calls: int = 0) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self._run = model.run
        self._free_calls = after_calls
        model.run = self._wait_and_run

    async def _wait_and_run(self, feeds: Feeds) -> Feeds:
        if self._free_calls:
            self._free_calls -= 1
        else:
            self.reached.set()
            await self.opened.wait()
        return await self._run(feeds)
