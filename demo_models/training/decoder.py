"""Training of the VAE's decoder once more, on the finished latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from demo_models.training.autoencoder import (
    LATENT_NOISE,
    ReconstructionLoss,
    load_autoencoder,
    save_reconstructions,
)
from demo_models.training.classifier import images_float
from demo_models.training.dataset import open_dataset


class DecoderTask:
    """The reconstruction loss of the decoder alone, every part of the picture alike.

    The encoder and so the latents stay as they are: nothing trained on them changes. The latents
    are the encoder's own, all but clean: where the original is uncertain, as behind a denoiser,
    the best a decoder can learn is the mean of what it may have been, and that is a blur.

    Args:
        data: Folder of the training set with its latents.
        held_out: Folder of the held-out set, for the sheets.
        autoencoder: Its trained weights.
        classifier: Trained weights of the attribute classifier.
    """

    def __init__(self, data: Path, held_out: Path, autoencoder: Path, classifier: Path) -> None:
        vae: Any = load_autoencoder(autoencoder)
        self._encoder = vae.encoder.to(torch.bfloat16)
        self.network: nn.Module = vae.decoder.requires_grad_(True).train()
        self.network.to(memory_format=torch.channels_last)
        self._loss = ReconstructionLoss(classifier, face_weight=0)
        self._factor = float((data / "scaling_factor.txt").read_text())
        self._latents = np.load(data / "latents.npy")
        self._data, self._held_out = open_dataset(data), open_dataset(held_out)

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the reconstruction loss of a random batch."""
        rows = np.sort(rng.integers(len(self._latents), size=count))
        latents = self._latents[rows].astype(np.float32) / self._factor
        latents += LATENT_NOISE * rng.standard_normal(latents.shape, dtype=np.float32)
        inputs = torch.from_numpy(latents)
        rebuilt = self.network(inputs.to(torch.bfloat16, memory_format=torch.channels_last))
        return self._loss(rebuilt / 2 + 0.5, images_float(self._data.images_u8[rows]))

    def sample(self, network: nn.Module, folder: Path, step: int) -> None:
        """Writes originals above reconstructions."""
        path = folder / f"reconstructions-{step}.png"
        save_reconstructions(self._encoder, network, self._held_out, path)
