"""The one door between the public and the private side, and the device's Python API."""

import os
import re
import time
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Self, Unpack

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from device_client.bundle import Bundle, open_bundle
from device_client.hiding import HiddenPrompt, HidingSettings, hide
from device_client.options import DEVICE_ONLY, REFUSE, GenerationOptions, complete, to_settings
from device_client.private_side.choice import Choice
from device_client.private_side.denoiser import DeviceShare
from device_client.private_side.device_models import DeviceModels
from device_client.private_side.sheet import draw_sheet
from device_client.public_side.cloud import Cloud
from device_client.public_side.coins import Coins, toss
from device_client.public_side.request import check_candidates
from device_client.public_side.response_stream import OnProgress
from device_client.public_side.settings import GenerationSettings
from device_client.public_side.transport import (
    MAX_CANDIDATES,
    Endpoint,
    Tls,
    Transport,
    batch_bytes,
)
from device_client.report import CloudReport, GenerationReport, GenerationResult
from device_client.transformation import TokenBudget, load_lexicon
from device_client.transformation.skeleton import Skeleton
from obclip.card import ServiceCard
from obclip.errors import InvalidRequest, PromptRefused
from obclip.lcm import Distillation
from obclip.noise import initial_latents
from obclip.ranges import require_range, require_whole
from obclip.solver import SolverState

MAX_THREADS = 4
MAX_GUIDANCE_SCALE = 100.0
_UNPAIRED = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class _Job:
    """One generation: its settings and coins, and whom to tell."""

    chosen: GenerationOptions
    settings: GenerationSettings
    coins: Coins
    notify: OnProgress
    distillation: Distillation | None

    @property
    def share(self) -> DeviceShare:
        settings, scale = self.settings, self.chosen["device_guidance_scale"]
        if scale is None:
            scale = settings.guidance_scale
        if self.distillation is None:
            return DeviceShare(settings.steps, settings.switch_point, scale)
        start = self.distillation.device_start(settings.switch_point, settings.steps)
        return DeviceShare(self.distillation.device_steps, start, scale, starts_anew=True)


@dataclass(frozen=True)
class _Start:
    """What the device's own steps start from."""

    batch: SolverState
    choice: Choice
    negative_prompt: str
    skeleton: Skeleton | None
    cloud: CloudReport | None
    refusal: str | None = None


