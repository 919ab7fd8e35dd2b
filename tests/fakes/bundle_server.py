"""A real gRPC server that hands out a bundle as a test wants it, honest or not."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from obclip.manifest import Manifest
from obclip.v1 import bundle_pb2

SERVICE = "obclip.v1.BundleService"

ReadRequest = bundle_pb2.ReadBundleFileRequest
# Gives the messages that the server sends for a range, given the honest bytes.
Answer = Callable[[ReadRequest, bytes], Iterator[bytes]]


def honest(_request: ReadRequest, data: bytes) -> Iterator[bytes]:
    """What the contract says."""
    yield data


@dataclass
class BundleServer:
    """The running server.

    Attributes:
        address: "127.0.0.1:port".
        requests: The bytes of all requests so far.
        ranges: Those for ranges, as (path, offset, length).
    """

    address: str = ""
    requests: list[bytes] = field(default_factory=list)
    ranges: list[tuple[str, int, int]] = field(default_factory=list)


@contextmanager
def bundle_server(
    folder: Path,
    manifest: bundle_pb2.GetBundleManifestResponse | None = None,
    answer: Answer = honest,
) -> Iterator[BundleServer]:
    """Runs the server on a free port of this machine.

    Args:
        folder: The bundle.
        manifest: What it says about the bundle; None is the truth.
        answer: What it sends for a range. Several messages are what no unary call expects.
    """
    service = BundleServer()
    message = Manifest.of_folder(folder).to_proto() if manifest is None else manifest
    server = grpc.server(ThreadPoolExecutor(max_workers=2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_handlers(service, folder, message, answer),))
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield service
    finally:
        server.stop(grace=0).wait(timeout=10)


def _handlers(
    service: BundleServer,
    folder: Path,
    manifest: bundle_pb2.GetBundleManifestResponse,
    answer: Answer,
) -> grpc.GenericRpcHandler:
    def get_manifest(request: bytes, _context: grpc.ServicerContext) -> bytes:
        service.requests.append(request)
        return bytes(manifest.SerializeToString())

    def read(raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        service.requests.append(raw)
        request = ReadRequest.FromString(raw)
        service.ranges.append((request.path, request.offset, request.length))
        with (folder / request.path).open("rb") as file:
            file.seek(request.offset)
            data = file.read(request.length)
        for part in answer(request, data):
            if not context.is_active():
                return
            yield bundle_pb2.ReadBundleFileResponse(data=part).SerializeToString()

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "GetBundleManifest": grpc.unary_unary_rpc_method_handler(get_manifest),
            "ReadBundleFile": grpc.unary_stream_rpc_method_handler(read),
        },
    )
