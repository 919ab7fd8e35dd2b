"""From a prompt to its two halves, under the limits of a text encoder."""

from __future__ import annotations

from dataclasses import dataclass, field

from device_client.limits import DEFAULT_MAX_CANDIDATES
from device_client.transformation import Lexicon, TokenBudget, Transformation, transform


@dataclass(frozen=True)
class HidingSettings:
    """Public settings of the transformation.

    Attributes:
        negative_prompt: What the picture should not show.
        max_candidates: Most candidates to send, at least 2.
        lexicon: The words to know; None is the shipped ones.
        budget: What the text encoder takes; None is any length.
    """

    negative_prompt: str = field(repr=False, default="")
    max_candidates: int = DEFAULT_MAX_CANDIDATES
    lexicon: Lexicon | None = field(repr=False, default=None)
    budget: TokenBudget | None = field(repr=False, default=None)


@dataclass(frozen=True)
class HiddenPrompt:
    """A prompt in two halves.

    Attributes:
        halves: The public skeleton and the private choice.
        is_cut: Its end was left out, because the longest candidate was over the budget.
    """

    halves: Transformation
    is_cut: bool


def hide(prompt: str, settings: HidingSettings) -> HiddenPrompt:
    """Splits a prompt into what the cloud sees and what only the device knows.

    Args:
        prompt: The user's words.
        settings: Public settings.

    Raises:
        PromptRefused: The prompt holds something that cannot be hidden, or its candidates cannot
            be told apart by the text encoder.
        InvalidRequest: A setting is outside its range.
    """
    whole = _transform(prompt, settings, None)
    budget = settings.budget
    if budget is None:
        return HiddenPrompt(whole, is_cut=False)
    # All combinations decide, not the block's: a cut that some blocks need would tell that the
    # block was one of those, beside what its number tells.
    if budget.fits(whole.skeleton.in_block(None).candidates()):
        budget.check_distinct(whole.skeleton.candidates())
        return HiddenPrompt(whole, is_cut=False)
    return HiddenPrompt(_transform(prompt, settings, budget), is_cut=True)


def _transform(prompt: str, settings: HidingSettings, budget: TokenBudget | None) -> Transformation:
    return transform(
        prompt,
        settings.negative_prompt,
        lexicon=settings.lexicon,
        max_candidates=settings.max_candidates,
        token_budget=budget,
    )
