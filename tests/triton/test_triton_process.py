import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_service.leftovers import SHARED_MEMORY
from cloud_service.model_repository import select_models
from cloud_service.startup_error import CannotStart
from cloud_service.triton_client import TritonClient
from cloud_service.triton_process import (
    TritonInstallation,
    TritonProcess,
    libpython_folders,
    running_triton,
)
from tests.conftest import serving
from tests.fakes.tiny_bundle import TinyBundle
from tests.triton.conftest import Traces, process_group

pytestmark = pytest.mark.triton
MODELS = 2


@pytest.fixture
def model_repository(model_repository: Path, bundle: TinyBundle, tmp_path: Path) -> Path:
    """The two models that every service has."""
    folder = tmp_path / "selected"
    select_models(
        folder, model_repository, replace(bundle.card, step_kinds=bundle.card.step_kinds[:1])
    )
    return folder


def _client(url: str, bundle: TinyBundle) -> TritonClient:
    return TritonClient(url, bundle.card, call_timeout_s=30)


@asynccontextmanager
async def _ready(
    repository: Path, bundle: TinyBundle
) -> AsyncIterator[tuple[TritonProcess, TritonClient]]:
    """A server whose models are warm."""
    async with (
        running_triton(serving(repository), verbose=False) as triton,
        _client(triton.url, bundle) as client,
    ):
        await triton.wait_until(client.is_ready, 60)
        yield triton, client


def test_this_machine_has_all_parts() -> None:
    installation = TritonInstallation.find()
    assert os.access(installation.binary, os.X_OK)
    assert os.access(installation.stub, os.X_OK)
    assert (installation.python_backend / "libtriton_python.so").is_file()


def test_a_missing_libpython_names_the_package() -> None:
    with pytest.raises(CannotStart) as caught:
        libpython_folders("3.99")
    assert str(caught.value) == (
        "libpython3.99.so.1.0, which Triton's python backend needs, is missing; "
        "on Debian and Ubuntu: apt-get install libpython3.99"
    )


async def test_starts_and_leaves_no_trace(
    model_repository: Path, bundle: TinyBundle, traces: Traces
) -> None:
    async with _ready(model_repository, bundle) as (triton, client):
        assert len(traces.left()) == 1 + MODELS  # its folder, and a region for each model
        with process_group(triton.pid) as group:
            assert len(group.pidfds) == 1 + MODELS
            await triton.stop()
            assert group.wait_until_gone()
        assert not await client.is_ready(5)
    assert traces.left() == []


async def test_no_other_account_reads_what_passes_through_its_memory(
    model_repository: Path, bundle: TinyBundle, traces: Traces
) -> None:
    async with _ready(model_repository, bundle):
        regions = [place for name in traces.left() if (place := SHARED_MEMORY / name).exists()]
        assert len(regions) == MODELS
        assert {region.stat().st_mode & 0o777 for region in regions} == {0o600}


async def test_removes_what_a_killed_service_left(
    model_repository: Path, traces: Traces, tmp_path: Path
) -> None:
    with subprocess.Popen(["true"]) as dead:  # noqa: S607 -- any program will do
        dead.wait()
    name = f"obclip_triton_{Path('/proc/self/ns/pid').stat().st_ino}_{dead.pid}_0123"
    (tmp_path / name).mkdir()
    (SHARED_MEMORY / name).touch()
    assert len(traces.left()) == 2
    async with running_triton(serving(model_repository), verbose=False):
        assert name not in traces.left()
    assert traces.left() == []


async def test_a_killed_server_takes_its_models_along(
    model_repository: Path, bundle: TinyBundle, traces: Traces
) -> None:
    async with _ready(model_repository, bundle) as (triton, _client_of_it):
        with process_group(triton.pid) as group:
            os.kill(triton.pid, signal.SIGKILL)
            assert await triton.wait() == -signal.SIGKILL
            await triton.stop()
            assert group.wait_until_gone()
    assert traces.left() == []


@pytest.mark.parametrize("damage", ["no graph", "broken config", "no models"])
async def test_says_why_it_cannot_load(
    tmp_path: Path, model_repository: Path, bundle: TinyBundle, traces: Traces, damage: str
) -> None:
    repository = tmp_path / "repository"
    # Elsewhere the relative path of the graph leads nowhere.
    shutil.copytree(model_repository, repository)
    if damage == "broken config":
        (repository / "unet_full" / "config.pbtxt").write_text("nonsense")
    if damage == "no models":
        shutil.rmtree(repository)
    async with (
        running_triton(serving(repository), verbose=False) as triton,
        _client(triton.url, bundle) as client,
    ):
        with pytest.raises(CannotStart, match="tritonserver ended with code 1: ") as caught:
            await triton.wait_until(client.is_ready, 60)
    assert "\n" not in str(caught.value)
    assert "--verbose" in str(caught.value)
    assert traces.left() == []


async def test_does_not_wait_for_ever(
    model_repository: Path, bundle: TinyBundle, traces: Traces
) -> None:
    async with (
        running_triton(serving(model_repository), verbose=False) as triton,
        _client(triton.url, bundle) as client,
    ):
        with pytest.raises(CannotStart, match=r"was not ready after 0\.01 s"):
            await triton.wait_until(client.is_ready, 0.01)
    assert traces.left() == []
