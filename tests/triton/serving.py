"""`obclip serve` as a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.tiny_bundle import TinyBundle

OBCLIP = Path(sys.executable).parent / "obclip"


@contextmanager
def started(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The command with these arguments, killed at the end if it still runs."""
    process = subprocess.Popen(
        [OBCLIP, "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def serving(
    bundle: TinyBundle, *arguments: str
) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """The command and what it says, as JSON, when it answers."""
    fixed = ("--bundle", str(bundle.folder), "--listen", "127.0.0.1:0", "--json")
    with started(*fixed, *arguments) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield process, json.loads(line)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit code and standard error of a process that is about to end."""
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors
