"""A diffusers pipeline folder of a few hundred kilobytes; its random weights all differ."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DPMSolverMultistepScheduler,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPTextConfig, CLIPTextModel

WORDS = ["<pad>", "<unk>", "<s>", "</s>", "a", "young", "old", "woman", "man", "with", "glasses"]
TOKENS, EMBEDDING, CHANNELS, SIZE = 12, 32, 4, 8


def save_tiny_pipeline(folder: Path) -> Path:
    """Writes a folder for `StableDiffusionPipeline.from_pretrained(folder, variant="fp16")`."""
    torch.manual_seed(0)
    modules = {
        "unet": randomise(_unet((32, 48), ("DownBlock2D", "CrossAttnDownBlock2D"))),
        "device_unet": randomise(_unet((16,), ("CrossAttnDownBlock2D",), mid_block_type=None)),
        "vae": _mid_grey(randomise(tiny_vae())),
        "text_encoder": randomise(_text_encoder()),
    }
    for name, module in modules.items():
        module.half().save_pretrained(folder / name, variant="fp16")
    _scheduler().save_pretrained(folder / "scheduler")
    _save_tokenizer(folder / "tokenizer")
    edit_json(folder / "text_encoder" / "config.json", dtype="float32")
    edit_json(folder / "vae" / "config.json", block_out_channels=None)
    edit_json(
        folder / "model_index.json",
        _class_name="StableDiffusionPipeline",
        feature_extractor=[None, None],
        requires_safety_checker=False,
        safety_checker=[None, None],
        scheduler=["diffusers", "DPMSolverMultistepScheduler"],
        text_encoder=["transformers", "CLIPTextModel"],
        tokenizer=["transformers", "PreTrainedTokenizerFast"],
        unet=["diffusers", "UNet2DConditionModel"],
        vae=["diffusers", "AutoencoderTiny"],
    )
    return folder


def randomise(module: torch.nn.Module) -> Any:
    """Gives each parameter values of its own: fresh biases are all zero and norms all one."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = 0.3 * torch.randn(parameter.shape) / max(1, parameter[0].numel()) ** 0.5
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


def _unet(
    channels: tuple[int, ...], blocks: tuple[str, ...], **options: Any
) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=SIZE,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=blocks,
        up_block_types=tuple(block.replace("Down", "Up") for block in reversed(blocks)),
        norm_num_groups=8,
        cross_attention_dim=EMBEDDING,
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


def _scheduler() -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="leading",
        steps_offset=1,
    )


def _save_tokenizer(folder: Path) -> None:
    folder.mkdir()
    ids = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))  # noqa: S106 -- a vocabulary entry
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    marks = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    edit_json(
        folder / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        model_max_length=TOKENS,
        **marks,
    )
