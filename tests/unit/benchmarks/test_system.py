"""Seconds come from the system, pictures from this process: both must run the same plans."""

import asyncio
import os
from collections.abc import AsyncIterator

import numpy as np
import pytest

from benchmarks.methods import METHODS, Method
from benchmarks.pictures import Candidates, PictureMaker
from benchmarks.system import System, peak_memory_bytes
from cloud_service.own_process import OwnService
from device_client.hiding import HidingSettings, hide
from obclip.plan import Profile
from tests.conftest import StartService
from tests.fakes.tiny_bundle import TinyBundle, write_tiny_bundle

PROMPT = "a portrait of an old woman with glasses"
SIX = hide(PROMPT, HidingSettings()).halves.skeleton.candidates()


@pytest.fixture
async def system(start_service: StartService, bundle: TinyBundle) -> AsyncIterator[System]:
    async with start_service(profiles=tuple(Profile)) as running:
        service = OwnService(running.address, running.triton_url, os.getpid())
        opened = await asyncio.to_thread(System, service, bundle.folder, 1)
        yield opened
        opened.close()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_the_system_gives_what_this_process_computes(
    system: System, bundle: TinyBundle, method: Method
) -> None:
    exchange = await asyncio.to_thread(system.run, method, PROMPT, 5, 3)
    assert exchange.device_s > 0
    if exchange.state is None:
        assert method.name == "device only"
        return
    asked = Candidates((PROMPT,) if method.is_alone else SIX, 3)
    maker = PictureMaker(bundle.folder, 1)
    expected = await asyncio.to_thread(maker.switch_state, asked, method.plan(5, 25))
    np.testing.assert_allclose(exchange.state.latents, expected.latents, rtol=1e-4, atol=1e-5)
    assert exchange.server_s >= exchange.model_s > 0
    assert exchange.wire_bytes > 0


def test_with_one_model_on_both_sides_the_pictures_do_not_depend_on_the_switch_point(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    same = write_tiny_bundle(tmp_path_factory.mktemp("same"), one_unet=True)
    maker = PictureMaker(same.folder, 1)
    by_name = {method.name: method for method in METHODS}
    made = [
        maker.pictures(Candidates(SIX, 1), by_name[name].plan(5, 25))[0].astype(int)
        for name in ("vanilla oblivious", "obclip bare", "device only")
    ]
    for pictures in made[1:]:
        assert np.abs(pictures - made[0]).max() <= 1


def test_peak_memory_is_that_of_living_processes() -> None:
    found = peak_memory_bytes(OwnService("", "", os.getpid()))
    assert found["orchestrator"] == found["this process (device and judge)"] > 1 << 20
