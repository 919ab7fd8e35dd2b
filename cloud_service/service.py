"""The whole service: Triton, orchestrator, health and metrics, started and ended together."""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import grpc

from cloud_service.admission import AdmissionQueue
from cloud_service.bundle_service import add_bundle_service
from cloud_service.health import Health
from cloud_service.inference import MAX_ROWS
from cloud_service.listening import open_port
from cloud_service.metrics import Metrics
from cloud_service.model_repository import (
    embedded_repository,
    select_models,
    write_repository,
)
from cloud_service.server import add_services, build_server
from cloud_service.servicer import ObclipServicer, ServicerParts
from cloud_service.settings import Settings, Transport, embedded_bundle
from cloud_service.shared_weights import share_weights
from cloud_service.slots import slot_layout
from cloud_service.startup_error import CannotStart, TritonCrashed
from cloud_service.tokenizer import PromptTokenizer
from cloud_service.triton_client import TEXT_ENCODER, TritonClient
from cloud_service.triton_process import TritonProcess, running_triton
from obclip.card import FOLDERS, ModelCard, ServiceCard
from obclip.errors import BackendUnavailable
from obclip.plan import STEP_KIND_GRAPHS, UNET_REUSE, UNET_SHALLOW, Profile

_PROBE_TIMEOUT_S = 2.0
_STARTS = 3
_SMALL = {UNET_SHALLOW}  # a copy of its weights is no more than a few per cent of the UNet
_POLL_S = 0.2
# What the service runs itself; the device's parts may be absent here.
_OWN_PARTS = tuple(part for part in FOLDERS if part in {"cloud_unet", "text_encoder", "tokenizer"})


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunningService:
    """A service that answers.

    Attributes:
        address: host:port of the orchestrator.
        triton_url: host:port of Triton.
        metrics_address: host:port of the metrics, or None.
        card: what it tells every caller.
        triton: the process it started, or None for a Triton that ran already.
    """

    address: str
    triton_url: str
    metrics_address: str | None
    card: ServiceCard
    triton: TritonProcess | None

    @property
    def pid(self) -> int:
        """Process id of the orchestrator."""
        return os.getpid()

    async def wait_for_failure(self) -> None:
        """Waits until the service cannot go on; for ever when Triton was not started here.

        Raises:
            BackendUnavailable: Triton, or one of its model processes, ended.
        """
        if self.triton is None:
            await asyncio.Event().wait()
            return
        raise BackendUnavailable(await self.triton.wait_for_failure())


@contextlib.asynccontextmanager
async def running_service(settings: Settings) -> AsyncIterator[RunningService]:
    """Runs everything until the block ends, then takes everything down.

    Must run in the main thread; see `running_triton`.

    Raises:
        CannotStart: a setting or the installation is at fault.
        InvalidBundle: the bundle is incomplete.
        ModelMismatch: the bundle's files are not those of its card.
    """
    bundle = settings.bundle or embedded_bundle()
    model_card = ModelCard.load(bundle)
    model_card.verify(bundle, _OWN_PARTS)
    model_card = _with_kinds_of(model_card, settings.profiles)
    card = _service_card(model_card, settings)
    tokenizer = PromptTokenizer(bundle / "tokenizer" / "tokenizer.json", model_card.text)
    server = build_server(card, settings.max_running)
    add_bundle_service(server, bundle)
    address = open_port(server, settings)  # before Triton: a taken port is said at once
    async with contextlib.AsyncExitStack() as stack:
        triton, client = await _start(stack, settings, bundle, model_card)
        queue = AdmissionQueue(max_running=settings.max_running, max_waiting=settings.max_queue)
        metrics = Metrics(queue, lambda: client.free_slots)
        parts = ServicerParts(card, tokenizer, client, queue, metrics)
        async with _served(server, parts, client, settings) as metrics_address:
            yield RunningService(address, client.url, metrics_address, card, triton)


async def _start(
    stack: contextlib.AsyncExitStack, settings: Settings, bundle: Path, card: ModelCard
) -> tuple[TritonProcess | None, TritonClient]:
    """A Triton and its client, which the stack ends; started anew when Triton crashes on the way.

    Triton 2.51 sometimes aborts while its models' processes start (boost::interprocess lock errors,
    2 of 8 starts with seven models on a busy machine).
    """
    for left in reversed(range(_STARTS)):
        async with contextlib.AsyncExitStack() as trial:
            try:
                triton = await trial.enter_async_context(_triton(settings, bundle, card))
                client = await trial.enter_async_context(_ready_client(settings, card, triton))
            except TritonCrashed:
                if left == 0:
                    raise
                continue
            stack.push_async_exit(trial.pop_all())
            return triton, client
    raise AssertionError("the last start returns or raises")


@contextlib.asynccontextmanager
async def _triton(
    settings: Settings, bundle: Path, card: ModelCard
) -> AsyncIterator[TritonProcess | None]:
    """A Triton of our own, or None when the settings name one that runs already."""
    if settings.triton_url is not None:
        yield None
        return
    repository = _repository(settings, bundle, card)
    batch_bytes = slot_layout(card, _most_rows(settings, card)).slot_bytes
    async with running_triton(
        repository, verbose=settings.verbose, batch_bytes=batch_bytes
    ) as triton:
        yield triton


