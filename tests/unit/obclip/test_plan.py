import pytest
from hypothesis import given
from hypothesis import strategies as st

from obclip.card import StepKindCost
from obclip.errors import InvalidRequest
from obclip.plan import (
    STEP_KINDS,
    Profile,
    Rows,
    Step,
    Switches,
    make_plan,
    plan_cost,
    step_cost,
)
from obclip.v1 import profile_pb2

# Stable Diffusion 1.x at 64x64: one pass is 401.6 GMAC; outermost pair 14.6 %, up blocks 67.5 %;
# queries, keys and maps, which batch reuse computes once for a set, 12.8 %.
SD_1 = (
    StepKindCost("unet_full", 1.0, 401_600_000_000),
    StepKindCost("unet_shallow", 0.146, 58_600_000_000),
    StepKindCost("unet_reuse", 0.872, 350_200_000_000, 0.128, 51_400_000_000),
    StepKindCost("unet_cached", 0.744, 298_800_000_000),
    StepKindCost("unet_up", 0.675, 270_900_000_000),
    StepKindCost("unet_up_cached", 0.5, 200_800_000_000),
)
SIX = 6


def evals(switch_point: int, saving: Profile | Switches, candidates: int = SIX) -> float:
    return plan_cost(make_plan(25, switch_point, saving), candidates, SD_1).evals


@pytest.mark.parametrize("switch_point", [0, 1, 5, 24, 25])
def test_the_bare_plan_is_one_full_pass_for_each_step_before_the_switch_point(switch_point):
    plan = make_plan(25, switch_point, Profile.BARE)
    assert plan.steps == tuple(Step(index, "unet_full") for index in range(switch_point))


@pytest.mark.parametrize("switch_point", [-1, 26])
def test_a_switch_point_outside_the_steps_is_refused_with_the_range(switch_point):
    with pytest.raises(InvalidRequest, match=rf"switch_point: is {switch_point}, outside 0\.\.25"):
        make_plan(25, switch_point, Profile.BARE)


def test_evals_count_guidance_and_candidates():
    assert evals(10, Profile.BARE) == 2 * 6 * 10
    assert evals(0, Profile.BARE) == 0
    plan = make_plan(25, 10, Profile.BARE).without_guidance()
    assert plan_cost(plan, SIX, SD_1).evals == 6 * 10


@pytest.mark.parametrize(
    ("switch_point", "switches", "expected"),
    [
        (10, Switches(shared_until=1), 115),
        (5, Switches(shared_until=1), 55),
        (10, Switches(shared_until=5), 95),
        (5, Switches(shared_until=5), 35),
        (10, Switches(shared_until=5, trunk_steps=1), 90),
        (5, Switches(shared_until=5, trunk_steps=1), 30),
        (5, Switches(shared_until=5, trunk_steps=2), 25),
        (5, Switches(shared_until=5, trunk_steps=3), 20),
        (5, Switches(trunk_steps=1), 2 + 7 + 3 * 12),
        (5, Switches(shared_until=5, trunk_steps=1, full_every=2), 16 + 14 * 0.146),
        (10, Switches(cache_point=4, skip_point=6), 48 + 24 * 0.744 + 36 * 0.5 + 12 * 0.675),
    ],
)
def test_counts_by_hand(switch_point, switches, expected):
    assert evals(switch_point, switches) == pytest.approx(expected)


@pytest.mark.parametrize(("switch_point", "least"), [(5, 14), (10, 7)])
def test_fast_costs_a_small_part_of_vanilla(switch_point, least):
    assert evals(25, Profile.BARE) / evals(switch_point, Profile.FAST) >= least


def test_fast_hardly_grows_with_the_set():
    assert evals(25, Profile.BARE, 30) / evals(5, Profile.FAST, 30) >= 25
    assert evals(5, Profile.FAST, 30) / evals(5, Profile.FAST, 2) <= 9


