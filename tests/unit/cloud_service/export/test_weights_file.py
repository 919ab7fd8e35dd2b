"""Offsets and values against safetensors' own writer and reader."""

import json

import numpy as np
import pytest

from cloud_service.export.errors import ExportFailed
from cloud_service.export.weights_file import WeightsFile, read_layout

safetensors = pytest.importorskip(
    "safetensors.numpy", reason="safetensors is not installed (extra: export)"
)

RANDOM = np.random.default_rng(0)


def floats(*shape, dtype=np.float16):
    return RANDOM.standard_normal(shape).astype(dtype)


@pytest.fixture
def tensors():
    return {
        "conv.weight": floats(8, 3, 3, 3),
        "conv.bias": floats(7),
        "single": floats(5, 3, dtype=np.float32),
        "ids": np.arange(6),
    }


@pytest.fixture
def path(tensors, tmp_path):
    path = tmp_path / "model.fp16.safetensors"
    safetensors.save_file(tensors, path, metadata={"format": "pt"})
    return path


def test_the_bytes_at_each_offset_are_the_tensors(path):
    content = path.read_bytes()
    layout = {tensor.name: tensor for tensor in read_layout(path)}
    wanted = {name: t for name, t in safetensors.load_file(path).items() if t.dtype.kind == "f"}
    assert layout.keys() == wanted.keys()
    for name, place in layout.items():
        assert content[place.offset : place.offset + place.length] == wanted[name].tobytes()
        assert place.dtype == wanted[name].dtype


@pytest.mark.parametrize("name", ["conv.weight", "conv.bias", "single"])
def test_a_tensor_is_found_by_its_values_in_any_shape(path, tensors, name):
    weights, values = WeightsFile(path), tensors[name].astype(np.float32)
    assert weights.find(values).name == name
    assert weights.find(values.reshape(-1, 1)).name == name


def test_a_tensor_is_found_through_a_transposed_view_only_where_the_order_is_equal(path, tensors):
    weights, values = WeightsFile(path), tensors["single"]
    assert weights.find(values.T) is None
    assert weights.find(values.T.copy().T).name == "single"


def test_the_smallest_difference_is_another_tensor(path, tensors):
    values = tensors["conv.bias"].astype(np.float32)
    values[3] = np.nextafter(values[3], np.float32(9))
    assert WeightsFile(path).find(values) is None


def with_header(header, data=b"\x00" * 8):
    raw = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(raw).to_bytes(8, "little") + raw + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 64,
        (1 << 40).to_bytes(8, "little") + b"{}",
        with_header(b"{nothing"),
        with_header([1]),
        with_header({"a": {"dtype": "F16", "shape": [2]}}),
        with_header({"a": {"dtype": "F16", "shape": [8], "data_offsets": [0, 16]}}),
    ],
    ids=["empty", "noise", "long header", "no JSON", "a list", "no offsets", "cut off"],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(ExportFailed) as caught:
        WeightsFile(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert "save the pipeline again" in str(caught.value)


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(ExportFailed, match=r"absent\.safetensors"):
        WeightsFile(tmp_path / "absent.safetensors")
