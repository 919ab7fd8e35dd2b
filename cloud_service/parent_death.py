"""Runs a command that dies with its parent: `python parent_death.py PARENT_PID COMMAND...`.

Run as a script: the standard library alone, so that it starts in milliseconds.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def bound_to_us(*command: str) -> list[str]:
    """The command line that runs a command which gets SIGTERM when this process ends, however.

    Args:
        *command: a program's path and its arguments.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(parent_pid: int, command: list[str]) -> None:
    """Asks the kernel for SIGTERM at the parent's death, then becomes the command."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # the parent died before the kernel knew of the wish
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 -- the command is the parent's own


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
