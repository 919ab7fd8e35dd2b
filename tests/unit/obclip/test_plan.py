import pytest

from obclip.errors import InvalidRequest
from obclip.plan import Profile, Step, evals, make_plan
from obclip.v1 import profile_pb2


@pytest.mark.parametrize("switch_point", [0, 1, 5, 24, 25])
def test_the_bare_plan_is_one_full_pass_for_each_step_before_the_switch_point(switch_point):
    plan = make_plan(25, switch_point, Profile.BARE)
    assert plan.steps == tuple(Step(index, "unet_full") for index in range(switch_point))


@pytest.mark.parametrize("switch_point", [-1, 26])
def test_a_switch_point_outside_the_steps_is_refused_with_the_range(switch_point):
    with pytest.raises(InvalidRequest, match=rf"switch_point: is {switch_point}, outside 0\.\.25"):
        make_plan(25, switch_point, Profile.BARE)


def test_evals_count_guidance_and_candidates():
    assert evals(make_plan(25, 10, Profile.BARE), 6) == 2 * 6 * 10
    assert evals(make_plan(25, 0, Profile.BARE), 6) == 0


def test_every_profile_of_the_wire_but_unspecified_has_a_word():
    numbers = set(profile_pb2.AccelerationProfile.values()) - {0}
    assert {profile.to_proto() for profile in Profile} == numbers
    assert all(Profile.from_proto(profile.to_proto()) is profile for profile in Profile)


@pytest.mark.parametrize("number", [0, 99, -1])
def test_an_unspecified_or_unknown_profile_is_refused(number):
    with pytest.raises(InvalidRequest, match="choose one of bare"):
        Profile.from_proto(number)
