"""What the program says to a mistake, without loading torch."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cloud_service.export.card_settings import CardSettings
from cloud_service.export.program import app
from obclip.card import Defaults


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def run_without_torch(*words):
    code = (
        "import runpy, sys; sys.modules['torch'] = None; "
        "runpy.run_module('cloud_service.export', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_help_names_every_option_and_needs_no_torch():
    shown = run_without_torch("--help").stdout
    for option in ("pipeline", "triton-models", "family", "licence", "wire-type", "defaults"):
        assert f"--{option}" in shown


def test_without_torch_the_extra_is_named(tmp_path):
    result = run_without_torch("--pipeline", tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        "export: torch: is not installed; pip install 'obclip[cloud,export]'\n"
    )


def test_a_name_that_no_card_takes_is_refused_before_anything_is_loaded(tmp_path):
    result = invoke("--pipeline", tmp_path, "--family", "two words")
    assert result.exit_code == 1
    assert result.stderr == "export: family is not a short plain name\n"


def test_an_absent_folder_is_a_usage_error(tmp_path):
    result = invoke("--pipeline", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


def test_impossible_defaults_are_refused_before_anything_is_loaded(tmp_path):
    result = invoke("--pipeline", tmp_path, "--defaults", "10", "2.5", "11")
    assert result.exit_code == 1
    assert result.stderr == "export: switch_point is outside 0..10\n"


def test_an_empty_folder_is_refused_in_one_line(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed (extra: export)")
    result = invoke("--pipeline", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "model_index.json" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_card_starts_with_its_own_name(tmp_path):
    settings = CardSettings.of_folder(tmp_path)
    assert settings.family == tmp_path.name
    assert settings.defaults == Defaults(25, 2.5, 10)


@pytest.mark.timeout(240)  # the session's one export
def test_what_is_not_given_comes_from_the_old_card(exported):
    assert CardSettings.of_folder(exported.bundle) == CardSettings(
        "tiny", "CC0-1.0", "float16", Defaults(8, 1.5, 3)
    )
