"""The files in deploy/ name options, settings, folders and models that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from cloud_service.program import serve
from cloud_service.settings import Settings

yaml = pytest.importorskip("yaml", reason="pyyaml is not installed (group: dev)")

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = ("compose.yaml", "compose.cpu.yaml")
PATHS = {"tls_cert": "/run/secrets/tls_cert", "tls_key": "/run/secrets/tls_key"}


def services(name: str) -> dict[str, dict[str, Any]]:
    loaded = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    return dict(loaded["services"])


def options() -> set[str]:
    program = typer.Typer()
    program.command()(serve)
    return {option for param in typer.main.get_command(program).params for option in param.opts}


def orchestrator(name: str) -> dict[str, Any]:
    (found,) = [service for service in services(name).values() if "build" in service]
    return found


@pytest.mark.parametrize("name", COMPOSE)
def test_the_orchestrators_options_exist(name: str) -> None:
    command, *given = orchestrator(name)["command"]
    assert command == "serve"
    words = dict(option.split("=", 1) for option in given)
    assert set(words) <= options()
    assert words["--tls-cert"] == PATHS["tls_cert"]
    assert words["--tls-key"] == PATHS["tls_key"]
    assert set(orchestrator(name)["secrets"]) == set(PATHS)


@pytest.mark.parametrize("name", COMPOSE)
def test_the_settings_in_the_environment_exist(name: str) -> None:
    environment = orchestrator(name).get("environment", {})
    names = {variable.removeprefix("OBCLIP_").lower() for variable in environment}
    assert names <= set(Settings.model_fields)


@pytest.mark.parametrize("name", COMPOSE)
def test_only_the_orchestrator_has_a_port(name: str) -> None:
    published = [key for key, service in services(name).items() if "ports" in service]
    assert published == [key for key, service in services(name).items() if "build" in service]
    for service in services(name).values():
        if "profiles" not in service:
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


def test_triton_and_the_engines_are_of_one_release() -> None:
    images = [service["image"] for service in services("compose.yaml").values()]
    tags = {image.partition(":")[2] for image in images if image.startswith("nvcr.io/")}
    assert len(tags) == 1


def test_the_orchestrator_shares_tritons_memory() -> None:
    found = services("compose.yaml")
    assert found["triton"]["ipc"] == "shareable"
    assert found["orchestrator"]["ipc"] == "service:triton"
    port = next(w for w in found["triton"]["command"] if w.startswith("--grpc-port="))
    assert f"--triton-url=triton:{port.partition('=')[2]}" in found["orchestrator"]["command"]


def test_the_image_copies_what_there_is_and_nothing_else_reaches_it() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        word
        for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE)
        for word in line.split()
    ]
    assert all((ROOT / name).exists() for name in copied)
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)


def test_the_unit_starts_the_program_of_the_image() -> None:
    unit = (DEPLOY / "obclip.service").read_text(encoding="utf-8")
    assert "ExecStart=/opt/obclip/bin/obclip serve\n" in unit
    image = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert 'ENTRYPOINT ["/opt/obclip/bin/obclip"]' in image