def _most_rows(settings: Settings, card: ModelCard) -> int:
    """Rows of the largest call: sets merge up to a batch; one with batch reuse is never split."""
    of_one_set = 2 * settings.max_candidates
    merged = min(MAX_ROWS, settings.max_running * of_one_set)
    is_split = all(kind.name != UNET_REUSE for kind in card.step_kinds)
    return merged if is_split else max(merged, of_one_set)


@contextlib.asynccontextmanager
async def _ready_client(
    settings: Settings, card: ModelCard, triton: TritonProcess | None
) -> AsyncIterator[TritonClient]:
    """A client of a Triton whose models are warm and fit the bundle."""
    async with TritonClient(
        triton.url if triton else str(settings.triton_url),
        card,
        call_timeout_s=settings.model_call_timeout_s,
    ) as client:
        await _wait_until_ready(client, triton, settings)
        await client.check_models()
        async with _shared_memory(settings, client, triton):
            yield client


@contextlib.asynccontextmanager
async def _shared_memory(
    settings: Settings, client: TritonClient, triton: TritonProcess | None
) -> AsyncIterator[None]:
    """Shared memory between the client and Triton, as the settings want it."""
    async with contextlib.AsyncExitStack() as stack:
        is_ours = triton is not None and settings.transport is Transport.AUTO
        if is_ours or settings.transport is Transport.SHARED_MEMORY:
            slots = client.sharing_memory(settings.max_running, 2 * settings.max_candidates)
            try:
                await stack.enter_async_context(slots)
            except CannotStart as error:
                if settings.transport is not Transport.AUTO:
                    raise
                _log.warning("tensors go by messages: %s", error)
        yield


@contextlib.asynccontextmanager
async def _served(
    server: grpc.aio.Server, parts: ServicerParts, client: TritonClient, settings: Settings
) -> AsyncIterator[str | None]:
    """Serves the contract, health and metrics; gives the address of the metrics."""
    health = Health()
    add_services(server, ObclipServicer(parts), health)
    with parts.metrics.served(settings.metrics_port) as metrics_address:
        await server.start()
        try:
            async with _followed_readiness(health, client, settings.readiness_interval_s):
                yield metrics_address
        finally:
            health.stop()
            await server.stop(settings.shutdown_grace_s)


@contextlib.asynccontextmanager
async def _followed_readiness(
    health: Health, client: TritonClient, interval_s: float
) -> AsyncIterator[None]:
    """Keeps the health service true to Triton's readiness."""

    async def follow() -> None:
        while True:
            await asyncio.sleep(interval_s)
            health.set_serving(await client.is_ready(_PROBE_TIMEOUT_S))

    health.set_serving(True)
    follower = asyncio.create_task(follow())
    try:
        yield
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)


async def _wait_until_ready(
    client: TritonClient, triton: TritonProcess | None, settings: Settings
) -> None:
    timeout_s = settings.triton_start_timeout_s
    if triton is not None:
        await triton.wait_until(client.is_ready, timeout_s)
        return
    try:
        async with asyncio.timeout(timeout_s):
            while not await client.is_ready(_PROBE_TIMEOUT_S):
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        raise CannotStart(
            f"no Triton is ready at {settings.triton_url}", "check --triton-url, and Triton's log"
        ) from error


def _service_card(card: ModelCard, settings: Settings) -> ServiceCard:
    limits = settings.limits(card)
    try:
        return ServiceCard(
            service_version=version("obclip"),
            models=card.models,
            latents=card.latents,
            scheduler=card.schedule,
            limits=limits,
            profiles=settings.profiles,
            step_kinds=card.step_kinds,
            distillation=card.distillation,
        )
    except ValueError as error:
        raise CannotStart(str(error), "change that OBCLIP_ setting") from error


def _with_kinds_of(card: ModelCard, profiles: Collection[Profile]) -> ModelCard:
    """The card with the step kinds that these profiles need."""
    needed = frozenset[str]().union(*(profile.step_kinds() for profile in profiles))
    kinds = tuple(kind for kind in card.step_kinds if kind.name in needed)
    known = {kind.name for kind in card.step_kinds}
    if not kinds or not needed <= known:
        offered = [profile.value for profile in Profile if profile.step_kinds() <= known]
        raise CannotStart(
            f"the bundle lacks {', '.join(sorted(needed - known)) or 'every step kind'}",
            f"set OBCLIP_PROFILES='{json.dumps(offered)}', or export it with more --profiles",
        )
    return replace(card, step_kinds=kinds)


def _repository(
    settings: Settings, bundle: Path, card: ModelCard
) -> Callable[[Path], Awaitable[Path]]:
    given = settings.model_repository
    kinds = {kind.name for kind in card.step_kinds}

    async def choose(empty_folder: Path) -> Path:
        repository = empty_folder / "repository"
        if given is None and len(kinds - _SMALL) > 1:
            shared = empty_folder / "bundle"
            await share_weights(bundle, shared, [STEP_KIND_GRAPHS[kind] for kind in sorted(kinds)])
            (shared / TEXT_ENCODER).symlink_to(bundle.resolve() / TEXT_ENCODER)
            write_repository(repository, shared, card)
        elif given is None and settings.bundle is not None:
            write_repository(repository, bundle, card)
        else:
            select_models(repository, given or embedded_repository(), card)
        return repository

    return choose
