"""Words of the prompt appear in nothing that the device logs, raises or reports."""

import logging
import traceback
from dataclasses import asdict

import pytest

from device_client.client import ObCLIP
from device_client.report import GenerationResult
from obclip.errors import ObclipError
from tests.fakes.faults import AT_CANDIDATE, BROKEN
from tests.fakes.scripted_service import (
    HonestCloud,
    Script,
    honest,
    scripted_service,
    service_card,
)
from tests.fakes.tiny_bundle import TinyBundle
from tests.privacy.canaries import CANARIES, PROMPT, leaked

FAULTS = BROKEN | {name: damage(1) for name, damage in AT_CANDIDATE.items()}


def generate(bundle: TinyBundle, cloud: HonestCloud, script: Script) -> GenerationResult:
    with (
        scripted_service(cloud, service_card(bundle), script) as service,
        ObCLIP.connect(service.address, bundle.folder) as obclip,
    ):
        return obclip.generate(PROMPT, steps=4, switch_point=2, keep_cloud_batch=True)


def test_the_canaries_would_be_seen() -> None:
    assert leaked(f"failed on {PROMPT!r}") == list(CANARIES)


def test_a_result_shows_none(
    tiny_bundle: TinyBundle,
    cloud: HonestCloud,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    result = generate(tiny_bundle, cloud, honest)
    shown = [repr(result), str(result), result.report.to_json(), repr(asdict(result.report))]
    shown += [caplog.text, *capfd.readouterr()]
    assert [leaked(text) for text in shown] == [[]] * len(shown)
    assert "xylophone" in result.unknown_words  # the user does get to know


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_shows_none(
    tiny_bundle: TinyBundle,
    cloud: HonestCloud,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ObclipError) as caught:
        generate(tiny_bundle, cloud, FAULTS[fault])
    told = "".join(traceback.format_exception(caught.value))
    shown = [told, repr(caught.value), repr(caught.value.args), caplog.text, *capfd.readouterr()]
    assert [leaked(text) for text in shown] == [[]] * len(shown)
