"""A request that was checked: what the orchestrator works on."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloud_service.tokenizer import PromptTokenizer
from obclip.card import Limits, ServiceCard, is_sha256
from obclip.errors import InvalidRequest, ModelMismatch, TooManyCandidates
from obclip.guidance import is_guided
from obclip.plan import Plan, Profile, Rows, make_plan
from obclip.ranges import require_range
from obclip.v1 import generation_pb2


@dataclass(frozen=True, eq=False)
class GenerationJob:
    """One candidate set and its settings; holds token ids, no prompt text.

    Attributes:
        candidate_ids: (N, L) int64, in the request's order.
        negative_ids: (1, L) int64.
        seed: of the initial noise, 0..2^64-1.
        steps: T, 1..max_steps.
        guidance_scale: 0..max_guidance_scale.
        plan: the cloud's steps, switch_point of them.
    """

    candidate_ids: NDArray[np.int64] = field(repr=False)
    negative_ids: NDArray[np.int64] = field(repr=False)
    seed: int
    steps: int
    guidance_scale: float
    plan: Plan

    @property
    def candidates(self) -> int:
        """N, >= 1."""
        return len(self.candidate_ids)

    @property
    def is_guided(self) -> bool:
        """Whether the negative prompt is needed."""
        return any(step.unconditional is not Rows.NONE for step in self.plan.steps)


def check_request(
    request: generation_pb2.GenerateRequest, card: ServiceCard, tokenizer: PromptTokenizer
) -> GenerationJob:
    """Turn a request into a job, or refuse it.

    Args:
        request: as it came over the wire; its size is already bounded.
        card: the limits that were promised to every caller.
        tokenizer: of the card's text encoder.

    Raises:
        InvalidRequest: a field is outside the card's limits; the error names field and limit,
            never a prompt.
        ModelMismatch: the device was made for another cloud UNet.
    """
    limits = card.limits
    _check_digest(request.cloud_unet_digest, card.models.cloud_unet)
    _check_prompts(request, limits)
    require_range("steps", request.steps, 1, limits.max_steps)
    if card.distillation is None:
        card.scheduler.require_steps(request.steps)
    require_range("guidance_scale", request.guidance_scale, 0, limits.max_guidance_scale)
    return GenerationJob(
        candidate_ids=np.stack([tokenizer.encode(c, "candidates") for c in request.candidates]),
        negative_ids=tokenizer.encode(request.negative_prompt, "negative_prompt")[np.newaxis],
        seed=request.seed,
        steps=request.steps,
        guidance_scale=request.guidance_scale,
        plan=_plan(request, card),
    )


def _plan(request: generation_pb2.GenerateRequest, card: ServiceCard) -> Plan:
    profile = Profile.from_proto(request.profile)
    if profile is None or profile not in card.profiles:
        known = ", ".join(card.profiles)
        raise InvalidRequest("profile", "is not one of this service", f"choose one of {known}")
    plan = make_plan(request.steps, request.switch_point, profile)
    is_told = card.distillation is not None and card.distillation.embeds_guidance
    runs_twice = is_guided(request.guidance_scale) and not is_told
    return plan if runs_twice else plan.without_guidance()


def _check_digest(stated: str, ours: str) -> None:
    if stated != ours:
        # What is no digest is not repeated: it could be anything.
        theirs = stated if is_sha256(stated) else "none"
        raise ModelMismatch("cloud_unet", ours=ours, theirs=theirs)


def _check_prompts(request: generation_pb2.GenerateRequest, limits: Limits) -> None:
    candidates = request.candidates
    if not candidates:
        raise InvalidRequest("candidates", "none given", "send at least one prompt")
    if len(candidates) > limits.max_candidates:
        raise TooManyCandidates(len(candidates), limits.max_candidates)
    if not all(candidate.strip() for candidate in candidates):
        raise InvalidRequest("candidates", "one is empty", "write a prompt")
    if len(set(candidates)) != len(candidates):
        raise InvalidRequest("candidates", "two are equal", "send each candidate once")
    for candidate in candidates:
        _check_bytes("candidates", candidate, limits.max_prompt_bytes)
    _check_bytes("negative_prompt", request.negative_prompt, limits.max_prompt_bytes)


def _check_bytes(field_name: str, prompt: str, limit: int) -> None:
    size = len(prompt.encode())
    if size > limit:
        raise InvalidRequest(field_name, f"{size} bytes where {limit} fit", "shorten the prompt")
