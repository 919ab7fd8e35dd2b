"""What a stranger can read of the bundle's folder through a real orchestrator."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from cloud_service.bundle_service import MAX_CALLS, BundleServicer
from cloud_service.server import build_server
from cloud_service.service import RunningService
from obclip.card import ServiceCard
from obclip.errors import ModelMismatch, ObclipError, QueueFull, from_status
from obclip.manifest import MAX_RANGE_BYTES, BundleFile, Manifest
from obclip.v1 import bundle_pb2, service_pb2_grpc
from tests.conftest import StartService
from tests.fakes.http2_reader import WINDOW_BYTES, connected
from tests.fakes.tiny_bundle import TinyBundle

DECODER = "vae/decoder.onnx"


@pytest.fixture(scope="module")
def manifest(bundle: TinyBundle) -> Manifest:
    return Manifest.of_folder(bundle.folder)


def _stub(channel: grpc.aio.Channel) -> Any:
    return service_pb2_grpc.BundleServiceStub(channel)


async def _manifest(channel: grpc.aio.Channel, digest: str) -> Manifest:
    request = bundle_pb2.GetBundleManifestRequest(card_digest=digest)
    return Manifest.from_proto(await _stub(channel).GetBundleManifest(request, timeout=10))


async def _read(channel: grpc.aio.Channel, **fields: Any) -> bytes:
    request = bundle_pb2.ReadBundleFileRequest(**fields)
    return bytes((await _stub(channel).ReadBundleFile(request, timeout=10)).data)


async def test_offers_the_devices_part(channel: grpc.aio.Channel, manifest: Manifest) -> None:
    offered = await _manifest(channel, manifest.pin)
    assert offered == manifest
    assert not [file.path for file in offered.files if file.path.startswith("unet/")]


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (0, 50), (7, 50), (49, 1)])
async def test_reads_any_range(
    channel: grpc.aio.Channel, manifest: Manifest, bundle: TinyBundle, offset: int, length: int
) -> None:
    data = await _read(
        channel, card_digest=manifest.pin, path=DECODER, offset=offset, length=length
    )
    assert data == (bundle.folder / DECODER).read_bytes()[offset : offset + length]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "card.json",
        "unet/model.onnx",
        "../bundle/vae/decoder.onnx",
        "vae/../unet/model.onnx",
        "/etc/passwd",
        "vae",
        "vae/decoder.onnx\0",
        "vae/./decoder.onnx",
        "VAE/DECODER.ONNX",
    ],
)
async def test_reads_nothing_that_the_manifest_does_not_name(
    channel: grpc.aio.Channel, manifest: Manifest, path: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _read(channel, card_digest=manifest.pin, path=path, length=1)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "path: is not in the manifest; take one of its paths"


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 0), (0, MAX_RANGE_BYTES + 1), (2**64 - 1, 1), (0, MAX_RANGE_BYTES), (10**6, 1)],
)
async def test_refuses_a_range_outside_the_file_or_the_limit(
    channel: grpc.aio.Channel, manifest: Manifest, offset: int, length: int
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _read(channel, card_digest=manifest.pin, path=DECODER, offset=offset, length=length)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("digest", ["", "0" * 64, "Zz'\n{}", "f" * 10_000])
async def test_another_digest_is_refused_everywhere(
    channel: grpc.aio.Channel, manifest: Manifest, digest: str
) -> None:
    calls = (
        _manifest(channel, digest),
        _read(channel, card_digest=digest, path=DECODER, length=1),
    )
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        error = from_status(caught.value.code(), caught.value.details(), "here")
        assert isinstance(error, ModelMismatch)
        assert error.theirs == manifest.pin[:16]


async def test_a_file_that_changed_since_the_start_is_not_read(
    start_service: StartService, bundle: TinyBundle, manifest: Manifest, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    async with (
        start_service(bundle=folder) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        (folder / DECODER).write_bytes(b"short")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _read(channel, card_digest=manifest.pin, path=DECODER, length=50)
        assert caught.value.code() is grpc.StatusCode.DATA_LOSS
        (folder / DECODER).unlink()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _read(channel, card_digest=manifest.pin, path=DECODER, length=50)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert str(tmp_path) not in str(caught.value.details())


@pytest.mark.parametrize("damage", ["vae/decoder.onnx", "device_unet/extra.json"])
async def test_a_bundle_that_is_not_whole_is_served_but_not_offered(
    start_service: StartService,
    bundle: TinyBundle,
    manifest: Manifest,
    tmp_path: Path,
    damage: str,
) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    (folder / damage).write_text("{}")
    async with (
        start_service(bundle=folder) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _manifest(channel, manifest.pin)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "is not offered here" in str(caught.value.details())


async def test_a_flood_of_calls_is_bounded(service: RunningService, manifest: Manifest) -> None:
    """Every call is answered, with its bytes or with the word that the queue is full."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        calls = [
            _read(channel, card_digest=manifest.pin, path=DECODER, length=50) for _ in range(60)
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    read = [answer for answer in answers if isinstance(answer, bytes)]
    refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert len(read) + len(refused) == 60
    assert len(read) >= 32
    errors = {type(from_status(e.code(), e.details(), "")) for e in refused}
    assert errors <= {QueueFull}


