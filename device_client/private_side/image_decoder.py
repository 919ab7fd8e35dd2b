"""Latents to pixels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device_client.private_side.graph import Graph


class ImageDecoder:
    """The bundle's VAE decoder."""

    def __init__(self, path: Path, threads: int) -> None:
        """Opens the graph `latents (B, C, H, W) -> image (B, 3, 8H, 8W)` in [0, 1].

        Args:
            path: The .onnx file.
            threads: Threads for one operator.

        Raises:
            InvalidBundle: The graph cannot be opened.
        """
        self._graph = Graph(path, frozenset({"latents"}), threads)

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Decodes one picture at a time, which bounds memory whatever N is.

        Args:
            latents: (N, C, H, W) float32, as the solver leaves them.

        Returns:
            image_u8: (N, 8H, 8W, 3) uint8, 0..255, rounded as diffusers does.
        """
        return np.concatenate([self._decode_one(row) for row in latents])

    def _decode_one(self, latent: NDArray[np.float32]) -> NDArray[np.uint8]:
        image = self._graph.run(latents=latent[None])
        return (image.transpose(0, 2, 3, 1) * 255.0).round().astype(np.uint8)
