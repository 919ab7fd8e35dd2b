import pytest

from benchmarks.methods import BARE, METHODS, PAPER, VANILLA
from obclip.plan import Profile, make_plan

BY_NAME = {method.name: method for method in METHODS}


def test_every_method_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(METHODS) == 9


@pytest.mark.parametrize("k", [5, 10])
def test_the_clouds_share_of_the_steps(k: int) -> None:
    steps = {name: len(method.plan(k, 25).steps) for name, method in BY_NAME.items()}
    assert steps.pop("device only") == 0
    assert steps.pop("cloud only") == steps.pop(VANILLA.name) == 25
    assert set(steps.values()) == {k}


def test_the_papers_method_is_its_profile() -> None:
    assert PAPER.plan(10, 25) == make_plan(25, 10, Profile.PAPER)


def test_cache_alone_reuses_no_maps() -> None:
    plan = BY_NAME["obclip + cache"].plan(10, 25)
    assert not any(step.reuses_maps for step in plan.steps)
    assert [s.kind for s in plan.steps] == [s.kind for s in PAPER.plan(10, 25).steps]


def test_hybrid_sd_is_the_bare_plan_of_one_prompt() -> None:
    assert BY_NAME["hybrid sd"].plan(5, 25) == BARE.plan(5, 25)
    assert {name for name, m in BY_NAME.items() if m.is_alone} == {
        "cloud only",
        "device only",
        "hybrid sd",
    }
