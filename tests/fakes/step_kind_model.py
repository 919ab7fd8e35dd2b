"""A model of every step kind in a few lines of numpy: what one leaves, another can take."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cloud_service.inference import UnetCall
from obclip.plan import STEP_KINDS, UNET_REUSE

Array = NDArray[np.float32]
COST = {"unet_full": 1.0, "unet_shallow": 0.125, "unet_reuse": 0.75, "unet_cached": 0.75}
COST |= {"unet_up": 0.5, "unet_up_cached": 0.375}
REUSE_PER_SET = 0.25


@dataclass
class StepKindModel:
    """Down, attention and up in one line each, all non-linear.

    The attention of a row looks at the row, at its text, and with batch reuse at the first row of
    its set. A tensor that a kind takes is used instead of being computed; so a kind that follows at
    the same latents, timestep and text as the one that left the tensor gives the same answer.
    """

    max_batch_size: int = 64
    calls: list[UnetCall] = field(default_factory=list)

    async def encode_text(self, input_ids: NDArray[np.int64]) -> Array:
        return np.sin(input_ids[:, :, np.newaxis] * np.arange(1.0, 4.0)).astype(np.float32)

    async def denoise(self, call: UnetCall) -> dict[str, Array]:
        self.calls.append(call)
        assert set(call.cached) == set(STEP_KINDS[call.kind].takes)
        assert set(call.leaves) <= set(STEP_KINDS[call.kind].leaves)
        assert len(call.latents) == len(call.timesteps) == len(call.embeddings)
        is_set = call.kind == UNET_REUSE
        assert call.latents.ndim == (5 if is_set else 4)
        answer = self._pass(call, is_set)
        return {name: answer[name] for name in ("model_output", *call.leaves)}

    def _pass(self, call: UnetCall, is_set: bool) -> dict[str, Array]:
        time = (call.timesteps / 1000).reshape(-1, *(1,) * (call.latents.ndim - 1))
        text = call.embeddings.mean(axis=-1).mean(axis=-1)[..., np.newaxis, np.newaxis, np.newaxis]
        here = call.latents
        pivot = here[:, :1] if is_set else here
        mapped = np.cos(pivot.mean(axis=(-1, -2), keepdims=True))
        have = {
            "attention_down": np.broadcast_to(mapped * text, here.shape),
            "skips": np.tanh(0.7 * here + time),
            "attention_up": np.broadcast_to(mapped * np.sin(3 * text), here.shape),
        }
        have |= call.cached
        if "skips" not in call.cached:
            have["skips"] = np.tanh(have["skips"] + have["attention_down"])
        have["feature"] = np.tanh(have["skips"] + 0.5 * have["attention_up"])
        have |= call.cached
        have["model_output"] = 0.3 * np.tanh(here) + have["feature"]
        return {name: array.astype(np.float32) for name, array in have.items()}
