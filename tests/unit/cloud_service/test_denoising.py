"""Laws of the loop, on models whose answer is known in closed form."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cloud_service.denoising import DenoisingRun
from cloud_service.job import GenerationJob
from obclip.card import ServiceCard
from obclip.errors import WireError
from obclip.noise import initial_latents
from obclip.plan import Profile, make_plan
from obclip.solver import SolverState

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

    async def denoise(
        self, kind: str, latents: Array, timesteps: Array, embeddings: Array
    ) -> Array:
        assert kind == "unet_full"
        assert len(latents) == len(timesteps) == len(embeddings) <= self.max_batch_size
        self.calls.append((len(latents), sorted({float(t) for t in timesteps})))
        cumulative = self.card.scheduler.alphas_cumprod()[timesteps.astype(int)]
        alpha, sigma = (
            np.sqrt(value)[:, None, None, None] for value in (cumulative, 1 - cumulative)
        )
        x0 = embeddings[:, :1, :1, np.newaxis]
        return ((alpha * latents - x0) / sigma).astype(np.float32)


def _job(switch_point: int, *, candidates: int = 3, guidance_scale: float = 3.0) -> GenerationJob:
    return GenerationJob(
        candidate_ids=np.arange(1, candidates + 1)[:, np.newaxis].repeat(40, axis=1),
        negative_ids=np.zeros((1, 40), np.int64),
        seed=11,
        steps=25,
        guidance_scale=guidance_scale,
        plan=make_plan(25, switch_point, Profile.BARE),
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
    async def denoise(
        self, kind: str, latents: Array, timesteps: Array, embeddings: Array
    ) -> Array:
        output = await super().denoise(kind, latents, timesteps, embeddings)
        output[0, 0, 0, 0] = np.nan
        return output


async def test_numbers_that_are_not_finite_never_leave(card: ServiceCard) -> None:
    with pytest.raises(WireError, match="not finite"):
        await _run(_job(2), BrokenModel(card))
