import os
import re
import select
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- Triton's choice
_OWNER = re.compile(r"obclip_(?:slot|triton)_\d+_(\d+)_")


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
    with _watched(tuple(pid for pid in _all_pids() if _group_of(pid) == group_id)) as group:
        yield group


@contextmanager
def process_tree(root: int) -> Iterator[ProcessGroup]:
    """Watches a process and all that descend from it now."""
    parents = {pid: _parent_of(pid) for pid in _all_pids()}
    tree = [root]
    for member in tree:
        tree += [pid for pid, parent in parents.items() if parent == member]
    with _watched(tuple(tree)) as group:
        yield group


@contextmanager
def _watched(pids: tuple[int, ...]) -> Iterator[ProcessGroup]:
    pidfds = tuple(map(os.pidfd_open, pids))
    try:
        yield ProcessGroup(pids, pidfds)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def _all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return -1


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
        files = [path.name for path in self.temporary.glob("obclip_*")]
        return sorted(files) + sorted(_regions() - self.regions_before)


def _regions() -> frozenset[str]:
    """Those of this process and of dead ones; another service may run beside the tests."""
    names = [path.name for path in _SHARED_MEMORY.glob("obclip_*")]
    owners = {name: match[1] for name in names if (match := _OWNER.match(name))}
    alive = {name for name, pid in owners.items() if Path("/proc", pid).exists()}
    ours = {name for name, pid in owners.items() if int(pid) == os.getpid()}
    return frozenset(names) - (alive - ours)