LARGE = BundleFile("vae/large.bin", "0" * 64, MAX_RANGE_BYTES)
PATH = "/obclip.v1.BundleService/ReadBundleFile"


@asynccontextmanager
async def _serving_large_file(
    folder: Path, card: ServiceCard, connection_age_s: float
) -> AsyncIterator[tuple[str, bundle_pb2.ReadBundleFileRequest]]:
    """The address of a server with one large file, and the request for all of it."""
    (folder / "vae").mkdir()
    (folder / LARGE.path).write_bytes(bytes(LARGE.size_bytes))
    manifest = Manifest(b"{}", (LARGE,))
    server = build_server(card, 1, connection_age_s)
    service_pb2_grpc.add_BundleServiceServicer_to_server(  # type: ignore[no-untyped-call]
        BundleServicer(manifest, folder), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    request = bundle_pb2.ReadBundleFileRequest(
        card_digest=manifest.pin, path=LARGE.path, length=LARGE.size_bytes
    )
    try:
        yield f"127.0.0.1:{port}", request
    finally:
        await server.stop(None)


async def test_readers_who_stand_still_keep_their_places_until_their_connection_is_closed(
    card: ServiceCard, tmp_path: Path
) -> None:
    short = replace(card, limits=replace(card.limits, request_timeout_s=1))
    async with (
        _serving_large_file(tmp_path, short, connection_age_s=3) as (address, request),
        connected(address) as caller,
    ):
        for _ in range(MAX_CALLS):
            caller.call(PATH, request.SerializeToString())
        sent = caller.data()
        assert len(await anext(sent)) > 0
        assert await _error(address, request) is QueueFull
        async with asyncio.timeout(20):
            _rest = [part async for part in sent]
            while await _error(address, request):  # as young as it may be, a connection ages
                pass


async def _error(
    address: str, request: bundle_pb2.ReadBundleFileRequest
) -> type[ObclipError] | None:
    """What a new connection gets; None is the whole file."""
    own = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, own) as channel:
        call = _stub(channel).ReadBundleFile(request, timeout=10)
        code, words = await call.code(), await call.details()
        if code is not grpc.StatusCode.OK:
            return type(from_status(code, words, ""))
        assert len((await call).data) == LARGE.size_bytes
        return None


async def test_a_slow_reader_is_served(card: ServiceCard, tmp_path: Path) -> None:
    async with (
        _serving_large_file(tmp_path, card, connection_age_s=600) as (address, request),
        connected(address) as caller,
    ):
        stream = caller.call(PATH, request.SerializeToString())
        received, granted = 0, WINDOW_BYTES
        async with asyncio.timeout(20):
            async for part in caller.data():
                received += len(part)
                if received >= LARGE.size_bytes:
                    break
                if received == granted:  # it stands still until it may go on
                    caller.widen(stream, WINDOW_BYTES)
                    granted += WINDOW_BYTES
        assert granted > 10 * WINDOW_BYTES
