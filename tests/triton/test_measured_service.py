"""The service that a benchmark starts, over a real tritonserver."""

import signal
import subprocess
import sys

import pytest

from tests.fakes.tiny_bundle import TinyBundle
from tests.triton.conftest import Traces, process_tree

pytestmark = pytest.mark.triton

_BENCHMARK = """
import sys
from pathlib import Path
from benchmarks.system import running_service
with running_service(Path(sys.argv[1])) as service:
    print(service.pid, flush=True)
    sys.stdin.read()
"""


def test_it_ends_with_the_benchmark(bundle: TinyBundle, traces: Traces) -> None:
    command = [sys.executable, "-c", _BENCHMARK, str(bundle.folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as benchmark:
        assert benchmark.stdout is not None
        service_pid = int(benchmark.stdout.readline())
        with process_tree(benchmark.pid) as tree:
            assert service_pid in tree.pids
            assert len(tree.pids) > 3  # the benchmark, the service, Triton and its models
            benchmark.send_signal(signal.SIGTERM)
            assert benchmark.wait(20) == -signal.SIGTERM
            assert tree.wait_until_gone()
    assert traces.left() == []
