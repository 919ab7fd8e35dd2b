import asyncio
from collections.abc import AsyncIterator

import pytest

from cloud_service.admission import AdmissionQueue
from obclip.errors import QueueFull


async def _next(positions: AsyncIterator[int]) -> int:
    return await asyncio.wait_for(anext(positions), 5)


async def test_a_free_slot_is_given_at_once() -> None:
    queue = AdmissionQueue(max_running=1, max_waiting=0)
    with queue.place() as place:
        assert [ahead async for ahead in place.positions()] == [0]
        assert (queue.running, queue.waiting) == (1, 0)
    assert (queue.running, queue.waiting) == (0, 0)


async def test_those_who_wait_move_up_in_order() -> None:
    queue = AdmissionQueue(max_running=1, max_waiting=2)
    with queue.place() as third, queue.place() as first:
        del third
        positions = first.positions()
        assert await _next(positions) == 1
        with queue.place() as second:
            assert await _next(second.positions()) == 2


async def test_the_turn_comes_when_the_one_before_leaves() -> None:
    queue = AdmissionQueue(max_running=1, max_waiting=1)
    running = queue.place()
    running.__enter__()
    with queue.place() as place:
        positions = place.positions()
        assert await _next(positions) == 1
        waiting = asyncio.ensure_future(_next(positions))
        await asyncio.sleep(0)
        assert not waiting.done()
        running.__exit__(None, None, None)
        assert await waiting == 0


async def test_refuses_when_as_many_wait_as_may() -> None:
    queue = AdmissionQueue(max_running=2, max_waiting=1)
    with queue.place(), queue.place(), queue.place():
        assert (queue.running, queue.waiting) == (2, 1)
        with pytest.raises(QueueFull), queue.place():
            pass
    with queue.place():
        assert (queue.running, queue.waiting) == (1, 0)


async def test_one_who_sends_makes_way_for_the_next() -> None:
    queue = AdmissionQueue(max_running=1, max_waiting=1)
    with queue.place() as sender, queue.place() as place:
        positions = place.positions()
        assert await _next(positions) == 1
        await sender.make_way()
        assert await _next(positions) == 0
        assert (queue.running, queue.waiting, queue.sending) == (1, 0, 1)
    assert (queue.running, queue.waiting, queue.sending) == (0, 0, 0)


async def test_as_many_send_as_run_and_wait() -> None:
    queue = AdmissionQueue(max_running=1, max_waiting=0)
    first = queue.place()
    await first.__enter__().make_way()
    with queue.place() as second:
        waiting = asyncio.ensure_future(second.make_way())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert (queue.running, queue.sending) == (1, 1)
        first.__exit__(None, None, None)
        await asyncio.wait_for(waiting, 5)
        assert (queue.running, queue.sending) == (0, 1)
    with queue.place() as third:
        await asyncio.wait_for(third.make_way(), 5)


async def test_one_who_gives_up_while_waiting_leaves_no_trace() -> None:
    queue = AdmissionQueue(max_running=1, max_waiting=2)
    with queue.place():
        with queue.place() as impatient:
            waiting = asyncio.ensure_future(_drain(impatient.positions()))
            await asyncio.sleep(0)
            with queue.place() as patient:
                positions = patient.positions()
                assert await _next(positions) == 2
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
        assert queue.waiting == 0


async def _drain(positions: AsyncIterator[int]) -> None:
    async for _ in positions:
        pass
