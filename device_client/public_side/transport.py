"""The connection to the service. The only module of the device that opens a socket.

There are no retries: a request is sent once, and whatever goes wrong is told to the user. So no
answer of a service, however crafted, makes the device send anything more.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import grpc

from device_client.public_side.call_thread import CallThread
from device_client.public_side.response_stream import Answer, OnProgress, ResponseStream
from obclip.addresses import is_loopback
from obclip.card import LatentFormat, Limits, ServiceCard
from obclip.errors import InvalidRequest, WireError, from_status
from obclip.manifest import Manifest
from obclip.ranges import require_range
from obclip.v1 import bundle_pb2, generation_pb2, service_card_pb2, service_pb2_grpc

# A larger batch is refused by the connection before it is buffered.
MAX_CANDIDATES = 256
CARD_BYTES = 64 * 1024
_MAX_MESSAGE_BYTES = 2**31 - 1  # of gRPC's option; protobuf's messages are no larger
_SHORT_CALL_S = 60.0
_GRACE_S = 10.0


@dataclass(frozen=True)
class Tls:
    """Encrypts the connection.

    Attributes:
        root_certificates: PEM file of the authorities to trust; None trusts gRPC's own list.
    """

    root_certificates: Path | None = None


@dataclass(frozen=True)
class Endpoint:
    """Where the service is and how long to wait for it.

    Attributes:
        address: "host:port".
        tls: How to encrypt, or None for plain text.
        timeout_s: Deadline of each call, seconds, 0.1..86400. None is a minute, and for a
            generation what the service's card allows and a little more, so that its own word comes.

    Raises:
        InvalidRequest: The deadline is outside its range.
    """

    address: str
    tls: Tls | None = None
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        if self.timeout_s is not None:
            require_range("timeout_s", self.timeout_s, 0.1, 86_400)


class Transport:
    """A connection that is used by one call at a time."""

    def __init__(self, endpoint: Endpoint, max_message_bytes: int) -> None:
        """Prepares the connection; the first call opens it.

        Args:
            endpoint: Where to.
            max_message_bytes: A larger message is refused before it is buffered; see `batch_bytes`.

        Raises:
            InvalidRequest: The file of root certificates cannot be read.
        """
        self._endpoint = endpoint
        self._is_closed = False
        self._channel = _open_channel(endpoint, max_message_bytes)
        self._stub = service_pb2_grpc.ObclipServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        self._bundles = service_pb2_grpc.BundleServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated

    def service_card(self) -> ServiceCard:
        """Returns the service's card.

        Raises:
            ObclipError: The call failed, or the card is not one.
        """
        response = self._ask(self._stub.GetServiceCard, service_card_pb2.GetServiceCardRequest())
        return ServiceCard.from_proto(response.card)

    def bundle_manifest(self, pin: str) -> Manifest:
        """Returns the manifest of the service's bundle, not yet compared with the pin.

        Args:
            pin: SHA-256 of its card.

        Raises:
            ObclipError: The call failed, the service has another bundle, or this is no manifest.
        """
        request = bundle_pb2.GetBundleManifestRequest(card_digest=pin)
        return Manifest.from_proto(self._ask(self._bundles.GetBundleManifest, request))

    def bundle_range(self, pin: str, path: str, offset: int, length: int) -> bytes:
        """Returns the bytes offset..offset+length of one file of the service's bundle.

        Args:
            pin: SHA-256 of the bundle's card.
            path: Of the manifest.
            offset: First byte.
            length: 1..MAX_RANGE_BYTES of `obclip.manifest`.

        Raises:
            ObclipError: The call failed, or the service gave another number of bytes.
        """
        request = bundle_pb2.ReadBundleFileRequest(
            card_digest=pin, path=path, offset=offset, length=length
        )
        data: bytes = self._ask(self._bundles.ReadBundleFile, request).data
        if len(data) != length:
            raise WireError(f"{path}: {len(data)} bytes came where {length} were asked for")
        return data

    def generate(
        self, request: generation_pb2.GenerateRequest, limits: Limits, on_progress: OnProgress
    ) -> Answer:
        """Sends the request and reads the stream to its trailers.

        Args:
            request: Built by `build_request`.
            limits: Of the service's card.
            on_progress: Told about queue positions and cloud steps.

        Raises:
            ObclipError: The call failed or the stream broke the contract.
        """
        stream = ResponseStream(request.switch_point, on_progress)
        timeout_s = self._endpoint.timeout_s or limits.request_timeout_s + _GRACE_S
        with self._call(
            lambda: self._stub.Generate(request, timeout=timeout_s),
            lambda call: call,
        ) as responses:
            for response in responses:
                stream.take(response)
        return stream.finish()

    def close(self) -> None:
        """Closes the connection."""
        self._is_closed = True
        self._channel.close()

    def _ask(self, method: Any, request: Any) -> Any:
        """Returns the one response of a call."""
        with self._call(
            lambda: method.future(request, timeout=self._endpoint.timeout_s or _SHORT_CALL_S),
            lambda call: [call.result()],
        ) as responses:
            received = list(responses)
        if not received:  # a status of success and no message
            raise WireError("the service answered with nothing")
        return received[0]

    @contextmanager
    def _call(
        self, start: Callable[[], Any], read: Callable[[Any], Iterable[Any]]
    ) -> Iterator[Iterable[Any]]:
        if self._is_closed:
            raise InvalidRequest("connection", "is closed", "connect again")
        try:
            with CallThread(start, read) as responses:
                yield responses
        except grpc.RpcError as failure:
            raise from_status(failure.code(), failure.details(), self._endpoint.address) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def batch_bytes(latents: LatentFormat) -> int:
    """Returns the size of the largest batch that the device reads, in bytes."""
    size = replace(latents, wire_type="float32").batch_bytes(MAX_CANDIDATES) + CARD_BYTES
    return min(size, _MAX_MESSAGE_BYTES)


def _open_channel(endpoint: Endpoint, max_bytes: int) -> grpc.Channel:
    options = [
        ("grpc.max_receive_message_length", max_bytes),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.primary_user_agent", "obclip"),
    ]
    if is_loopback(endpoint.address):  # gRPC hands even these to a proxy of the environment
        options.append(("grpc.enable_http_proxy", 0))
    if endpoint.tls is None:
        return grpc.insecure_channel(endpoint.address, options)
    credentials = grpc.ssl_channel_credentials(_read_certificates(endpoint.tls))
    return grpc.secure_channel(endpoint.address, credentials, options)


def _read_certificates(tls: Tls) -> bytes | None:
    if tls.root_certificates is None:
        return None
    try:
        return tls.root_certificates.read_bytes()
    except OSError as failure:
        raise InvalidRequest(
            "tls", f"{tls.root_certificates} cannot be read", "pass a PEM file"
        ) from failure
