from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cloud_service.job import check_request
from cloud_service.tokenizer import PromptTokenizer
from obclip.card import ServiceCard
from obclip.errors import InvalidRequest, ModelMismatch, TooManyCandidates
from tests.generation_calls import request_for

CANARY = "an unspeakable canary"


def test_a_valid_request_becomes_a_job_without_text(
    card: ServiceCard, tokenizer: PromptTokenizer
) -> None:
    job = check_request(request_for(card, candidates=[CANARY, "b"]), card, tokenizer)
    assert job.candidates == 2
    assert job.candidate_ids.shape == (2, 40)
    assert job.negative_ids.shape == (1, 40)
    assert [step.index for step in job.plan.steps] == [0, 1, 2, 3, 4]
    assert "canary" not in repr(job)
    assert "candidate_ids" not in repr(job)


def test_keeps_the_order_of_the_candidates(card: ServiceCard, tokenizer: PromptTokenizer) -> None:
    one = check_request(request_for(card, candidates=["man", "woman"]), card, tokenizer)
    other = check_request(request_for(card, candidates=["woman", "man"]), card, tokenizer)
    np.testing.assert_array_equal(one.candidate_ids, other.candidate_ids[::-1])


@pytest.mark.parametrize(("scale", "is_guided"), [(0, False), (1, False), (1.01, True), (20, True)])
def test_guides_where_diffusers_does(
    card: ServiceCard, tokenizer: PromptTokenizer, scale: float, is_guided: bool
) -> None:
    job = check_request(request_for(card, guidance_scale=scale), card, tokenizer)
    assert job.is_guided == is_guided


ACCEPTED: list[dict[str, Any]] = [
    {"switch_point": 0},
    {"switch_point": 25},
    {"steps": 1, "switch_point": 1},
    {"steps": 100},
    {"seed": 0},
    {"seed": 2**64 - 1},
    {"candidates": [f"{'man ' * i}" + "." for i in range(32)]},
    {"candidates": ["x" * 1024]},
    {"negative_prompt": "é" * 512},
]


@pytest.mark.parametrize("changes", ACCEPTED, ids=str)
def test_accepts_the_limits_themselves(
    card: ServiceCard, tokenizer: PromptTokenizer, changes: dict[str, Any]
) -> None:
    check_request(request_for(card, **changes), card, tokenizer)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("candidates", {"candidates": []}),
    ("candidates", {"candidates": [""]}),
    ("candidates", {"candidates": [CANARY, " \t"]}),
    ("candidates", {"candidates": [CANARY, CANARY]}),
    ("candidates", {"candidates": [f"{CANARY} {i}" for i in range(33)]}),
    ("candidates", {"candidates": [CANARY * 60]}),
    ("candidates", {"candidates": ["man " * 39]}),
    ("negative_prompt", {"negative_prompt": "é" * 513}),
    ("negative_prompt", {"negative_prompt": "man " * 39}),
    ("steps", {"steps": 0, "switch_point": 0}),
    ("steps", {"steps": 101}),
    ("switch_point", {"switch_point": 26}),
    ("guidance_scale", {"guidance_scale": -0.1}),
    ("guidance_scale", {"guidance_scale": 20.5}),
    ("guidance_scale", {"guidance_scale": float("nan")}),
    ("guidance_scale", {"guidance_scale": float("inf")}),
    ("profile", {"profile": 0}),
    ("profile", {"profile": 99}),
]


@pytest.mark.parametrize(("field", "changes"), REFUSED, ids=lambda value: str(value)[:40])
def test_names_the_field_and_never_the_prompt(
    card: ServiceCard, tokenizer: PromptTokenizer, field: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_request(request_for(card, **changes), card, tokenizer)
    assert caught.value.field == field
    assert "canary" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_candidates_is_an_error_of_its_own(
    card: ServiceCard, tokenizer: PromptTokenizer
) -> None:
    request = request_for(card, candidates=[str(i) for i in range(33)])
    with pytest.raises(TooManyCandidates) as caught:
        check_request(request, card, tokenizer)
    assert (caught.value.count, caught.value.limit) == (33, 32)


@pytest.mark.parametrize(
    ("stated", "shown"), [("0" * 64, "0" * 64), ("", "none"), (CANARY, "none")]
)
def test_refuses_another_model(
    card: ServiceCard, tokenizer: PromptTokenizer, stated: str, shown: str
) -> None:
    with pytest.raises(ModelMismatch) as caught:
        check_request(request_for(card, cloud_unet_digest=stated), card, tokenizer)
    assert caught.value.ours == card.models.cloud_unet
    assert caught.value.theirs == shown


def test_refuses_steps_for_which_the_schedule_has_no_timesteps(
    card: ServiceCard, tokenizer: PromptTokenizer
) -> None:
    """999 leading steps of 1000 end at timestep 999 + the offset of 1."""
    long = replace(card, limits=replace(card.limits, max_steps=999))
    check_request(request_for(long, steps=998), long, tokenizer)
    with pytest.raises(InvalidRequest, match="steps: is 999, for which the schedule has no times"):
        check_request(request_for(long, steps=999), long, tokenizer)
