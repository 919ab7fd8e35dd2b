"""Training of the denoisers: the cloud UNet on data, the device UNet on its predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from numpy.typing import NDArray
from torch import nn

from demo_models import architecture
from demo_models.tokenizer import build_tokenizer
from demo_models.training.autoencoder import load_autoencoder, save_sheet
from demo_models.training.dataset import open_dataset
from demo_models.training.pruning import prune_cloud
from demo_models.training.text_encoder import load_text_encoder
from obclip.schedule import NoiseSchedule

UNCONDITIONAL_RATE: Final = 0.1
TEACHER_SHARE: Final = 0.8
LATE_TIME: Final = 0.8
LATE_POWER: Final = 1.5
MOST_GUIDANCE: Final = 4.0
SHEET_GUIDANCE: Final = 2.5
SHEET_STEPS: Final = 25


@dataclass(frozen=True)
class Inputs:
    """Folders and files a denoiser is trained from."""

    data: Path
    held_out: Path
    text_encoder: Path
    autoencoder: Path


class NoisyLatents:
    """Noisy latents of the training set with their captions' text states.

    Args:
        inputs: What to train from.
        last_time: Timesteps are drawn from 0 to this share of the schedule.
        power: Of the uniform draw; above 1, a picture's late steps come more often.
    """

    def __init__(self, inputs: Inputs, last_time: float = 1.0, power: float = 1.0) -> None:
        self._last_time, self._power = last_time, power
        self._tokens = open_dataset(inputs.data).tokens
        self._latents = np.load(inputs.data / "latents.npy")
        self._text = load_text_encoder(inputs.text_encoder).to(torch.bfloat16)
        self._alphas = torch.from_numpy(
            NoiseSchedule(**architecture.NOISE_SCHEDULE).alphas_cumprod()
        ).float()
        self._empty = torch.tensor(build_tokenizer().encode("").ids)
        self._no_text = self.encode(self._empty[None])

    def rows(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Returns `count` random rows of the training set."""
        return rng.integers(len(self._latents), size=count)

    def batch(self, rng: np.random.Generator, rows: NDArray[np.int64]) -> tuple[torch.Tensor, ...]:
        """Returns noisy latents, timesteps, text states and the velocity to predict."""
        count = len(rows)
        clean = torch.from_numpy(self._latents[rows].astype(np.float32))
        tokens = self._tokens[rows, rng.integers(self._tokens.shape[1], size=count)]
        ids = torch.from_numpy(tokens.astype(np.int64))
        ids[torch.from_numpy(rng.random(count) < UNCONDITIONAL_RATE)] = self._empty
        # One timestep in each of `count` equal parts of the schedule, for less variance.
        spread = ((rng.permutation(count) + rng.random(count)) / count) ** self._power
        spread *= self._last_time
        times = torch.from_numpy((spread * len(self._alphas)).astype(np.int64))
        alphas = self._alphas[times][:, None, None, None]
        alpha, sigma = alphas.sqrt(), (1 - alphas).sqrt()
        noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
        noisy = (alpha * clean + sigma * noise).to(torch.bfloat16)
        velocity = alpha * noise - sigma * clean
        return noisy.to(memory_format=torch.channels_last), times, self.encode(ids), velocity

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        """Returns the text states of (B, MAX_TOKENS) token ids."""
        with torch.no_grad():
            states: torch.Tensor = self._text(input_ids=ids).last_hidden_state
        return states

    def pairs(self, text: torch.Tensor) -> torch.Tensor:
        """Returns the states of as many empty captions, then the text states."""
        return torch.cat([self._no_text.expand_as(text), text])


