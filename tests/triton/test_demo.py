"""`make demo`'s program, over a real tritonserver."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.triton.conftest import ProcessGroup, Traces, process_tree

pytestmark = pytest.mark.triton

PATIENCE_S = 60


@contextmanager
def demo(out: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "demo_models.demo", "--out", str(out)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def with_its_service(process: "subprocess.Popen[str]") -> Iterator[ProcessGroup]:
    """Watches a demo from the time when its service has started Triton's first models."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with process_tree(process.pid) as tree:
            if len(tree.pids) > 3:  # the demo, the service, Triton and a model
                yield tree
                return
        time.sleep(0.1)
    raise AssertionError("the demo started no service")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_its_service_ends_with_it(
    tmp_path: Path, traces: Traces, signal_number: signal.Signals
) -> None:
    with demo(tmp_path / "out") as process, with_its_service(process) as tree:
        process.send_signal(signal_number)
        assert process.wait(PATIENCE_S) == -signal_number
        assert tree.wait_until_gone()
    assert traces.left() == []


def test_a_service_that_does_not_start_says_why_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBCLIP_BUNDLE", str(tmp_path / "nothing"))
    with demo(tmp_path / "out") as process:
        words, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode not in (0, 1)
    assert words.startswith("obclip: ")
    assert len(words.splitlines()) == 1
