"""TensorRT's Python API as far as the engine builder uses it: keeps a record, builds nothing.

Names, arguments and return values are those of TensorRT 11's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import onnx

Record = list[tuple[Any, ...]]


class NetworkDefinitionCreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class MemoryPoolType(IntEnum):
    WORKSPACE = 0


@dataclass
class RecordedTensorrt:
    """Stands for the package `tensorrt`.

    Attributes:
        record: what was called, in order.
        parse_errors: what the parser finds wrong.
        refuses_profiles: `add_optimization_profile` returns -1.
        gives_nothing: `build_serialized_network` returns None.
    """

    record: Record = field(default_factory=list)
    parse_errors: tuple[str, ...] = ()
    refuses_profiles: bool = False
    gives_nothing: bool = False
    NetworkDefinitionCreationFlag = NetworkDefinitionCreationFlag
    MemoryPoolType = MemoryPoolType
    __version__ = "11.0.0"

    class Logger:
        WARNING = 1

        def __init__(self, severity: int) -> None:
            assert severity == self.WARNING

    def Builder(self, _logger: Any) -> _Builder:  # noqa: N802 -- TensorRT's name
        return _Builder(self)

    def OnnxParser(self, network: _Network, _logger: Any) -> _Parser:  # noqa: N802
        return _Parser(self, network)


@dataclass
class _Network:
    graph: Any = None


@dataclass
class _Profile:
    shapes: dict[str, tuple[list[int], ...]] = field(default_factory=dict)

    def set_shape(
        self, name: str, smallest: list[int], best: list[int], largest: list[int]
    ) -> None:
        assert all(low <= b <= high for low, b, high in zip(smallest, best, largest, strict=True))
        self.shapes[name] = (smallest, best, largest)


@dataclass
class _Config:
    trt: RecordedTensorrt
    profiles: list[_Profile] = field(default_factory=list)

    def set_memory_pool_limit(self, pool: MemoryPoolType, size: int) -> None:
        self.trt.record.append(("set_memory_pool_limit", pool, size))

    def add_optimization_profile(self, profile: _Profile) -> int:
        if self.trt.refuses_profiles:
            return -1
        self.profiles.append(profile)
        return len(self.profiles) - 1


@dataclass
class _Builder:
    trt: RecordedTensorrt

    def create_network(self, flags: int) -> _Network:
        self.trt.record.append(("create_network", flags))
        return _Network()

    def create_builder_config(self) -> _Config:
        return _Config(self.trt)

    def create_optimization_profile(self) -> _Profile:
        return _Profile()

    def build_serialized_network(self, network: _Network, config: _Config) -> bytes | None:
        """Refuses what TensorRT would: a profile that lacks an input, or does not fit its shape."""
        for profile in config.profiles:
            _require_fit(network.graph, profile)
        self.trt.record.append(("build", len(config.profiles)))
        return None if self.trt.gives_nothing else b"engine"


@dataclass
class _Parser:
    trt: RecordedTensorrt
    network: _Network

    @property
    def num_errors(self) -> int:
        return len(self.trt.parse_errors)

    def get_error(self, index: int) -> str:
        return self.trt.parse_errors[index]

    def parse_from_file(self, path: str) -> bool:
        self.trt.record.append(("parse", Path(path).name))
        self.network.graph = onnx.load(path, load_external_data=False).graph
        return not self.trt.parse_errors


def _require_fit(graph: Any, profile: _Profile) -> None:
    assert {value.name for value in graph.input} == set(profile.shapes)
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        for shape in profile.shapes[value.name]:
            assert len(shape) == len(dims)
            fixed = [(size, dim.dim_value) for size, dim in zip(shape, dims, strict=True)]
            assert all(size == dim for size, dim in fixed if dim), value.name
