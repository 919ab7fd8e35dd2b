"""The computation of any family by diffusers in one process, from the folders before the export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from diffusers import DiffusionPipeline, DPMSolverMultistepScheduler, LCMScheduler
from diffusers.schedulers import scheduling_lcm
from numpy.typing import NDArray

from obclip.card import ModelCard
from obclip.noise import initial_latents, step_noise


class FamilyReference:
    """Cloud and device pipelines of one family, and both in one run.

    Args:
        cloud: Folder of the cloud's pipeline.
        device: Folder of the device's.
        card: Of the bundle; its shift and the device's steps count alone.
    """

    def __init__(self, cloud: Path, device: Path, card: ModelCard) -> None:
        self._cloud = DiffusionPipeline.from_pretrained(cloud, variant="fp16")
        self._device = DiffusionPipeline.from_pretrained(device, variant="fp16")
        for pipeline in (self._cloud, self._device):
            pipeline.set_progress_bar_config(disable=True)
        self._card = card

    @torch.no_grad()
    def image(
        self, prompt: str, steps: int, switch_point: int, scale: float, seed: int
    ) -> NDArray[np.uint8]:
        """Returns the picture, (8H, 8W, 3)."""
        start = torch.from_numpy(initial_latents(seed, 1, self._card.latents.shape))
        distilled = self._card.distillation
        scheduler = cloud_scheduler(self._cloud)
        latents = start
        if switch_point:
            with public_noise(seed):
                latents = self._run(
                    self._cloud, scheduler, (prompt, steps, scale), latents, (0, switch_point)
                )
        if distilled is None:
            end = (switch_point, steps)
            latents = self._run(self._device, scheduler, (prompt, steps, scale), latents, end)
        else:
            first = {0: 0, steps: distilled.device_steps}.get(
                switch_point, switch_point + distilled.shift
            )
            own = (prompt, distilled.device_steps, scale)
            steps = distilled.device_steps
            scheduler = _dpm(self._device)
            latents = self._run(self._device, scheduler, own, latents, (first, steps))
        vae = self._device.vae
        decoded = vae.decode(latents / vae.config.scaling_factor).sample
        picture = self._device.image_processor.postprocess(decoded, output_type="np")[0]
        return (picture * 255).round().astype(np.uint8)

    def whole(self, prompt: str, steps: int, scale: float, seed: int) -> NDArray[np.uint8]:
        """Returns the cloud pipeline's own picture, by its own `__call__`."""
        self._cloud.scheduler = cloud_scheduler(self._cloud)
        start = torch.from_numpy(initial_latents(seed, 1, self._card.latents.shape))
        with public_noise(seed):
            images = self._cloud(
                prompt, num_inference_steps=steps, guidance_scale=scale, latents=start,
                output_type="np",
            ).images  # fmt: skip
        return (images[0] * 255).round().astype(np.uint8)

    @staticmethod
    def _run(
        pipeline: Any,
        scheduler: Any,
        asked: tuple[str, int, float],
        latents: torch.Tensor,
        steps: tuple[int, int],
    ) -> torch.Tensor:
        """Steps `steps[0]` to `steps[1]` with the pipeline's models, as its own loop does them."""
        prompt, total, scale = asked
        first, end = steps
        if scheduler.num_inference_steps != total or scheduler.step_index is None or not first:
            scheduler.set_timesteps(total)
            scheduler.set_begin_index(first)
        is_told = pipeline.unet.config.time_cond_proj_dim is not None
        rows, conditions = _conditions(pipeline, prompt, is_guided=not is_told)
        if is_told:
            conditions["timestep_cond"] = pipeline.get_guidance_scale_embedding(
                torch.tensor([scale - 1.0]), embedding_dim=pipeline.unet.config.time_cond_proj_dim
            )
        for time in scheduler.timesteps[first:end]:
            both = torch.cat([latents] * len(rows))
            output = pipeline.unet(both, time, rows, **conditions).sample
            if not is_told:
                without, with_text = output.chunk(2)
                output = without + scale * (with_text - without)
            latents = scheduler.step(output, time, latents).prev_sample
        return latents


def cloud_scheduler(pipeline: Any) -> Any:
    """The pipeline's own where it is distilled, else what the service samples with."""
    is_lcm = isinstance(pipeline.scheduler, LCMScheduler)
    return pipeline.scheduler if is_lcm else _dpm(pipeline)


def _dpm(pipeline: Any) -> Any:
    return DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)


def _conditions(
    pipeline: Any, prompt: str, *, is_guided: bool
) -> tuple[torch.Tensor, dict[str, Any]]:
    encoded = pipeline.encode_prompt(
        prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=is_guided
    )
    rows = torch.cat([encoded[1], encoded[0]]) if is_guided else encoded[0]
    if len(encoded) == 2:
        return rows, {}
    pooled = torch.cat([encoded[3], encoded[2]]) if is_guided else encoded[2]
    side = float(pipeline.unet.config.sample_size * pipeline.vae_scale_factor)
    ids = torch.tensor([[side, side, 0, 0, side, side]]).repeat(len(rows), 1)
    return rows, {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": ids}}


@contextmanager
def public_noise(seed: int) -> Iterator[None]:
    """Gives LCMScheduler, which draws its own noise, that of the public seed."""
    drawn = iter(range(1000))

    def draw(shape: Any, **_: Any) -> torch.Tensor:
        noise = step_noise(seed, next(drawn), tuple(shape[-3:]))
        return torch.from_numpy(noise).expand(*shape)

    with mock.patch.object(scheduling_lcm, "randn_tensor", draw):
        yield
