"""Non-interference: whichever candidate the user meant, the device does and says the same.

For every candidate of a set, taken as the user's prompt, and every fault of the service, the bytes
on the wire, the calls with their metadata and order, and the error shown are equal.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

from device_client.client import ObCLIP
from device_client.private_side.choice import index_of
from device_client.transformation import transform
from obclip.errors import ObclipError
from tests.fakes.faults import AT_CANDIDATE, BROKEN, STATUSES, stall_after, status_after
from tests.fakes.recording_wire import DATA, RESET_STREAM, Frame, recording_wire
from tests.fakes.scripted_service import (
    Call,
    HonestCloud,
    Request,
    Script,
    honest,
    scripted_service,
    service_card,
)
from tests.fakes.tiny_bundle import TinyBundle

PROMPT = "a portrait of an old woman with glasses"
CANDIDATES = transform(PROMPT, max_candidates=30).skeleton.candidates()
LARGE = transform("an old asian woman at the beach", max_candidates=30).skeleton.candidates()
POSITIONS = range(len(CANDIDATES))
SEED, STEPS, SWITCH_POINT = 11, 4, 2


@dataclass(frozen=True)
class Observation:
    """Everything that an observer outside the device could see, and what the user is told."""

    calls: tuple[Call, ...]
    frames: tuple[tuple[Frame, ...], ...]
    error: str | None


class Device:
    """Runs the device once against a scripted service and observes it."""

    def __init__(self, bundle: TinyBundle, cloud: HonestCloud) -> None:
        self._bundle, self._cloud = bundle, cloud

    def observe(self, prompt: str, script: Script, timeout_s: float = 30.0) -> Observation:
        with scripted_service(self._cloud, service_card(self._bundle), script) as service:
            with recording_wire(service.address) as wire:
                error = self._generate(wire.address, prompt, timeout_s)
            calls = service.wait_for_calls(2)
        return Observation(calls, tuple(wire.frames()), error)

    def _generate(self, address: str, prompt: str, timeout_s: float) -> str | None:
        with ObCLIP.connect(address, self._bundle.folder, timeout_s=timeout_s) as obclip:
            try:
                obclip.generate(prompt, seed=SEED, steps=STEPS, switch_point=SWITCH_POINT)
            except ObclipError as error:
                return f"{type(error).__name__}: {error}".replace(address, "ADDRESS")
        return None


@pytest.fixture
def device(tiny_bundle: TinyBundle, cloud: HonestCloud) -> Device:
    return Device(tiny_bundle, cloud)


def assert_one_observation(observations: list[Observation]) -> Observation:
    first = observations[0]
    assert all(other == first for other in observations[1:])
    return first


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


@pytest.mark.parametrize("after", [0, 1, 3, 4], ids="after {}".format)
def test_a_stalling_service_sees_the_same(device: Device, after: int) -> None:
    script = stall_after(after)
    with ThreadPoolExecutor(len(CANDIDATES)) as together:  # each waits for its deadline
        observe = partial(device.observe, script=script, timeout_s=3.0)
        seen = assert_one_observation(list(together.map(observe, CANDIDATES)))
    assert seen.error is not None
    assert seen.error.startswith("DeadlineExceeded")
