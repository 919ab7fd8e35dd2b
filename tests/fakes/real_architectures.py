"""Pipelines with the architecture of published models and random weights in float16."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests.fakes.tiny_pipeline import edit_json

Pair = tuple[Path, Path]
_VOCABULARY = 49408
_START, _END = 49406, 49407
_TRAINED = {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1,
}  # fmt: skip
_SD: dict[str, Any] = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
_XL: dict[str, Any] = {
    "sample_size": 128,
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "block_out_channels": (320, 640, 1280),
    "use_linear_projection": True,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 1280 + 6 * 256,
}
_SMALL: dict[str, Any] = {"layers_per_block": 1, "mid_block_type": None}
_CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "layers": 12, "heads": 12}
_BIG_G = {"hidden_size": 1280, "intermediate_size": 5120, "layers": 32, "heads": 20}
_POOL_NUMBERS = 2**26  # more than the largest tensor, bigG's embedding of tokens


def save_sd_v1_4(folder: Path) -> Pair:
    """Stable Diffusion 1.4 (859 M parameters of the UNet), and BK-SDM-small's UNet (482 M)."""
    cloud, device = folder / "cloud", folder / "device"
    _save(_unet(_SD), cloud / "unet")
    _save(_unet(_SD | _SMALL), device)
    _save_rest(cloud, 512, 0.18215)
    PNDMScheduler(**_TRAINED, skip_prk_steps=True).save_pretrained(cloud / "scheduler")
    _save_index(cloud, "StableDiffusionPipeline", "PNDMScheduler")
    return cloud, device


def save_sdxl(folder: Path, *, is_lcm: bool = False) -> Pair:
    """SDXL base (2567 M parameters of the UNet), and KOALA-700M's UNet (782 M).

    Args:
        folder: for both.
        is_lcm: distilled as LCM-SDXL is, which tells the UNet the guidance scale.
    """
    cloud, device = folder / "cloud", folder / "device"
    guidance = {"time_cond_proj_dim": 256} if is_lcm else {}
    _save(_unet(_XL | {"transformer_layers_per_block": (1, 2, 10)} | guidance), cloud / "unet")
    _save(_unet(_XL | _SMALL | {"transformer_layers_per_block": (1, 2, 5)}), device)
    _save_rest(cloud, 1024, 0.13025)
    big_g = partial(CLIPTextModelWithProjection, _text_config(_BIG_G, "gelu"))
    _save(big_g, cloud / "text_encoder_2")
    _save_tokenizer(cloud / "tokenizer_2", pad=0)
    scheduler = LCMScheduler if is_lcm else EulerDiscreteScheduler
    scheduler(**_TRAINED, timestep_spacing="leading").save_pretrained(cloud / "scheduler")
    _save_index(
        cloud,
        "StableDiffusionXLPipeline",
        scheduler.__name__,
        text_encoder_2=["transformers", "CLIPTextModelWithProjection"],
        tokenizer_2=["transformers", "CLIPTokenizer"],
        force_zeros_for_empty_prompt=True,
    )
    return cloud, device


SAVERS: dict[str, Callable[[Path], Pair]] = {
    "SD-v1.4": save_sd_v1_4,
    "SDXL": save_sdxl,
    "LCM-SDXL": partial(save_sdxl, is_lcm=True),
}


def _save_rest(cloud: Path, size: int, scaling_factor: float) -> None:
    """The VAE, and the text encoder that both families have."""
    vae = partial(
        AutoencoderKL,
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=size,
        scaling_factor=scaling_factor,
    )
    _save(vae, cloud / "vae")
    text = partial(CLIPTextModel, _text_config(_CLIP_L, "quick_gelu"))
    _save(text, cloud / "text_encoder")
    _save_tokenizer(cloud / "tokenizer", pad=_END)


def _unet(config: dict[str, Any]) -> Callable[[], UNet2DConditionModel]:
    return partial(UNet2DConditionModel, **config)


def _text_config(size: dict[str, int], activation: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=_VOCABULARY,
        hidden_size=size["hidden_size"],
        intermediate_size=size["intermediate_size"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        projection_dim=size["hidden_size"],
        hidden_act=activation,
        max_position_embeddings=77,
        bos_token_id=_START,
        eos_token_id=_END,
    )


def _save(build: Callable[[], Any], folder: Path) -> None:
    with torch.device("meta"):
        module = build()
    module = module.half().to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(_numbers(parameter))
            if "norm" in name and name.endswith("weight"):
                parameter.add_(1)
    module.save_pretrained(folder, variant="fp16")


def _numbers(parameter: torch.Tensor) -> torch.Tensor:
    """Noise whose scale keeps that of what goes through; biases are small."""
    count = parameter.numel()
    start = int(torch.randint(_POOL_NUMBERS - count, ()))
    scale = 0.02 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
    return scale * _pool()[start : start + count].view_as(parameter)


@cache
def _pool() -> torch.Tensor:
    """Noise that all tensors share, each from a place of its own: fresh noise takes minutes."""
    torch.manual_seed(0)
    return torch.randn(_POOL_NUMBERS, dtype=torch.float16)


def _save_index(cloud: Path, pipeline: str, scheduler: str, **more: Any) -> None:
    edit_json(
        cloud / "model_index.json",
        _class_name=pipeline,
        scheduler=["diffusers", scheduler],
        text_encoder=["transformers", "CLIPTextModel"],
        tokenizer=["transformers", "CLIPTokenizer"],
        unet=["diffusers", "UNet2DConditionModel"],
        vae=["diffusers", "AutoencoderKL"],
        **more,
    )


def _save_tokenizer(folder: Path, pad: int) -> None:
    """As many tokens as CLIP's, of which few have a meaning."""
    folder.mkdir(parents=True)
    marks = {_START: "<|startoftext|>", _END: "<|endoftext|>"}
    words = [marks.get(index, f"{index}</w>") for index in range(_VOCABULARY)]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    edit_json(
        folder / "tokenizer_config.json",
        tokenizer_class="CLIPTokenizer",
        model_max_length=77,
        bos_token=words[_START],
        eos_token=words[_END],
        unk_token=words[_END],
        pad_token=words[pad],
    )
