"""The torch modules whose inputs and outputs are those of the exported graphs.

Names and axes are the contract with triton_models and the device; B is any batch size from 1. A
prompt's embedding is one tensor, whatever the family: L rows for the tokens, and with a pooled
embedding one row more, filled up with zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers.models.embeddings import get_timestep_embedding

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    from cloud_service.export.text_ids import TextIds


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


class TwoTextEncoders(torch.nn.Module):
    """input_ids (B, L) int64 -> last_hidden_state (B, L + 1, D) float32; the last row is pooled.

    What StableDiffusionXLPipeline.encode_prompt computes: the last layers but one of both encoders
    side by side, and the projection of the second. Both tokenizers have one vocabulary and differ
    in their padding alone, so the second's ids follow from the first's. An empty prompt gives zeros
    where the pipeline says so.
    """

    def __init__(
        self, first: CLIPTextModel, second: CLIPTextModelWithProjection, ids: TextIds
    ) -> None:
        super().__init__()
        self.first, self.second = first, second
        self._end, self._padding = ids.end_token_id, ids.second_pad_token_id
        self._empty = torch.tensor(ids.zeroed) if ids.zeroed else None

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """One pass; see the class."""
        ends = (input_ids == self._end).long()
        is_padding = ends.cumsum(1) - ends > 0
        other_ids = torch.where(is_padding, self._padding, input_ids)
        first = self.first(input_ids=input_ids, output_hidden_states=True)
        second = self.second(input_ids=other_ids, output_hidden_states=True)
        rows = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
        missing = rows.shape[-1] - second.text_embeds.shape[-1]
        pooled = torch.nn.functional.pad(second.text_embeds, (0, missing))
        embedding = torch.cat([rows, pooled[:, None]], dim=1)
        if self._empty is None:
            return embedding
        is_empty = (input_ids == self._empty).all(dim=1)
        return torch.where(is_empty[:, None, None], 0.0, embedding)


class Unet(torch.nn.Module):
    """latents (B, C, H, W), timestep (B,), encoder_hidden_states (B, L, D) -> (B, C, H, W).

    All float32. Every sample has its own timestep, so that sets at different steps can share a
    pass. A UNet with a pooled embedding takes it as the last row of the text, (B, L + 1, D); one
    that was distilled to be told the guidance scale has it as a fourth input, guidance (B,).

    Args:
        model: the UNet.
        pooled_width: of the pooled embedding; 0 where there is none.
        image_size: pixels; the sizes and the crop that SDXL is told are those of a whole square
            picture, constants of the graph.
    """

    def __init__(
        self, model: UNet2DConditionModel, pooled_width: int = 0, image_size: int = 0
    ) -> None:
        super().__init__()
        self.model = model
        self._pooled_width = pooled_width
        self._time_ids = torch.tensor([[image_size, image_size, 0, 0, image_size, image_size]])
        self._guidance_width = model.config.time_cond_proj_dim

    @property
    def takes_guidance(self) -> bool:
        """Whether there is a fourth input."""
        return self._guidance_width is not None

    def forward(
        self,
        latents: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        guidance: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """One pass without guidance; see the class."""
        text, conditions = encoder_hidden_states, {}
        if self._pooled_width:
            conditions = {
                "text_embeds": text[:, -1, : self._pooled_width],
                "time_ids": self._time_ids.float().expand(text.shape[0], 6),
            }
            text = text[:, :-1]
        output: tuple[torch.Tensor] = self.model(
            latents,
            timestep,
            text,
            timestep_cond=None if guidance is None else self._embedded(guidance),
            added_cond_kwargs=conditions or None,
            return_dict=False,
        )
        return output[0]

    def _embedded(self, guidance: torch.Tensor) -> torch.Tensor:
        """The pipelines' get_guidance_scale_embedding, of w - 1."""
        scaled = (guidance - 1) * 1000
        embedded: torch.Tensor = get_timestep_embedding(
            scaled, self._guidance_width, downscale_freq_shift=1
        )
        return embedded


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
