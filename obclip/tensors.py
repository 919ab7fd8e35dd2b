"""The codec between arrays and the wire's `Tensor`: dense, row-major, little-endian."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from obclip.errors import WireError
from obclip.v1 import tensor_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Tensor = tensor_pb2.Tensor
TensorType = tensor_pb2.TensorType

# The whitelist: nothing else is ever encoded or decoded.
DTYPES: Mapping[TensorType, np.dtype[np.floating[Any]]] = MappingProxyType(
    {
        tensor_pb2.TENSOR_TYPE_FLOAT16: np.dtype("<f2"),
        tensor_pb2.TENSOR_TYPE_FLOAT32: np.dtype("<f4"),
    }
)


def encode(array: NDArray[np.floating[Any]], tensor_type: TensorType) -> Tensor:
    """Write an array as a wire tensor.

    Args:
        array: any shape, floating point. NaN and infinity pass; see `require_finite`.
        tensor_type: FLOAT16 or FLOAT32. FLOAT16 rounds to the nearest of 11 significant bits.

    Raises:
        WireError: the type is not in the whitelist, or a number is too large for it (65504 for
            FLOAT16).
    """
    dtype = _dtype(tensor_type)
    try:
        with np.errstate(over="raise"):
            data = array.astype(dtype).tobytes()
    except FloatingPointError as error:
        raise WireError(f"a number is outside the range of {dtype.name}") from error
    return Tensor(type=tensor_type, shape=array.shape, data=data)


def decode(
    tensor: Tensor, *, expected_type: TensorType, expected_shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Read a wire tensor that must have a known type and shape.

    Everything declared is compared with what is expected, and the byte count with both, before
    anything is allocated.

    Args:
        tensor: what came over the wire.
        expected_type: the card's wire type.
        expected_shape: the shape that the request implies, e.g. (N, C, H, W).

    Returns:
        `expected_shape` float32, a writable copy. It may hold NaN or infinity; see
        `require_finite`.

    Raises:
        WireError: type, shape or byte count differ from what is expected.
    """
    dtype = _dtype(expected_type)
    if tensor.type != expected_type:
        raise WireError(f"tensor type {tensor.type} where {expected_type} is expected")
    if len(tensor.shape) != len(expected_shape) or tuple(tensor.shape) != expected_shape:
        dims = "x".join(map(str, tensor.shape[:8])) or "scalar"
        raise WireError(
            f"tensor shape {dims} where {'x'.join(map(str, expected_shape))} is expected"
        )
    size = math.prod(expected_shape) * dtype.itemsize
    if len(tensor.data) != size:
        raise WireError(f"tensor of {len(tensor.data)} bytes where its shape needs {size}")
    return np.frombuffer(tensor.data, dtype).reshape(expected_shape).astype(np.float32)


def require_finite(array: NDArray[np.floating[Any]], name: str) -> None:
    """Refuse NaN and infinity, with one verdict for the whole array.

    Args:
        array: any shape.
        name: what the array is, for the error, e.g. "latents".

    Raises:
        WireError: a number is not finite.
    """
    if not np.isfinite(array).all():
        raise WireError(f"{name} hold numbers that are not finite")


def _dtype(tensor_type: TensorType) -> np.dtype[np.floating[Any]]:
    if tensor_type not in DTYPES:
        raise WireError(f"tensor type {tensor_type} is not supported")
    return DTYPES[tensor_type]
