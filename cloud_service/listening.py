"""Where the orchestrator listens, and whether it may do so without TLS."""

import ssl
from pathlib import Path

import grpc

from cloud_service.settings import Settings
from cloud_service.startup_error import CannotStart
from obclip.addresses import is_loopback

_MAX_PORT = 65535
# Of a name with two addresses gRPC is content with one, and who else has the other is called too.
_LOCALHOST = "127.0.0.1"


def open_port(server: grpc.aio.Server, settings: Settings) -> str:
    """Binds the server to the address of the settings.

    Returns:
        host:port, with the port that was taken.

    Raises:
        CannotStart: the address is taken or no address, a certificate cannot be used, or the
            address is reachable from outside and neither TLS nor --insecure was chosen.
    """
    _require_port(settings.listen)
    credentials = _credentials(settings)
    if credentials is None and not settings.insecure and not is_loopback(settings.listen):
        raise CannotStart(
            f"{settings.listen} can be reached from outside and prompts would travel in plain text",
            "give --tls-cert and --tls-key, or --insecure behind a proxy that ends TLS",
        )
    host, _, wanted = settings.listen.rpartition(":")
    address = f"{_LOCALHOST if host == 'localhost' else host}:{wanted}"
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise CannotStart(
            f"cannot listen on {settings.listen}", "choose another --listen, or end what uses it"
        ) from error
    return f"{host}:{port}"


def _require_port(listen: str) -> None:
    port = listen.rpartition(":")[2] if ":" in listen else ""
    if not (port.isdecimal() and int(port) <= _MAX_PORT):
        raise CannotStart(
            f"{listen} names no port in 0..{_MAX_PORT}", "write --listen as 127.0.0.1:50051"
        )


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        raise CannotStart("TLS needs a certificate and a key", "give --tls-cert and --tls-key")
    pair = (_read(settings.tls_key), _read(settings.tls_cert))
    _require_pair(settings.tls_cert, settings.tls_key)
    return grpc.ssl_server_credentials([pair])


def _require_pair(certificate: Path, key: Path) -> None:
    """What cannot be used, gRPC takes here, and then it cannot listen."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")  # none, so that none is asked for
    except ssl.SSLError as error:
        raise CannotStart(
            f"{certificate} and {key} are no certificate and its key",
            "give --tls-cert and --tls-key PEM files that belong together, the key unencrypted",
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotStart(f"{path} cannot be read", "check --tls-cert and --tls-key") from error
