"""Progress of cloud and device steps on the terminal's error stream."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from device_client.public_side.response_stream import OnProgress

WORDS = {"cloud": "cloud, all candidates", "device": "device, yours alone"}


@contextmanager
def progress(*, quiet: bool) -> Iterator[OnProgress]:
    """Shows bars on a terminal, plain lines elsewhere, nothing when quiet.

    Args:
        quiet: Show nothing.

    Yields:
        The callback for `ObCLIP.generate`.
    """
    if quiet:
        yield lambda _phase, _step, _total: None
    elif sys.stderr.isatty():
        with _new_bars() as bars:
            yield _Bars(bars)
    else:
        yield _tell_plainly


def _new_bars() -> Progress:
    return Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


class _Bars:
    """One bar a phase, from its first event on."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, phase: str, step: int, total: int) -> None:
        bar = "cloud" if phase == "queue" else phase
        if bar not in self._tasks:
            self._tasks[bar] = self._bars.add_task(WORDS[bar], total=None)
        if phase == "queue":
            words = f"waiting, {step} ahead" if step else WORDS["cloud"]
            self._bars.update(self._tasks[bar], description=words)
        else:
            self._bars.update(self._tasks[bar], description=WORDS[bar], completed=step, total=total)


def _tell_plainly(phase: str, step: int, total: int) -> None:
    if phase == "queue" and step:
        typer.echo(f"waiting, {step} ahead", err=True)
    if phase in WORDS and step == total:
        typer.echo(f"{WORDS[phase]}: {step} of {total} steps", err=True)
