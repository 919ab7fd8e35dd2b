import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from obclip.errors import InvalidBundle, ModelMismatch, WireError
from obclip.manifest import MAX_FILES, BundleFile, Manifest
from obclip.v1 import bundle_pb2
from tests.fakes.tiny_bundle import TinyBundle

ZEROS = "0" * 64


@pytest.fixture(scope="module")
def manifest(bundle: TinyBundle) -> Manifest:
    return Manifest.of_folder(bundle.folder)


def test_it_names_every_file_of_the_device_and_none_of_the_clouds(
    manifest: Manifest, bundle: TinyBundle
) -> None:
    files = [path for path in bundle.folder.rglob("*") if path.is_file()]
    names = {path.relative_to(bundle.folder).as_posix() for path in files}
    cloud = {name for name in names if name.startswith("unet/")}
    assert cloud
    assert {file.path for file in manifest.files} == names - cloud - {"card.json"}


def test_the_wire_gives_it_back(manifest: Manifest) -> None:
    message = manifest.to_proto()
    again = bundle_pb2.GetBundleManifestResponse.FromString(message.SerializeToString())
    assert Manifest.from_proto(again) == manifest


def test_the_pin_is_what_sha256sum_says(manifest: Manifest, bundle: TinyBundle) -> None:
    assert manifest.pin == sha256((bundle.folder / "card.json").read_bytes()).hexdigest()
    assert manifest.require(manifest.pin) == bundle.card


def test_another_pin_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ModelMismatch, match=r"card\.json: "):
        manifest.require(ZEROS)


@pytest.mark.parametrize("folder", ["device_unet", "text_encoder", "tokenizer", "vae"])
def test_a_digest_that_the_card_does_not_cover_is_refused(manifest: Manifest, folder: str) -> None:
    files = [
        replace(file, sha256=ZEROS) if file.path.startswith(folder) else file
        for file in manifest.files
    ]
    with pytest.raises(ModelMismatch, match=f"folder {folder}"):
        replace(manifest, files=tuple(files)).require(manifest.pin)


def test_a_file_more_or_less_is_refused(manifest: Manifest) -> None:
    more = BundleFile("vae/zzz.json", ZEROS, 1)
    for files in (manifest.files[1:], (*manifest.files, more)):
        with pytest.raises(ModelMismatch, match="folder"):
            replace(manifest, files=files).require(manifest.pin)


@pytest.mark.parametrize("path", ["unet/model.onnx", "other/model.onnx"])
def test_a_file_of_no_part_is_refused(manifest: Manifest, path: str) -> None:
    files = sorted([*manifest.files, BundleFile(path, ZEROS, 1)], key=lambda file: file.path)
    with pytest.raises(InvalidBundle, match=f"{path}: is in no part"):
        replace(manifest, files=tuple(files)).require(manifest.pin)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "model.onnx",
        "/etc/passwd",
        "vae/../../x.json",
        "vae/./x.json",
        "vae//x.json",
        "vae/.hidden.json",
        "vae\\x.json",
        "vae/x\n.json",
        "vae/x.json\n",
        "vae/x.json ",
        "vae/x\0.json",
        "vae/\N{CYRILLIC SMALL LETTER A}.json",
        "C:/x/y.json",
        "vae/" + "x" * 200,
        "vae" + "/x" * 8,
    ],
)
def test_a_path_that_is_no_plain_name_is_refused(path: str) -> None:
    message = bundle_pb2.GetBundleManifestResponse(
        card=b"{}", files=[bundle_pb2.BundleFile(path=path, sha256=ZEROS, size_bytes=1)]
    )
    with pytest.raises(WireError, match="a path is not one that lies in a bundle"):
        Manifest.from_proto(message)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"card_json": b" " * (2**20 + 1)}, "over 1 MiB"),
        ({"files": ()}, "no file"),
        ({"files": tuple(BundleFile(f"vae/{n:03}", ZEROS, 1) for n in range(257))}, "over 256"),
        ({"files": (BundleFile("vae/b", ZEROS, 1), BundleFile("vae/a", ZEROS, 1))}, "order"),
        ({"files": (BundleFile("vae/a", ZEROS, 1),) * 2}, "twice"),
    ],
)
def test_what_exceeds_the_contract_is_refused(
    manifest: Manifest, change: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        replace(manifest, **change)  # type: ignore[arg-type]


def test_a_flood_of_files_is_not_unpacked(manifest: Manifest) -> None:
    message = manifest.to_proto()
    message.files.extend([message.files[0]] * MAX_FILES)
    with pytest.raises(WireError, match="over 256"):
        Manifest.from_proto(message)


@pytest.mark.parametrize("size", [1 << 63, (1 << 62) + 1])
def test_an_absurd_size_is_refused(size: int) -> None:
    message = bundle_pb2.GetBundleManifestResponse(
        files=[bundle_pb2.BundleFile(path="vae/a", sha256=ZEROS, size_bytes=size)]
    )
    with pytest.raises(WireError, match="size"):
        Manifest.from_proto(message)


def test_a_folder_with_an_odd_name_gives_none(bundle: TinyBundle, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle.folder, tmp_path / "bundle")
    (folder / "vae" / "two words.json").write_text("{}")
    with pytest.raises(InvalidBundle, match="a path is not one"):
        Manifest.of_folder(folder)


def test_a_folder_without_a_card_gives_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle):
        Manifest.of_folder(tmp_path)
