import json

import pytest
import typer
from typer.testing import CliRunner

from cloud_service.plan_table import plan
from obclip.errors import InvalidRequest
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


def test_every_switch_can_be_set_by_itself(bundle: TinyBundle) -> None:
    words = ["--switch-point", "5", "--profile", "bare", "--json"]
    bare = json.loads(_run(bundle, *words))["evals"]
    changes = ["trunk_steps=1", "shared_until=5", "full_every=2", "reuses_maps=yes", "skip_point=3"]
    for change in changes:
        facts = json.loads(_run(bundle, *words, "--switch", change))
        assert facts["evals"] < bare, change
        assert facts["profile"] == f"bare + {change}"
    kept = json.loads(
        _run(bundle, *words[:2], "--profile", "paper", "--switch", "skip_point=none", "--json")
    )
    assert {row["kind"] for row in kept["plan"]} == {"unet_reuse", "unet_cached"}


@pytest.mark.parametrize(
    "change",
    [
        "turbo=1",
        "full_every=often",
        "full_every",
        "full_every=none",
        "trunk_steps=none",
        "shared_until=yes",
        "reuses_maps=none",
        "reuses_maps=2",
    ],
)
def test_a_switch_or_a_value_that_is_none_is_refused_by_name(
    bundle: TinyBundle, change: str
) -> None:
    with pytest.raises(InvalidRequest, match="set one of trunk_steps, shared_until"):
        CliRunner().invoke(
            APP, ["--bundle", str(bundle.folder), "--switch", change], catch_exceptions=False
        )
