"""Training of the VAE's decoder once more, on what a denoiser makes of latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from demo_models.training.autoencoder import (
    ReconstructionLoss,
    load_autoencoder,
    save_reconstructions,
)
from demo_models.training.classifier import images_float
from demo_models.training.dataset import open_dataset
from demo_models.training.denoiser import Inputs, NoisyLatents, load_cloud_unet

LAST_TIME: Final = 0.2
"""Noise is that of timesteps below this share of the schedule."""


class DecoderTask:
    """The reconstruction loss behind the cloud UNet, so that its blur is not handed on.

    Latents of the training set get noise of the last steps, the cloud UNet takes it away in one
    pass, and the decoder learns the original from what is left. The encoder and so the latents
    stay as they are: nothing trained on them changes.

    Args:
        inputs: What the cloud UNet was trained from.
        cloud: network.pt of the cloud UNet.
        classifier: Trained weights of the attribute classifier.
    """

    def __init__(self, inputs: Inputs, cloud: Path, classifier: Path) -> None:
        vae: Any = load_autoencoder(inputs.autoencoder)
        self._encoder = vae.encoder.to(torch.bfloat16)
        self.network: nn.Module = vae.decoder.requires_grad_(True).train()
        self.network.to(memory_format=torch.channels_last)
        self._noise = NoisyLatents(inputs, LAST_TIME)
        self._cloud = load_cloud_unet(cloud)
        self._loss = ReconstructionLoss(classifier)
        self._factor = float((inputs.data / "scaling_factor.txt").read_text())
        self._data, self._held_out = open_dataset(inputs.data), open_dataset(inputs.held_out)

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the reconstruction loss of a random batch."""
        rows = np.sort(self._noise.rows(rng, count))
        noisy, times, text, _ = self._noise.batch(rng, rows)
        with torch.no_grad():
            velocity = self._cloud(noisy, times, text).sample
        latents = self._noise.clean(noisy, times, velocity) / self._factor
        rebuilt = self.network(latents.to(noisy.dtype, memory_format=torch.channels_last))
        return self._loss(rebuilt / 2 + 0.5, images_float(self._data.images_u8[rows]))

    def sample(self, network: nn.Module, folder: Path, step: int) -> None:
        """Writes originals above reconstructions."""
        images = images_float(self._held_out.images_u8[:20])
        latents = self._encoder(images.to(torch.bfloat16) * 2 - 1)
        rebuilt = network(latents).float() / 2 + 0.5
        save_reconstructions(images, rebuilt, folder / f"reconstructions-{step}.png")
