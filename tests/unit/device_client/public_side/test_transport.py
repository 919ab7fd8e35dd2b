import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from device_client.client import ObCLIP
from device_client.public_side.transport import (
    MAX_CANDIDATES,
    Endpoint,
    Tls,
    Transport,
    batch_bytes,
)
from obclip.card import LatentFormat
from obclip.errors import InvalidRequest, ServiceUnreachable
from tests.fakes.scripted_service import HonestCloud, scripted_service, service_card
from tests.fakes.tiny_bundle import TinyBundle


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the program openssl is missing")
    path = tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(tmp_path / "key.pem"), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return path


@pytest.fixture
def tls_address(certificate: Path, tiny_bundle: TinyBundle, cloud: HonestCloud) -> Iterator[str]:
    key = certificate.with_name("key.pem").read_bytes()
    credentials = grpc.ssl_server_credentials([(key, certificate.read_bytes())])
    card = service_card(tiny_bundle)
    with scripted_service(cloud, card, credentials=credentials) as service:
        yield service.address


def test_an_encrypted_service_is_reached(
    tls_address: str, certificate: Path, tiny_bundle: TinyBundle
) -> None:
    with ObCLIP.connect(tls_address, tiny_bundle.folder, tls=Tls(certificate)) as obclip:
        assert obclip.generate("an old woman", steps=2).image.size == (64, 64)


def test_an_unknown_authority_is_not_trusted(tls_address: str, tiny_bundle: TinyBundle) -> None:
    with pytest.raises(ServiceUnreachable):
        ObCLIP.connect(tls_address, tiny_bundle.folder, tls=Tls(), timeout_s=5.0)


def test_a_missing_certificate_file_is_named(tmp_path: Path, tiny_bundle: TinyBundle) -> None:
    tls = Tls(tmp_path / "absent.pem")
    with pytest.raises(InvalidRequest, match=r"absent\.pem"):
        ObCLIP.connect("localhost:1", tiny_bundle.folder, tls=tls)


def test_a_message_may_be_as_large_as_the_largest_set() -> None:
    latents = LatentFormat(channels=4, height=64, width=64, wire_type="float16")
    tensors = 2 * MAX_CANDIDATES * 4 * 64 * 64 * 4
    assert tensors <= batch_bytes(latents) <= tensors + 2**17


def test_large_latents_leave_the_limit_to_grpc() -> None:
    latents = LatentFormat(channels=4, height=512, width=512, wire_type="float16")
    with Transport(Endpoint("127.0.0.1:1"), batch_bytes(latents)):
        assert batch_bytes(latents) == 2**31 - 1


@pytest.mark.parametrize("name", ["http_proxy", "grpc_proxy", "https_proxy"])
def test_no_proxy_is_asked_for_a_service_on_this_machine(
    name: str, monkeypatch: pytest.MonkeyPatch, tiny_bundle: TinyBundle, cloud: HonestCloud
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")  # nothing listens there
    monkeypatch.delenv("no_proxy", raising=False)
    with scripted_service(cloud, service_card(tiny_bundle)) as service:
        for address in (service.address, service.address.replace("127.0.0.1", "localhost")):
            with ObCLIP.connect(address, tiny_bundle.folder, timeout_s=5) as obclip:
                assert obclip.service_card is not None
