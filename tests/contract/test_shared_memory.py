"""Tensors that Triton reads and writes in shared memory, asked of the mock and of the real one."""

import asyncio
import mmap
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests.fakes.tiny_bundle import SIZES

BYTES = 1 << 16
IDS = np.ones((2, SIZES.tokens), np.int64)
STATES = (2, SIZES.tokens, SIZES.embedding)
STATES_BYTES = 4 * int(np.prod(STATES))


@dataclass(frozen=True)
class Region:
    """Registered memory without a name in the file system."""

    name: str
    memory: mmap.mmap


@pytest.fixture
async def client(triton_url: str) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(triton_url) as opened:
        yield opened


def _named() -> tuple[Path, mmap.mmap]:
    path = Path("/dev/shm") / f"obclip_test_{secrets.token_hex(8)}"  # noqa: S108
    path.write_bytes(b"\0" * BYTES)
    with path.open("rb+") as file:
        return path, mmap.mmap(file.fileno(), BYTES)


@pytest.fixture
async def region(client: InferenceServerClient) -> AsyncIterator[Region]:
    path, memory = _named()
    try:
        await client.register_system_shared_memory(path.name, f"/{path.name}", BYTES)
    finally:
        path.unlink()
    yield Region(path.name, memory)
    await _unregister(client, path.name)


async def _unregister(client: InferenceServerClient, name: str) -> None:
    """A busy Triton holds a region for a moment after it has answered."""
    for left in reversed(range(100)):
        try:
            await client.unregister_system_shared_memory(name)
        except InferenceServerException as error:
            if not left or "in use" not in str(error):
                raise
            await asyncio.sleep(0.1)
        else:
            return


async def _encode(
    client: InferenceServerClient, ids: InferInput, output: InferRequestedOutput
) -> Any:
    return await client.infer("text_encoder", [ids], outputs=[output], client_timeout=30)


def _message() -> InferInput:
    return InferInput("input_ids", list(IDS.shape), "INT64").set_data_from_numpy(IDS)


def _referring(name: str, size: int = IDS.nbytes, offset: int = 0) -> InferInput:
    tensor = InferInput("input_ids", list(IDS.shape), "INT64")
    tensor.set_shared_memory(name, size, offset)
    return tensor


def _placed(name: str, size: int = STATES_BYTES, offset: int = 0) -> InferRequestedOutput:
    output = InferRequestedOutput("last_hidden_state")
    output.set_shared_memory(name, size, offset)
    return output


async def test_reads_and_writes_there_as_in_messages(
    client: InferenceServerClient, region: Region
) -> None:
    plain = await _encode(client, _message(), InferRequestedOutput("last_hidden_state"))
    region.memory[: IDS.nbytes] = IDS.tobytes()
    output = _placed(region.name, STATES_BYTES + 8, 4096)
    result = await _encode(client, _referring(region.name), output)
    found = result.get_output("last_hidden_state")
    assert (tuple(found.shape), found.datatype) == (STATES, "FP32")
    assert not any(result.get_response().raw_output_contents)
    there = np.frombuffer(region.memory, np.float32, STATES_BYTES // 4, 4096)
    np.testing.assert_array_equal(there.reshape(STATES), plain.as_numpy("last_hidden_state"))


async def test_lists_and_forgets_one_region_by_name(
    client: InferenceServerClient, region: Region
) -> None:
    path, _memory = _named()
    try:
        await client.register_system_shared_memory(path.name, f"/{path.name}", BYTES)
    finally:
        path.unlink()
    status = await client.get_system_shared_memory_status()
    assert {region.name, path.name} <= set(status.regions)
    await client.unregister_system_shared_memory(path.name)
    await client.unregister_system_shared_memory(path.name)  # unknown by now: no error
    status = await client.get_system_shared_memory_status()
    assert region.name in status.regions
    assert path.name not in status.regions


Ask = Callable[[InferenceServerClient, Region], Awaitable[object]]
OUTPUT = InferRequestedOutput("last_hidden_state")
REFUSED: dict[str, tuple[Ask, str]] = {
    "input in an unknown region": (
        lambda client, _: _encode(client, _referring("unknown"), OUTPUT),
        "NOT_FOUND",
    ),
    "output in an unknown region": (
        lambda client, _: _encode(client, _message(), _placed("unknown")),
        "NOT_FOUND",
    ),
    "input beyond the region": (
        lambda client, region: _encode(client, _referring(region.name, offset=BYTES - 8), OUTPUT),
        "INVALID_ARGUMENT",
    ),
    "output beyond the region": (
        lambda client, region: _encode(client, _message(), _placed(region.name, offset=BYTES - 8)),
        "INVALID_ARGUMENT",
    ),
    "input of another size": (
        lambda client, region: _encode(client, _referring(region.name, 8), OUTPUT),
        "INVALID_ARGUMENT",
    ),
    "output too large": (
        lambda client, region: _encode(client, _message(), _placed(region.name, 8)),
        "INTERNAL",
    ),
    "the same name twice": (
        lambda client, region: client.register_system_shared_memory(region.name, "/none", BYTES),
        "ALREADY_EXISTS",
    ),
    "a region that is not there": (
        lambda client, _: client.register_system_shared_memory("absent", "/obclip_absent", BYTES),
        "INTERNAL",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refuses(client: InferenceServerClient, region: Region, case: str) -> None:
    ask, code = REFUSED[case]
    with pytest.raises(InferenceServerException) as caught:
        await ask(client, region)
    assert caught.value.status() == f"StatusCode.{code}"
    assert await client.is_server_ready()
