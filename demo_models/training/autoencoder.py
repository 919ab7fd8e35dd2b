"""Training of the autoencoder, and the latents of the training set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderTiny
from diffusers.models.autoencoders.vae import AutoencoderTinyBlock
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track
from torch import nn
from torch.nn import functional

from demo_models import architecture
from demo_models.training.classifier import images_float
from demo_models.training.dataset import Dataset, open_dataset

EDGE_WEIGHT: Final = 1.0
PERCEPTUAL_WEIGHT: Final = 0.05
LATENT_WEIGHT: Final = 0.2
COLOURS: Final = 3
BRANCH_SCALE: Final = 0.3
LATENT_NOISE: Final = 0.05
"""Standard deviation of the noise added to latents while training: what a denoiser leaves over."""


class ReconstructionLoss:
    """How far pictures are from their originals: pixels, edges and the classifier's activations.

    Args:
        classifier: Trained weights of the attribute classifier.
    """

    def __init__(self, classifier: Path) -> None:
        self._judge = architecture.AttributeClassifier()
        self._judge.load_state_dict(torch.load(classifier, weights_only=True))
        self._judge.requires_grad_(False).to(torch.bfloat16)

    def __call__(
        self, rebuilt: torch.Tensor, images: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the loss and figures for the log.

        Args:
            rebuilt: (B, 3, 128, 128) bfloat16, about [0, 1].
            images: (B, 3, 128, 128) float32 in [0, 1].
        """
        pixels = (rebuilt.float() - images).abs().mean()
        edges = (_edges(rebuilt.float()) - _edges(images)).abs().mean()
        seen = self._perceptual(rebuilt, images)
        mse = float(functional.mse_loss(rebuilt.detach().float(), images))
        figures = {"psnr_db": -10 * np.log10(mse), "perceptual": float(seen.detach())}
        return pixels + EDGE_WEIGHT * edges + PERCEPTUAL_WEIGHT * seen, figures

    def _perceptual(self, rebuilt: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        ours = self._judge.activations(rebuilt)
        theirs = self._judge.activations(images.to(torch.bfloat16))
        terms = [
            functional.mse_loss(a.float(), b.float()) / (b.float().var() + 1e-6)
            for a, b in zip(ours, theirs, strict=True)
        ]
        return torch.stack(terms).sum()


class AutoencoderTask:
    """The reconstruction loss, with latents of about unit variance.

    Where the set has latents already, they are held near those instead: denoisers that have learned
    the old ones need little more training for the new.

    Args:
        data: Folder of the training set.
        held_out: Folder of the held-out set, for the sheets.
        classifier: Trained weights of the attribute classifier.
    """

    def __init__(self, data: Path, held_out: Path, classifier: Path) -> None:
        self.network: nn.Module = architecture.autoencoder().to(memory_format=torch.channels_last)
        self._data, self._held_out = open_dataset(data), open_dataset(held_out)
        calibrate(self.network, images_float(self._data.images_u8[:32]))
        self._loss = ReconstructionLoss(classifier)
        self._known = _unscaled_latents(data)

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the weighted sum of the losses on a random batch."""
        chosen = np.sort(rng.integers(len(self._data), size=count))
        images = images_float(self._data.images_u8[chosen])
        vae: Any = self.network
        inputs = (images * 2 - 1).to(torch.bfloat16, memory_format=torch.channels_last)
        latents = vae.encoder(inputs)
        noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
        rebuilt = vae.decoder(latents + (LATENT_NOISE * noise).to(latents.dtype)) / 2 + 0.5
        total, figures = self._loss(rebuilt, images)
        if self._known is None:
            off = _distance_from_unit(latents.float())
        else:
            off = functional.mse_loss(latents.float(), self._known(chosen))
        return total + LATENT_WEIGHT * off, figures | {"latents_off": float(off.detach())}

    def sample(self, network: nn.Module, folder: Path, step: int) -> None:
        """Writes originals above reconstructions."""
        vae: Any = network  # its forward would round latents to bytes on the way
        path = folder / f"reconstructions-{step}.png"
        save_reconstructions(vae.encoder, vae.decoder, self._held_out, path)


@torch.no_grad()
def calibrate(vae: Any, images: torch.Tensor) -> None:
    """Initialises a fresh autoencoder to pass small colour pictures, so that it learns details.

    With torch's defaults latents start with a deviation of 0.007 and say nothing to the decoder;
    thousands of steps go by until colours come through. Here the first three channels of every
    layer hand on what they get (a box filter where the encoder shrinks), the others have He's
    initialisation (arXiv 1502.01852), and the latents are scaled to mean 0 and deviation 1.

    Args:
        vae: freshly made.
        images: (B, 3, 128, 128) in [0, 1].
    """
    for module in vae.modules():
        if isinstance(module, nn.Conv2d):
            _pass_colours(module)
    for module in vae.modules():
        if isinstance(module, AutoencoderTinyBlock):  # its skip hands the colours on already
            module.conv[-1].weight.mul_(BRANCH_SCALE)[:COLOURS] = 0
    last, first = vae.encoder.layers[-1], vae.decoder.layers[0]
    latents = vae.encoder(images * 2 - 1)
    deviation, mean = latents.std(dim=(0, 2, 3)), latents.mean(dim=(0, 2, 3))
    last.weight.div_(deviation[:, None, None, None])
    last.bias.copy_((last.bias - mean) / deviation)
    first.weight[:COLOURS].mul_(deviation[None, :, None, None])
    first.bias[:COLOURS] = mean[:COLOURS]


def _pass_colours(layer: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    layer.weight[:COLOURS] = 0
    for channel in range(COLOURS):
        kernel = layer.weight[channel, channel]
        if layer.stride == (2, 2):
            kernel.fill_(1 / kernel.numel())
        else:
            kernel[1, 1] = 1


def save_sheet(images: torch.Tensor, columns: int, path: Path) -> None:
    """Writes (B, 3, H, W) images in [0, 1] as a grid."""
    count, channels, height, width = images.shape
    grid = images.clamp(0, 1).reshape(count // columns, columns, channels, height, width)
    grid = grid.permute(0, 3, 1, 4, 2).reshape(count // columns * height, columns * width, channels)
    Image.fromarray((grid * 255).round().byte().numpy()).save(path)


def save_reconstructions(encoder: Any, decoder: Any, data: Dataset, path: Path) -> None:
    """Writes the first 20 pictures of a set, each above its reconstruction."""
    images = images_float(data.images_u8[:20])
    rebuilt = decoder(encoder(images.to(torch.bfloat16) * 2 - 1)).float() / 2 + 0.5
    rows = [images[:10], rebuilt[:10], images[10:], rebuilt[10:]]
    save_sheet(torch.cat(rows), 10, path)


def _edges(images: torch.Tensor) -> torch.Tensor:
    right = images.diff(dim=3, append=images[..., -1:])
    down = images.diff(dim=2, append=images[..., -1:, :])
    return torch.cat([right, down])


def _distance_from_unit(latents: torch.Tensor) -> torch.Tensor:
    flat = latents.permute(1, 0, 2, 3).flatten(1)
    too_far = functional.relu(latents.abs() - 2.5).square().mean()
    return flat.mean(1).square().mean() + (flat.std(1) - 1).square().mean() + 10 * too_far


def _unscaled_latents(data: Path) -> Callable[[NDArray[np.int64]], torch.Tensor] | None:
    if not (data / "latents.npy").exists():
        return None
    latents = np.load(data / "latents.npy")
    factor = float((data / "scaling_factor.txt").read_text())
    return lambda rows: torch.from_numpy(latents[rows].astype(np.float32)) / factor


def load_autoencoder(weights: Path) -> AutoencoderTiny:
    """Returns the trained autoencoder in evaluation mode.

    Args:
        weights: Its network.pt.
    """
    vae = architecture.autoencoder()
    vae.load_state_dict(torch.load(weights, weights_only=True))
    return vae.eval().requires_grad_(False)


@torch.no_grad()
def encode_dataset(data: Path, weights: Path) -> None:
    """Writes latents.npy, (count, 8, 16, 16) float16 of unit variance, and scaling_factor.txt.

    Args:
        data: Folder of a rendered set.
        weights: network.pt of the autoencoder.
    """
    images = open_dataset(data).images_u8
    vae = load_autoencoder(weights).to(torch.bfloat16).to(memory_format=torch.channels_last)
    shape = (len(images), architecture.LATENT_CHANNELS, *[architecture.LATENT_SIZE] * 2)
    latents = np.empty(shape, np.float32)
    for start in track(range(0, len(images), 128), "encoding"):
        batch = images_float(images[start : start + 128]) * 2 - 1
        found = vae.encoder(batch.to(torch.bfloat16, memory_format=torch.channels_last))
        latents[start : start + 128] = found.float().numpy()
    factor = round(1 / float(latents.std()), 4)
    (data / "scaling_factor.txt").write_text(f"{factor}\n")
    partial = data / "latents.partial.npy"
    np.save(partial, (latents * factor).astype(np.float16))
    partial.replace(data / "latents.npy")
