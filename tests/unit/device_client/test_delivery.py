"""Deliveries from honest and hostile servers over real gRPC, and from folders."""

import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest

from device_client.bundle import open_bundle
from device_client.delivery import Delivered, Delivery, FolderSource
from device_client.public_side.transport import Endpoint, Transport
from obclip.card import digest_bundle
from obclip.errors import (
    DeadlineExceeded,
    InvalidBundle,
    InvalidRequest,
    ModelMismatch,
    ObclipError,
    ServiceFailed,
    WireError,
)
from obclip.manifest import MAX_MESSAGE_BYTES, MAX_RANGE_BYTES, Manifest
from tests.fakes.bundle_server import BundleServer, ReadRequest, bundle_server
from tests.fakes.tiny_bundle import TinyBundle

MIB = 2**20
VICTIM = "device_unet/model.onnx"


@pytest.fixture
def manifest(tiny_bundle: TinyBundle) -> Manifest:
    return Manifest.of_folder(tiny_bundle.folder)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models"


def _pull(
    server: BundleServer, pin: str, target: Path, *, max_bytes: int = 64 * MIB, wait_s: float = 20
) -> Delivered:
    endpoint = Endpoint(server.address, timeout_s=wait_s)
    with Transport(endpoint, MAX_MESSAGE_BYTES) as transport:
        return Delivery(transport, pin, target, max_bytes).run()


def _require_unusable(target: Path) -> None:
    """Neither the target nor what lies beside it opens as a bundle."""
    assert not target.exists()
    for leftover in target.parent.iterdir():
        with pytest.raises(ObclipError):
            open_bundle(leftover)


def test_a_service_delivers_the_whole(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    with bundle_server(tiny_bundle.folder) as server:
        result = _pull(server, manifest.pin, target)
    assert open_bundle(target).card == tiny_bundle.card
    assert Manifest.of_folder(target) == manifest
    assert result.fetched_bytes == result.size_bytes == manifest.size_bytes
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_large_file_comes_in_ranges(tiny_bundle: TinyBundle, target: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle.folder, target.with_name("large")))
    size = 2 * MAX_RANGE_BYTES + 5
    (folder / "vae" / "large.txt").write_bytes(bytes(size))
    card = replace(tiny_bundle.card, models=digest_bundle(folder, "tiny"))
    (folder / "card.json").write_text(card.to_json())
    seen: list[tuple[str, int, int]] = []
    with (
        bundle_server(folder) as server,
        Transport(Endpoint(server.address), MAX_MESSAGE_BYTES) as transport,
    ):
        manifest = Manifest.of_folder(folder)
        Delivery(transport, manifest.pin, target, 64 * MIB, lambda *told: seen.append(told)).run()
    ranges = [(offset, length) for path, offset, length in server.ranges if "large" in path]
    assert ranges == [(0, MAX_RANGE_BYTES), (MAX_RANGE_BYTES, MAX_RANGE_BYTES), (size - 5, 5)]
    assert seen[-1][1:] == (manifest.size_bytes, manifest.size_bytes)
    assert (target / "vae" / "large.txt").stat().st_size == size


def _longer(_request: ReadRequest, data: bytes) -> Iterator[bytes]:
    yield data + b"\0"


def _shorter(_request: ReadRequest, data: bytes) -> Iterator[bytes]:
    yield data[:-1]


def _empty(_request: ReadRequest, _data: bytes) -> Iterator[bytes]:
    yield b""


def _huge(_request: ReadRequest, _data: bytes) -> Iterator[bytes]:
    yield bytes(2 * MAX_MESSAGE_BYTES)


def _endless(_request: ReadRequest, data: bytes) -> Iterator[bytes]:
    yield from repeat(data)


def _nothing(_request: ReadRequest, _data: bytes) -> Iterator[bytes]:
    yield from ()


def _broken(_request: ReadRequest, _data: bytes) -> Iterator[bytes]:
    raise RuntimeError("xyzzycanary")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_longer, WireError),
        (_shorter, WireError),
        (_empty, WireError),
        (_huge, WireError),
        (_endless, DeadlineExceeded),
        (_nothing, WireError),
        (_broken, ServiceFailed),
    ],
)
def test_a_range_of_the_wrong_size_is_refused(
    tiny_bundle: TinyBundle,
    manifest: Manifest,
    target: Path,
    answer: Callable[[ReadRequest, bytes], Iterator[bytes]],
    error: type[ObclipError],
) -> None:
    with bundle_server(tiny_bundle.folder, answer=answer) as server, pytest.raises(error) as caught:
        _pull(server, manifest.pin, target, wait_s=1 if answer is _endless else 20)
    assert len(server.ranges) == 1  # no retries
    assert "xyzzycanary" not in str(caught.value)
    _require_unusable(target)


