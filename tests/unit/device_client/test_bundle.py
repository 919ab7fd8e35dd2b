import shutil
from pathlib import Path

import pytest

from device_client.bundle import embedded_folder, open_bundle
from obclip.card import DEVICE_PARTS, FOLDERS
from obclip.errors import InvalidBundle, ModelMismatch
from tests.fakes.tiny_bundle import TinyBundle


@pytest.fixture
def folder(tiny_bundle: TinyBundle, tmp_path: Path) -> Path:
    copy = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, copy)
    return copy


def test_the_device_needs_no_cloud_unet(folder: Path) -> None:
    shutil.rmtree(folder / "unet")
    assert open_bundle(folder).card.models.family == "tiny"


@pytest.mark.parametrize("part", DEVICE_PARTS)
def test_a_changed_part_is_refused(folder: Path, part: str) -> None:
    (folder / FOLDERS[part] / "extra.json").write_text("{}")
    with pytest.raises(ModelMismatch, match=FOLDERS[part]):
        open_bundle(folder)


@pytest.mark.parametrize("part", DEVICE_PARTS)
def test_a_missing_part_is_named(folder: Path, part: str) -> None:
    shutil.rmtree(folder / FOLDERS[part])
    with pytest.raises(InvalidBundle, match=FOLDERS[part]):
        open_bundle(folder)


def test_a_folder_without_a_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"card\.json"):
        open_bundle(tmp_path)


def test_the_embedded_family_lies_in_the_package() -> None:
    assert embedded_folder().parts[-2:] == ("demo_models", "weights")
