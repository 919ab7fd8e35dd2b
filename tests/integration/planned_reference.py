"""A plan run on the cloud's own pipeline in torch, to compare the service's latents with.

The schedulers are diffusers', the step kinds are `StepKindUnet` before any export (tests/unit holds
it against diffusers' UNet), and the rest, which rows a step computes and what is shared between
them, is written down here once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from numpy.typing import NDArray

from cloud_service.export.graph_modules import Unet
from cloud_service.export.pipeline_folder import UnetFolder
from cloud_service.export.step_kinds import StepKindUnet
from obclip.noise import initial_latents
from obclip.plan import STEP_KINDS, UNET_REUSE, Plan, Rows, Step
from tests.integration.family_reference import cloud_scheduler, public_noise


@dataclass(frozen=True)
class Asked:
    """What both are asked for.

    Attributes:
        prompts: The candidates.
        steps: Of the whole run.
        scale: Of the guidance.
        seed: Of the noise.
    """

    prompts: tuple[str, ...]
    steps: int
    scale: float
    seed: int


class PlannedReference:
    """The cloud's pipeline, which runs plans.

    Args:
        cloud: Folder of the pipeline, before the export.
    """

    def __init__(self, cloud: Path) -> None:
        self._pipeline = DiffusionPipeline.from_pretrained(cloud, variant="fp16")
        config = self._pipeline.unet.config
        self._shape = (config.in_channels, config.sample_size, config.sample_size)
        side = config.sample_size * self._pipeline.vae_scale_factor
        pooled = UnetFolder(cloud / "unet").pooled_width
        self._unet = Unet(self._pipeline.unet.eval(), pooled, side)
        self._kind = cache(self._make_kind)

    @torch.no_grad()
    def latents(self, plan: Plan, asked: Asked) -> NDArray[np.float32]:
        """Returns the candidates' latents after the plan's last step, (N, C, H, W)."""
        latents = torch.from_numpy(initial_latents(asked.seed, len(asked.prompts), self._shape))
        texts = self._embed(asked.prompts)
        scheduler = cloud_scheduler(self._pipeline)
        scheduler.set_timesteps(asked.steps)
        cached: dict[tuple[int, str], torch.Tensor] = {}
        with public_noise(asked.seed):
            for step in plan.steps:
                time = scheduler.timesteps[step.index]
                outputs = [
                    self._branch(step, (branch, latents, texts[branch], time, asked.scale), cached)
                    for branch in (0, 1)
                ]
                guided = _guided(scheduler, time, latents, outputs, asked.scale)
                latents = scheduler.step(guided, time, latents).prev_sample
        return np.asarray(latents)

    def _branch(
        self, step: Step, at: tuple[int, Any, Any, Any, float], cached: dict[Any, torch.Tensor]
    ) -> torch.Tensor | None:
        """The output of the rows without the prompts (branch 0) or with them; None for none."""
        branch, latents, text, time, scale = at
        rows = (step.unconditional, step.conditional)[branch]
        if rows is Rows.NONE:
            return None
        if rows is Rows.ONE:
            latents, text = latents.mean(0, keepdim=True), text.mean(0, keepdim=True)
        count = len(latents)
        inputs = [latents, time.float().expand(count), text.expand(count, -1, -1)]
        if self._unet.takes_guidance:
            inputs.append(torch.tensor(scale).expand(count))
        taken = [cached[branch, name] for name in step.takes]
        inputs += [tensor.expand(count, *tensor.shape[1:]) for tensor in taken]
        if step.kind == UNET_REUSE:  # one set
            inputs = [x[:1] if x.ndim == 1 else x[None] for x in inputs]
        answer = self._kind(step.kind)(*inputs)
        if step.kind == UNET_REUSE:
            answer = [x[0] for x in answer]
        left = zip(STEP_KINDS[step.kind].leaves, answer[1:], strict=True)
        cached |= {(branch, name): tensor for name, tensor in left if name in step.leaves}
        output: torch.Tensor = answer[0]
        return output

    def _make_kind(self, kind: str) -> StepKindUnet:
        examples = {
            "latents": torch.zeros(2, *self._shape),
            "timestep": torch.zeros(2),
            "encoder_hidden_states": self._embed(("", ""))[1],
        }
        if self._unet.takes_guidance:
            examples["guidance"] = torch.ones(2)
        if kind == UNET_REUSE:
            examples = {n: x if x.ndim == 1 else x[:, None] for n, x in examples.items()}
        return StepKindUnet(self._unet, kind, examples)

    def _embed(self, prompts: Sequence[str]) -> dict[int, torch.Tensor]:
        """Branch -> text embeddings, a pooled one as a row of its own behind the tokens'."""
        encoded = self._pipeline.encode_prompt(
            list(prompts),
            device="cpu",
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
        )
        found = {}
        for branch, place in ((0, 1), (1, 0)):
            rows = encoded[place]
            if len(encoded) == 4:
                pooled = encoded[place + 2]
                row = torch.nn.functional.pad(pooled, (0, rows.shape[-1] - pooled.shape[-1]))
                rows = torch.cat([rows, row[:, None]], dim=1)
            found[branch] = rows
        return found


def _guided(
    scheduler: Any,
    time: torch.Tensor,
    latents: torch.Tensor,
    outputs: list[torch.Tensor | None],
    scale: float,
) -> torch.Tensor:
    """Guidance; one row without the prompts gives its clean latents to all the others."""
    without, with_text = outputs
    assert with_text is not None
    if without is None:
        return with_text.expand_as(latents)
    if len(without) < len(with_text):
        alpha = scheduler.alphas_cumprod[time].sqrt()
        sigma = (1 - scheduler.alphas_cumprod[time]).sqrt()
        mean = latents.mean(0, keepdim=True)
        if scheduler.config.prediction_type == "epsilon":
            clean = (mean - sigma * without) / alpha
            without = (latents - alpha * clean) / sigma
        else:
            clean = alpha * mean - sigma * without
            without = (alpha * latents - clean) / sigma
    return (without + scale * (with_text - without)).expand_as(latents)
