"""Names that tell their owner: what a killed service left, the next one of the machine removes."""

import contextlib
import os
import shutil
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- where Triton puts its regions, and looks them up


def own_prefix(use: str) -> str:
    """Starts the names of this process.

    Args:
        use: what the names are for, e.g. "slot".
    """
    return f"{_family(use)}{os.getpid()}_"


def is_of_dead_owner(name: str, use: str) -> bool:
    """Whether a name is one of a process that ended; False where that cannot be seen from here."""
    pid = name.removeprefix(_family(use)).partition("_")[0]
    is_ours = name.startswith(_family(use)) and pid.isdecimal()
    return is_ours and not Path("/proc", pid).exists()


def sweep(folder: Path, use: str) -> None:
    """Removes files and folders of dead owners; those of another user stay.

    Args:
        folder: in which they lie.
        use: see `own_prefix`.
    """
    for path in folder.glob(f"{_family(use)}*"):
        if is_of_dead_owner(path.name, use):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()


def _family(use: str) -> str:
    """Starts the names of all processes that see the same process ids."""
    return f"obclip_{use}_{Path('/proc/self/ns/pid').stat().st_ino}_"
