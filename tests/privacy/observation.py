"""What an observer outside the device sees of it, for a prompt and a behaviour of the service."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from device_client.client import ObCLIP
from obclip.errors import ObclipError
from tests.fakes.recording_wire import Frame, recording_wire
from tests.fakes.scripted_service import (
    Call,
    HonestCloud,
    Script,
    scripted_service,
    service_card,
)
from tests.fakes.tiny_bundle import TinyBundle

SEED, STEPS, SWITCH_POINT = 11, 4, 2
PICTURE_STREAM = 3  # a client's streams are odd, and the card's call comes first


@dataclass(frozen=True)
class Observation:
    """Everything that an observer outside the device could see, and what the user is told."""

    calls: tuple[Call, ...]
    frames: tuple[tuple[Frame, ...], ...]
    error: str | None


class Device:
    """Runs the device once against a scripted service and observes it."""

    def __init__(self, bundle: TinyBundle, cloud: HonestCloud, **facts: Any) -> None:
        """Takes the models and what the service's card says instead of the truth."""
        self._bundle, self._cloud = bundle, cloud
        self._card = service_card(bundle, **facts)

    def observe(
        self,
        prompt: str,
        script: Script,
        timeout_s: float | None = 30.0,
        *,
        endless: bool = False,
    ) -> Observation:
        return self.observe_session([prompt], script, timeout_s, endless=endless)

    def observe_session(
        self,
        prompts: Sequence[str],
        script: Script,
        timeout_s: float | None = 30.0,
        *,
        endless: bool = False,
    ) -> Observation:
        """Makes several pictures over one connection.

        Args:
            prompts: Of the pictures.
            script: What the service does.
            timeout_s: Of every call; None is the client's default.
            endless: The service ends the first picture's call not even at its deadline.
        """
        with scripted_service(self._cloud, self._card, script) as service:
            with recording_wire(service.address, PICTURE_STREAM if endless else 0) as wire:
                calls, error = self._generate(wire.address, prompts, timeout_s)
            # A call ends on the service's side a little after it does on the device's.
            try:
                seen = service.wait_for_calls(calls)
            except TimeoutError as late:
                raise TimeoutError(f"{late}; the user was told: {error}") from late
        return Observation(seen, tuple(wire.frames()), error)

    def _generate(
        self, address: str, prompts: Sequence[str], timeout_s: float | None
    ) -> tuple[int, str | None]:
        """Returns the least number of calls that were made, and what the user is told."""
        calls = 1
        try:
            with ObCLIP.connect(address, self._bundle.folder, timeout_s=timeout_s) as obclip:
                calls = 2
                for prompt in prompts:
                    obclip.generate(prompt, seed=SEED, steps=STEPS, switch_point=SWITCH_POINT)
        except ObclipError as error:
            return calls, f"{type(error).__name__}: {error}".replace(address, "ADDRESS")
        return calls, None


def assert_one_observation(observations: list[Observation]) -> Observation:
    """Fails unless all observations are equal, byte for byte."""
    first = observations[0]
    for number, other in enumerate(observations[1:], 1):
        assert other == first, f"observation {number}: {other}\nthe first one: {first}"
    return first
