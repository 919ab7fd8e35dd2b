from pathlib import Path

import pytest

from device_client.bundle import open_bundle
from obclip.manifest import Manifest
from tests.fakes.bundle_server import bundle_server
from tests.fakes.tiny_bundle import TinyBundle
from tests.unit.device_client.commands.conftest import Program


@pytest.fixture(scope="module")
def pin(tiny_bundle: TinyBundle) -> str:
    return Manifest.of_folder(tiny_bundle.folder).pin


def test_pull_from_a_service(
    program: Program, tiny_bundle: TinyBundle, pin: str, tmp_path: Path
) -> None:
    with bundle_server(tiny_bundle.folder) as server:
        outcome = program("pull", pin, "--server", server.address, "--out", "models")
    assert (outcome.code, outcome.out) == (0, "models\n")
    assert "all digests are right" in outcome.err
    assert open_bundle(tmp_path / "models").card == tiny_bundle.card


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_pull_from_a_folder_as_json(
    program: Program, tiny_bundle: TinyBundle, pin: str, prefix: str
) -> None:
    words = ("pull", prefix + pin, "--from", str(tiny_bundle.folder), "--out", "models", "--json")
    first, again = program(*words).facts, program(*words).facts
    assert first == {
        "bundle": "models",
        "digest": pin,
        "family": "tiny",
        "licence": "Apache-2.0",
        "files": len(Manifest.of_folder(tiny_bundle.folder).files),
        "size_bytes": first["fetched_bytes"],
        "fetched_bytes": first["size_bytes"],
    }
    assert again["fetched_bytes"] == 0


def test_quiet_prints_the_folder_alone(program: Program, tiny_bundle: TinyBundle, pin: str) -> None:
    outcome = program("pull", pin, "--from", str(tiny_bundle.folder), "--out", "models", "-q")
    assert (outcome.out, outcome.err) == ("models\n", "")


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "md5:" + "0" * 64, "0" * 65])
def test_no_digest_is_invalid(program: Program, digest: str) -> None:
    outcome = program("pull", digest, "--out", "models")
    assert outcome.code == 2
    assert "digest: is no SHA-256 in hex" in outcome.error_line()


def test_another_digest_is_a_mismatch(
    program: Program, tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    outcome = program("pull", "0" * 64, "--from", str(tiny_bundle.folder), "--out", "models")
    assert outcome.code == 5
    assert "card.json" in outcome.error_line()
    assert not (tmp_path / "models").exists()


def test_a_bundle_over_the_limit_is_refused(
    program: Program, tiny_bundle: TinyBundle, pin: str
) -> None:
    words = ("--from", str(tiny_bundle.folder), "--out", "models", "--max-size", "0.000001")
    outcome = program("pull", pin, *words)
    assert outcome.code == 2
    assert "max_size" in outcome.error_line()


@pytest.mark.parametrize(
    ("option", "value"), [("--max-size", "1e300"), ("--max-size", "nan"), ("--out", "x" * 300)]
)
def test_what_no_disk_holds_is_refused(
    program: Program, tiny_bundle: TinyBundle, pin: str, option: str, value: str
) -> None:
    words = ("--from", str(tiny_bundle.folder), "--out", "models", option, value)
    outcome = program("pull", pin, *words)
    assert outcome.code == 2
    assert "internal" not in outcome.err


def test_nobody_there(program: Program, pin: str) -> None:
    outcome = program("pull", pin, "--server", "localhost:1", "--out", "models")
    assert outcome.code == 4
    assert "localhost:1" in outcome.error_line()
