"""The attack suite sees every deliberate leak of the transformation, and none without one."""

from collections.abc import Sequence

import pytest

from device_client.audit.game import Score, Trial, audit, play
from device_client.audit.transcript import Device
from tests.privacy.seeded_leaks.transformation_leaks import LEAKS, PEOPLE, Leak


def trials(device: Device) -> list[Trial]:
    return [trial for prompt in PEOPLE if (trial := play(prompt, device.hide)) is not None]


def by_name(scores: Sequence[Score]) -> dict[str, Score]:
    return {score.attack: score for score in scores}


def test_there_are_leaks_for_every_attacker() -> None:
    attackers = {score.attack for score in audit(trials(Device()))}
    assert {leak.caught_by for leak in LEAKS.values()} == attackers


@pytest.mark.parametrize("device", [Device(), Device("man, beard, blurry"), Device("", 3)])
def test_without_a_leak_no_attacker_gains(device: Device) -> None:
    played = trials(device)
    assert len(played) == len(PEOPLE)
    for score in audit(played):
        assert (score.ahead, score.certain) == (0, 0), score.attack
        assert abs(score.advantage) < 1e-9


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_leak_is_caught(monkeypatch: pytest.MonkeyPatch, leak: Leak) -> None:
    leak.patch(monkeypatch)
    score = by_name(audit(trials(leak.device())))[leak.caught_by]
    assert score.ahead > 0
