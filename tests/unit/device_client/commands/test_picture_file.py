import os
from pathlib import Path

import pytest
from PIL import Image

from device_client.commands.picture_file import write_picture
from obclip.errors import InvalidRequest


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "taken.png"
    taken.mkdir()
    with pytest.raises(InvalidRequest, match=r"taken\.png"):
        write_picture(Image.new("RGB", (4, 4)), taken)
    assert os.listdir(tmp_path) == ["taken.png"]
    assert list(taken.iterdir()) == []


def test_it_replaces_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"before")
    write_picture(Image.new("RGB", (4, 4)), path)
    with Image.open(path) as image:
        assert image.size == (4, 4)
    assert os.listdir(tmp_path) == ["picture.png"]
