"""The models, reached over gRPC in the KServe v2 protocol: a Triton Inference Server."""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from cloud_service.inference import (
    GUIDANCE,
    MODEL_OUTPUT,
    InferenceBackend,
    UnetAnswer,
    UnetCall,
)
from cloud_service.slots import Slot, SlotPool, registered_slots, slot_layout
from cloud_service.startup_error import CannotStart
from obclip.card import ModelCard
from obclip.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    ObclipError,
    ServiceFailed,
    WireError,
)
from obclip.plan import STEP_KINDS, UNET_FULL, UNET_REUSE

TEXT_ENCODER = "text_encoder"
# A batch that no config of ours exceeds: bounds the messages before the configs are read.
_MAX_SAMPLES = 256
_OVERHEAD_BYTES = 1 << 16
_CLOSE_TIMEOUT_S = 5.0
_MAX_ITEM_BYTES = 8
# INTERNAL is Triton's word for a model process that has died.
_NOT_AVAILABLE = {"UNAVAILABLE", "CANCELLED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN"}
_NOT_AVAILABLE |= {"NOT_FOUND"}  # of a model or slot that it had: it was started anew
_WRITTEN_BY_US = {"latents", "encoder_hidden_states"}
_REPOSITORY_REMEDY = "let Triton serve the model repository that was made for this bundle"

Tensors = Mapping[str, NDArray[Any]]

_log = logging.getLogger(__name__)


