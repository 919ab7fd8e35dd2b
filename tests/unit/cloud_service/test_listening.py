import socket
from pathlib import Path

import grpc
import pytest

from cloud_service.listening import open_port
from cloud_service.settings import Settings
from cloud_service.startup_error import CannotStart


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0", "127.8.9.10:0"])
async def test_loopback_needs_no_tls(listen: str) -> None:
    host, _, port = open_port(grpc.aio.server(), Settings(listen=listen)).rpartition(":")
    assert host == listen.removesuffix(":0")
    assert int(port) > 0


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", ":0", "example.org:0"])
async def test_beyond_loopback_plain_text_is_refused(listen: str) -> None:
    with pytest.raises(CannotStart, match="--tls-cert and --tls-key, or --insecure"):
        open_port(grpc.aio.server(), Settings(listen=listen))


async def test_the_operator_may_insist() -> None:
    settings = Settings(listen="0.0.0.0:0", insecure=True)
    assert open_port(grpc.aio.server(), settings).startswith("0.0.0.0:")


@pytest.mark.parametrize("listen", ["nonsense:0", "192.0.2.1:0"])
async def test_an_address_that_cannot_be_had_is_named(listen: str) -> None:
    with pytest.raises(CannotStart, match=f"cannot listen on {listen}"):
        open_port(grpc.aio.server(), Settings(listen=listen, insecure=True))


async def test_localhost_is_not_half_taken() -> None:
    """Its clients would reach whoever has the other half."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"localhost:{other.getsockname()[1]}"
        with pytest.raises(CannotStart, match=f"cannot listen on {listen}"):
            open_port(grpc.aio.server(), Settings(listen=listen))


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1", "127.0.0.1:99999", "[::1]", "50051"])
async def test_an_address_without_a_usable_port_is_refused(listen: str) -> None:
    with pytest.raises(CannotStart, match=r"names no port in 0\.\.65535; write --listen as"):
        open_port(grpc.aio.server(), Settings(listen=listen))


async def test_files_that_are_no_certificate_and_key_are_named(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("garbage")
    (tmp_path / "key.pem").write_text("garbage")
    settings = Settings(
        listen="127.0.0.1:0", tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem"
    )
    with pytest.raises(CannotStart, match=r"key\.pem are no certificate and its key; give"):
        open_port(grpc.aio.server(), settings)


async def test_a_key_without_a_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="needs a certificate and a key"):
        open_port(grpc.aio.server(), Settings(tls_key=tmp_path / "key.pem"))


async def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(CannotStart, match=r"missing\.pem cannot be read"):
        open_port(grpc.aio.server(), Settings(tls_cert=missing, tls_key=missing))
