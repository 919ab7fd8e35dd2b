import json

from obclip.card import ModelCard, ServiceCard
from tests.fakes.scripted_service import ScriptedService, service_card
from tests.fakes.tiny_bundle import TinyBundle
from tests.unit.device_client.commands.conftest import Program


def test_the_card_of_a_service(
    program: Program, service: ScriptedService, tiny_bundle: TinyBundle
) -> None:
    facts = program("card", "--server", service.address, "--json").facts
    card: ServiceCard = service_card(tiny_bundle)
    assert facts["models"]["cloud_unet"] == card.models.cloud_unet
    assert facts["limits"]["max_candidates"] == card.limits.max_candidates
    assert facts["profiles"] == ["bare", "balanced"]


def test_the_card_as_lines(program: Program, service: ScriptedService) -> None:
    lines = program("card", "--server", service.address).out.splitlines()
    assert any(line.split() == ["latents.channels", "4"] for line in lines)
    assert any(line.split() == ["profiles", "bare,", "balanced"] for line in lines)


def test_the_card_of_the_device(program: Program, tiny_bundle: TinyBundle) -> None:
    outcome = program("card", "--local", "--bundle", str(tiny_bundle.folder), "--json")
    assert ModelCard.from_json(json.dumps(outcome.facts)) == tiny_bundle.card


def test_nobody_there(program: Program) -> None:
    outcome = program("card", "--server", "localhost:1")
    assert outcome.code == 4
    assert "localhost:1" in outcome.error_line()


def test_a_bundle_is_the_devices(program: Program, tiny_bundle: TinyBundle) -> None:
    outcome = program("card", "--bundle", str(tiny_bundle.folder))
    assert outcome.code == 2
    assert "--local" in outcome.error_line()
