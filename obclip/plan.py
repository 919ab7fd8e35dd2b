"""The plan: which kind of UNet pass the cloud makes at each of its steps.

It is a pure function of public settings, so both sides can compute it and it can hold no choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from obclip.errors import InvalidRequest
from obclip.v1 import profile_pb2

# Guidance runs the model with the prompt and with the negative prompt.
PASSES_PER_STEP = 2
UNET_FULL = "unet_full"


class Profile(StrEnum):
    """How the cloud saves work; the values are the words of the command line and of `--json`."""

    BARE = "bare"

    def to_proto(self) -> profile_pb2.AccelerationProfile:
        """The wire's number."""
        return _PROFILES[self]

    @classmethod
    def from_proto(cls, number: int) -> Profile:
        """The profile of the wire's number.

        Raises:
            InvalidRequest: it is UNSPECIFIED, or of a later release.
        """
        for profile, value in _PROFILES.items():
            if value == number:
                return profile
        known = ", ".join(cls)
        raise InvalidRequest("profile", "is not one of this service", f"choose one of {known}")


_PROFILES = {Profile.BARE: profile_pb2.ACCELERATION_PROFILE_BARE}


@dataclass(frozen=True)
class Step:
    """One cloud step.

    Attributes:
        index: 0..switch_point-1.
        kind: name of the step kind, which is also that of its Triton model.
    """

    index: int
    kind: str


@dataclass(frozen=True)
class Plan:
    """The cloud's steps in order; empty when the switch point is 0."""

    steps: tuple[Step, ...]


def make_plan(steps: int, switch_point: int, profile: Profile) -> Plan:
    """Plan the cloud's part of a run.

    Args:
        steps: T, steps of the whole run.
        switch_point: k in 0..T; the cloud runs steps t < k.
        profile: how to save work.

    Raises:
        InvalidRequest: the switch point is outside 0..steps.
    """
    if not 0 <= switch_point <= steps:
        raise InvalidRequest(
            "switch_point", f"is {switch_point}, outside 0..{steps}", f"choose 0 to {steps}"
        )
    kinds = {Profile.BARE: UNET_FULL}
    return Plan(tuple(Step(index, kinds[profile]) for index in range(switch_point)))


def evals(plan: Plan, candidates: int) -> float:
    """Full UNet passes of a plan, counted per sample, guidance included.

    Args:
        plan: the plan.
        candidates: N >= 1.
    """
    return float(PASSES_PER_STEP * candidates * len(plan.steps))
