"""Public settings of one generation."""

from dataclasses import dataclass

from obclip.card import ServiceCard
from obclip.errors import InvalidRequest
from obclip.plan import Profile
from obclip.ranges import require_range


@dataclass(frozen=True)
class GenerationSettings:
    """How to denoise, the same for every candidate.

    Attributes:
        steps: Steps of the whole run, T >= 1.
        guidance_scale: Classifier-free guidance, >= 0; 1 is none.
        switch_point: k in 0..steps; the cloud runs the steps t < k.
        profile: How the cloud saves work.
    """

    steps: int
    guidance_scale: float
    switch_point: int
    profile: Profile

    def check(self, card: ServiceCard) -> None:
        """Compares the settings with a service's limits.

        Raises:
            InvalidRequest: A setting is outside its range; the error names the range.
        """
        self.check_ranges(card.limits.max_steps, card.limits.max_guidance_scale)
        if self.profile not in card.profiles:
            known = ", ".join(card.profiles)
            raise InvalidRequest(
                "profile", f"{self.profile} is not offered by this service", f"choose {known}"
            )

    def check_ranges(self, max_steps: int, max_guidance_scale: float) -> None:
        """Compares the settings with limits that need no service.

        Args:
            max_steps: Largest T.
            max_guidance_scale: Largest guidance scale.

        Raises:
            InvalidRequest: A setting is outside its range; the error names the range.
        """
        require_range("steps", self.steps, 1, max_steps)
        require_range("guidance_scale", self.guidance_scale, 0.0, max_guidance_scale)
        require_range("switch_point", self.switch_point, 0, self.steps)
