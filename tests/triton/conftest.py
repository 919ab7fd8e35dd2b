import os
import select
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- Triton's choice


@dataclass(frozen=True)
class ProcessGroup:
    """Triton and its python models, watched by file descriptors that outlive the processes."""

    pids: tuple[int, ...]
    pidfds: tuple[int, ...]

    def wait_until_gone(self, timeout_s: float = 20) -> bool:
        """Whether all of them end within the time, each."""
        return all(select.select([fd], [], [], timeout_s)[0] for fd in self.pidfds)


@contextmanager
def process_group(group_id: int) -> Iterator[ProcessGroup]:
    """Watches the processes that are in the group now."""
    everything = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    pids = tuple(pid for pid in everything if _group_of(pid) == group_id)
    pidfds = tuple(map(os.pidfd_open, pids))
    try:
        yield ProcessGroup(pids, pidfds)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Traces":
    """What a service could leave behind; its temporary files go to a folder of this test."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return Traces(tmp_path, _regions())


@dataclass(frozen=True)
class Traces:
    temporary: Path
    regions_before: frozenset[str]

    def left(self) -> list[str]:
        """Names of temporary files and shared memory regions that are new."""
        files = [path.name for path in self.temporary.glob("obclip-*")]
        return sorted(files) + sorted(_regions() - self.regions_before)


def _regions() -> frozenset[str]:
    return frozenset(path.name for path in _SHARED_MEMORY.glob("obclip_*"))
