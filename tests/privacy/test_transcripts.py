"""Non-interference: whichever candidate the user meant, the device does and says the same.

For every candidate of a set, taken as the user's prompt, and every fault of the service, the bytes
on the wire, the calls with their metadata and order, and the error shown are equal.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from device_client.private_side.choice import index_of
from device_client.transformation import transform
from tests.fakes.faults import (
    AT_CANDIDATE,
    BROKEN,
    STATUSES,
    delay_after,
    error_naming,
    stall_after,
    status_after,
)
from tests.fakes.recording_wire import DATA, RESET_STREAM, Frame
from tests.fakes.scripted_service import HonestCloud, Request, honest
from tests.fakes.tiny_bundle import TinyBundle
from tests.privacy.observation import (
    PICTURE_STREAM,
    Device,
    Observation,
    assert_one_observation,
)

PROMPT = "a portrait of an old woman with glasses"
CANDIDATES = transform(PROMPT, max_candidates=30).skeleton.candidates()
LARGE = transform("an old asian woman at the beach", max_candidates=30).skeleton.candidates()
POSITIONS = range(len(CANDIDATES))
CANCEL = (8).to_bytes(4)  # RFC 9113, section 7


@pytest.fixture
def device(tiny_bundle: TinyBundle, cloud: HonestCloud) -> Device:
    return Device(tiny_bundle, cloud)


def test_the_prompts_are_all_choices_of_one_set() -> None:
    chosen = [transform(candidate, max_candidates=30) for candidate in CANDIDATES]
    assert [index_of(one.choice) for one in chosen] == list(POSITIONS)
    assert {one.skeleton.candidates() for one in chosen} == {CANDIDATES}


@pytest.mark.parametrize("candidates", [CANDIDATES, LARGE], ids=len)
def test_an_honest_service_sees_the_same(device: Device, candidates: tuple[str, ...]) -> None:
    seen = assert_one_observation([device.observe(prompt, honest) for prompt in candidates])
    assert seen.error is None
    assert [call.method for call in seen.calls] == ["GetServiceCard", "Generate"]
    assert all(call.read_to_the_end for call in seen.calls)
    assert tuple(Request.FromString(seen.calls[1].request).candidates) == candidates


def test_the_default_deadlines_follow_the_card_alone(device: Device) -> None:
    """A minute for the card; what the card says of a request, and ten seconds, for the picture."""
    for candidate in CANDIDATES:
        card, picture = device.observe(candidate, honest, timeout_s=None).calls
        assert card.time_left_s == pytest.approx(60, abs=5)
        assert picture.time_left_s == pytest.approx(70, abs=5)


def test_the_users_own_words_change_nothing(device: Device) -> None:
    own = "a portrait of an elderly lady with glasses"
    assert "elderly" not in repr(transform(own, max_candidates=30).skeleton.candidates())
    assert device.observe(own, honest) == device.observe(
        "a portrait of a young lady with glasses", honest
    )


def test_the_wire_is_recorded_in_full(device: Device) -> None:
    seen = device.observe(PROMPT, honest)
    (frames,) = seen.frames
    sent = b"".join(frame.payload for frame in frames if frame.kind == DATA)
    assert seen.calls[1].request in sent


def test_another_skeleton_is_told_apart(device: Device) -> None:
    other = "a portrait of an old woman with a hat"
    assert device.observe(PROMPT, honest) != device.observe(other, honest)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_stream_gives_one_verdict(device: Device, fault: str) -> None:
    script = BROKEN[fault]
    seen = assert_one_observation([device.observe(prompt, script) for prompt in CANDIDATES])
    assert seen.error is not None
    assert seen.error.startswith("WireError")


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("fault", AT_CANDIDATE)
def test_a_damaged_candidate_gives_one_verdict(device: Device, fault: str, position: int) -> None:
    script = AT_CANDIDATE[fault](position)
    seen = assert_one_observation([device.observe(prompt, script) for prompt in CANDIDATES])
    assert seen.error is not None
    assert seen.error.startswith("WireError")
    assert seen.calls[1].read_to_the_end
    assert not any(frame.kind == RESET_STREAM for frame in seen.frames[0])


@pytest.mark.parametrize("fault", AT_CANDIDATE)
def test_the_verdict_does_not_say_which_candidate(device: Device, fault: str) -> None:
    damage = AT_CANDIDATE[fault]
    assert_one_observation([device.observe(PROMPT, damage(position)) for position in POSITIONS])


@pytest.mark.parametrize("after", [0, 1, 3, 4], ids="after {}".format)
@pytest.mark.parametrize("code", STATUSES, ids=lambda code: code.name)
def test_a_failing_service_sees_the_same(device: Device, code: object, after: int) -> None:
    script = status_after(after, code)  # type: ignore[arg-type]
    seen = assert_one_observation([device.observe(prompt, script) for prompt in CANDIDATES])
    assert seen.error is not None
    assert len(seen.calls) == 2


@pytest.mark.parametrize("position", POSITIONS)
def test_an_error_that_names_a_candidate_changes_nothing(device: Device, position: int) -> None:
    script = error_naming(position)
    seen = assert_one_observation([device.observe(prompt, script) for prompt in CANDIDATES])
    assert seen.error is not None
    assert len(seen.calls) == 2


@pytest.mark.parametrize("after", [0, 1, 3, 4], ids="after {}".format)
def test_a_slow_service_sees_the_same(device: Device, after: int) -> None:
    with ThreadPoolExecutor(len(CANDIDATES)) as together:
        observe = partial(device.observe, script=delay_after(after))
        seen = assert_one_observation(list(together.map(observe, CANDIDATES)))
    assert seen.error is None


def test_a_wrong_digest_sends_nothing_of_the_prompt(
    tiny_bundle: TinyBundle, cloud: HonestCloud
) -> None:
    models = replace(tiny_bundle.card.models, cloud_unet="0" * 64)
    device = Device(tiny_bundle, cloud, models=models)
    seen = assert_one_observation([device.observe(prompt, honest) for prompt in CANDIDATES])
    assert seen.error is not None
    assert seen.error.startswith("ModelMismatch")
    assert [call.method for call in seen.calls] == ["GetServiceCard"]


def observe_stall(device: Device, after: int, timeout_s: float) -> list[Observation] | None:
    """Returns the observations, or None if a deadline may have come before the service stopped."""
    left: list[float] = []
    with ThreadPoolExecutor(len(CANDIDATES)) as together:  # each waits for its deadline
        script = stall_after(after, left.append)
        observe = partial(device.observe, script=script, timeout_s=timeout_s, endless=True)
        try:
            seen = list(together.map(observe, CANDIDATES))
        except TimeoutError:  # a call that ended before the service saw it
            return None
    return seen if len(left) == len(seen) and min(left) > timeout_s / 2 else None


@pytest.mark.parametrize("after", [0, 1, 3, 4], ids="after {}".format)
def test_a_stalling_service_sees_the_same(device: Device, after: int) -> None:
    """On a loaded machine a deadline may come too early to show anything: then it is doubled."""
    rounds = (observe_stall(device, after, timeout_s) for timeout_s in (2.0, 4.0, 8.0, 16.0))
    seen = assert_one_observation(next(round_ for round_ in rounds if round_ is not None))
    assert seen.error is not None
    assert seen.error.startswith("DeadlineExceeded")
    assert seen.frames[0][-1] == Frame(RESET_STREAM, PICTURE_STREAM, CANCEL)