class CloudUnetTask:
    """The v-prediction loss on the latents of the training set.

    Args:
        inputs: What to train from.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.network: nn.Module = prepare(architecture.cloud_unet())
        self._inputs = inputs
        self._data = NoisyLatents(inputs)

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the mean squared error of the predicted velocity."""
        noisy, times, text, velocity = self._data.batch(rng, self._data.rows(rng, count))
        predicted = self.network(noisy, times, text).sample
        return (predicted.float() - velocity).square().mean(), {}

    def sample(self, network: nn.Module, folder: Path, step: int) -> None:
        """Writes a sheet of pictures of held-out captions."""
        tokens = open_dataset(self._inputs.held_out).tokens[:20, 0].astype(np.int64)
        with torch.no_grad():
            latents = self._generate(network, torch.from_numpy(tokens))
            vae = load_autoencoder(self._inputs.autoencoder)
            factor = float((self._inputs.data / "scaling_factor.txt").read_text())
            images = vae.decode(latents / factor).sample / 2 + 0.5
        save_sheet(images, 10, folder / f"samples-{step}.png")

    def _generate(self, network: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
        text = self._data.pairs(self._data.encode(tokens))
        scheduler = DPMSolverMultistepScheduler(**architecture.NOISE_SCHEDULE)
        scheduler.set_timesteps(SHEET_STEPS)
        size = architecture.LATENT_SIZE
        shape = (len(tokens), architecture.LATENT_CHANNELS, size, size)
        latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        for time in scheduler.timesteps:
            both = torch.cat([latents, latents]).to(torch.bfloat16)
            velocity = _guided(network(both, time, text).sample.float(), SHEET_GUIDANCE)
            latents = scheduler.step(velocity, time, latents).prev_sample
        return latents


def _guided(velocities: torch.Tensor, scale: torch.Tensor | float) -> torch.Tensor:
    without, with_text = velocities.chunk(2)
    return without + scale * (with_text - without)


class DeviceUnetTask(CloudUnetTask):
    """The cloud's prediction and the data's, in the share TEACHER_SHARE to the rest.

    The cloud is imitated at a random guidance from 1 to MOST_GUIDANCE, since guidance multiplies
    what sets the two predictions of a pair apart, and a small network's errors with it.

    The device finishes pictures, so all of its timesteps lie after a hand-over at LATE_TIME (in
    shares of the schedule: 5 of 25 steps), more of them late, where details are made. What it makes
    alone it was never trained for.

    It begins as the teacher, pruned.

    Args:
        inputs: What to train from.
        teacher: network.pt of the cloud UNet.
    """

    def __init__(self, inputs: Inputs, teacher: Path) -> None:
        self._inputs = inputs
        self._data = NoisyLatents(inputs, LATE_TIME, LATE_POWER)
        self._teacher = load_unet(architecture.cloud_unet(), teacher)
        unet = architecture.device_unet()
        prune_cloud(self._teacher, unet)
        self.network = prepare(unet)

    def loss(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Returns the weighted squared error against the teacher and the data."""
        noisy, times, text, velocity = self._data.batch(rng, self._data.rows(rng, count))
        pairs = torch.cat([noisy, noisy]), times.repeat(2), self._data.pairs(text)
        predicted = self.network(*pairs).sample.float()
        with torch.no_grad():
            taught = self._teacher(*pairs).sample.float()
        scale = torch.from_numpy(rng.uniform(1, MOST_GUIDANCE, (count, 1, 1, 1)).astype(np.float32))
        imitation = _guided(predicted - taught, scale).square().mean()
        data = (predicted[count:] - velocity).square().mean()
        loss = TEACHER_SHARE * imitation + (1 - TEACHER_SHARE) * data
        return loss, {"data": float(data.detach())}


def load_unet(unet: UNet2DConditionModel, weights: Path) -> UNet2DConditionModel:
    """Returns the UNet with trained weights in bfloat16, in evaluation mode."""
    unet.load_state_dict(torch.load(weights, weights_only=True))
    return prepare(unet).to(torch.bfloat16).eval().requires_grad_(False)


def prepare(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Chooses the attention and memory layout that train fastest on a CPU (measured: 1.3x)."""
    unet.set_attn_processor(AttnProcessor())
    return unet.to(memory_format=torch.channels_last)
