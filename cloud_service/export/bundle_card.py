"""Writes the card of a bundle whose graphs have been exported."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import onnx
from diffusers import DPMSolverMultistepScheduler, LCMScheduler

from cloud_service.export.errors import ExportFailed
from obclip.card import (
    CARD_FILE,
    FOLDERS,
    CachedTensor,
    ImageFormat,
    LatentFormat,
    ModelCard,
    ModelDigests,
    StepKindCost,
    TextFormat,
    digest_bundle,
)
from obclip.lcm import Distillation
from obclip.plan import UNET_FULL
from obclip.schedule import NoiseSchedule

if TYPE_CHECKING:
    from pathlib import Path

    from cloud_service.export.card_settings import CardSettings
    from cloud_service.export.step_kinds import KindMacs

# What obclip.solver computes; diffusers' names and values.
_SOLVER = {
    "algorithm_type": "dpmsolver++",
    "solver_order": 2,
    "solver_type": "midpoint",
    "lower_order_final": True,
    "euler_at_final": False,
    "thresholding": False,
    "trained_betas": None,
    "rescale_betas_zero_snr": False,
    "use_karras_sigmas": False,
    "use_exponential_sigmas": False,
    "use_beta_sigmas": False,
    "use_lu_lambdas": False,
    "use_flow_sigmas": False,
    "variance_type": None,
}

# What obclip.lcm computes.
_LCM_SOLVER = {
    "clip_sample": False,
    "thresholding": False,
    "trained_betas": None,
    "rescale_betas_zero_snr": False,
}

# (H, W) of the picture and (C, H, W) of its latents.
_Shapes = tuple[tuple[int, int], tuple[int, int, int]]


@dataclass(frozen=True)
class CountedKinds:
    """The step kinds of a bundle.

    Attributes:
        macs: of each kind; those of one set are 0 but for batch reuse.
        cached_shapes: name -> shape of what they take and leave, without the batch axis.
    """

    macs: tuple[KindMacs, ...]
    cached_shapes: dict[str, tuple[int, ...]]

    def costs(self) -> tuple[StepKindCost, ...]:
        """The card's table: evals are multiply-accumulates over those of the whole UNet."""
        whole = next(kind.per_sample for kind in self.macs if kind.name == UNET_FULL)
        return tuple(
            StepKindCost(
                kind.name,
                kind.per_sample / whole,
                kind.per_sample,
                kind.per_set / whole,
                kind.per_set,
            )
            for kind in self.macs
        )


@dataclass(frozen=True)
class BundleFacts:
    """What the models of a bundle say of themselves.

    Attributes:
        kinds: the step kinds that it has a graph for.
        schedule: of the noise.
        text: what the cloud's text encoder takes and gives.
        device_text: the same of the device's own, or None.
        lcm_scheduler: config of a distilled cloud's scheduler, or None.
        embeds_guidance: whether the cloud's UNet is told the guidance scale.
    """

    kinds: CountedKinds
    schedule: NoiseSchedule
    text: TextFormat
    device_text: TextFormat | None
    lcm_scheduler: dict[str, Any] | None
    embeds_guidance: bool

    def distillation(self, settings: CardSettings) -> Distillation | None:
        """The card's entry.

        Raises:
            ExportFailed: the scheduler is one that obclip.lcm does not compute.
        """
        if self.lcm_scheduler is None:
            return None
        config = LCMScheduler.from_config(self.lcm_scheduler).config
        _require_solver(config, _LCM_SOLVER)
        return Distillation(
            config["original_inference_steps"],
            float(config["timestep_scaling"]),
            self.embeds_guidance,
            settings.device_steps,
            settings.shift,
        )


def require_card(facts: BundleFacts, settings: CardSettings, image_size: int, factor: int) -> None:
    """Refuse before any export what the card would refuse after it.

    Args:
        facts: of the pair; the step kinds may be none yet.
        settings: what the files do not say.
        image_size: pixels of a picture's side.
        factor: pixels of a latent's side.

    Raises:
        ExportFailed: the scheduler is one that obclip does not compute, or settings do not fit it.
    """
    digests = ModelDigests(settings.family, *["0" * 64] * len(FOLDERS))
    side = image_size // factor
    _card(facts, settings, digests, ((image_size, image_size), (1, side, side)))


def write_card(bundle: Path, facts: BundleFacts, settings: CardSettings) -> ModelCard:
    """Write `card.json`, which makes the folder a bundle.

    Args:
        bundle: with all graphs in place; their digests enter the card.
        facts: of its models.
        settings: what the files do not say.

    Raises:
        ExportFailed: the scheduler is one that obclip does not compute, or settings do not fit it.
    """
    shapes = _image_and_latents(bundle / "vae" / "decoder.onnx")
    card = _card(facts, settings, digest_bundle(bundle, settings.family), shapes)
    partial = bundle / f"{CARD_FILE}.partial"
    try:
        partial.write_text(card.to_json(), encoding="utf-8")
        partial.replace(bundle / CARD_FILE)
    finally:
        partial.unlink(missing_ok=True)
    return card


def _card(
    facts: BundleFacts, settings: CardSettings, models: ModelDigests, shapes: _Shapes
) -> ModelCard:
    try:
        return ModelCard(
            models=models,
            latents=LatentFormat(*shapes[1], settings.wire_type),
            image=ImageFormat(*shapes[0]),
            schedule=facts.schedule,
            text=facts.text,
            step_kinds=facts.kinds.costs(),
            cached_tensors=tuple(CachedTensor(*item) for item in facts.kinds.cached_shapes.items()),
            licence=settings.licence,
            defaults=settings.defaults,
            device_text=facts.device_text,
            distillation=facts.distillation(settings),
        )
    except ValueError as error:
        raise ExportFailed("card", str(error), "change that option of the export") from error


def read_schedule(config: dict[str, Any]) -> NoiseSchedule:
    """The noise schedule of any scheduler's config, sampled with DPM-Solver++ 2M.

    As in diffusers, a config of another scheduler gives its betas, spacing and prediction type, and
    what it does not name is DPMSolverMultistepScheduler's default.

    Args:
        config: the object in `scheduler_config.json`.

    Raises:
        ExportFailed: a value is outside what obclip.solver and NoiseSchedule compute.
    """
    try:
        full = DPMSolverMultistepScheduler.from_config(config).config
        _require_solver(full, _SOLVER)
        return NoiseSchedule(**{field.name: full[field.name] for field in fields(NoiseSchedule)})
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ExportFailed("scheduler", str(error), "choose one of these") from error


def _require_solver(config: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, known in wanted.items():
        if config[name] != known:
            raise ExportFailed(f"scheduler: {name}", f"is {config[name]}", f"set it to {known}")


def _image_and_latents(decoder_file: Path) -> _Shapes:
    graph = onnx.load(decoder_file, load_external_data=False).graph
    _, channels, height, width = _shape(graph.input[0])
    _, _, *image = _shape(graph.output[0])
    return (image[0], image[1]), (channels, height, width)


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [axis.dim_value for axis in value.type.tensor_type.shape.dim]
