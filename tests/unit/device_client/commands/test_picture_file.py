import os
from pathlib import Path

import pytest
from PIL import Image

from device_client.commands.picture_file import PictureFile, choose_files
from obclip.errors import InvalidRequest

PICTURE = Image.new("RGB", (4, 4))


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "taken.png"
    taken.mkdir()
    with pytest.raises(InvalidRequest, match=r"^sheet: .*taken\.png"):
        PictureFile("sheet", taken, overwrite=True).write(PICTURE)
    assert os.listdir(tmp_path) == ["taken.png"]
    assert list(taken.iterdir()) == []


def test_it_replaces_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"before")
    assert PictureFile("out", path, overwrite=True).write(PICTURE) == path
    with Image.open(path) as image:
        assert image.size == (4, 4)
    assert os.listdir(tmp_path) == ["picture.png"]


def test_a_file_that_came_meanwhile_is_kept_and_so_is_the_picture(tmp_path: Path) -> None:
    chosen, _ = choose_files(tmp_path / "picture.png", None, overwrite=False)
    for name in ("picture.png", "picture-2.png"):
        (tmp_path / name).write_bytes(b"another's")
    assert chosen.write(PICTURE) == tmp_path / "picture-3.png"
    assert (tmp_path / "picture.png").read_bytes() == b"another's"
    assert (tmp_path / "picture-2.png").read_bytes() == b"another's"
    assert sorted(os.listdir(tmp_path)) == ["picture-2.png", "picture-3.png", "picture.png"]


@pytest.mark.parametrize("name", ["folder.png", "x" * 300 + ".png"])
def test_what_can_be_no_file_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InvalidRequest, match="cannot be a file; choose another name"):
        choose_files(tmp_path / name, None, overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_picture_and_sheet_are_two_files(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "folder").mkdir()
    other = tmp_path / "folder" / ".." / "picture.png"
    with pytest.raises(InvalidRequest, match="sheet"):
        choose_files(tmp_path / "picture.png", other, overwrite=overwrite)
