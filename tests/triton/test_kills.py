"""Client, orchestrator or Triton killed in the middle of a generation, many times in a row."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import InferenceServerClient

from cloud_service.service import running_service
from cloud_service.settings import Settings
from obclip.errors import ExitCode
from tests.fakes.tiny_bundle import TinyBundle
from tests.generation_calls import generate
from tests.triton.conftest import Traces, process_tree
from tests.triton.dying_client import STEPS
from tests.triton.serving import ended, serving

pytestmark = pytest.mark.triton
ROUNDS = [2, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBCLIP_MAX_STEPS", str(STEPS))


@contextmanager
def _client_in_a_run(address: str) -> Iterator["subprocess.Popen[str]"]:
    """A client's process after its first step."""
    command = [sys.executable, "-m", "tests.triton.dying_client", address]
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        try:
            assert client.stdout is not None
            if client.stdout.readline() != "running\n":
                pytest.fail(client.communicate(timeout=10)[1])
            yield client
        finally:
            client.kill()


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_a_killed_client_leaves_nothing(
    bundle: TinyBundle, traces: Traces, rounds: int
) -> None:
    tasks_before = asyncio.all_tasks()
    settings = Settings(
        bundle=bundle.folder, listen="127.0.0.1:0", metrics_port=0, max_running=1, max_steps=STEPS
    )
    async with running_service(settings) as service:
        for _ in range(rounds):
            await asyncio.to_thread(_kill_a_client, service.address)
            # Its place is the only one, so this waits until all of the killed client's is freed.
            async with grpc.aio.insecure_channel(service.address) as channel:
                answer = await generate(channel, service.card)
            assert answer.events[-1] == "statistics"
            metrics = await asyncio.to_thread(_metrics, service.metrics_address)
            assert "obclip_free_slots 1.0" in metrics
            assert "obclip_running 0.0" in metrics
    assert asyncio.all_tasks() == tasks_before
    assert traces.left() == []


def _kill_a_client(address: str) -> None:
    with _client_in_a_run(address) as client:
        client.kill()


def _metrics(address: str | None) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        return str(response.read().decode())


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_killed_orchestrator_leaves_nothing(
    bundle: TinyBundle, traces: Traces, rounds: int
) -> None:
    for _ in range(rounds):
        with (
            serving(bundle) as (process, facts),
            _client_in_a_run(facts["address"]),
            process_tree(process.pid) as tree,
        ):
            assert facts["triton_pid"] in tree.pids
            process.kill()
            assert tree.wait_until_gone()
        assert traces.left() == []


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_killed_triton_leaves_nothing(bundle: TinyBundle, traces: Traces, rounds: int) -> None:
    for _ in range(rounds):
        with (
            serving(bundle) as (process, facts),
            _client_in_a_run(facts["address"]) as client,
            process_tree(process.pid) as tree,
        ):
            os.kill(facts["triton_pid"], signal.SIGKILL)
            assert ended(process)[0] == ExitCode.UNAVAILABLE
            assert "UNAVAILABLE" in client.communicate(timeout=30)[1]
            assert tree.wait_until_gone()
        assert traces.left() == []


def test_what_a_killed_orchestrator_had_registered_is_forgotten(
    bundle: TinyBundle, traces: Traces, real_triton_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a Triton that goes on."""
    monkeypatch.setenv("OBCLIP_TRANSPORT", "shared_memory")
    with InferenceServerClient(real_triton_url) as triton:
        with serving(bundle, "--triton-url", real_triton_url) as (process, facts):
            with _client_in_a_run(facts["address"]):
                process.kill()
            process.wait(30)
        left = set(triton.get_system_shared_memory_status().regions)
        assert len(left) == Settings().max_running
        with serving(bundle, "--triton-url", real_triton_url) as (process, _):
            now = set(triton.get_system_shared_memory_status().regions)
            assert len(now) == len(left)
            assert not now & left
            process.send_signal(signal.SIGTERM)
            assert ended(process) == (0, "")
        assert not triton.get_system_shared_memory_status().regions
    assert traces.left() == []
