"""The calls that hand out the device's part of the bundle: read-only, range by range."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from cloud_service.servicer import log_failure
from obclip.errors import (
    InvalidBundle,
    InvalidRequest,
    ModelMismatch,
    QueueFull,
    WireError,
    to_status,
)
from obclip.manifest import MAX_RANGE_BYTES, BundleFile, Manifest
from obclip.v1 import bundle_pb2, service_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

MAX_CALLS = 32  # at a time; generations keep their places

_log = logging.getLogger(__name__)


class BundleServicer(service_pb2_grpc.BundleServiceServicer):
    """Serves the manifest of one bundle and ranges of the files that it names.

    A path is only ever looked up in the manifest, which was made from the folder at the start: what
    a caller writes is never a path on the disk. It answers the same to every caller.

    A call keeps its place until its answer has left, so that readers who are slow or stand still
    cannot fill the memory with answers; how long they may is the server's `connection_age_s`.

    Args:
        manifest: of a whole bundle, or None to offer nothing.
        bundle: its folder.
    """

    def __init__(self, manifest: Manifest | None, bundle: Path) -> None:
        self._manifest = manifest
        self._bundle = bundle
        self._taken = 0

    async def GetBundleManifest(  # noqa: N802 -- gRPC's names
        self, request: bundle_pb2.GetBundleManifestRequest, context: Context
    ) -> bundle_pb2.GetBundleManifestResponse:
        """Answers with the card and the list of files."""
        async with self._answered(context):
            return self._pinned(request.card_digest).to_proto()

    async def ReadBundleFile(  # noqa: N802 -- gRPC's names
        self, request: bundle_pb2.ReadBundleFileRequest, context: Context
    ) -> bundle_pb2.ReadBundleFileResponse:
        """Answers with one range of one file."""
        async with self._answered(context):
            files = {file.path: file for file in self._pinned(request.card_digest).files}
            file = files.get(request.path)
            if file is None:
                raise InvalidRequest("path", "is not in the manifest", "take one of its paths")
            _require_range(file, request.offset, request.length)
            path = self._bundle / file.path
            data = await asyncio.to_thread(_read, path, request.offset, request.length)
            return bundle_pb2.ReadBundleFileResponse(data=data)

    def _pinned(self, digest: str) -> Manifest:
        """The manifest, if it is the one that the caller means."""
        manifest = self._manifest
        if manifest is None:
            raise InvalidRequest("bundle", "is not offered here", "ask the operator for a copy")
        if digest != manifest.pin:
            raise ModelMismatch("card", ours=manifest.pin, theirs=_shown(digest))
        return manifest

    @contextlib.asynccontextmanager
    async def _answered(self, context: Context) -> AsyncIterator[None]:
        """Takes one of the places, and turns any error into the status that the table names."""
        try:
            self._take_place(context)
            yield
        except Exception as error:
            status, words = to_status(error)
            log_failure(status, error)
            await context.abort(status, words)

    def _take_place(self, context: Context) -> None:
        if self._taken >= MAX_CALLS:
            raise QueueFull
        self._taken += 1
        # Called when the answer has left, or never will.
        context.add_done_callback(self._free_place)  # type: ignore[arg-type]  # typed as a class

    def _free_place(self, context: Context) -> None:
        del context
        self._taken -= 1


def add_bundle_service(server: grpc.aio.Server, bundle: Path) -> None:
    """Adds the service to a server that has not started; offers nothing of an incomplete bundle.

    Args:
        server: the gRPC server.
        bundle: the bundle's folder; its device parts are read once for their digests.
    """
    servicer = BundleServicer(_whole(bundle), bundle)
    service_pb2_grpc.add_BundleServiceServicer_to_server(  # type: ignore[no-untyped-call]
        servicer, server
    )  # generated without types


def _whole(bundle: Path) -> Manifest | None:
    try:
        manifest = Manifest.of_folder(bundle)
        manifest.require(manifest.pin)
    except (InvalidBundle, ModelMismatch) as error:
        _log.warning("devices cannot pull this bundle: %s", error)
        return None
    return manifest


def _require_range(file: BundleFile, offset: int, length: int) -> None:
    if not 1 <= length <= MAX_RANGE_BYTES:
        raise InvalidRequest(
            "length", f"is outside 1..{MAX_RANGE_BYTES}", f"ask for at most {MAX_RANGE_BYTES} bytes"
        )
    if offset + length > file.size_bytes:
        raise InvalidRequest("offset", "the range ends after the file", "ask for less")


def _read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        data = os.pread(file.fileno(), length, offset)
    if len(data) != length:
        raise WireError("a file of the bundle has changed since the start")
    return data


def _shown(digest: str) -> str:
    """A digest of a stranger: enough to compare, and safe in an error's words."""
    return "".join(c for c in digest[:64] if c in "0123456789abcdef") or "none"
