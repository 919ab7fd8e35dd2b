"""Shared memory that the models read and write in place: a fixed pool of slots, one for each set.

What a step leaves in a slot the next step takes from there; no message carries it. A region has no
name any more once Triton has mapped it: it lasts as long as a process that maps it, so no death of
any of them leaves one behind.
"""

import asyncio
import contextlib
import itertools
import math
import mmap
import os
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from cloud_service.inference import MODEL_OUTPUT
from cloud_service.leftovers import SHARED_MEMORY, is_of_dead_owner, own_prefix, sweep
from cloud_service.startup_error import CannotStart
from obclip.card import ModelCard
from obclip.plan import STEP_KINDS

Array = NDArray[np.float32]

_USE = "slot"
_ITEM_BYTES = 4
_ALIGNMENT = mmap.PAGESIZE
_CALL_TIMEOUT_S = 10.0
_REMEDY = (
    "run both as one user in one /dev/shm, let Triton accept it (--allow-client-shm=true), "
    "or set OBCLIP_TRANSPORT=messages"
)
# Triton 2.51 may call a region "in use" for a moment after it has answered.
_UNREGISTER_TRIES = 20
_UNREGISTER_PAUSE_S = 0.05


@dataclass(frozen=True)
class Layout:
    """Which tensors a slot holds.

    Attributes:
        shapes: name -> shape of one row; all are float32.
        rows: of one set at most, both guidance branches counted.
    """

    shapes: Mapping[str, tuple[int, ...]]
    rows: int

    def offsets(self) -> dict[str, int]:
        """Name -> bytes before its tensor."""
        sizes = [self.tensor_bytes(name) for name in self.shapes]
        return dict(zip(self.shapes, itertools.accumulate(sizes, initial=0), strict=False))

    @property
    def slot_bytes(self) -> int:
        """Size of a slot."""
        return sum(self.tensor_bytes(name) for name in self.shapes)

    def tensor_bytes(self, name: str) -> int:
        """Room for one tensor, in whole pages."""
        size = self.rows * math.prod(self.shapes[name]) * _ITEM_BYTES
        return -(-size // _ALIGNMENT) * _ALIGNMENT


def slot_layout(card: ModelCard, rows: int) -> Layout:
    """Every large tensor of the card's step kinds; a timestep goes by message.

    What a kind can leave and none takes has no place: no plan asks for it.
    """
    cached = {tensor.name: tensor.shape for tensor in card.cached_tensors}
    kinds = [STEP_KINDS[kind.name] for kind in card.step_kinds]
    taken = {name for kind in kinds for name in kind.takes}
    shapes = {
        "latents": card.latents.shape,
        "encoder_hidden_states": card.text.embedding_shape,
        MODEL_OUTPUT: card.latents.shape,
        **{name: cached[name] for kind in kinds for name in kind.leaves if name in taken},
    }
    return Layout(shapes, rows)


@dataclass(eq=False)
class Slot:
    """One region that Triton has mapped as well.

    Attributes:
        name: by which Triton knows it.
        layout: of its tensors.
        memory: the region.
        is_spoiled: whether a call failed, after which Triton may still write; then the slot serves
            nobody any more.
    """

    name: str
    layout: Layout
    memory: mmap.mmap = field(repr=False)
    is_spoiled: bool = False

    def __post_init__(self) -> None:
        self._offsets = self.layout.offsets()
        self._address = np.frombuffer(self.memory, np.uint8).ctypes.data

    def view(self, name: str, shape: Sequence[int]) -> Array | None:
        """The first rows of a tensor, shaped as wanted; None where the slot has no room for them.

        Args:
            name: of the tensor.
            shape: (B, ...) or (S, N, ...).
        """
        size = math.prod(shape) * _ITEM_BYTES
        if name not in self._offsets or size > self.layout.tensor_bytes(name):
            return None
        return np.ndarray(shape, np.float32, self.memory, self._offsets[name])

    def offset(self, array: NDArray[np.generic]) -> int | None:
        """Bytes before an array that lies in this slot in one piece; None for any other."""
        start = array.ctypes.data - self._address
        is_inside = start >= 0 and start + array.nbytes <= len(self.memory)
        return start if is_inside and array.flags.c_contiguous else None


class SlotPool:
    """The slots of one service; an empty pool means that tensors go by messages.

    Args:
        slots: registered ones.
    """

    def __init__(self, slots: Sequence[Slot] = ()) -> None:
        self._free = list(slots)

    @property
    def free(self) -> int:
        """Slots that no run has, and that no failure has spoiled."""
        return len(self._free)

    @contextlib.contextmanager
    def lease(self) -> Iterator[Slot | None]:
        """A slot for one run, or None when there is none free."""
        if not self._free:
            yield None
            return
        slot = self._free.pop()
        try:
            yield slot
        finally:
            if not slot.is_spoiled:
                self._free.append(slot)


@contextlib.asynccontextmanager
async def registered_slots(
    triton: InferenceServerClient, layout: Layout, count: int
) -> AsyncIterator[SlotPool]:
    """A pool that Triton knows; unregistered, alone, at the end.

    What a service that was killed had registered is unregistered first.

    Args:
        triton: on this host.
        layout: of each slot.
        count: of slots.

    Raises:
        CannotStart: there is no room in /dev/shm, or Triton accepts no shared memory.
    """
    slots: list[Slot] = []
    try:
        try:
            await _forget_dead_owners(triton)
            for _ in range(count):
                slots.append(await _register(triton, layout))  # noqa: PERF401 -- kept one by one
        except InferenceServerException as error:
            raise CannotStart("Triton refuses shared memory", _REMEDY) from error
        yield SlotPool(slots)
    finally:
        with contextlib.suppress(TimeoutError):  # a Triton that hangs is stopped next
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                for slot in slots:
                    await _unregister(triton, slot.name)


async def _register(triton: InferenceServerClient, layout: Layout) -> Slot:
    name = f"{own_prefix(_USE)}{secrets.token_hex(16)}"
    path = SHARED_MEMORY / name
    with contextlib.ExitStack() as stack:
        stack.callback(path.unlink, missing_ok=True)
        memory = _create(path, layout.slot_bytes)
        await triton.register_system_shared_memory(
            name, f"/{name}", layout.slot_bytes, client_timeout=_CALL_TIMEOUT_S
        )
    return Slot(name, layout, memory)


def _create(path: Path, size: int) -> mmap.mmap:
    try:
        with open(path, "xb+", opener=_open_private) as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a page that is missing later is a SIGBUS
            return mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise CannotStart(
            f"{path.parent} has no room for {size >> 20} MiB",
            "enlarge it, lower OBCLIP_MAX_RUNNING, or set OBCLIP_TRANSPORT=messages",
        ) from error


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


async def _unregister(triton: InferenceServerClient, name: str) -> None:
    """Does what can be done: a Triton that is gone has forgotten the region anyway."""
    for _ in range(_UNREGISTER_TRIES):
        with contextlib.suppress(InferenceServerException):
            await triton.unregister_system_shared_memory(name, client_timeout=_CALL_TIMEOUT_S)
            return
        await asyncio.sleep(_UNREGISTER_PAUSE_S)


async def _forget_dead_owners(triton: InferenceServerClient) -> None:
    """Unregisters the slots of services that were killed on this host; a live one's stay."""
    status = await triton.get_system_shared_memory_status(client_timeout=_CALL_TIMEOUT_S)
    for name in status.regions:
        if is_of_dead_owner(name, _USE):
            await _unregister(triton, name)
    sweep(SHARED_MEMORY, _USE)  # killed before they could unlink
