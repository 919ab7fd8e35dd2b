"""Ends a Triton whose orchestrator is gone, and removes what both left: `janitor.py FOLDER PREFIX`.

The orchestrator writes Triton's process group to standard input and keeps it open; its end, however
it came, closes it. Run as a script: the standard library alone, so that it starts in milliseconds.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- where Triton puts its regions
_EXIT_TIMEOUT_S = 5.0
_DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # sent to all; the others end first


def main(folder: Path, prefix: str) -> None:
    """Waits for the end of standard input, whatever signals ask for, then cleans.

    Args:
        folder: of temporary files.
        prefix: of the names of Triton's shared memory regions.
    """
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    group = sys.stdin.readline().strip()
    sys.stdin.read()
    if group:
        _end(int(group))
    shutil.rmtree(folder, ignore_errors=True)
    for region in _SHARED_MEMORY.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)


def _end(group: int) -> None:
    """Lets the processes of the group end by themselves, or kills what does not in time."""
    until = time.monotonic() + _EXIT_TIMEOUT_S
    first = members(group)
    for member in first:
        select.select([member], [], [], max(0.0, until - time.monotonic()))
    for member in first + members(group):
        try:
            signal.pidfd_send_signal(member, signal.SIGKILL)
        except ProcessLookupError:
            continue
        select.select([member], [], [], _EXIT_TIMEOUT_S)


def members(group: int, but: int | None = None) -> list[int]:
    """File descriptors of the processes in a group.

    Args:
        group: its leader's process id.
        but: process id of one that is left out.
    """
    found = []
    for pid in (int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()):
        with contextlib.suppress(ProcessLookupError):
            if pid != but and os.getpgid(pid) == group:
                found.append(os.pidfd_open(pid))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
