"""The networks of the demo family, in the shape of Stable Diffusion 1.x: cross-attention alone."""

from __future__ import annotations

from typing import Any, Final

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from demo_models.portrait import VALUES
from demo_models.tokenizer import END, MAX_TOKENS, PAD, START, token_ids

IMAGE_SIZE: Final = 128
LATENT_CHANNELS: Final = 8
LATENT_SIZE: Final = 16
TEXT_WIDTH: Final = 128

NOISE_SCHEDULE: Final[dict[str, Any]] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "steps_offset": 1,  # of leading timesteps alone; diffusers warns of any other value
    "final_sigmas_type": "zero",
}


def text_encoder() -> CLIPTextModel:
    """Returns an untrained text encoder: (B, 40) token ids -> (B, 40, 128) hidden states."""
    ids = token_ids()
    config = CLIPTextConfig(
        vocab_size=len(ids),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=TEXT_WIDTH,
        bos_token_id=ids[START],
        eos_token_id=ids[END],
        pad_token_id=ids[PAD],
    )
    return CLIPTextModel(config)


def cloud_unet() -> UNet2DConditionModel:
    """Returns an untrained cloud UNet: 13.2 M parameters, attention on the two lower levels."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(96, 160, 192),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
    )


def device_unet() -> UNet2DConditionModel:
    """Returns an untrained device UNet: 3.7 M parameters, the cloud's less its lowest level."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(96, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type=None,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
    )


def autoencoder(scaling_factor: float = 1.0) -> AutoencoderTiny:
    """Returns an untrained autoencoder.

    It maps images (B, 3, 128, 128) in [-1, 1] to latents (B, 8, 16, 16) and back.
    """
    return AutoencoderTiny(
        latent_channels=LATENT_CHANNELS,
        encoder_block_out_channels=(64, 64, 64, 64),
        decoder_block_out_channels=(64, 64, 64, 64),
        num_encoder_blocks=(0, 1, 2, 3),
        num_decoder_blocks=(5, 4, 2, 1),
        scaling_factor=scaling_factor,
    )


class AttributeClassifier(nn.Module):
    """Names the attributes of a portrait; its features carry the Frechet distance."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            [_stage(3, 32, 5), _stage(32, 64, 3), _stage(64, 128, 3), _stage(128, 160, 3)]
        )
        self.last = nn.Sequential(
            nn.Conv2d(160, 160, 3, padding=1, bias=False), nn.GroupNorm(8, 160), nn.ReLU()
        )
        self.heads = nn.ModuleDict({k: nn.Linear(160, len(v)) for k, v in VALUES.items()})

    def activations(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Returns the outputs of the first three stages, for a perceptual loss.

        Args:
            images: (B, 3, 128, 128) in [0, 1].

        Returns:
            (B, 32, 64, 64), (B, 64, 32, 32) and (B, 128, 16, 16).
        """
        found, x = [], images - 0.5
        for stage in self.stages[:3]:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Classifies portraits.

        Args:
            images: (B, 3, 128, 128) in [0, 1].

        Returns:
            Features (B, 160), then one (B, classes) logits tensor per attribute in the order of
            `demo_models.portrait.VALUES`.
        """
        x = images - 0.5
        for stage in self.stages:
            x = stage(x)
        features = self.last(x).mean(dim=(2, 3))
        return features, *(head(features) for head in self.heads.values())


def _stage(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(),
    )
