from pathlib import Path

import pytest

from device_client.private_side.graph import Graph
from obclip.errors import InvalidBundle
from tests.fakes.tiny_bundle import TinyBundle


def test_a_missing_graph_names_its_path(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"absent\.onnx"):
        Graph(tmp_path / "absent.onnx", frozenset({"latents"}), 1)


def test_a_damaged_graph_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(InvalidBundle) as caught:
        Graph(path, frozenset({"latents"}), 1)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_graph_with_other_inputs_is_refused(tiny_bundle: TinyBundle) -> None:
    path = tiny_bundle.folder / "vae" / "decoder.onnx"
    with pytest.raises(InvalidBundle, match="input_ids"):
        Graph(path, frozenset({"input_ids"}), 1)
