"""What the command says to a mistake, without loading torch where that is possible."""

import subprocess
import sys

import pytest

from cloud_service.export.card_settings import UNSTATED, CardSettings
from cloud_service.export.errors import ExportFailed
from obclip.card import Defaults
from tests.unit.cloud_service.export.conftest import invoke

RUN = """
import sys, typer
sys.modules["torch"] = None
from cloud_service.export.program import export
app = typer.Typer()
app.command()(export)
try:
    app(sys.argv[1:])
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def run_without_torch(*words):
    command = [sys.executable, "-c", RUN, *map(str, words)]
    environment = {"COLUMNS": "200", "TERM": "dumb"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, env=environment
    )


@pytest.mark.timeout(120)
def test_help_names_every_option_and_needs_no_torch():
    shown = run_without_torch("--help").stdout
    for option in (
        "cloud", "device", "out", "runtime", "precision", "candidates", "size", "vae", "profiles",
        "triton-models", "family", "licence", "wire-type", "defaults", "device-steps", "shift",
        "dry-run",
    ):  # fmt: skip
        assert f"--{option}" in shown


@pytest.mark.timeout(120)
def test_without_torch_the_extra_is_named(tmp_path):
    result = run_without_torch("--cloud", tmp_path, "--device", tmp_path, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "pip install 'obclip[cloud,export]'" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--candidates", "2,x"), "is no list of numbers in 1..64; write it as 2,6,12,30"),
        (("--candidates", ""), "--candidates: is no list"),
        (("--candidates", "2,65"), r"--candidates: is no list of numbers in 1\.\.64"),
        (("--profiles", "bare,slow"), "--profiles: names one that does not exist; choose from"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path, words, message):
    with pytest.raises(ExportFailed, match=message):
        invoke("--cloud", tmp_path, "--device", tmp_path, "--out", tmp_path / "out", *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--defaults", "10", "2.5", "11"), "--defaults: switch_point is outside 0..10; change it"),
        (("--defaults", "0", "2.5", "0"), "--defaults: steps is outside 1..1000"),
        (("--defaults", "10", "nan", "5"), "--defaults: guidance_scale is outside 0..100"),
        (("--family", "two words"), "--family: is not a short plain name; write letters"),
        (("--family", "x" * 65), "--family: is not a short plain name"),
        (("--licence", ""), "--licence: is not 1 to 128 characters; write an SPDX"),
        (("--licence", "x" * 129), "--licence: is not 1 to 128 characters"),
        (("--device-steps", "0"), "--device-steps: is outside 1..1000; choose one"),
        (("--device-steps", "1001"), "--device-steps: is outside 1..1000"),
        (("--shift", "-1"), "--shift: is outside 0..1000; choose one"),
        (("--shift", "1001"), "--shift: is outside 0..1000"),
    ],
)
def test_what_no_card_takes_is_refused_before_anything_is_loaded(
    tmp_path, monkeypatch, words, message
):
    monkeypatch.setitem(sys.modules, "torch", None)  # it would be the next thing to be refused
    with pytest.raises(ExportFailed) as caught:
        invoke("--cloud", tmp_path, "--device", tmp_path, "--out", tmp_path / "out", *words)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--defaults", "60", "2.5", "4"), "defaults.steps is above distillation.original_steps"),
        (("--device-steps", "1000"), "distillation has more steps than schedule"),
        (("--size", "8256"), "height is outside 1..1024"),
    ],
)
def test_what_the_pairs_own_card_refuses_is_refused_before_anything_is_written(
    lcm_pair, tmp_path, words, message
):
    cloud, device = lcm_pair
    with pytest.raises(ExportFailed) as caught:
        invoke("--cloud", cloud, "--device", device, "--out", tmp_path / "out", *words)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def lcm_pair(tmp_path_factory):
    pytest.importorskip("diffusers", reason="diffusers is not installed (extra: export)")
    from tests.fakes.tiny_pipeline import Tiny, save_tiny_pair  # noqa: PLC0415 -- torch may be absent

    return save_tiny_pair(tmp_path_factory.mktemp("lcm"), Tiny(is_lcm=True))


@pytest.mark.timeout(120)
def test_an_empty_folder_is_refused_and_nothing_is_written(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed (extra: export)")
    with pytest.raises(ExportFailed, match=r"model_index\.json"):
        invoke("--cloud", tmp_path, "--device", tmp_path, "--out", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(120)
def test_a_dry_run_says_what_is_needed_and_writes_nothing(pair, tmp_path):
    cloud, device = pair
    out = tmp_path / "out"
    result = invoke("--cloud", cloud, "--device", device, "--out", out, "--dry-run")
    assert result.exit_code == 0
    assert "GiB of disk and 1.0 GiB of memory" in result.output
    assert not out.exists()


def test_a_folder_without_a_card_starts_with_its_own_name(tmp_path):
    settings = CardSettings.of_folder(tmp_path)
    assert (settings.family, settings.licence) == (tmp_path.name, UNSTATED)
    assert settings.defaults == Defaults(25, 7.5, 10)
    assert CardSettings.of_folder(tmp_path, is_distilled=True).defaults == Defaults(8, 8.0, 4)


@pytest.mark.timeout(900)  # the session's one export
def test_what_is_not_given_comes_from_the_old_card(exported):
    assert CardSettings.of_folder(exported.bundle) == CardSettings(
        "tiny", "CC0-1.0", "float16", Defaults(8, 1.5, 3)
    )
