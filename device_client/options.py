"""Options of one generation, and how they become settings."""

from pathlib import Path
from typing import TypedDict

from device_client.limits import DEFAULT_MAX_CANDIDATES
from device_client.public_side.settings import GenerationSettings
from obclip.card import Defaults
from obclip.errors import InvalidRequest
from obclip.plan import Profile
from obclip.ranges import require_whole

REFUSE, DEVICE_ONLY = "refuse", "device-only"
_MAX_INT = 2**31 - 1  # of the wire; the real limits are the service's


class GenerationOptions(TypedDict, total=False):
    """Options of `ObCLIP.generate`. A number left out or None takes the model family's default.

    Attributes:
        negative_prompt: What the picture should not show; items with sensitive words are left out.
        seed: 0..2^64-1, sent to the service; by default drawn from the system's CSPRNG.
        steps: Steps of the whole run.
        guidance_scale: Classifier-free guidance on both sides.
        device_guidance_scale: Guidance of the device's own steps; stays on the device.
        switch_point: k in 0..steps; the cloud runs the steps t < k. With 0 nothing is sent.
        profile: How the cloud saves work, e.g. "bare", which saves nothing.
        max_candidates: At least 2. Fewer than the prompt has send one block of a public partition,
            which tells the service log2(all / sent) bits; the report's leakage says so.
        on_unknown: "refuse" a prompt that cannot be hidden, or make it "device-only": the small
            model does all steps and the prompt is not sent in any form.
        lexicon: TOML file with the user's own attributes and words.
        sheet: Also draw what the cloud saw beside the picture.
        keep_cloud_batch: Also return the state of all candidates.
    """

    negative_prompt: str
    seed: int | None
    steps: int | None
    guidance_scale: float | None
    device_guidance_scale: float | None
    switch_point: int | None
    profile: str
    max_candidates: int
    on_unknown: str
    lexicon: Path | None
    sheet: bool
    keep_cloud_batch: bool


_DEFAULTS: GenerationOptions = {
    "negative_prompt": "",
    "seed": None,
    "steps": None,
    "guidance_scale": None,
    "device_guidance_scale": None,
    "switch_point": None,
    "profile": Profile.BALANCED,
    "max_candidates": DEFAULT_MAX_CANDIDATES,
    "on_unknown": REFUSE,
    "lexicon": None,
    "sheet": False,
    "keep_cloud_batch": False,
}


def complete(options: GenerationOptions) -> GenerationOptions:
    """Returns all options, those left out with their defaults.

    Raises:
        TypeError: An option does not exist.
    """
    unknown = sorted(options.keys() - _DEFAULTS.keys())
    if unknown:
        raise TypeError(f"generate() got unexpected options {', '.join(unknown)}")
    return {**_DEFAULTS, **options}


def to_settings(chosen: GenerationOptions, defaults: Defaults) -> GenerationSettings:
    """Returns the public settings.

    With another number of steps than the family's default and no switch point, the cloud's share
    stays the same, but for one step at least.

    Args:
        chosen: All options.
        defaults: Of the model family.

    Raises:
        InvalidRequest: The profile does not exist, or a number of steps is no whole one.
    """
    for field in ("steps", "switch_point"):
        if (number := chosen[field]) is not None:
            require_whole(field, number, -_MAX_INT, _MAX_INT)
    steps = defaults.steps if chosen["steps"] is None else chosen["steps"]
    usual = max(round(steps * defaults.switch_point / defaults.steps), 1)
    scale = chosen["guidance_scale"]
    return GenerationSettings(
        steps=steps,
        guidance_scale=defaults.guidance_scale if scale is None else scale,
        switch_point=usual if chosen["switch_point"] is None else chosen["switch_point"],
        profile=_profile(chosen["profile"]),
    )


def _profile(word: str) -> Profile:
    try:
        return Profile(word)
    except ValueError:
        known = ", ".join(Profile)
        raise InvalidRequest("profile", "does not exist", f"choose one of {known}") from None
