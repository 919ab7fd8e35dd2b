"""What the service refuses before it starts a Triton."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_service.startup_error import CannotStart
from obclip.card import CARD_FILE
from obclip.plan import UNET_FULL
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
