"""Every candidate's picture, by any method, in this process with the orchestrator's own loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.graph_backend import GraphBackend, open_graph
from cloud_service.denoising import Cost, DenoisingRun
from cloud_service.job import GenerationJob
from cloud_service.settings import Settings
from cloud_service.tokenizer import PromptTokenizer
from obclip.card import ModelCard, ServiceCard
from obclip.guidance import guide
from obclip.plan import Plan, Profile
from obclip.solver import DpmSolver, SolverState
from obclip.tensors import decode, encode

if TYPE_CHECKING:
    from cloud_service.inference import InferenceBackend

Array = NDArray[np.float32]
Pictures = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Candidates:
    """What one request asks for.

    Attributes:
        prompts: N prompts.
        seed: of the noise that they share.
    """

    prompts: tuple[str, ...] = field(repr=False)
    seed: int


class Finisher(StrEnum):
    """Whose UNet runs the steps after the switch point."""

    DEVICE = "device"
    CLOUD = "cloud"

    @property
    def folder(self) -> str:
        """Of its UNet in a bundle."""
        return {Finisher.DEVICE: "device_unet", Finisher.CLOUD: "unet"}[self]


class PictureMaker:
    """One bundle's graphs.

    Args:
        bundle: the family's folder.
        threads: of ONNX Runtime.
        finisher: whose UNet finishes the pictures.

    Attributes:
        card: the bundle's.
        backend: its cloud models.
    """

    def __init__(self, bundle: Path, threads: int, finisher: Finisher = Finisher.DEVICE) -> None:
        self.card = ModelCard.load(bundle)
        self.backend = GraphBackend(bundle, threads)
        self._finisher = open_graph(bundle / finisher.folder / "model.onnx", threads)
        self._decoder = open_graph(bundle / "vae" / "decoder.onnx", threads)
        self._tokenizer = PromptTokenizer(bundle / "tokenizer" / "tokenizer.json", self.card.text)
        self._service = ServiceCard(
            service_version=version("obclip"),
            models=self.card.models,
            latents=self.card.latents,
            scheduler=self.card.schedule,
            limits=Settings().limits(self.card),
            profiles=tuple(Profile),
            step_kinds=self.card.step_kinds,
        )

    @property
    def steps(self) -> int:
        """T."""
        return self.card.defaults.steps

    async def denoise(
        self, candidates: Candidates, plan: Plan, backend: InferenceBackend
    ) -> tuple[SolverState, Cost]:
        """The cloud's part on a backend: the state it leaves, and what it took."""
        job = GenerationJob(
            candidate_ids=self._ids(candidates.prompts),
            negative_ids=self._ids(("",)),
            seed=candidates.seed,
            steps=self.steps,
            guidance_scale=self.card.defaults.guidance_scale,
            plan=plan,
        )
        run = DenoisingRun(job, self._service, backend)
        return await run.run(_ignore), run.cost

    def switch_state(self, candidates: Candidates, plan: Plan) -> SolverState:
        """The state at the switch point as the device gets it, rounded by the wire's type."""
        state, _ = asyncio.run(self.denoise(candidates, plan, self.backend))
        x0 = state.previous_x0
        rounded = None if x0 is None else self._over_the_wire(x0)
        return SolverState(self._over_the_wire(state.latents), rounded)

    def pictures(self, candidates: Candidates, plan: Plan) -> tuple[Pictures, Array]:
        """All pictures of a plan, (N, 8H, 8W, 3), and the latents at the switch point."""
        state = self.switch_state(candidates, plan)
        return self.finish(state, candidates.prompts, len(plan.steps)), state.latents

    def finish(self, state: SolverState, prompts: tuple[str, ...], start: int) -> Pictures:
        """The finisher's steps t >= start and the decoder, for all candidates at once."""
        text = asyncio.run(self.backend.encode_text(self._ids(("", *prompts))))
        embeddings = np.concatenate([np.repeat(text[:1], len(prompts), axis=0), text[1:]])
        solver = DpmSolver(self.card.schedule, self.steps)
        for step in range(start, self.steps):
            timestep = float(solver.timesteps[step])
            output = self._guided(state.latents, timestep, embeddings)
            state = solver.step(state, output, step)
        (images,) = self._decoder.run(None, {"latents": state.latents})
        pictures: Pictures = (images.transpose(0, 2, 3, 1) * 255).round().astype(np.uint8)
        return pictures

    def _guided(self, latents: Array, timestep: float, embeddings: Array) -> Array:
        both = np.concatenate([latents, latents])
        feeds = {
            "latents": both,
            "timestep": np.full(len(both), timestep, np.float32),
            "encoder_hidden_states": embeddings,
        }
        without, with_text = np.split(self._finisher.run(None, feeds)[0], 2)
        return guide(without, with_text, self.card.defaults.guidance_scale)

    def _ids(self, prompts: tuple[str, ...]) -> NDArray[np.int64]:
        return np.stack([self._tokenizer.encode(prompt, "candidates") for prompt in prompts])

    def _over_the_wire(self, array: Array) -> Array:
        wire = self.card.latents.tensor_type
        return decode(encode(array, wire), expected_type=wire, expected_shape=array.shape)


async def _ignore(_steps_done: int) -> None: ...
