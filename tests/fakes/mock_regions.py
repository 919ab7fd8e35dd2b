"""The shared memory regions of the mock Triton, which it maps as the real one does."""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb

_FOLDER = Path("/dev/shm")  # noqa: S108 -- where the client puts them


class RegionRefused(Exception):
    """What Triton answers to a request for memory that it does not have.

    Attributes:
        code: its status.
    """

    def __init__(self, code: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.code = code


@dataclass
class MockRegions:
    """Registered regions by name."""

    memory: dict[str, mmap.mmap] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    def register(self, request: Any) -> None:
        """Maps a region; its name in the file system is not needed any more."""
        if request.name in self.memory:
            words = f"shared memory region '{request.name}' already in manager"
            raise RegionRefused(grpc.StatusCode.ALREADY_EXISTS, words)
        path = _FOLDER / request.key.lstrip("/")
        if not path.is_file():
            words = f"Unable to open shared memory region: '{request.key}'"
            raise RegionRefused(grpc.StatusCode.INTERNAL, words)
        if path.stat().st_size < request.byte_size:
            words = f"failed to register shared memory region '{request.name}'"
            raise RegionRefused(grpc.StatusCode.INVALID_ARGUMENT, words)
        with path.open("rb+") as file:
            self.memory[request.name] = mmap.mmap(file.fileno(), request.byte_size)
        self.keys[request.name] = request.key

    def unregister(self, name: str) -> None:
        """Forgets one region, or all when it has no name, as Triton does."""
        for known in [name] if name else list(self.memory):
            self.memory.pop(known, None)

    def status(self) -> Any:
        """All regions."""
        response = pb.SystemSharedMemoryStatusResponse()
        for name, memory in self.memory.items():
            status = response.regions[name]
            status.name, status.key, status.byte_size = name, self.keys[name], len(memory)
        return response

    def piece(self, tensor: Any) -> memoryview | None:
        """The memory that a tensor of a request refers to; None when it refers to none."""
        parameters: Mapping[str, Any] = tensor.parameters
        if "shared_memory_region" not in parameters:
            return None
        name = parameters["shared_memory_region"].string_param
        start = parameters["shared_memory_offset"].int64_param if _has_offset(parameters) else 0
        end = start + parameters["shared_memory_byte_size"].int64_param
        if name not in self.memory:
            words = f"Unable to find shared memory region: '{name}'"
            raise RegionRefused(grpc.StatusCode.NOT_FOUND, words)
        if end > len(self.memory[name]):
            words = f"Invalid offset + byte size for shared memory region: '{name}'"
            raise RegionRefused(grpc.StatusCode.INVALID_ARGUMENT, words)
        return memoryview(self.memory[name])[start:end]


def _has_offset(parameters: Mapping[str, Any]) -> bool:
    return "shared_memory_offset" in parameters
