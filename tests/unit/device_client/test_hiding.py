"""Whole or cut: the same for every value that a prompt may hold."""

import pytest

from device_client.hiding import HidingSettings, hide
from device_client.transformation import TokenBudget, transform
from obclip.errors import PromptRefused

FRAMES = [
    "a woman in the rain next to a red car with an old man",
    "a woman and a middle-aged man",
    "a woman at the beach with her grandfather",
    "a photo of a girl in a garden beside an asian businesswoman",
]


def outcome(prompt: str, settings: HidingSettings) -> str:
    try:
        return "cut" if hide(prompt, settings).is_cut else "whole"
    except PromptRefused:
        return "refused"


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("most", [2, 5])
def test_the_verdict_is_the_same_for_every_value(frame: str, most: int) -> None:
    """A cut that only some blocks need would tell more than the number of the block."""
    typed = transform(frame, max_candidates=100).skeleton.candidates()
    lengths = sorted({len(text) for text in typed})
    for limit in (lengths[0], lengths[len(lengths) // 2], lengths[-1] - 1, lengths[-1]):
        budget = TokenBudget(list, limit)  # a token a character: values differ in length
        settings = HidingSettings(max_candidates=most, budget=budget)
        assert len({outcome(text, settings) for text in typed}) == 1


def test_a_cut_prompt_may_still_need_blocks() -> None:
    prompt = "an old asian woman in the rain, very detailed"
    settings = HidingSettings(max_candidates=5, budget=TokenBudget(str.split, 6))
    found = hide(prompt, settings)
    assert found.is_cut
    skeleton = found.halves.skeleton
    assert (skeleton.n, skeleton.total) == (5, 30)
    assert all(text.endswith(("in the", "rain")) for text in skeleton.candidates())
    for text in skeleton.candidates():
        assert hide(text, settings).halves.skeleton == skeleton
