import json

import pytest
import typer
from typer.testing import CliRunner

from cloud_service.plan_table import plan
from obclip.plan import Profile
from tests.fakes.tiny_bundle import TinyBundle

APP = typer.Typer()
APP.command()(plan)


def _run(bundle: TinyBundle, *words: str) -> str:
    command = ["--bundle", str(bundle.folder), *words]
    result = CliRunner().invoke(APP, command, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("profile", Profile)
def test_the_steps_add_up(bundle: TinyBundle, profile: Profile) -> None:
    facts = json.loads(
        _run(bundle, "--n", "6", "--switch-point", "10", "--profile", profile, "--json")
    )
    assert [row["index"] for row in facts["plan"]] == list(range(10))
    assert facts["evals"] == pytest.approx(sum(row["evals"] for row in facts["plan"]))
    assert facts["vanilla_evals"] == 300
    assert facts["evals"] <= 120


def test_prints_steps_kinds_and_cost(bundle: TinyBundle) -> None:
    printed = _run(bundle, "--n", "6", "--switch-point", "5", "--profile", "fast")
    assert "unet_shallow" in printed
    assert "feature" in printed
    assert "fast: N = 6, k = 5" in printed
    assert "vanilla: 300 evals" in printed
