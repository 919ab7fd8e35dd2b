import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from device_client.program import run
from tests.fakes.scripted_service import (
    HonestCloud,
    ScriptedService,
    scripted_service,
    service_card,
)
from tests.fakes.tiny_bundle import TinyBundle


@dataclass(frozen=True)
class Outcome:
    """What a run of the program left on the terminal."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        return json.loads(self.out)

    def error_line(self) -> str:
        """The last line on the error stream, the only one that starts with the program's name."""
        lines = self.err.splitlines()
        assert [line for line in lines if line.startswith("obclip: ")] == lines[-1:]
        return lines[-1]


Program = Callable[..., Outcome]


@pytest.fixture
def program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Program:
    """Runs the program in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("OBCLIP_SERVER", raising=False)

    def call(*arguments: str) -> Outcome:
        code = run(arguments)
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def service(tiny_bundle: TinyBundle, cloud: HonestCloud) -> Iterator[ScriptedService]:
    with scripted_service(cloud, service_card(tiny_bundle)) as running:
        yield running
