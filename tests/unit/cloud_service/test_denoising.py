"""Laws of the loop, on models whose answer is known in closed form."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cloud_service.denoising import DenoisingRun
from cloud_service.inference import UnetCall
from cloud_service.job import GenerationJob
from obclip.card import ServiceCard, StepKindCost
from obclip.errors import WireError
from obclip.noise import initial_latents
from obclip.plan import Profile, Switches, make_plan, plan_cost
from obclip.solver import SolverState
from tests.fakes.step_kind_model import COST, REUSE_PER_SET, StepKindModel

Array = NDArray[np.float32]


@dataclass
class PointModel:
    """Knows that every clean latent of a prompt is one constant: the prompt's first token, over 10.

    Its embedding of a prompt is that constant; with v-prediction v = alpha eps - sigma x0.
    """

    card: ServiceCard
    max_batch_size: int = 64
    calls: list[tuple[int, list[float]]] = field(default_factory=list)

    async def encode_text(self, input_ids: NDArray[np.int64]) -> Array:
        assert len(input_ids) <= self.max_batch_size
        return (input_ids[:, :1, np.newaxis] / 10).astype(np.float32)

    async def denoise(self, call: UnetCall) -> dict[str, Array]:
        assert call.kind == "unet_full"
        latents, timesteps, embeddings = call.latents, call.timesteps, call.embeddings
        assert len(latents) == len(timesteps) == len(embeddings) <= self.max_batch_size
        self.calls.append((len(latents), sorted({float(t) for t in timesteps})))
        cumulative = self.card.scheduler.alphas_cumprod()[timesteps.astype(int)]
        alpha, sigma = (
            np.sqrt(value)[:, None, None, None] for value in (cumulative, 1 - cumulative)
        )
        x0 = embeddings[:, :1, :1, np.newaxis]
        return {"model_output": ((alpha * latents - x0) / sigma).astype(np.float32)}


def _job(switch_point: int, *, candidates: int = 3, guidance_scale: float = 3.0) -> GenerationJob:
    plan = make_plan(25, switch_point, Profile.BARE)
    return GenerationJob(
        candidate_ids=np.arange(1, candidates + 1)[:, np.newaxis].repeat(40, axis=1),
        negative_ids=np.zeros((1, 40), np.int64),
        seed=11,
        steps=25,
        guidance_scale=guidance_scale,
        plan=plan if guidance_scale > 1 else plan.without_guidance(),
    )


async def _run(job: GenerationJob, model: PointModel) -> tuple[SolverState, DenoisingRun]:
    run = DenoisingRun(job, model.card, model)

    async def ignore(_steps_done: int) -> None: ...

    return await run.run(ignore), run


async def test_without_steps_it_gives_the_common_noise_and_calls_nothing(
    card: ServiceCard,
) -> None:
    model = PointModel(card)
    state, run = await _run(_job(0), model)
    expected = initial_latents(11, 3, card.latents.shape)
    np.testing.assert_array_equal(state.latents, expected)
    np.testing.assert_array_equal(state.latents[0], state.latents[2])
    assert state.previous_x0 is None
    assert (model.calls, run.cost.evals) == ([], 0)


async def test_ends_exactly_at_the_guided_point(card: ServiceCard) -> None:
    """With x0_c = c and x0_u = 0 the guided prediction is w c, at every step and so at the end."""
    state, _ = await _run(_job(25), PointModel(card))
    for index in range(3):
        np.testing.assert_allclose(state.latents[index], 3.0 * (index + 1) / 10, atol=2e-3)


async def test_guidance_of_one_needs_no_negative_prompt(card: ServiceCard) -> None:
    model = PointModel(card)
    state, run = await _run(_job(25, guidance_scale=1.0), model)
    assert {size for size, _ in model.calls} == {3}
    assert run.cost.evals == 3 * 25
    np.testing.assert_allclose(state.latents[2], 0.3, atol=2e-3)


async def test_all_rows_of_a_call_are_at_one_falling_timestep(card: ServiceCard) -> None:
    model = PointModel(card)
    await _run(_job(25), model)
    times = [timesteps for _, timesteps in model.calls]
    assert all(len(timesteps) == 1 for timesteps in times)
    assert times == sorted(times, reverse=True)
    assert len(times) == 25


@pytest.mark.parametrize("max_batch_size", [1, 4, 6, 7])
async def test_chunks_do_not_change_the_result(card: ServiceCard, max_batch_size: int) -> None:
    whole, _ = await _run(_job(5), PointModel(card))
    parts, run = await _run(_job(5), PointModel(card, max_batch_size))
    np.testing.assert_allclose(parts.latents, whole.latents, rtol=1e-6)
    assert sum(run.cost.batch_sizes) == run.cost.evals == 2 * 3 * 5
    assert max(run.cost.batch_sizes) == min(6, max_batch_size)


async def test_a_candidate_does_not_depend_on_its_neighbours(card: ServiceCard) -> None:
    together, _ = await _run(_job(5), PointModel(card))
    job = _job(5)
    alone, _ = await _run(replace(job, candidate_ids=job.candidate_ids[1:2]), PointModel(card))
    np.testing.assert_allclose(together.latents[1:2], alone.latents, rtol=1e-6)


async def test_counts_what_it_did(card: ServiceCard) -> None:
    _, run = await _run(_job(5), PointModel(card))
    assert run.cost.batch_sizes == [6] * 5
    assert run.cost.evals == 30
    assert 0 < run.cost.model_s <= run.cost.server_s


async def test_reports_each_step_after_it_was_done(card: ServiceCard) -> None:
    model, reported = PointModel(card), list[tuple[int, int]]()

    async def report(steps_done: int) -> None:
        reported.append((steps_done, len(model.calls)))

    await DenoisingRun(_job(4), card, model).run(report)
    assert reported == [(1, 1), (2, 2), (3, 3), (4, 4)]


class BrokenModel(PointModel):
    async def denoise(self, call: UnetCall) -> dict[str, Array]:
        answer = await super().denoise(call)
        answer["model_output"][0, 0, 0, 0] = np.nan
        return answer


async def test_numbers_that_are_not_finite_never_leave(card: ServiceCard) -> None:
    with pytest.raises(WireError, match="not finite"):
        await _run(_job(2), BrokenModel(card))


def _step_kinds() -> tuple[StepKindCost, ...]:
    return tuple(
        StepKindCost(name, evals, 0, REUSE_PER_SET if name == "unet_reuse" else 0.0)
        for name, evals in COST.items()
    )


ALL = (
    Profile.BARE,
    Profile.PAPER,
    Profile.BALANCED,
    Profile.FAST,
    Switches(shared_until=1),
    Switches(shared_until=4),
    Switches(trunk_steps=2),
    Switches(full_every=3),
    Switches(cache_point=3, skip_point=4),
    Switches(skip_point=2),
    Switches(reuses_maps=True, shared_until=3),
)


def _job_of(saving: Profile | Switches, tokens: list[int], switch_point: int = 8) -> GenerationJob:
    return GenerationJob(
        candidate_ids=np.array(tokens)[:, np.newaxis] + np.arange(40),
        negative_ids=np.zeros((1, 40), np.int64),
        seed=3,
        steps=25,
        guidance_scale=2.5,
        plan=make_plan(25, switch_point, saving),
    )


async def _latents(card: ServiceCard, job: GenerationJob) -> Array:
    model = StepKindModel()
    run = DenoisingRun(job, replace(card, step_kinds=_step_kinds()), model)

    async def ignore(_steps_done: int) -> None: ...

    state = await run.run(ignore)
    assert state.latents.shape == (job.candidates, *card.latents.shape)
    assert run.cost.evals == pytest.approx(plan_cost(job.plan, job.candidates, _step_kinds()).evals)
    assert sum(run.cost.batch_sizes) == sum(s.samples(job.candidates) for s in job.plan.steps)
    return state.latents


@pytest.mark.parametrize("saving", ALL, ids=str)
async def test_the_order_of_the_candidates_changes_no_candidate(
    card: ServiceCard, saving: Profile | Switches
) -> None:
    """All are treated alike; but a pivot stays the first of the canonical order."""
    tokens, order = [3, 1, 4, 9, 5], np.array([0, 3, 1, 4, 2])
    straight = await _latents(card, _job_of(saving, tokens))
    shuffled = await _latents(card, _job_of(saving, [tokens[i] for i in order]))
    np.testing.assert_allclose(shuffled, straight[order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("saving", ALL, ids=str)
async def test_equal_candidates_are_as_one(card: ServiceCard, saving: Profile | Switches) -> None:
    alone = await _latents(card, _job_of(saving, [7]))
    together = await _latents(card, _job_of(saving, [7, 7, 7]))
    np.testing.assert_allclose(together, np.repeat(alone, 3, axis=0), rtol=1e-4, atol=1e-5)


SHARING = [s for s in ALL if {step.kind for step in make_plan(25, 8, s).steps} == {"unet_full"}]


@pytest.mark.parametrize("saving", SHARING, ids=str)
async def test_for_one_candidate_or_equal_ones_sharing_is_exact(
    card: ServiceCard, saving: Switches
) -> None:
    for tokens in ([4], [4, 4, 4]):
        bare = await _latents(card, _job_of(Profile.BARE, tokens))
        shared = await _latents(card, _job_of(saving, tokens))
        np.testing.assert_allclose(shared, bare, rtol=1e-4, atol=1e-5)


async def test_sharing_at_the_first_step_is_exact_for_any_candidates(card: ServiceCard) -> None:
    tokens = [3, 1, 4, 9, 5, 2]
    bare = await _latents(card, _job_of(Profile.BARE, tokens))
    shared = await _latents(card, _job_of(Switches(shared_until=1), tokens))
    np.testing.assert_allclose(shared, bare, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("saving", ALL, ids=str)
async def test_candidates_come_apart(card: ServiceCard, saving: Profile | Switches) -> None:
    latents = await _latents(card, _job_of(saving, [1, 8]))
    assert np.abs(latents[0] - latents[1]).max() > 1e-3


async def test_batch_reuse_gives_the_model_whole_sets(card: ServiceCard) -> None:
    model = StepKindModel()
    run = DenoisingRun(
        _job_of(Profile.PAPER, [1, 2, 3]), replace(card, step_kinds=_step_kinds()), model
    )

    async def ignore(_steps_done: int) -> None: ...

    await run.run(ignore)
    assert model.calls[0].latents.shape == (2, 3, *card.latents.shape)
    assert model.calls[0].timesteps.shape == (2,)
    assert model.calls[0].leaves == ()