def test_damage_is_named_and_the_rest_kept(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    def damage(request: ReadRequest, data: bytes) -> Iterator[bytes]:
        yield data if request.path != VICTIM else data[:-1] + bytes([data[-1] ^ 1])

    with (
        bundle_server(tiny_bundle.folder, answer=damage) as server,
        pytest.raises(ModelMismatch, match=f"file {VICTIM}: .* here, .* expected"),
    ):
        _pull(server, manifest.pin, target)
    _require_unusable(target)
    with bundle_server(tiny_bundle.folder) as server:
        _pull(server, manifest.pin, target)
    before = {file.path for file in manifest.files if file.path < VICTIM}
    assert before.isdisjoint(path for path, _, _ in server.ranges)
    assert VICTIM in {path for path, _, _ in server.ranges}


@pytest.mark.parametrize("declared", [-1, +1, 5 * MIB])
def test_a_wrong_size_in_the_manifest_is_found(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path, declared: int
) -> None:
    files = [
        replace(file, size_bytes=file.size_bytes + declared) if file.path == VICTIM else file
        for file in manifest.files
    ]
    lie = replace(manifest, files=tuple(files)).to_proto()

    def fill(request: ReadRequest, data: bytes) -> Iterator[bytes]:
        yield data.ljust(request.length, b"\0")

    with (
        bundle_server(tiny_bundle.folder, lie, fill) as server,
        pytest.raises(ModelMismatch, match=f"file {VICTIM}"),
    ):
        _pull(server, manifest.pin, target)
    _require_unusable(target)


def test_more_than_allowed_is_refused_before_any_byte(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    with (
        bundle_server(tiny_bundle.folder) as server,
        pytest.raises(InvalidRequest, match=r"max_size: is 0\.0 MiB"),
    ):
        _pull(server, manifest.pin, target, max_bytes=1000)
    assert server.ranges == []
    assert list(target.parent.iterdir()) == []


def test_more_than_the_disk_holds_is_refused_before_any_byte(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    files = [replace(manifest.files[0], size_bytes=1 << 60), *manifest.files[1:]]
    lie = replace(manifest, files=tuple(files)).to_proto()
    with (
        bundle_server(tiny_bundle.folder, lie) as server,
        pytest.raises(InvalidRequest, match=r"are free there where .* are needed"),
    ):
        _pull(server, manifest.pin, target, max_bytes=1 << 62)
    assert server.ranges == []
    _require_unusable(target)


def test_a_disk_that_fills_up_leaves_nothing_usable_and_the_pull_goes_on_later(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    source = FolderSource(tiny_bundle.folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(InvalidRequest, match=r"out: .*; make room there"):
            Delivery(source, manifest.pin, target, 64 * MIB).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _require_unusable(target)
    Delivery(source, manifest.pin, target, 64 * MIB).run()
    assert open_bundle(target).card == tiny_bundle.card


def test_a_target_that_no_rename_can_replace_is_refused_before_anything_is_fetched(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    target.symlink_to(empty)
    with pytest.raises(InvalidRequest, match="is a link or a mount point"):
        Delivery(FolderSource(tiny_bundle.folder), manifest.pin, target, 64 * MIB).run()
    assert list(empty.iterdir()) == []


def test_a_link_that_waits_in_the_place_of_the_staging_folder_is_not_followed(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target.with_name(f"{target.name}.{manifest.pin[:12]}.partial").symlink_to(elsewhere)
    with pytest.raises(InvalidRequest, match="out: "):
        Delivery(FolderSource(tiny_bundle.folder), manifest.pin, target, 64 * MIB).run()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    ["../escaped.json", "vae/../../escaped.json", "/tmp/escaped.json"],  # noqa: S108
)
def test_a_path_trick_writes_nothing(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path, path: str
) -> None:
    trick = manifest.to_proto()
    trick.files[0].path = path
    with (
        bundle_server(tiny_bundle.folder, trick) as server,
        pytest.raises(WireError, match="a path is not one that lies in a bundle"),
    ):
        _pull(server, manifest.pin, target)
    assert server.ranges == []
    assert list(target.parent.iterdir()) == []


def test_another_bundle_is_refused_by_its_card(
    tiny_bundle: TinyBundle, one_unet_bundle: TinyBundle, target: Path
) -> None:
    pin = Manifest.of_folder(one_unet_bundle.folder).pin
    with (
        bundle_server(tiny_bundle.folder) as server,
        pytest.raises(ModelMismatch, match=r"card\.json"),
    ):
        _pull(server, pin, target)
    assert server.ranges == []
    assert list(target.parent.iterdir()) == []


def test_it_goes_on_where_it_broke_off(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    staging = target.with_name(f"{target.name}.{manifest.pin[:12]}.partial")
    begun = staging / VICTIM
    begun.parent.mkdir(parents=True)
    whole = (tiny_bundle.folder / VICTIM).read_bytes()
    begun.write_bytes(whole[:100])
    with bundle_server(tiny_bundle.folder) as server:
        result = _pull(server, manifest.pin, target)
    assert (VICTIM, 100, len(whole) - 100) in server.ranges
    assert result.fetched_bytes == manifest.size_bytes - 100
    assert open_bundle(target).card == tiny_bundle.card


@pytest.mark.parametrize("leftover", [b"garbage", b"garbage" * 10_000])
def test_a_damaged_leftover_is_fetched_anew(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path, leftover: bytes
) -> None:
    staging = target.with_name(f"{target.name}.{manifest.pin[:12]}.partial")
    (staging / VICTIM).parent.mkdir(parents=True)
    (staging / VICTIM).write_bytes(leftover)
    with bundle_server(tiny_bundle.folder) as server:
        _pull(server, manifest.pin, target)
    assert open_bundle(target).card == tiny_bundle.card


def test_a_stray_file_among_the_leftovers_goes(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    staging = target.with_name(f"{target.name}.{manifest.pin[:12]}.partial")
    (staging / "vae").mkdir(parents=True)
    (staging / "vae" / "stray.json").write_text("{}")
    with bundle_server(tiny_bundle.folder) as server:
        _pull(server, manifest.pin, target)
    assert open_bundle(target).card == tiny_bundle.card
    assert not (target / "vae" / "stray.json").exists()


def test_two_at_once_do_not_mix(tiny_bundle: TinyBundle, manifest: Manifest, target: Path) -> None:
    second: list[ObclipError] = []
    source = FolderSource(tiny_bundle.folder)

    def interfere(*_told: object) -> None:
        if not second:
            with pytest.raises(InvalidRequest, match="is being filled already") as caught:
                Delivery(source, manifest.pin, target, 64 * MIB).run()
            second.append(caught.value)

    Delivery(source, manifest.pin, target, 64 * MIB, interfere).run()
    assert second
    assert open_bundle(target).card == tiny_bundle.card


def test_what_is_there_already_is_left_alone(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    source = FolderSource(tiny_bundle.folder)
    Delivery(source, manifest.pin, target, 64 * MIB).run()
    assert Delivery(source, manifest.pin, target, 64 * MIB).run().fetched_bytes == 0
    (target / VICTIM).write_bytes(b"damaged since")
    with pytest.raises(ModelMismatch, match="folder device_unet"):
        Delivery(source, manifest.pin, target, 64 * MIB).run()


def test_something_else_is_never_replaced(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match="is there already and is not this bundle"):
        Delivery(FolderSource(tiny_bundle.folder), manifest.pin, target, 64 * MIB).run()
    assert (target / "mine.txt").read_text() == "mine"


def test_a_folder_that_changes_meanwhile_is_found(
    tiny_bundle: TinyBundle, manifest: Manifest, target: Path
) -> None:
    folder = Path(shutil.copytree(tiny_bundle.folder, target.with_name("source")))
    delivery = Delivery(FolderSource(folder), manifest.pin, target, 64 * MIB)
    delivery.on_bytes = lambda *_: (folder / "vae" / "decoder.onnx").write_bytes(b"")
    with pytest.raises(InvalidBundle, match=r"vae/decoder\.onnx: became shorter"):
        delivery.run()
    assert not target.exists()


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, target: Path) -> None:
    with pytest.raises(InvalidBundle):
        Delivery(FolderSource(tmp_path / "absent"), "0" * 64, target, 64 * MIB).run()


def test_the_requests_say_nothing_but_the_bundle(
    tiny_bundle: TinyBundle, manifest: Manifest, tmp_path: Path
) -> None:
    with bundle_server(tiny_bundle.folder) as server:
        for name in ("one", "other"):
            _pull(server, manifest.pin, tmp_path / name)
    half = len(server.requests) // 2
    assert server.requests[:half] == server.requests[half:]
    assert [path for path, _, _ in server.ranges[: half - 1]] == [f.path for f in manifest.files]
