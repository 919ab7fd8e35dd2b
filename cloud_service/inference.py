"""What the denoising loop needs of whatever runs the models."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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

    async def denoise(
        self,
        kind: str,
        latents: NDArray[np.float32],
        timesteps: NDArray[np.float32],
        embeddings: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """One pass of a step kind.

        Args:
            kind: the step kind, e.g. "unet_full".
            latents: (B, C, H, W) float32, B <= max_batch_size.
            timesteps: (B,) float32, training timesteps.
            embeddings: (B, L, D) float32.

        Returns:
            (B, C, H, W) float32, the model's prediction.

        Raises:
            BackendUnavailable: it does not answer.
            DeadlineExceeded: it answers too late.
            WireError: the answer has another shape.
        """
