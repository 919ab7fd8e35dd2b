"""A step-distilled cloud: its sampler, and the guidance scale that its UNet is told."""

from dataclasses import replace

import numpy as np
import pytest

from cloud_service.denoising import DenoisingRun
from cloud_service.job import check_request
from cloud_service.tokenizer import PromptTokenizer
from obclip.card import ServiceCard, StepKindCost
from obclip.errors import InvalidRequest
from obclip.lcm import Distillation, LcmSolver
from obclip.noise import initial_latents
from obclip.plan import Profile
from obclip.solver import SolverState
from obclip.v1 import generation_pb2
from tests.fakes.step_kind_model import COST, REUSE_PER_SET, StepKindModel

SEED, SCALE, STEPS = 3, 6.0, 8
PROMPTS = ("a young woman", "an old woman", "a young man")


@pytest.fixture(params=[True, False], ids=["told the scale", "two passes"])
def distilled(request: pytest.FixtureRequest, card: ServiceCard) -> ServiceCard:
    distillation = Distillation(50, 10.0, request.param, device_steps=25, shift=8)
    kinds = tuple(
        StepKindCost(name, evals, 0, REUSE_PER_SET if name == "unet_reuse" else 0.0)
        for name, evals in COST.items()
    )
    limits = replace(card.limits, max_steps=50)
    return replace(card, distillation=distillation, step_kinds=kinds, limits=limits)


def _request(
    card: ServiceCard, profile: Profile, steps: int = STEPS
) -> generation_pb2.GenerateRequest:
    return generation_pb2.GenerateRequest(
        candidates=PROMPTS,
        seed=SEED,
        steps=steps,
        guidance_scale=SCALE,
        switch_point=7,
        profile=profile.to_proto(),
        cloud_unet_digest=card.models.cloud_unet,
    )


async def _run(
    card: ServiceCard, tokenizer: PromptTokenizer, profile: Profile
) -> tuple[SolverState, StepKindModel]:
    model = StepKindModel()
    job = check_request(_request(card, profile), card, tokenizer)

    async def ignore(_steps_done: int) -> None: ...

    return await DenoisingRun(job, card, model).run(ignore), model


@pytest.mark.parametrize("profile", Profile)
async def test_every_row_is_told_the_scale_or_none_and_then_runs_twice(
    distilled: ServiceCard, tokenizer: PromptTokenizer, profile: Profile
) -> None:
    state, model = await _run(distilled, tokenizer, profile)
    assert np.isfinite(state.latents).all()
    assert distilled.distillation is not None
    for call in model.calls:
        if distilled.distillation.embeds_guidance:
            assert call.guidance is not None
            assert call.guidance.tolist() == [SCALE] * len(call.timesteps)
        else:
            assert call.guidance is None
    rows = [int(np.prod(call.latents.shape[:-3])) for call in model.calls]
    if profile is Profile.BARE:
        assert rows == [3 if distilled.distillation.embeds_guidance else 6] * 7


async def test_the_bare_run_is_the_samplers(
    distilled: ServiceCard, tokenizer: PromptTokenizer
) -> None:
    assert distilled.distillation is not None
    if not distilled.distillation.embeds_guidance:
        distilled = replace(
            distilled, distillation=replace(distilled.distillation, embeds_guidance=True)
        )
    found, model = await _run(distilled, tokenizer, Profile.BARE)
    solver = LcmSolver(distilled.scheduler, distilled.distillation, STEPS, SEED)
    state = SolverState(initial_latents(SEED, len(PROMPTS), distilled.latents.shape))
    for step, call in enumerate(model.calls):
        assert np.array_equal(call.latents, state.latents)
        assert call.timesteps[0] == solver.timesteps[step]
        answer = await StepKindModel().denoise(call)
        state = solver.step(state, answer["model_output"], step)
    assert np.array_equal(found.latents, state.latents)
    assert np.array_equal(found.previous_x0, state.previous_x0)


def test_more_steps_than_it_was_distilled_on_are_refused(
    distilled: ServiceCard, tokenizer: PromptTokenizer
) -> None:
    with pytest.raises(InvalidRequest, match="steps"):
        check_request(_request(distilled, Profile.BARE, steps=51), distilled, tokenizer)
