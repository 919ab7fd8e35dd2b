"""The slots' registration, with the mock and with the real tritonserver."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tritonclient.grpc.aio import InferenceServerClient

from cloud_service.slots import Layout, SlotPool, registered_slots
from cloud_service.startup_error import CannotStart

LAYOUT = Layout({"latents": (4, 8, 8)}, rows=4)
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- where Triton looks


@pytest.fixture
async def client(triton_url: str) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(triton_url) as opened:
        yield opened


async def _names(client: InferenceServerClient) -> set[str]:
    status = await client.get_system_shared_memory_status()
    return {name for name in status.regions if name.startswith("obclip_slot_")}


def _leased(pool: SlotPool) -> str:
    with pool.lease() as slot:
        assert slot is not None
        return slot.name


async def test_names_are_random_and_gone_from_the_file_system(
    client: InferenceServerClient,
) -> None:
    async with registered_slots(client, LAYOUT, 3) as pool:
        names = await _names(client)
        assert len(names) == 3
        assert _leased(pool) in names
        assert not list(SHARED_MEMORY.glob(f"obclip_slot_*_{os.getpid()}_*"))
    assert await _names(client) == set()


async def test_each_service_unregisters_its_own(client: InferenceServerClient) -> None:
    async with registered_slots(client, LAYOUT, 1) as outer:
        async with registered_slots(client, LAYOUT, 1):
            assert len(await _names(client)) == 2
        assert await _names(client) == {_leased(outer)}


async def test_forgets_what_a_killed_service_had_registered(client: InferenceServerClient) -> None:
    dead = await asyncio.create_subprocess_exec("true")
    await dead.wait()
    namespace = os.stat("/proc/self/ns/pid").st_ino
    names = [f"obclip_slot_{namespace}_{pid}_0123" for pid in (dead.pid, 1)]
    names.append(f"obclip_slot_7{namespace}_{dead.pid}_0123")  # of another process namespace
    for name in names:
        (SHARED_MEMORY / name).write_bytes(b"\0" * 4096)
    try:
        for name in names:
            await client.register_system_shared_memory(name, f"/{name}", 4096)
        async with registered_slots(client, LAYOUT, 0):
            assert await _names(client) == set(names[1:])
        assert [(SHARED_MEMORY / name).exists() for name in names] == [False, True, True]
    finally:
        for name in names:
            (SHARED_MEMORY / name).unlink(missing_ok=True)
            await client.unregister_system_shared_memory(name)


async def test_no_room_is_said_at_the_start(client: InferenceServerClient) -> None:
    huge = Layout({"latents": (1 << 30, 1 << 14)}, rows=1)
    with pytest.raises(CannotStart, match="has no room for 67108864 MiB; enlarge it"):
        async with registered_slots(client, huge, 1):
            pass
    assert not list(SHARED_MEMORY.glob(f"obclip_slot_*_{os.getpid()}_*"))
    assert await _names(client) == set()


async def test_a_triton_without_shared_memory_is_said() -> None:
    async with InferenceServerClient("127.0.0.1:1") as nobody:
        with pytest.raises(CannotStart, match="OBCLIP_TRANSPORT=messages"):
            async with registered_slots(nobody, LAYOUT, 1):
                pass
