"""The real parts that many tests need: a bundle, a mock and a real Triton, the whole service."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import grpc
import pytest
import pytest_asyncio

from cloud_service.model_repository import write_repository
from cloud_service.service import RunningService, running_service
from cloud_service.settings import Settings
from cloud_service.triton_client import TritonClient
from cloud_service.triton_process import running_triton
from tests.fakes.mock_triton import MockTriton, models_of, running_mock_triton
from tests.fakes.tiny_bundle import TinyBundle, write_tiny_bundle


class StartService(Protocol):
    """Starts a service with some settings changed."""

    def __call__(self, **settings: object) -> AbstractAsyncContextManager[RunningService]: ...


@pytest.fixture(scope="session", autouse=True)
def heard_ctrl_c() -> Iterator[None]:
    """Lets Ctrl-C arrive, in child processes too, where a shell had this one ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> TinyBundle:
    """A model bundle of a few kilobytes."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def model_repository(tmp_path_factory: pytest.TempPathFactory, bundle: TinyBundle) -> Path:
    """Triton's model repository for the tiny bundle."""
    folder = tmp_path_factory.mktemp("repository")
    write_repository(folder, bundle.folder, bundle.card)
    return folder


@pytest.fixture
async def mock_triton(model_repository: Path) -> AsyncIterator[MockTriton]:
    """The mock, serving the tiny bundle."""
    async with running_mock_triton(models_of(model_repository)) as triton:
        yield triton


def serving(repository: Path) -> Callable[[Path], Awaitable[Path]]:
    """What `running_triton` asks for a repository, where there is one already."""

    async def choose(_empty_folder: Path) -> Path:
        return repository

    return choose


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def real_triton_url(model_repository: Path, bundle: TinyBundle) -> AsyncIterator[str]:
    """A real tritonserver, serving the tiny bundle."""
    async with (
        running_triton(serving(model_repository), verbose=False) as triton,
        TritonClient(triton.url, bundle.card, call_timeout_s=30) as client,
    ):
        await triton.wait_until(client.is_ready, 60)
        yield triton.url


@pytest.fixture
def start_service(bundle: TinyBundle, mock_triton: MockTriton) -> StartService:
    """Starts the orchestrator on a free port, over the mock Triton unless told otherwise."""

    def start(**settings: object) -> AbstractAsyncContextManager[RunningService]:
        defaults: dict[str, object] = {
            "bundle": bundle.folder,
            "triton_url": mock_triton.url,
            "listen": "127.0.0.1:0",
            "shutdown_grace_s": 0,
        }
        return running_service(Settings(**(defaults | settings)))

    return start


@pytest.fixture
async def service(start_service: StartService) -> AsyncIterator[RunningService]:
    """The orchestrator over the mock Triton."""
    async with start_service() as running:
        yield running


@pytest.fixture
async def channel(service: RunningService) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to that orchestrator."""
    async with grpc.aio.insecure_channel(service.address) as opened:
        yield opened
