"""The same computation by diffusers in one process: what the whole system must equal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from numpy.typing import NDArray

from obclip.noise import initial_latents


@dataclass(frozen=True)
class Request:
    """What both sides are asked for."""

    steps: int
    switch_point: int
    guidance_scale: float
    seed: int


class OneProcess:
    """The family in diffusers: the cloud's UNet up to the switch point, then the device's."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = StableDiffusionPipeline.from_pretrained(folder, variant="fp16")
        self.device_unet = UNet2DConditionModel.from_pretrained(
            folder, subfolder="device_unet", variant="fp16"
        )

    @torch.no_grad()
    def cloud(self, prompts: tuple[str, ...], request: Request) -> NDArray[np.float32]:
        """Returns the latents at the switch point, (prompts, C, H, W)."""
        return np.asarray(self._run(prompts, request, request.switch_point))

    @torch.no_grad()
    def image(self, prompt: str, request: Request) -> NDArray[np.uint8]:
        """Returns the picture of one prompt, (8H, 8W, 3)."""
        latents = self._run((prompt,), request, request.steps)
        decoded = self.pipeline.vae.decode(latents / self.pipeline.vae.config.scaling_factor)
        picture = self.pipeline.image_processor.postprocess(decoded.sample, output_type="np")[0]
        return (picture * 255).round().astype(np.uint8)

    def _run(self, prompts: tuple[str, ...], request: Request, until: int) -> torch.Tensor:
        text = torch.cat(self._encode(prompts))
        scheduler: Any = DPMSolverMultistepScheduler.from_config(self.pipeline.scheduler.config)
        scheduler.set_timesteps(request.steps)
        config = self.pipeline.unet.config
        shape = (config.in_channels, config.sample_size, config.sample_size)
        latents = torch.from_numpy(initial_latents(request.seed, len(prompts), shape))
        for step, time in enumerate(scheduler.timesteps[:until]):
            on_cloud = step < request.switch_point
            unet = self.pipeline.unet if on_cloud else self.device_unet
            both = unet(torch.cat([latents, latents]), time, text).sample
            without, with_text = both.chunk(2)
            guided = without + request.guidance_scale * (with_text - without)
            latents = scheduler.step(guided, time, latents).prev_sample
        return latents

    def _encode(self, prompts: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        states, negative = self.pipeline.encode_prompt(list(prompts), "cpu", 1, True)
        return negative, states
