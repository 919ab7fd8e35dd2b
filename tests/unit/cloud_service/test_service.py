"""What the service refuses before it starts a Triton."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from cloud_service.service import running_service
from cloud_service.settings import Settings
from cloud_service.slots import slot_layout
from cloud_service.startup_error import CannotStart
from obclip.card import CARD_FILE
from obclip.plan import UNET_FULL, Profile
from tests.conftest import StartService
from tests.fakes.tiny_bundle import TinyBundle


async def test_a_bundle_of_fewer_profiles_says_which_it_offers(
    start_service: StartService, bundle: TinyBundle, tmp_path: Path
) -> None:
    folder = shutil.copytree(bundle.folder, tmp_path / "bundle")
    kinds = tuple(kind for kind in bundle.card.step_kinds if kind.name == UNET_FULL)
    card = replace(bundle.card, step_kinds=kinds)
    (folder / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    words = r"""lacks unet_shallow; set OBCLIP_PROFILES='\["bare"\]', or export it with more"""
    with pytest.raises(CannotStart, match=words):
        async with start_service(bundle=folder):
            pass
    async with start_service(bundle=folder, profiles=("bare",)) as service:
        assert service.card.profiles == ("bare",)


async def test_a_profile_that_is_named_twice_is_said(start_service: StartService) -> None:
    with pytest.raises(CannotStart, match="profiles are none, or repeat; change that OBCLIP_"):
        async with start_service(profiles=(Profile.BARE, Profile.BARE)):
            pass


@pytest.mark.parametrize(
    ("profile", "max_candidates", "max_running", "rows"),
    [
        (Profile.BARE, 32, 4, 64),
        (Profile.BARE, 6, 1, 12),
        (Profile.BARE, 6, 4, 48),
        (Profile.BARE, 256, 4, 64),
        (Profile.PAPER, 256, 4, 512),
    ],
)
async def test_triton_gets_room_for_the_largest_call(
    bundle: TinyBundle,
    monkeypatch: pytest.MonkeyPatch,
    profile: Profile,
    max_candidates: int,
    max_running: int,
    rows: int,
) -> None:
    def start(_repository: object, *, batch_bytes: int, **_: object) -> NoReturn:
        raise CannotStart(f"{batch_bytes} bytes", "look")

    monkeypatch.setattr("cloud_service.service.running_triton", start)
    settings = Settings(
        bundle=bundle.folder,
        listen="127.0.0.1:0",
        max_candidates=max_candidates,
        max_running=max_running,
        profiles=(profile,),
    )
    kinds = tuple(kind for kind in bundle.card.step_kinds if kind.name in profile.step_kinds())
    expected = slot_layout(replace(bundle.card, step_kinds=kinds), rows).slot_bytes
    with pytest.raises(CannotStart, match=f"^{expected} bytes"):
        async with running_service(settings):
            pass
