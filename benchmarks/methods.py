"""The methods that are compared: those of the paper, and ours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from obclip.plan import Plan, Profile, Switches, make_plan


class CloudShare(Enum):
    """Which steps the cloud runs."""

    NO_STEP = "none"
    UNTIL_SWITCH_POINT = "until the switch point"
    EVERY_STEP = "every"


@dataclass(frozen=True)
class Method:
    """One way to make a picture.

    Attributes:
        name: as the tables say it.
        share: the cloud's part of the steps.
        profile: how the cloud saves work.
        reuses_maps: False leaves batch reuse out of the profile, which no request can ask for.
        is_alone: the cloud gets the user's prompt alone, so there is no privacy.
        switches: in the profile's place, which no request can ask for.
    """

    name: str
    share: CloudShare
    profile: Profile = Profile.BARE
    reuses_maps: bool = True
    is_alone: bool = False
    switches: Switches | None = None

    @property
    def profile_words(self) -> str:
        """The profile, and what it is without; a plan of one's own has none."""
        if self.switches is not None:
            return "none"
        return self.profile.value if self.reuses_maps else f"{self.profile.value} without reuse"

    @property
    def varies_with_k(self) -> bool:
        """Whether the switch point changes anything."""
        return self.share is CloudShare.UNTIL_SWITCH_POINT

    def switch_point(self, k: int, steps: int) -> int:
        """The cloud's number of steps."""
        return {CloudShare.NO_STEP: 0, CloudShare.EVERY_STEP: steps}.get(self.share, k)

    def plan(self, k: int, steps: int) -> Plan:
        """The cloud's part.

        Args:
            k: the switch point of those methods that have one.
            steps: T.
        """
        saving: Profile | Switches = self.switches or self.profile
        if not self.reuses_maps:
            saving = replace(self.profile.switches(k), reuses_maps=False)
        return make_plan(steps, self.switch_point(k, steps), saving)


VANILLA: Final = Method("vanilla oblivious", CloudShare.EVERY_STEP)
BARE: Final = Method("obclip bare", CloudShare.UNTIL_SWITCH_POINT)
PAPER: Final = replace(BARE, name="obclip + reuse", profile=Profile.PAPER)
METHODS: Final = (
    replace(VANILLA, name="cloud only", is_alone=True),
    Method("device only", CloudShare.NO_STEP, is_alone=True),
    VANILLA,
    replace(BARE, name="hybrid sd", is_alone=True),
    BARE,
    replace(PAPER, name="obclip + cache", reuses_maps=False),
    PAPER,
    replace(BARE, name="balanced", profile=Profile.BALANCED),
    replace(BARE, name="fast", profile=Profile.FAST),
)
