"""Diffusers pipeline folders of a few hundred kilobytes; their random weights all differ."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DPMSolverMultistepScheduler,
    LCMScheduler,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

WORDS = ["<pad>", "<unk>", "<s>", "</s>", "a", "young", "old", "woman", "man", "with", "glasses"]
TOKENS, EMBEDDING, CHANNELS, SIZE = 12, 32, 4, 8
SECOND_EMBEDDING, POOLED = 24, 40


@dataclass(frozen=True)
class Tiny:
    """One family in miniature; pipelines of equal `shared_seed` share VAE and text encoders.

    Attributes:
        is_xl: Two text encoders, pooled embedding and sizes, as SDXL.
        is_lcm: Saved with an LCMScheduler.
        embeds_guidance: The UNet is told the guidance scale.
        is_small: As the device's: one layer a block, no mid block, narrower.
        layers: Of each block of a UNet that is not small; 1 takes half the time to export.
        prediction_type: Of the scheduler.
        spacing: Of the scheduler's timesteps.
        seed: Of the UNet's weights.
        shared_seed: Of the other weights.
        variant: Of the weights' files, "fp16" or None for float32.
    """

    is_xl: bool = False
    is_lcm: bool = False
    embeds_guidance: bool = False
    is_small: bool = False
    layers: int = 2
    prediction_type: str = "v_prediction"
    spacing: str = "leading"
    seed: int = 1
    shared_seed: int = 0
    variant: str | None = "fp16"


def save_tiny_pipeline(folder: Path, tiny: Tiny = Tiny()) -> Path:
    """Writes a folder for a pipeline's `from_pretrained(folder, variant=tiny.variant)`."""
    torch.manual_seed(tiny.shared_seed)
    modules = {
        "vae": _mid_grey(randomise(tiny_vae(), 0.75)),
        "text_encoder": randomise(_text_encoder(), 0.9),
    }
    if tiny.is_xl:
        modules["text_encoder_2"] = randomise(_second_text_encoder(), 0.9)
    torch.manual_seed(tiny.seed)
    modules["unet"] = randomise(_unet(tiny), 0.9)
    for name, module in modules.items():
        rounded = module.half() if tiny.variant else module
        rounded.save_pretrained(folder / name, variant=tiny.variant)
    _scheduler(tiny).save_pretrained(folder / "scheduler")
    _save_tokenizer(folder / "tokenizer", "</s>" if tiny.is_xl else "<pad>")
    edit_json(folder / "text_encoder" / "config.json", dtype="float32")
    edit_json(folder / "vae" / "config.json", block_out_channels=None)
    parts = {
        "scheduler": ["diffusers", type(_scheduler(tiny)).__name__],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderTiny"],
        "feature_extractor": [None, None],
    }
    if tiny.is_xl:
        edit_json(folder / "text_encoder_2" / "config.json", dtype="float32")
        _save_tokenizer(folder / "tokenizer_2", "<pad>")
        parts["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
        parts["tokenizer_2"] = ["transformers", "PreTrainedTokenizerFast"]
        parts |= {"image_encoder": [None, None]}
        edit_json(
            folder / "model_index.json",
            _class_name="StableDiffusionXLPipeline",
            force_zeros_for_empty_prompt=True,
            **parts,
        )
        return folder
    edit_json(
        folder / "model_index.json",
        _class_name="StableDiffusionPipeline",
        requires_safety_checker=False,
        safety_checker=[None, None],
        **parts,
    )
    return folder


def save_tiny_pair(folder: Path, cloud: Tiny, **of_device: Any) -> tuple[Path, Path]:
    """Writes a cloud and the small device that was made for it."""
    usual = {"is_small": True, "seed": 2, "is_lcm": False, "embeds_guidance": False}
    device = replace(cloud, **(usual | of_device))
    return (
        save_tiny_pipeline(folder / "cloud", cloud),
        save_tiny_pipeline(folder / "device", device),
    )


def randomise(module: torch.nn.Module, strength: float = 0.3) -> Any:
    """Gives each parameter values of its own: fresh biases are all zero and norms all one.

    With a strength near 1 every input shows in the output, which a comparison of pictures needs.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = strength * torch.randn(parameter.shape) / max(1, parameter[0].numel()) ** 0.5
            parameter.copy_(noise + (1 if "norm" in name and name.endswith("weight") else 0))
    return module.eval()


def _mid_grey(vae: AutoencoderTiny) -> AutoencoderTiny:
    """Moves the decoder's random pictures to the middle of [0, 1], away from the clamp."""
    with torch.no_grad():
        vae.decoder.layers[-1].bias.fill_(0.5)
    return vae


def tiny_vae() -> AutoencoderTiny:
    return AutoencoderTiny(
        latent_channels=CHANNELS,
        encoder_block_out_channels=(16, 16, 16, 16),
        decoder_block_out_channels=(16, 16, 16, 16),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
        scaling_factor=0.7,
    )


def kl_vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        latent_channels=CHANNELS,
        scaling_factor=0.18215,
    )


def edit_json(path: Path, **values: Any) -> None:
    """Sets values in a JSON object; None takes one out."""
    old = json.loads(path.read_text()) if path.exists() else {}
    kept = {name: value for name, value in (old | values).items() if value is not None}
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def _unet(tiny: Tiny) -> UNet2DConditionModel:
    blocks = ("DownBlock2D", "CrossAttnDownBlock2D")
    options: dict[str, Any] = {"cross_attention_dim": EMBEDDING, "layers_per_block": tiny.layers}
    if tiny.is_small:
        options |= {"layers_per_block": 1, "mid_block_type": None}
    if tiny.is_xl:
        options |= {
            "cross_attention_dim": EMBEDDING + SECOND_EMBEDDING,
            "transformer_layers_per_block": (1, 2),
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": POOLED + 6 * 8,
        }
    if tiny.embeds_guidance:
        options["time_cond_proj_dim"] = 16
    return UNet2DConditionModel(
        sample_size=SIZE,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(16, 24) if tiny.is_small else (32, 48),
        down_block_types=blocks,
        up_block_types=tuple(block.replace("Down", "Up") for block in reversed(blocks)),
        norm_num_groups=8,
        attention_head_dim=4,
        **options,
    )


def _text_encoder() -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(WORDS),
            hidden_size=EMBEDDING,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
        )
    )


def _second_text_encoder() -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(WORDS),
            hidden_size=SECOND_EMBEDDING,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            projection_dim=POOLED,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
        )
    )


def _scheduler(tiny: Tiny) -> DPMSolverMultistepScheduler | LCMScheduler:
    options: dict[str, Any] = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": tiny.prediction_type,
        "timestep_spacing": tiny.spacing,
        "steps_offset": 1,
    }
    return LCMScheduler(**options) if tiny.is_lcm else DPMSolverMultistepScheduler(**options)


def _save_tokenizer(folder: Path, padding: str) -> None:
    folder.mkdir()
    ids = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))  # noqa: S106 -- a vocabulary entry
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    marks = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": padding, "unk_token": "<unk>"}
    edit_json(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        model_max_length=TOKENS,
        **marks,
    )
