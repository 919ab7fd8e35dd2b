"""Transcript equality and the canaries see every deliberate leak of the client."""

import logging
from collections.abc import Callable

import pytest

from device_client.client import ObCLIP
from device_client.private_side.choice import index_of
from device_client.transformation import transform
from obclip.errors import ObclipError
from tests.fakes.faults import AT_CANDIDATE, stall_after
from tests.fakes.scripted_service import (
    HonestCloud,
    Script,
    honest,
    scripted_service,
    service_card,
)
from tests.fakes.tiny_bundle import TinyBundle
from tests.privacy.canaries import PROMPT, leaked
from tests.privacy.observation import Device, Observation
from tests.privacy.seeded_leaks.transport_leaks import (
    SPOKEN_LEAKS,
    TRANSPORT_LEAKS,
    Secret,
    TransportLeak,
)

CANDIDATES = transform("a portrait of an old woman with glasses").skeleton.candidates()
DAMAGE = AT_CANDIDATE["huge latents"](2)
SCRIPTS: dict[str, Script] = {"damage": DAMAGE, "stall": stall_after(3)}


def observe(device: Device, prompt: str, needs: str) -> Observation:
    session = [CANDIDATES[0], prompt] if needs == "twice" else [prompt]
    stalls = needs == "stall"
    timeout_s = 4.0 if stalls else 30.0
    script = SCRIPTS.get(needs, honest)
    return device.observe_session(session, script, timeout_s, endless=stalls)


@pytest.mark.parametrize("needs", ["honest", "damage", "twice"])
def test_without_a_leak_all_is_equal(
    tiny_bundle: TinyBundle, cloud: HonestCloud, needs: str
) -> None:
    device = Device(tiny_bundle, cloud)
    first, *others = [observe(device, prompt, needs) for prompt in CANDIDATES]
    assert all(other == first for other in others)


@pytest.mark.parametrize("leak", TRANSPORT_LEAKS.values(), ids=TRANSPORT_LEAKS)
def test_a_transport_leak_is_caught(
    tiny_bundle: TinyBundle, cloud: HonestCloud, leak: TransportLeak
) -> None:
    device = Device(tiny_bundle, cloud)
    seen = []
    for prompt in CANDIDATES[:3]:
        secret = Secret(index_of(transform(prompt).choice), prompt)
        with pytest.MonkeyPatch.context() as patch:
            leak.patch(patch, secret)
            seen.append(observe(device, prompt, leak.needs))
    assert any(other != seen[0] for other in seen[1:])


def everything_said(
    bundle: TinyBundle, cloud: HonestCloud, caplog: pytest.LogCaptureFixture, script: Script
) -> str:
    """Makes a picture and returns all that the device logs, raises or reports."""
    caplog.set_level(logging.DEBUG)
    with (
        scripted_service(cloud, service_card(bundle), script) as service,
        ObCLIP.connect(service.address, bundle.folder) as obclip,
    ):
        try:
            result = obclip.generate(PROMPT, steps=4, switch_point=2)
        except ObclipError as error:
            return f"{error} {error!r} {caplog.text}"
    return f"{result!r} {result.report.to_json()} {caplog.text}"


@pytest.mark.parametrize("patch", [None, *SPOKEN_LEAKS.values()], ids=["none", *SPOKEN_LEAKS])
def test_a_spoken_leak_is_caught(
    tiny_bundle: TinyBundle,
    cloud: HonestCloud,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    patch: Callable[[pytest.MonkeyPatch], None] | None,
) -> None:
    if patch is not None:
        patch(monkeypatch)
    said = [everything_said(tiny_bundle, cloud, caplog, script) for script in (honest, DAMAGE)]
    shown = " ".join([*said, *capfd.readouterr()])
    assert bool(leaked(shown)) == (patch is not None)
