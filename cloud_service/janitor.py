"""Ends a Triton whose orchestrator is gone, and removes what both left: `janitor.py FOLDER PREFIX`.

The orchestrator writes Triton's process group to standard input and keeps it open; its end, however
it came, closes it. Run as a script, not imported: the standard library alone, so that it starts in
milliseconds.
"""

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
    members = _members(group)
    for member in members:
        select.select([member], [], [], max(0.0, until - time.monotonic()))
    for member in members + _members(group):
        try:
            signal.pidfd_send_signal(member, signal.SIGKILL)
        except ProcessLookupError:
            continue
        select.select([member], [], [], _EXIT_TIMEOUT_S)


def _members(group: int) -> list[int]:
    """File descriptors of the processes in a group."""
    members = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if os.getpgid(int(folder.name)) == group:
                    members.append(os.pidfd_open(int(folder.name)))
            except ProcessLookupError:
                continue
    return members


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
