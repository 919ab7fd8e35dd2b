"""The program `obclip serve` as a process of its own: real Triton, real gRPC."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OBCLIP = Path(sys.executable).with_name("obclip")
STOP_S = 30


@contextmanager
def served(bundle: Path) -> Iterator[str]:
    """Serves a bundle and gives the address."""
    command = [str(OBCLIP), "serve", "--bundle", str(bundle), "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["address"]
        finally:
            process.terminate()
            assert process.wait(STOP_S) == 0
