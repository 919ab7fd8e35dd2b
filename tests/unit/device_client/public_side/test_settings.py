from dataclasses import replace
from typing import Any

import pytest

from device_client.public_side.settings import GenerationSettings
from obclip.errors import InvalidRequest
from obclip.plan import Profile
from tests.fakes.scripted_service import LIMITS, service_card
from tests.fakes.tiny_bundle import TinyBundle

GOOD = GenerationSettings(steps=25, guidance_scale=2.5, switch_point=10, profile=Profile.BARE)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"switch_point": 0},
        {"switch_point": 25},
        {"steps": LIMITS.max_steps},
        {"guidance_scale": 0.0},
        {"guidance_scale": LIMITS.max_guidance_scale},
    ],
)
def test_the_limits_themselves_are_allowed(tiny_bundle: TinyBundle, change: dict[str, Any]) -> None:
    replace(GOOD, **change).check(service_card(tiny_bundle))


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0), ("steps", LIMITS.max_steps + 1), ("switch_point", -1), ("switch_point", 26)]
    + [("guidance_scale", value) for value in (-0.1, 20.1, float("nan"), float("inf"))],
)
def test_outside_is_refused_and_named(tiny_bundle: TinyBundle, field: str, value: Any) -> None:
    settings = replace(GOOD, **{field: value})
    with pytest.raises(InvalidRequest, match=field) as caught:
        settings.check(service_card(tiny_bundle))
    assert "choose" in str(caught.value)
