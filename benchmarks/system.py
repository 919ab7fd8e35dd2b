"""The whole system on loopback: `obclip serve` with its Triton, and this process as the device."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.methods import Method
from benchmarks.pictures import Candidates, PictureMaker
from cloud_service.denoising import Cost
from cloud_service.own_process import OwnService, own_service
from cloud_service.triton_client import TritonClient
from device_client.bundle import open_bundle
from device_client.hiding import HidingSettings, hide
from device_client.private_side.choice import Choice
from device_client.private_side.denoiser import DeviceShare
from device_client.private_side.device_models import DeviceModels
from device_client.public_side.cloud import Cloud, CloudShare
from device_client.public_side.coins import Coins
from device_client.public_side.request import build_request
from device_client.public_side.settings import GenerationSettings
from device_client.public_side.transport import Endpoint, Transport, batch_bytes
from device_client.transformation.skeleton import Skeleton
from obclip.noise import initial_latents
from obclip.plan import Plan, Profile
from obclip.solver import SolverState
from obclip.tensors import encode
from obclip.v1.generation_pb2 import GenerateResponse, LatentBatch, Statistics

_PATIENCE_S: Final = 900.0


@dataclass(frozen=True, eq=False)
class Exchange:
    """One picture made through the whole system.

    Attributes:
        server_s: wall seconds of the service's steps, as it says.
        model_s: those inside its model calls.
        wire_bytes: request and all answers.
        device_s: seconds of the device's steps and decoder.
        state: what the cloud left for all candidates; None without a cloud.
    """

    server_s: float
    model_s: float
    wire_bytes: int
    device_s: float
    state: SolverState | None


@contextmanager
def running_service(bundle: Path, **settings: str) -> Iterator[OwnService]:
    """Serves a bundle with every profile on a free loopback port until the block ends.

    Args:
        bundle: the family's folder.
        **settings: more of the service's OBCLIP_ settings, in lower case.
    """
    chosen = {
        "profiles": json.dumps([profile.value for profile in Profile]),
        "request_timeout_s": f"{_PATIENCE_S:.0f}",
        "model_call_timeout_s": f"{_PATIENCE_S:.0f}",
    } | settings
    with own_service("--bundle", str(bundle), **chosen) as service:
        yield service


class System:
    """One service, and the device's two sides in this process.

    Args:
        service: which serves the same bundle with every profile.
        bundle: the family's folder.
        threads: of the device's models.
    """

    def __init__(self, service: OwnService, bundle: Path, threads: int) -> None:
        opened = open_bundle(bundle)
        self._service, self._card = service, opened.card
        self._models = DeviceModels(opened, threads)
        endpoint = Endpoint(service.address, None, _PATIENCE_S)
        self._transport = Transport(endpoint, batch_bytes(self._card.latents))
        self._cloud = Cloud(self._transport, self._card)
        self._maker = PictureMaker(bundle, threads)

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def run(self, method: Method, prompt: str, k: int, seed: int) -> Exchange:
        """Makes one picture.

        Args:
            method: how.
            prompt: the user's.
            k: the switch point.
            seed: of the noise.
        """
        defaults = self._card.defaults
        settings = GenerationSettings(
            defaults.steps,
            defaults.guidance_scale,
            method.switch_point(k, defaults.steps),
            method.profile,
        )
        hidden = hide(prompt, HidingSettings()).halves
        skeleton, choice = hidden.skeleton, hidden.choice
        if method.is_alone:
            skeleton = Skeleton((prompt,), (), "", skeleton.lexicon_version)
            choice = Choice(0, prompt)
        if not settings.switch_point:
            noise = SolverState(initial_latents(seed, 1, self._card.latents.shape))
            return Exchange(0.0, 0.0, 0, self._finish(noise, choice, settings), None)
        share = self._share(method, skeleton, settings, Coins(seed))
        device_s = self._finish(share.batch, choice, settings)
        seconds = share.statistics
        wire_bytes = share.sent_bytes + share.received_bytes
        return Exchange(seconds.server_s, seconds.model_s, wire_bytes, device_s, share.batch)

    def _share(
        self, method: Method, skeleton: Skeleton, settings: GenerationSettings, coins: Coins
    ) -> CloudShare:
        """The cloud's part, by the wire; a plan that no request can name runs on its Triton."""
        if method.reuses_maps:
            return self._cloud.denoise(skeleton, settings, coins, _ignore)
        candidates = Candidates(skeleton.candidates(), coins.seed)
        plan = method.plan(settings.switch_point, settings.steps)
        state, cost = asyncio.run(self._denoise_on_triton(candidates, plan))
        seconds = Statistics(server_s=cost.server_s, model_s=cost.model_s)
        request = build_request(skeleton, settings, coins, self._card.models.cloud_unet)
        return CloudShare(state, seconds, request.ByteSize(), self._batch_bytes(state))

    async def _denoise_on_triton(
        self, candidates: Candidates, plan: Plan
    ) -> tuple[SolverState, Cost]:
        rows = 2 * len(candidates.prompts)
        async with TritonClient(
            self._service.triton, self._card, call_timeout_s=_PATIENCE_S
        ) as client:
            await client.check_models()
            async with client.sharing_memory(1, rows):
                with client.for_one_run() as backend:
                    return await self._maker.denoise(candidates, plan, backend)

    def _batch_bytes(self, state: SolverState) -> int:
        """Bytes of the message that would carry a state."""
        arrays = [array for array in (state.latents, state.previous_x0) if array is not None]
        wire = self._card.latents.tensor_type
        latents, *x0 = (encode(array, wire) for array in arrays)
        batch = LatentBatch(latents=latents, previous_x0=x0[0] if x0 else None)
        return GenerateResponse(batch=batch).ByteSize()

    def _finish(self, state: SolverState, choice: Choice, settings: GenerationSettings) -> float:
        share = DeviceShare(settings.steps, settings.switch_point, settings.guidance_scale)
        begin = time.perf_counter()
        self._models.finish(state, choice, "", share, _ignore)
        return time.perf_counter() - begin


def _ignore(*_progress: object) -> None: ...


def peak_memory_bytes(service: OwnService) -> dict[str, int]:
    """Most resident bytes so far: of the orchestrator, of Triton with its models, and of ours.

    Pages that processes share, as those of mapped weights, count in each of them.
    """
    below = _descendants(service.pid)
    return {
        "orchestrator": _peak_bytes(service.pid),
        "triton": sum(_peak_bytes(pid) for pid in below),
        "this process (device and judge)": _peak_bytes(os.getpid()),
    }


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *_descendants(child)]
    return found


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0  # it has ended
