"""What the denoising loop needs of whatever runs the models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
MODEL_OUTPUT = "model_output"
GUIDANCE = "guidance"
MAX_ROWS = 64  # of one call, in every model's config: sets of users merge up to it
UnetAnswer = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class UnetCall:
    """One pass of a step kind.

    A row is (B,); the kind of batch reuse takes sets of rows, (S, N), all arrays alike but the
    timesteps, which are one for each set.

    Attributes:
        kind: the step kind, e.g. "unet_full".
        latents: (B, C, H, W) or (S, N, C, H, W) float32.
        timesteps: (B,) or (S,) float32, training timesteps.
        embeddings: (B, L, D) or (S, N, L, D) float32, L as in the card's embedding shape.
        cached: name -> (B, ...) or (S, N, ...) float32, what the kind takes beside.
        leaves: names of the tensors that are wanted beside the model's output.
        guidance: (B,) or (S,) float32, the guidance scale that a step-distilled UNet is told; None
            for a UNet that takes none.
    """

    kind: str
    latents: Array = field(repr=False)
    timesteps: Array = field(repr=False)
    embeddings: Array = field(repr=False)
    cached: Mapping[str, Array] = field(default_factory=dict, repr=False)
    leaves: tuple[str, ...] = ()
    guidance: Array | None = field(default=None, repr=False)


class InferenceBackend(Protocol):
    """Runs the text encoder and the step kinds of one bundle."""

    @property
    def max_batch_size(self) -> int:
        """Samples that one call may hold, >= 1."""

    async def encode_text(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Text embeddings.

        Args:
            input_ids: (B, L) int64, B <= max_batch_size.

        Returns:
            (B, L, D) float32.

        Raises:
            BackendUnavailable: it does not answer.
            DeadlineExceeded: it answers too late.
            WireError: the answer has another shape.
        """

    async def denoise(self, call: UnetCall) -> UnetAnswer:
        """One pass of a step kind.

        Args:
            call: at most max_batch_size rows, or sets.

        Returns:
            "model_output", shaped as the latents, and what the call asks for beside. An array lasts
            until the same tensor is left again.

        Raises:
            BackendUnavailable: it does not answer.
            DeadlineExceeded: it answers too late.
            WireError: the answer has another shape.
        """
