"""Pictures of many prompts at once, in one process, with the arithmetic of the whole system."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device_client.private_side.graph import Graph
from device_client.private_side.image_decoder import ImageDecoder
from device_client.tokenizer import Tokenizer
from obclip.card import ModelCard
from obclip.guidance import guide
from obclip.noise import initial_latents
from obclip.solver import DpmSolver, SolverState

Array = NDArray[np.float32]
BATCH: Final = 24
_UNET_INPUTS: Final = frozenset({"latents", "timestep", "encoder_hidden_states"})


@dataclass(frozen=True)
class Run:
    """One way to make pictures.

    Attributes:
        steps: T.
        switch_point: steps t < k run on the cloud UNet, the others on the device UNet.
        guidance_scale: of the steps t < k, and of the others when they have none of their own.
        device_guidance_scale: of the device's steps; 1 is no guidance, at half the cost.
    """

    steps: int
    switch_point: int
    guidance_scale: float
    device_guidance_scale: float | None = None

    def scale(self, step: int) -> float:
        """Guidance of a step."""
        own = self.device_guidance_scale
        return self.guidance_scale if own is None or step < self.switch_point else own


class Sampler:
    """The family's graphs, opened once.

    Args:
        bundle: the family's folder.
        threads: of ONNX Runtime.
    """

    def __init__(self, bundle: Path, threads: int = 2) -> None:
        self.card = ModelCard.load(bundle)
        text = self.card.text
        tokenizer_file = bundle / "tokenizer" / "tokenizer.json"
        self._tokenizer = Tokenizer(tokenizer_file, text.max_tokens, text.pad_token_id)
        names = frozenset({"input_ids"})
        self._text_encoder = Graph(bundle / "text_encoder" / "model.onnx", names, threads)
        self._cloud = Graph(bundle / "unet" / "model.onnx", _UNET_INPUTS, threads)
        self._device = Graph(bundle / "device_unet" / "model.onnx", _UNET_INPUTS, threads)
        self._decoder = ImageDecoder(bundle / "vae" / "decoder.onnx", threads)

    def encode(self, prompts: list[str]) -> Array:
        """Returns the text states of prompts, (prompts, L, D)."""
        return self._text_encoder.run(
            input_ids=np.stack([self._tokenizer.ids(prompt) for prompt in prompts])
        )

    def pictures(self, prompts: list[str], seeds: list[int], run: Run) -> NDArray[np.uint8]:
        """Returns one picture per prompt, (prompts, 8H, 8W, 3) uint8, each from its own seed."""
        parts = [
            self._decoder.decode(self.latents(prompts[i : i + BATCH], seeds[i : i + BATCH], run))
            for i in range(0, len(prompts), BATCH)
        ]
        return np.concatenate(parts)

    def latents(self, prompts: list[str], seeds: list[int], run: Run) -> Array:
        """Returns the clean latents of a few prompts, (prompts, C, H, W)."""
        text = self.encode([""] * len(prompts) + prompts)
        shape = self.card.latents.shape
        noise = np.concatenate([initial_latents(seed, 1, shape) for seed in seeds])
        solver, state = DpmSolver(self.card.schedule, run.steps), SolverState(noise)
        for step in range(run.steps):
            if 0 < step == run.switch_point:
                state = self._sent(state)
            unet = self._cloud if step < run.switch_point else self._device
            predict = partial(_predict, unet, timestep=float(solver.timesteps[step]))
            output = predict(state.latents, text=text[len(prompts) :])
            if (scale := run.scale(step)) != 1:
                without = predict(state.latents, text=text[: len(prompts)])
                output = guide(without, output, scale)
            state = solver.step(state, output, step)
        return state.latents

    def _sent(self, state: SolverState) -> SolverState:
        """Returns what arrives of a state when it crosses the wire."""
        wire, x0 = self.card.latents.wire_type, state.previous_x0
        return SolverState(
            _rounded(state.latents, wire), None if x0 is None else _rounded(x0, wire)
        )


def _rounded(array: Array, dtype: str) -> Array:
    return array.astype(dtype).astype(np.float32)


def _predict(unet: Graph, latents: Array, *, text: Array, timestep: float) -> Array:
    times = np.full(len(latents), timestep, np.float32)
    return unet.run(latents=latents, timestep=times, encoder_hidden_states=text)
