import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from obclip.errors import WireError
from obclip.tensors import DTYPES, Tensor, decode, encode, require_finite
from obclip.v1 import tensor_pb2

FLOAT16, FLOAT32 = tensor_pb2.TENSOR_TYPE_FLOAT16, tensor_pb2.TENSOR_TYPE_FLOAT32
SHAPE = (2, 3, 4, 5)


def latents():
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def read(tensor, tensor_type=FLOAT32, shape=SHAPE):
    return decode(tensor, expected_type=tensor_type, expected_shape=shape)


@settings(deadline=None)
@given(
    array=hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)
def test_float32_survives_bit_for_bit_nan_and_infinity_included(array):
    wire = encode(array, FLOAT32).SerializeToString()
    back = read(Tensor.FromString(wire), shape=array.shape)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, array)


@settings(deadline=None)
@given(
    array=hnp.arrays(
        np.float32,
        hnp.array_shapes(max_dims=4, max_side=5),
        elements=st.floats(-60000, 60000, width=32),
    )
)
def test_float16_rounds_once_and_then_survives(array):
    once = read(encode(array, FLOAT16), FLOAT16, array.shape)
    twice = read(encode(once, FLOAT16), FLOAT16, array.shape)
    np.testing.assert_allclose(once, array, rtol=2**-11, atol=2**-25)
    np.testing.assert_array_equal(twice, once)


def test_the_bytes_are_row_major_and_little_endian():
    tensor = encode(np.array([[1, 2], [3, 4]], np.float32).T, FLOAT16)
    assert tensor.data == bytes.fromhex("003c 0042 0040 0044")
    assert list(tensor.shape) == [2, 2]


def test_a_big_endian_array_means_the_same_numbers():
    array = latents()
    assert encode(array.astype(">f4"), FLOAT32) == encode(array, FLOAT32)


def test_the_result_is_a_writable_copy():
    tensor = encode(latents(), FLOAT32)
    before = tensor.data
    read(tensor)[...] = 0
    assert tensor.data == before


def test_a_number_too_large_for_float16_is_refused():
    with pytest.raises(WireError, match="outside the range of float16"):
        encode(np.array([70000], np.float32), FLOAT16)


@pytest.mark.parametrize("tensor_type", [0, 3, 99])
def test_a_type_outside_the_whitelist_is_refused_both_ways(tensor_type):
    with pytest.raises(WireError, match="is not supported"):
        encode(latents(), tensor_type)
    with pytest.raises(WireError, match="is not supported"):
        read(encode(latents(), FLOAT32), tensor_type)


def test_the_whitelist_is_every_type_of_the_wire_but_unspecified():
    assert set(DTYPES) == set(tensor_pb2.TensorType.values()) - {0}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": FLOAT16}, "tensor type 1 where 2 is expected"),
        ({"type": 0}, "tensor type 0 where 2 is expected"),
        ({"type": 77}, "tensor type 77 where 2 is expected"),
        ({"shape": [2, 3, 4]}, "shape 2x3x4 where 2x3x4x5 is expected"),
        ({"shape": [2, 3, 5, 4]}, "shape 2x3x5x4 where"),
        ({"shape": [2, 3, 4, 5, 1]}, "shape 2x3x4x5x1 where"),
        ({"shape": []}, "shape scalar where"),
        ({"shape": [2**32 - 1] * 100}, "where 2x3x4x5 is expected"),
        ({"data": b""}, "0 bytes where its shape needs 480"),
        ({"data": bytes(479)}, "479 bytes where"),
        ({"data": bytes(481)}, "481 bytes where"),
    ],
)
def test_a_tensor_that_differs_from_what_is_expected_is_refused(change, words):
    whole = {"type": FLOAT32, "shape": SHAPE, "data": bytes(480)}
    assert read(Tensor(**whole)).shape == SHAPE
    with pytest.raises(WireError, match=words) as caught:
        read(Tensor(**whole | change))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_found_anywhere(bad):
    array = latents()
    require_finite(array, "latents")
    array[1, 2, 3, 4] = bad
    with pytest.raises(WireError, match="latents hold numbers that are not finite"):
        require_finite(array, "latents")
