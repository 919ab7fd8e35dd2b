"""Pipelines with the architecture of published models and random weights in float16."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from tests.fakes.tiny_pipeline import edit_json

Pair = tuple[Path, Path]
_VOCABULARY = 49408


def save_sd_v1_4(folder: Path) -> Pair:
    """Stable Diffusion 1.4 (859 M parameters of the UNet), and BK-SDM-small's UNet (482 M)."""
    torch.manual_seed(0)
    cloud, device = folder / "cloud", folder / "device"
    shared = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
    _save(UNet2DConditionModel(**shared), cloud / "unet")
    _save(UNet2DConditionModel(**shared, layers_per_block=1, mid_block_type=None), device)
    _save(_vae(), cloud / "vae")
    text = CLIPTextConfig(
        vocab_size=_VOCABULARY, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
        num_attention_heads=12, max_position_embeddings=77, bos_token_id=49406, eos_token_id=49407,
    )  # fmt: skip
    _save(CLIPTextModel(text), cloud / "text_encoder")
    PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
        skip_prk_steps=True,
    ).save_pretrained(cloud / "scheduler")  # fmt: skip
    _save_tokenizer(cloud / "tokenizer")
    edit_json(
        cloud / "model_index.json",
        _class_name="StableDiffusionPipeline",
        scheduler=["diffusers", "PNDMScheduler"],
        text_encoder=["transformers", "CLIPTextModel"],
        tokenizer=["transformers", "CLIPTokenizer"],
        unet=["diffusers", "UNet2DConditionModel"],
        vae=["diffusers", "AutoencoderKL"],
    )
    return cloud, device


SAVERS: dict[str, Callable[[Path], Pair]] = {"SD-v1.4": save_sd_v1_4}


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
        scaling_factor=0.18215,
    )


def _save(module: Any, folder: Path) -> None:
    module.half().save_pretrained(folder, variant="fp16")


def _save_tokenizer(folder: Path) -> None:
    """As many tokens as CLIP's, of which few have a meaning."""
    folder.mkdir(parents=True)
    marks = {49406: "<|startoftext|>", 49407: "<|endoftext|>"}
    ids = {marks.get(index, f"{index}</w>"): index for index in range(_VOCABULARY)}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    words = {"bos_token": marks[49406], "eos_token": marks[49407], "pad_token": marks[49407]}
    edit_json(
        folder / "tokenizer_config.json",
        tokenizer_class="CLIPTokenizer",
        model_max_length=77,
        unk_token=marks[49407],
        **words,
    )
