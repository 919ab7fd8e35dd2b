"""`obclip serve` as a process of its own, for programs that need a service while they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cloud_service import parent_death

_OBCLIP: Final = Path(sys.executable).with_name("obclip")
_STOP_S: Final = 30


@dataclass(frozen=True)
class OwnService:
    """A running `obclip serve`.

    Attributes:
        address: host:port of the orchestrator.
        triton: host:port of its Triton.
        pid: of the orchestrator.
    """

    address: str
    triton: str
    pid: int


@contextmanager
def own_service(*options: str, **settings: str) -> Iterator[OwnService]:
    """Serves on a free loopback port until the block ends, or this process does, however.

    Args:
        *options: of `obclip serve`.
        **settings: the service's OBCLIP_ settings, in lower case.

    Raises:
        SystemExit: it does not start; it has said why on standard error. The code is its own.
    """
    environment = os.environ | {f"OBCLIP_{k.upper()}": value for k, value in settings.items()}
    command = parent_death.bound_to_us(
        str(_OBCLIP), "serve", "--listen", "127.0.0.1:0", "--json", *options
    )
    with subprocess.Popen(  # noqa: S603 -- our own program
        command, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            facts: dict[str, Any] = json.loads(line or "{}")
            if "address" not in facts:  # the line, if any, is its error
                raise SystemExit(process.wait(_STOP_S) or 1)
            yield OwnService(facts["address"], facts["triton"], facts["pid"])
        finally:
            process.terminate()
            process.wait(_STOP_S)
