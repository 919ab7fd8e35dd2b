"""Where each tensor's bytes lie in a safetensors file, and which tensor holds given values.

Format: 8 bytes, little-endian length n; n bytes of JSON, name -> {dtype, shape, data_offsets}; then
the data, row-major and little-endian (https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from cloud_service.export.errors import ExportFailed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

# What diffusers and transformers call the weights that they load, shards included.
_WEIGHTS = re.compile(
    r"(diffusion_pytorch_)?model(\.fp16)?(-\d+-of-\d+)?(\.fp16)?\.safetensors", re.ASCII
)
_HALF = ".fp16."
_FLOATS: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # the format's own limit


@dataclass(frozen=True)
class StoredTensor:
    """The bytes of one tensor.

    Attributes:
        name: its key in the file.
        dtype: little-endian float16 or float32.
        offset: of its first byte from the start of the file.
        length: in bytes.
    """

    name: str
    dtype: np.dtype[Any]
    offset: int
    length: int

    @property
    def count(self) -> int:
        """Numbers in it."""
        return self.length // self.dtype.itemsize


class WeightsFile:
    """The floating-point tensors of one safetensors file, found by their values.

    Values, not names, decide: the names in a file and those of the module that was loaded from it
    differ between releases of transformers, and equal bytes are right whatever they are called.

    Raises:
        ExportFailed: the file is absent or no safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_digest = {_digest(self._read(t)): t for t in read_layout(path)}

    def find(self, values: NDArray[np.float32]) -> StoredTensor | None:
        """The tensor whose values, as float32 in row-major order, are bit-equal; of any shape."""
        return self._by_digest.get(_digest(values))

    def _read(self, tensor: StoredTensor) -> NDArray[np.float32]:
        with self.path.open("rb") as file:
            raw = np.fromfile(file, tensor.dtype, tensor.count, offset=tensor.offset)
        return raw.astype(np.float32)


def choose_weights(names: Iterable[str], precision: str | None) -> list[str]:
    """The weights among a folder's files; exactly one name when they can be exported.

    Args:
        names: of the folder's files.
        precision: "fp16" and None prefer the fp16 variant, "fp32" takes the full one alone.
    """
    known = [name for name in names if _WEIGHTS.fullmatch(name)]
    half = [name for name in known if _HALF in name]
    full = [name for name in known if _HALF not in name]
    return full if precision == "fp32" else half or full


def weights_in(folder: Path, precision: str | None = None) -> Path:
    """The one weights file of a model's folder; see `choose_weights`.

    Raises:
        ExportFailed: it holds none that fits, or several.
    """
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    chosen = choose_weights(names, precision)
    if len(chosen) != 1:
        variant = f" of {precision}" if precision else ""
        raise ExportFailed(
            str(folder),
            f"holds {len(chosen)} weight files{variant}",
            "save one safetensors file, not sharded",
        )
    return folder / chosen[0]


def read_layout(path: Path) -> list[StoredTensor]:
    """List a file's float16 and float32 tensors, the larger ones last.

    Raises:
        ExportFailed: the file is absent, cut off, or no safetensors file.
    """
    try:
        header, start = _read_header(path)
        tensors = [
            _stored(name, entry, start)
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] in _FLOATS
        ]
        if any(t.offset + t.length > path.stat().st_size for t in tensors):
            raise ValueError("a tensor ends after the end of the file")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportFailed(
            str(path), f"is no usable safetensors file ({error})", "save the pipeline again"
        ) from error
    return sorted(tensors, key=lambda tensor: (tensor.length, tensor.name))


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if length > min(_MAX_HEADER_BYTES, path.stat().st_size):
            raise ValueError("the header is longer than the file")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise TypeError("the header is no JSON object")
    return header, _LENGTH_BYTES + length


def _stored(name: str, entry: dict[str, Any], start: int) -> StoredTensor:
    first, end = entry["data_offsets"]
    return StoredTensor(name, _FLOATS[entry["dtype"]], start + first, end - first)


def _digest(values: NDArray[np.float32]) -> bytes:
    return sha256(values.tobytes()).digest()