class ObCLIP:
    """Makes pictures without telling the cloud which of the candidates is meant.

    Example:
        with ObCLIP.connect("127.0.0.1:50051") as obclip:
            result = obclip.generate("a portrait of an old woman with glasses", seed=7)
        result.image.save("portrait.png")

    Attributes:
        bundle: The model bundle of this device.
    """

    def __init__(self, bundle: Bundle, transport: Transport | None, threads: int | None) -> None:
        """Use `connect` or `offline`."""
        self.bundle = bundle
        self._threads = threads or min(MAX_THREADS, len(os.sched_getaffinity(0)))
        self._transport = transport
        self._cloud = None if transport is None else Cloud(transport, bundle.card)

    @classmethod
    def connect(
        cls,
        address: str,
        bundle: Path | None = None,
        *,
        tls: Tls | None = None,
        timeout_s: float | None = None,
        threads: int | None = None,
    ) -> Self:
        """Connects to a service and checks that it runs the same model family.

        Args:
            address: "host:port".
            bundle: Folder of the model bundle; None is the embedded family.
            tls: How to encrypt; None is plain text, for a service on this machine.
            timeout_s: Deadline of each call, seconds, 0.1..86400; None is a minute, and for a
                generation as long as the service allows.
            threads: Threads of the models on this device; None is up to four.

        Raises:
            ObclipError: No service answers there, or the models do not fit; each names the remedy.
        """
        opened = open_bundle(bundle)
        transport = Transport(Endpoint(address, tls, timeout_s), batch_bytes(opened.card.latents))
        try:
            return cls(opened, transport, threads)
        except BaseException:
            transport.close()
            raise

    @classmethod
    def offline(cls, bundle: Path | None = None, *, threads: int | None = None) -> Self:
        """Uses the small model for all steps and no network at all.

        Args:
            bundle: Folder of the model bundle; None is the embedded family.
            threads: Threads of the models; None is up to four.

        Raises:
            ObclipError: The bundle cannot be used.
        """
        return cls(open_bundle(bundle), None, threads)

    @property
    def service_card(self) -> ServiceCard | None:
        """What the connected service says about itself; None offline."""
        return None if self._cloud is None else self._cloud.card

    def preview(self, prompt: str, **options: Unpack[GenerationOptions]) -> Skeleton:
        """Returns what `generate` would send, and sends nothing.

        Args:
            prompt: What to show.
            **options: See `GenerationOptions`.

        Raises:
            PromptRefused: The prompt cannot be hidden.
            InvalidRequest: An option is outside its range.
        """
        return self._hide(prompt, complete(options)).halves.skeleton

    def generate(
        self,
        prompt: str,
        *,
        on_progress: OnProgress | None = None,
        **options: Unpack[GenerationOptions],
    ) -> GenerationResult:
        """Makes a picture.

        Args:
            prompt: What to show. It stays on the device; the cloud gets its candidates.
            on_progress: Called as steps are done, see `OnProgress`.
            **options: See `GenerationOptions`.

        Raises:
            PromptRefused: The prompt cannot be hidden; nothing was sent.
            InvalidRequest: A setting is outside the service's limits; nothing was sent.
            ObclipError: The service failed; see `obclip.errors`.
        """
        chosen = complete(options)
        require_words(prompt)
        job = self._job(chosen, on_progress or (lambda _phase, _step, _total: None))
        models = self._models  # a broken model shows before anything is sent
        if self._cloud is None or job.settings.switch_point == 0:
            # The cloud would only draw the noise, which the seed gives here as well.
            if chosen["sheet"]:
                raise InvalidRequest("sheet", "shows what a service saw", "have one do some steps")
            return self._finish_alone(models, prompt, job, None)
        try:
            start = self._start_with(self._cloud, prompt, job)
        except PromptRefused as refusal:
            if chosen["on_unknown"] != DEVICE_ONLY:
                raise
            return self._finish_alone(models, prompt, job, refusal.reason)
        return _finish(models, start, job)

    def close(self) -> None:
        """Closes the connection."""
        if self._transport is not None:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    @cached_property
    def _models(self) -> DeviceModels:
        return DeviceModels(self.bundle, self._threads)

    def _job(self, chosen: GenerationOptions, notify: OnProgress) -> _Job:
        settings = to_settings(chosen, self.bundle.card.defaults)
        own_scale = chosen["device_guidance_scale"]
        if own_scale is not None:
            require_range("device_guidance_scale", own_scale, 0.0, MAX_GUIDANCE_SCALE)
        if chosen["on_unknown"] not in {REFUSE, DEVICE_ONLY}:
            known = f"choose {REFUSE} or {DEVICE_ONLY}"
            raise InvalidRequest("on_unknown", "does not exist", known)
        coins = toss(chosen["seed"])
        return _Job(chosen, settings, coins, notify, self.bundle.card.distillation)

    def _hide(self, prompt: str, chosen: GenerationOptions) -> HiddenPrompt:
        require_words(prompt)
        limit = chosen["max_candidates"]
        require_whole("max_candidates", limit, 2, MAX_CANDIDATES)
        tokenizer = self.bundle.tokenizer
        settings = HidingSettings(
            chosen["negative_prompt"],
            limit,
            load_lexicon(chosen["lexicon"]),
            # The bundle's limit, not the service's: by another one for every request, a service
            # could have the prompt cut, and so its blocks drawn, in ever other ways.
            TokenBudget(tokenizer.whole_ids, tokenizer.max_tokens),
        )
        return hide(prompt, settings)

    def _start_with(self, cloud: Cloud, prompt: str, job: _Job) -> _Start:
        job.settings.check(cloud.card)
        if job.distillation is None:
            cloud.card.scheduler.require_steps(job.settings.steps)
        hidden = self._hide(prompt, job.chosen)
        skeleton = hidden.halves.skeleton
        check_candidates(skeleton, cloud.card.limits, self.bundle.tokenizer.count)
        start = time.perf_counter()
        share = cloud.denoise(skeleton, job.settings, job.coins, job.notify)
        report = CloudReport.of(skeleton, hidden.is_cut, share, time.perf_counter() - start)
        return _Start(share.batch, hidden.halves.choice, skeleton.negative_prompt, skeleton, report)

    def _finish_alone(
        self, models: DeviceModels, prompt: str, job: _Job, refusal: str | None
    ) -> GenerationResult:
        steps = job.settings.steps
        if job.distillation is not None and (self._cloud or job.chosen["steps"] is None):
            steps = (
                job.distillation.device_steps
            )  # those of the card and the user are a fast cloud's
        settings = replace(job.settings, steps=steps, switch_point=0)
        alone = replace(job, settings=settings, distillation=None)
        start = self._start_alone(prompt, alone)
        return _finish(models, replace(start, refusal=refusal), alone)

    def _start_alone(self, prompt: str, job: _Job) -> _Start:
        card = self.bundle.card
        job.settings.check_ranges(card.schedule.num_train_timesteps // 4, MAX_GUIDANCE_SCALE)
        card.schedule.require_steps(job.settings.steps)
        require_text("prompt", prompt)
        require_text("negative_prompt", job.chosen["negative_prompt"])
        if (switch_point := job.chosen["switch_point"]) is not None:
            require_range("switch_point", switch_point, 0, job.settings.steps)
        noise = initial_latents(job.coins.seed, 1, card.latents.shape)
        choice = Choice(0, prompt)
        return _Start(SolverState(noise), choice, job.chosen["negative_prompt"], None, None)


def require_words(prompt: str) -> None:
    """Refuses a prompt that is empty.

    Raises:
        InvalidRequest: It is.
    """
    if not prompt.strip():
        raise InvalidRequest("prompt", "is empty", "say what the picture should show")


def require_text(field: str, text: str) -> None:
    """Refuses bytes that were no UTF-8; the transformation leaves them out, a model cannot.

    Raises:
        InvalidRequest: There are some.
    """
    if not text.isascii() and _UNPAIRED.search(text):
        raise InvalidRequest(field, "holds bytes that are no UTF-8 text", "type it anew")


def _finish(models: DeviceModels, start: _Start, job: _Job) -> GenerationResult:
    """Runs the device's own steps. Nothing is sent from here on."""
    begin = time.perf_counter()
    image_u8 = models.finish(
        start.batch, start.choice, start.negative_prompt, job.share, partial(job.notify, "device")
    )
    report = GenerationReport(
        seed=job.coins.seed,
        **asdict(job.settings),
        device_s=time.perf_counter() - begin,
        cloud=start.cloud,
        refusal=start.refusal,
    )
    return GenerationResult(
        image=Image.fromarray(image_u8),
        report=report,
        unknown_words=models.unknown_words(start.choice),
        are_words_cut=models.cuts(start.choice),
        sheet=_sheet(models, start, image_u8) if job.chosen["sheet"] else None,
        cloud_batch=start.batch if job.chosen["keep_cloud_batch"] else None,
    )


def _sheet(models: DeviceModels, start: _Start, image_u8: NDArray[np.uint8]) -> Image.Image | None:
    if start.skeleton is None:
        return None
    x0 = start.batch.previous_x0
    seen_u8 = models.decode(start.batch.latents if x0 is None else x0)
    return draw_sheet(seen_u8, _labels(start.skeleton), image_u8, start.choice)


def _labels(skeleton: Skeleton) -> tuple[str, ...]:
    """Returns the values that each candidate stands for, e.g. "female, old"."""
    every = tuple(product(*(slot.values for slot in skeleton.slots)))
    return tuple(", ".join(every[member]) for member in skeleton.members)
