import subprocess
import sys
from importlib.metadata import version

import pytest

from device_client import program
from device_client.program import run
from obclip.errors import ExitCode


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    for command in ("generate", "candidates", "card", "serve"):
        assert command in out


@pytest.mark.parametrize("command", ["generate", "candidates", "card"])
def test_every_command_shows_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert f"obclip {command}" in capsys.readouterr().out.partition("Examples")[2]


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "generate" in capsys.readouterr().out


def test_the_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("obclip")


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["frobnicate"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("obclip: ")
    assert err.count("\n") == 1


def without(package: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs the program where a package cannot be imported."""
    code = (
        f"import sys; sys.modules[{package!r}] = None; "
        "from device_client.program import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_missing_device_package_names_the_extra() -> None:
    done = without("typer", "generate", "a woman")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'obclip[device]'" in done.stderr


def test_a_missing_cloud_package_names_the_extra() -> None:
    done = without("pydantic_settings", "serve", "--help")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'obclip[cloud]'" in done.stderr


def test_help_needs_no_cloud_package() -> None:
    done = without("pydantic_settings", "--help")
    assert done.returncode == 0
    assert "serve" in done.stdout


def test_the_help_of_another_part_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--help"]) == 0
    out = capsys.readouterr().out
    assert "obclip serve" in out
    assert "--listen" in out


def test_quick_start_loads_no_model_code() -> None:
    code = (
        "import sys; from device_client.program import run; run(['--help']); "
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"onnxruntime", "tokenizers", "PIL", "pydantic", "tritonclient"}


def test_an_interrupt_that_an_import_turned_into_its_own_error_cancels(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_arguments: object) -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt

    monkeypatch.setattr(program, "_dispatch", interrupted)
    assert run(["generate", "x"]) == ExitCode.CANCELLED
    assert capsys.readouterr().err == "obclip: cancelled; nothing is left running\n"
