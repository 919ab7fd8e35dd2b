"""The janitor does its work although every process of the service is told to end."""

import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloud_service import janitor
from cloud_service.leftovers import SHARED_MEMORY

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _ignored(pid: int) -> set[signal.Signals]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:")]
    return {number for number in SIGNALS if mask >> (number - 1) & 1}


@pytest.mark.parametrize("number", SIGNALS)
def test_only_the_end_of_its_owner_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    folder, prefix = tmp_path / "files", f"obclip_test_{secrets.token_hex(8)}_"
    folder.mkdir()
    region = SHARED_MEMORY / f"{prefix}region"
    region.touch()
    command = [sys.executable, "-I", "-S", janitor.__file__, str(folder), prefix]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            end = time.monotonic() + 10
            while _ignored(process.pid) != set(SIGNALS) and time.monotonic() < end:
                time.sleep(0.01)
            process.send_signal(number)
            process.stdin.close()
            assert process.wait(10) == 0
            assert not folder.exists()
            assert not region.exists()
        finally:
            process.kill()
            region.unlink(missing_ok=True)