class TritonClient:
    """An `InferenceBackend` over one Triton.

    Args:
        url: host:port of Triton's gRPC service.
        card: of the bundle; the shapes bound every message.
        call_timeout_s: seconds until a call is given up.

    Attributes:
        url: host:port of Triton's gRPC service.
    """

    def __init__(self, url: str, card: ModelCard, *, call_timeout_s: float) -> None:
        self.url = url
        self._card = card
        self._embedding_shape = card.text.embedding_shape
        self._cached_shapes = {cached.name: cached.shape for cached in card.cached_tensors}
        self._call_timeout_s = call_timeout_s
        self._max_batch_size = 1
        self._client = InferenceServerClient(url, channel_args=self._channel_args())
        self._calls: set[asyncio.Task[Any]] = set()
        self._slots = SlotPool()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._wait_for_calls()
        await self._client.close()

    @property
    def max_batch_size(self) -> int:
        """Samples that one call may hold; 1 until `check_models` has read it."""
        return self._max_batch_size

    @property
    def free_slots(self) -> int:
        """Slots of shared memory for sets that do not run yet; a failed call costs one."""
        return self._slots.free

    async def is_ready(self, timeout_s: float) -> bool:
        """Whether Triton answers within the time and says that all its models are ready."""
        try:
            return bool(await self._client.is_server_ready(client_timeout=timeout_s))
        except InferenceServerException:
            return False

    async def check_models(self) -> None:
        """Compares Triton's models with the card, and reads their batch size.

        Raises:
            CannotStart: a model is absent, its tensors have other names or shapes, or Triton does
                not answer.
        """
        expected = {kind.name: self._step_kind_tensors(kind.name) for kind in self._card.step_kinds}
        expected[TEXT_ENCODER] = self._text_encoder_tensors()
        sizes = [await self._check_model(name, tensors) for name, tensors in expected.items()]
        self._max_batch_size = min(*sizes, _MAX_SAMPLES)

    async def encode_text(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `InferenceBackend.encode_text`."""
        shape = (len(input_ids), *self._embedding_shape)
        wanted = {"last_hidden_state": shape}
        answer = await self._infer(TEXT_ENCODER, {"input_ids": input_ids}, wanted)
        return answer["last_hidden_state"]

    @contextlib.asynccontextmanager
    async def sharing_memory(self, count: int, rows: int) -> AsyncIterator[None]:
        """Lets sets that run in the block pass tensors through shared memory.

        At its end calls that are under way may end first: Triton may still write there.

        Args:
            count: of sets that run at the same time.
            rows: of one set at most, both guidance branches counted.

        Raises:
            CannotStart: there is no room for it, or Triton accepts none.
        """
        layout = slot_layout(self._card, rows)
        async with registered_slots(self._client, layout, count) as slots:
            self._slots = slots
            try:
                yield
            finally:
                self._slots = SlotPool()
                await self._wait_for_calls()

    @contextlib.contextmanager
    def for_one_run(self) -> Iterator[InferenceBackend]:
        """What one run calls, with a slot of shared memory where there is one.

        Arrays of an answer may lie in the slot: they last until the end of the block, and until the
        same tensor is left again.
        """
        with self._slots.lease() as slot:
            yield _SlotBackend(self, slot) if slot else self

    async def denoise(self, call: UnetCall, slot: Slot | None = None) -> UnetAnswer:
        """See `InferenceBackend.denoise`; large tensors go through the slot where one is given."""
        tensors = {
            "latents": call.latents,
            "timestep": call.timesteps[:, np.newaxis],  # Triton wants an axis beside the batch's
            "encoder_hidden_states": call.embeddings,
            **call.cached,
        }
        if call.guidance is not None:
            tensors[GUIDANCE] = call.guidance[:, np.newaxis]
        batch = call.latents.shape[: -len(self._card.latents.shape)]
        shapes: dict[str, tuple[int, ...]] = {MODEL_OUTPUT: self._card.latents.shape}
        shapes |= {name: self._cached_shapes[name] for name in call.leaves}
        wanted = {name: (*batch, *shape) for name, shape in shapes.items()}
        return await self._infer(call.kind, tensors, wanted, slot)

    async def _infer(
        self,
        model: str,
        tensors: Tensors,
        wanted: Mapping[str, tuple[int, ...]],
        slot: Slot | None = None,
    ) -> UnetAnswer:
        views = {name: slot.view(name, shape) if slot else None for name, shape in wanted.items()}
        call = self._client.infer(
            model,
            [_infer_input(name, array, slot) for name, array in tensors.items()],
            outputs=[_requested_output(name, view, slot) for name, view in views.items()],
            client_timeout=self._call_timeout_s,
        )
        try:
            result = await self._finish(call, slot)
        except InferenceServerException as error:
            if slot and _code(error) == "NOT_FOUND":
                self._forget_slots()
            raise _translate(error, model) from None  # its message may quote a request
        answer = {}
        for name, view in views.items():
            found = result.get_output(name)
            if not found or (found.datatype, tuple(found.shape)) != ("FP32", wanted[name]):
                raise WireError(f"{model} gave {name} in another shape or type than the card says")
            answer[name] = result.as_numpy(name) if view is None else view
        return answer

    async def _finish(self, call: Coroutine[Any, Any, Any], slot: Slot | None) -> Any:
        """Awaits a call to its end even when cancelled meanwhile, and is cancelled only then.

        A cancelled call can crash Triton 2.51 (server issues 7368 and 8034). So a caller that gives
        up waits for its step, which also keeps the calls in Triton as few as the running requests.
        """
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        was_cancelled = False
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                was_cancelled = True
        if (task.cancelled() or task.exception()) and slot:
            slot.is_spoiled = True
            _log.warning(
                "a call failed, so its slot of shared memory is used no more, and one more run at "
                "a time sends its tensors by messages; restart the service when Triton runs"
            )
        if was_cancelled:
            raise asyncio.CancelledError
        return task.result()

    def _forget_slots(self) -> None:
        """Triton was started anew; sets that run fail, and later ones do without."""
        self._slots = SlotPool()
        _log.warning(
            "Triton has lost its shared memory, so tensors go by messages; "
            "restart the service when Triton runs"
        )

    async def _wait_for_calls(self) -> None:
        if self._calls:
            await asyncio.wait(self._calls, timeout=_CLOSE_TIMEOUT_S)

    async def _check_model(self, name: str, expected: Mapping[str, list[int]]) -> int:
        try:
            answer = await self._client.get_model_config(name, client_timeout=self._call_timeout_s)
        except InferenceServerException as error:
            if _code(error) == "NOT_FOUND":
                raise CannotStart(f"Triton has no model {name}", _REPOSITORY_REMEDY) from error
            raise CannotStart(
                f"Triton answered {_code(error)} for {name}", "check that it runs, and its log"
            ) from error
        config = answer.config
        found = {tensor.name: list(tensor.dims) for tensor in [*config.input, *config.output]}
        if found != expected:
            raise CannotStart(
                f"Triton's model {name} takes {found}, the bundle {expected}", _REPOSITORY_REMEDY
            )
        return max(1, int(config.max_batch_size))

    def _text_encoder_tensors(self) -> dict[str, list[int]]:
        return {
            "input_ids": [self._card.text.max_tokens],
            "last_hidden_state": list(self._embedding_shape),
        }

    def _step_kind_tensors(self, kind: str) -> dict[str, list[int]]:
        latents, embedding = list(self._card.latents.shape), list(self._embedding_shape)
        tensors = {
            "latents": latents,
            "timestep": [1],
            "encoder_hidden_states": embedding,
            MODEL_OUTPUT: latents,
        }
        if self._card.distillation is not None and self._card.distillation.embeds_guidance:
            tensors[GUIDANCE] = [1]
        known = STEP_KINDS[kind]
        cached = {name: list(self._cached_shapes[name]) for name in known.takes + known.leaves}
        if kind == UNET_REUSE:  # rows of a set are an axis of their own
            names = [*cached, "latents", "encoder_hidden_states", MODEL_OUTPUT]
            return tensors | {name: [-1, *(tensors | cached)[name]] for name in names}
        return tensors | cached

    def _channel_args(self) -> list[tuple[str, int]]:
        shapes = [*self._text_encoder_tensors().values()]
        shapes += [*self._step_kind_tensors(UNET_FULL).values()]
        shapes += [list(cached.shape) for cached in self._card.cached_tensors]
        sample_bytes = sum(math.prod(shape) for shape in shapes) * _MAX_ITEM_BYTES
        max_message_bytes = min(_MAX_SAMPLES * sample_bytes + _OVERHEAD_BYTES, 2**31 - 1)
        return [
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.enable_http_proxy", 0),  # Triton is on this host or beside it
        ]


class _SlotBackend:
    """An `InferenceBackend` whose large tensors stay in one slot."""

    def __init__(self, client: TritonClient, slot: Slot) -> None:
        self._client = client
        self._slot = slot

    @property
    def max_batch_size(self) -> int:
        return self._client.max_batch_size

    async def encode_text(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return await self._client.encode_text(input_ids)

    async def denoise(self, call: UnetCall) -> UnetAnswer:
        return await self._client.denoise(call, self._slot)


def _infer_input(name: str, array: NDArray[Any], slot: Slot | None) -> InferInput:
    """A tensor by reference where it lies in the slot, or has a place of its own there."""
    tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    if slot:
        array = _moved(name, array, slot)
        if (offset := slot.offset(array)) is not None:
            tensor.set_shared_memory(slot.name, array.nbytes, offset)
            return tensor
    return tensor.set_data_from_numpy(np.ascontiguousarray(array))


def _moved(name: str, array: NDArray[Any], slot: Slot) -> NDArray[Any]:
    """The tensor in the slot; a rearranged cache stays outside, the cache itself may be needed."""
    place = slot.view(name, array.shape) if name in _WRITTEN_BY_US else None
    if place is None:
        return array
    np.copyto(place, array)
    return place


def _requested_output(
    name: str, view: NDArray[Any] | None, slot: Slot | None
) -> InferRequestedOutput:
    output = InferRequestedOutput(name)
    if slot and view is not None:
        output.set_shared_memory(slot.name, view.nbytes, slot.offset(view))
    return output


def _code(error: InferenceServerException) -> str:
    """Name of the gRPC status code."""
    return str(error.status()).removeprefix("StatusCode.")


def _translate(error: InferenceServerException, model: str) -> ObclipError:
    code = _code(error)
    if code == "DEADLINE_EXCEEDED":
        return DeadlineExceeded()
    if code in _NOT_AVAILABLE:
        return BackendUnavailable(f"Triton answered {code} for {model}")
    return ServiceFailed(code)