def test_the_papers_plan_is_the_papers():
    five = make_plan(25, 5, Profile.PAPER).steps
    assert [step.kind for step in five] == ["unet_reuse"] * 3 + ["unet_up_cached"] * 2
    ten = [step.kind for step in make_plan(25, 10, Profile.PAPER).steps]
    assert ten == (
        ["unet_reuse"] * 4
        + ["unet_cached"] * 2
        + ["unet_up_cached"] * 2
        + ["unet_up", "unet_up_cached"]
    )
    assert all(step.reuses_maps for step in five[:3])
    assert five[2].leaves == ("skips", "attention_up")
    assert five[1].leaves == ()


def test_batch_reuse_pays_for_maps_once_for_each_branch():
    step = make_plan(25, 1, Switches(reuses_maps=True)).steps[0]
    assert step_cost(step, SIX, SD_1).evals == pytest.approx(12 * 0.872 + 2 * 0.128)
    alone = make_plan(25, 4, Switches(cache_point=3)).steps[0]
    assert step_cost(alone, SIX, SD_1).evals == pytest.approx(12)


any_switches = st.builds(
    Switches,
    trunk_steps=st.integers(0, 6),
    shared_until=st.integers(0, 12),
    full_every=st.integers(1, 5),
) | st.builds(
    Switches,
    shared_until=st.integers(0, 12),
    reuses_maps=st.booleans(),
    cache_point=st.none() | st.integers(1, 12),
    skip_point=st.none() | st.integers(1, 12),
    refresh=st.integers(1, 6),
)


@given(any_switches, st.integers(0, 25), st.integers(1, 30))
def test_every_plan_costs_at_most_bare_and_takes_only_what_was_left(switches, k, candidates):
    plan = make_plan(25, k, switches)
    held: set[str] = set()
    for step in plan.steps:
        assert set(step.takes) <= held
        assert set(step.leaves) <= set(STEP_KINDS[step.kind].leaves)
        held |= set(step.leaves)
    assert plan_cost(plan, candidates, SD_1).evals <= 2 * candidates * k + 1e-9


@given(any_switches, st.integers(0, 25))
def test_every_row_is_of_all_candidates_or_of_their_mean(switches, k):
    for step in make_plan(25, k, switches).steps:
        assert step.conditional in {Rows.EACH, Rows.ONE}
        assert step.samples(1) <= 2


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("switch_point", range(26))
def test_every_profile_plans_any_switch_point_with_its_step_kinds(profile, switch_point):
    plan = make_plan(25, switch_point, profile)
    assert len(plan.steps) == switch_point
    assert {step.kind for step in plan.steps} <= profile.step_kinds()


@pytest.mark.parametrize("profile", [Profile.BALANCED, Profile.FAST])
def test_ours_share_what_is_equal_at_the_first_step(profile):
    assert make_plan(25, 1, profile).steps[0].unconditional is Rows.ONE


@pytest.mark.parametrize(
    ("name", "value"), [("trunk_steps", -1), ("full_every", 0), ("cache_point", 0)]
)
def test_a_switch_outside_its_range_is_refused(name, value):
    with pytest.raises(InvalidRequest, match=f"{name}: is {value}; choose at least"):
        Switches(**{name: value})


def test_shallow_steps_and_the_papers_caches_do_not_mix():
    with pytest.raises(InvalidRequest, match="cannot be combined"):
        Switches(full_every=2, skip_point=3)


def test_a_table_without_the_kind_is_refused():
    step = make_plan(25, 5, Profile.FAST).steps[4]
    with pytest.raises(InvalidRequest, match="unet_shallow, which the bundle lacks"):
        step_cost(step, 2, SD_1[:1])


def test_every_profile_of_the_wire_but_unspecified_has_a_word():
    numbers = set(profile_pb2.AccelerationProfile.values()) - {0}
    assert {profile.to_proto() for profile in Profile} == numbers
    assert all(Profile.from_proto(profile.to_proto()) is profile for profile in Profile)


@pytest.mark.parametrize("number", [0, 99, -1])
def test_an_unspecified_or_unknown_number_is_no_profile(number):
    assert Profile.from_proto(number) is None
