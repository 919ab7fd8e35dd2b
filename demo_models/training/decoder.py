"""Training of the VAE's decoder once more, on what the device makes of noisy latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from demo_models import architecture
from demo_models.training.autoencoder import (
    ReconstructionLoss,
    load_autoencoder,
    save_reconstructions,
)
from demo_models.training.classifier import images_float
from demo_models.training.dataset import open_dataset
from demo_models.training.denoiser import Inputs, NoisyLatents, guided, load_unet

LAST_TIME: Final = 0.3
"""Of the schedule. With more noise the original is no longer certain, and the mean is a blur."""
PASSES: Final = 3
"""Of the device UNet, from the noise to clean latents."""


class DecoderTask:
    """The reconstruction loss behind the device's own steps, so that their blur is not handed on.

    Latents of the training set get the noise of the last steps, the device UNet takes it away in
    a few guided steps (DDIM, arXiv 2010.02502), and the decoder learns the original from what is
    left. The encoder and so the latents stay as they are: nothing trained on them changes.

    Args:
        inputs: What the UNets were trained from.
        device: network.pt of the device UNet.
        classifier: Trained weights of the attribute classifier.
    """

    def __init__(self, inputs: Inputs, device: Path, classifier: Path) -> None:
        vae: Any = load_autoencoder(inputs.autoencoder)
        self._encoder = vae.encoder.to(torch.bfloat16)
        self.network: nn.Module = vae.decoder.requires_grad_(True).train()
        self.network.to(memory_format=torch.channels_last)
        self._noise = NoisyLatents(inputs, LAST_TIME)
        self._device = load_unet(architecture.device_unet(), device)
        self._loss = ReconstructionLoss(classifier)
        self._factor = float((inputs.data / "scaling_factor.txt").read_text())
        self._data, self._held_out = open_dataset(inputs.data), open_dataset(inputs.held_out)

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the reconstruction loss of a random batch."""
        rows = np.sort(self._noise.rows(rng, count))
        noisy, times, text, _ = self._noise.batch(rng, rows)
        latents = self._denoise(noisy, times, text) / self._factor
        rebuilt = self.network(latents.to(noisy.dtype, memory_format=torch.channels_last))
        return self._loss(rebuilt / 2 + 0.5, images_float(self._data.images_u8[rows]))

    @torch.no_grad()
    def _denoise(
        self, noisy: torch.Tensor, times: torch.Tensor, text: torch.Tensor
    ) -> torch.Tensor:
        pairs = self._noise.pairs(text)
        for left in range(PASSES, 0, -1):
            velocity = guided(self._device, noisy, times, pairs)
            clean, noise = self._noise.parts(noisy, times, velocity)
            times = times * (left - 1) // left
            noisy = self._noise.noised(clean, noise, times)
        return clean

    def sample(self, network: nn.Module, folder: Path, step: int) -> None:
        """Writes originals above reconstructions."""
        images = images_float(self._held_out.images_u8[:20])
        latents = self._encoder(images.to(torch.bfloat16) * 2 - 1)
        rebuilt = network(latents).float() / 2 + 0.5
        save_reconstructions(images, rebuilt, folder / f"reconstructions-{step}.png")
