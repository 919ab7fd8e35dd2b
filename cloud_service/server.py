"""The gRPC server: the contract, health and reflection, with every size bounded."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from cloud_service.health import SERVICE_NAME, Health
from cloud_service.onlookers import BoundedOnlookers
from cloud_service.request_reader import RequestReader
from cloud_service.servicer import ObclipServicer
from obclip.card import Limits, ServiceCard
from obclip.manifest import MAX_MESSAGE_BYTES
from obclip.v1 import service_pb2, service_pb2_grpc

HEALTH_SERVICE_NAME = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
BUNDLE_SERVICE_NAME = service_pb2.DESCRIPTOR.services_by_name["BundleService"].full_name
_OVERHEAD_BYTES = 1 << 14
_FRAMING_BYTES = 8  # of one repeated string
_CALLS_BESIDE_GENERATIONS = 64
_ONLOOKERS = 32
_IDENTITY_ONLY = 1
_CONNECTION_AGE_S = 300.0
_REQUEST_S = 20.0  # for the largest request over a slow line


def build_server(
    card: ServiceCard,
    max_running: int,
    connection_age_s: float = _CONNECTION_AGE_S,
    request_s: float = _REQUEST_S,
) -> grpc.aio.Server:
    """Makes the server; it neither listens nor serves anything yet.

    Args:
        card: with the limits.
        max_running: generations at a time.
        connection_age_s: seconds after which a connection takes no new calls; clients open another
            for these. One deadline of a request later it is closed. So a caller who reads nothing
            and yet is alive holds its answer for no longer than both.
        request_s: seconds for the one message of a call to come.
    """
    generations = 2 * (max_running + card.limits.max_queue)  # half of them send their answers
    return grpc.aio.server(
        interceptors=[BoundedOnlookers(_ONLOOKERS, "/obclip."), RequestReader(request_s)],
        options=[*_options(card), *_connection_bounds(card.limits, connection_age_s)],
        maximum_concurrent_rpcs=generations + _CALLS_BESIDE_GENERATIONS,
    )


def add_services(server: grpc.aio.Server, servicer: ObclipServicer, health_service: Health) -> None:
    """Adds the contract's service, health and reflection."""
    service_pb2_grpc.add_ObclipServiceServicer_to_server(  # type: ignore[no-untyped-call]
        servicer, server
    )  # generated without types
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    reflection.enable_server_reflection(
        (SERVICE_NAME, BUNDLE_SERVICE_NAME, HEALTH_SERVICE_NAME, reflection.SERVICE_NAME), server
    )


def _options(card: ServiceCard) -> list[tuple[str, int]]:
    batch_bytes = card.latents.batch_bytes(card.limits.max_candidates) + _OVERHEAD_BYTES
    return [
        ("grpc.max_receive_message_length", _max_request_bytes(card.limits)),
        ("grpc.max_send_message_length", max(batch_bytes, MAX_MESSAGE_BYTES)),
        # A second server on the same port would take half of the calls.
        ("grpc.so_reuseport", 0),
        # Compressed sizes tell about contents, and small messages could unfold to large ones.
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
        # A client that vanished is noticed within 40 s, and frees its place.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


def _connection_bounds(limits: Limits, age_s: float) -> list[tuple[str, int]]:
    return [
        ("grpc.max_connection_age_ms", int(1000 * age_s)),
        ("grpc.max_connection_age_grace_ms", 1000 * limits.request_timeout_s),
    ]


def _max_request_bytes(limits: Limits) -> int:
    prompts = limits.max_candidates + 1
    return prompts * (limits.max_prompt_bytes + _FRAMING_BYTES) + _OVERHEAD_BYTES
