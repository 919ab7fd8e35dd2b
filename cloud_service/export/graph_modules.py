"""The torch modules whose inputs and outputs are those of the exported graphs.

Names and axes are the contract with triton_models and the device; B is any batch size from 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
    from transformers import CLIPTextModel


class TextEncoder(torch.nn.Module):
    """input_ids (B, L) int64 -> last_hidden_state (B, L, D) float32, causal, no padding mask.

    What StableDiffusionPipeline.encode_prompt computes when no layer is skipped.
    """

    def __init__(self, model: CLIPTextModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """One pass; see the class."""
        hidden: torch.Tensor = self.model(input_ids=input_ids).last_hidden_state
        return hidden


class Unet(torch.nn.Module):
    """latents (B, C, H, W), timestep (B,), encoder_hidden_states (B, L, D) -> (B, C, H, W).

    All float32. Every sample has its own timestep, so that sets at different steps can share a
    pass.
    """

    def __init__(self, model: UNet2DConditionModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, latents: torch.Tensor, timestep: torch.Tensor, encoder_hidden_states: torch.Tensor
    ) -> torch.Tensor:
        """One pass without guidance; see the class."""
        output: tuple[torch.Tensor] = self.model(
            latents, timestep, encoder_hidden_states, return_dict=False
        )
        return output[0]


class VaeDecoder(torch.nn.Module):
    """latents (B, C, H, W) as a pipeline's loop leaves them -> image (B, 3, 8H, 8W) in [0, 1].

    Holds the pipeline's ends too: the division by `scaling_factor` before, and the step from
    [-1, 1] to [0, 1] with clamping after.
    """

    def __init__(self, model: AutoencoderKL | AutoencoderTiny) -> None:
        super().__init__()
        self.model = model
        self.scaling_factor = float(model.config.scaling_factor)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """One pass; see the class."""
        decoded = self.model.decode(latents / self.scaling_factor, return_dict=False)[0]
        image: torch.Tensor = (decoded / 2 + 0.5).clamp(0, 1)
        return image
