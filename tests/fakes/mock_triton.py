"""A gRPC server that speaks KServe v2 as Triton does, and passes the suite that Triton passes.

It serves a model repository of ours in this process, or models that are Python functions, which a
test can hold, break or count.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime as ort
from google.protobuf import text_format
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import triton_to_np_dtype

from tests.fakes.mock_regions import MockRegions, RegionRefused

Feeds = dict[str, NDArray[Any]]
Run = Callable[[Feeds], Awaitable[Feeds]]
Context = grpc.aio.ServicerContext[Any, Any]


class RequestRefused(Exception):
    """A model's own refusal of a request's values."""


@dataclass
class MockModel:
    """One model: a config, something that runs, and a batcher that merges what waits."""

    config: ModelConfig
    run: Run
    executions: int = 0
    inferences: int = 0
    _waiting: list[tuple[Feeds, asyncio.Future[Feeds]]] = field(default_factory=list)
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def infer(self, feeds: Feeds) -> Feeds:
        """Runs one request, together with those that wait when its turn comes."""
        answer: asyncio.Future[Feeds] = asyncio.get_running_loop().create_future()
        self._waiting.append((feeds, answer))
        async with self._busy:
            if not answer.done():
                await self._execute(self._take_batch())
        return await answer

    def _take_batch(self) -> list[tuple[Feeds, asyncio.Future[Feeds]]]:
        size, batch = 0, []
        while self._waiting:
            rows = _rows(self._waiting[0][0])
            if batch and size + rows > self.config.max_batch_size:
                break
            if batch and _shapes(self._waiting[0][0]) != _shapes(batch[0][0]):
                break
            size += rows
            batch.append(self._waiting.pop(0))
        return batch

    async def _execute(self, batch: list[tuple[Feeds, asyncio.Future[Feeds]]]) -> None:
        self.executions += 1
        try:
            answers = await self._run_merged([feeds for feeds, _ in batch])
        except Exception:
            if len(batch) == 1:
                batch[0][1].set_exception(RequestRefused())
                return
            for item in batch:  # so that a bad request fails alone
                await self._execute([item])
            return
        for (feeds, future), answer in zip(batch, answers, strict=True):
            self.inferences += _rows(feeds)
            if not future.done():
                future.set_result(answer)

    async def _run_merged(self, requests: Sequence[Feeds]) -> list[Feeds]:
        names = [tensor.name for tensor in self.config.input]
        outputs = await self.run(
            {name: np.concatenate([feeds[name] for feeds in requests]) for name in names}
        )
        cuts = np.cumsum([_rows(feeds) for feeds in requests])[:-1]
        split = {name: np.split(array, cuts) for name, array in outputs.items()}
        return [{name: parts[i] for name, parts in split.items()} for i in range(len(requests))]


class MockTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The servicer; `running_mock_triton` gives it a port.

    Attributes:
        models: by name.
        is_ready: what it answers when asked for its readiness.
        url: host:port.
        regions: shared memory.
        tensor_bytes: of all tensors that came and went in messages.
    """

    def __init__(self, models: dict[str, MockModel]) -> None:
        self.models = models
        self.is_ready = True
        self.url = ""
        self.regions = MockRegions()
        self.tensor_bytes = 0

    async def ServerLive(self, request: Any, context: Context) -> Any:  # noqa: N802, ARG002
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Context) -> Any:  # noqa: N802, ARG002
        return pb.ServerReadyResponse(ready=self.is_ready)

    async def ModelReady(self, request: Any, context: Context) -> Any:  # noqa: N802
        await self._model(request.name, context)
        return pb.ModelReadyResponse(ready=self.is_ready)

    async def ServerMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802, ARG002
        return pb.ServerMetadataResponse(name="triton", version="2.51.0")

    async def ModelMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802
        config = (await self._model(request.name, context)).config
        return pb.ModelMetadataResponse(
            name=config.name,
            versions=["1"],
            platform="python",
            inputs=map(_tensor_metadata, config.input),
            outputs=map(_tensor_metadata, config.output),
        )

    async def ModelConfig(self, request: Any, context: Context) -> Any:  # noqa: N802
        return pb.ModelConfigResponse(config=(await self._model(request.name, context)).config)

    async def ModelStatistics(self, request: Any, context: Context) -> Any:  # noqa: N802
        model = await self._model(request.name, context)
        statistics = pb.ModelStatistics(
            name=request.name,
            version="1",
            inference_count=model.inferences,
            execution_count=model.executions,
        )
        return pb.ModelStatisticsResponse(model_stats=[statistics])

    async def SystemSharedMemoryRegister(self, request: Any, context: Context) -> Any:  # noqa: N802
        try:
            self.regions.register(request)
        except RegionRefused as error:
            await context.abort(error.code, str(error))
        return pb.SystemSharedMemoryRegisterResponse()

    async def SystemSharedMemoryUnregister(  # noqa: N802
        self,
        request: Any,
        context: Context,  # noqa: ARG002
    ) -> Any:
        self.regions.unregister(request.name)
        return pb.SystemSharedMemoryUnregisterResponse()

    async def SystemSharedMemoryStatus(self, request: Any, context: Context) -> Any:  # noqa: N802, ARG002
        return self.regions.status()

    async def ModelInfer(self, request: Any, context: Context) -> Any:  # noqa: N802
        model = await self._model(request.model_name, context)
        try:
            places = {output.name: self.regions.piece(output) for output in request.outputs}
            feeds = _read_inputs(request, model.config, self.regions)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except RegionRefused as error:
            await context.abort(error.code, str(error))
        try:
            outputs = await model.infer(feeds)
        except RequestRefused:
            words = "the model refused the values of this request"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, words)
        try:
            response = _response(request, outputs, places)
        except RegionRefused as error:
            await context.abort(error.code, str(error))
        messages = [*request.raw_input_contents, *response.raw_output_contents]
        self.tensor_bytes += sum(map(len, messages))
        return response

    async def _model(self, name: str, context: Context) -> MockModel:
        if name not in self.models:
            words = f"Request for unknown model: '{name}' is not found"
            await context.abort(grpc.StatusCode.NOT_FOUND, words)
        return self.models[name]


@contextlib.asynccontextmanager
async def running_mock_triton(models: dict[str, MockModel]) -> AsyncIterator[MockTriton]:
    """Serves the models on a free loopback port."""
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    )
    triton = MockTriton(models)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(triton, server)
    triton.url = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield triton
    finally:
        await server.stop(None)


def models_of(repository: Path) -> dict[str, MockModel]:
    """The models of a repository for Triton's python backend, run in this process."""
    models = {}
    for path in repository.glob("*/config.pbtxt"):
        config = text_format.Parse(path.read_text("utf-8"), ModelConfig())
        onnx_file = path.parent / config.parameters["onnx_file"].string_value
        models[config.name] = MockModel(config, _onnx_run(onnx_file))
    return models


def _onnx_run(onnx_file: Path) -> Run:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(str(onnx_file.resolve()), options)
    names = [node.name for node in session.get_outputs()]
    axes = {node.name: len(node.shape) for node in session.get_inputs()}

    async def run(feeds: Feeds) -> Feeds:
        shaped = {name: array.reshape(array.shape[: axes[name]]) for name, array in feeds.items()}
        outputs = await asyncio.to_thread(session.run, names, shaped)  # meanwhile others queue
        return dict(zip(names, outputs, strict=True))

    return run


def _read_inputs(request: Any, config: ModelConfig, regions: MockRegions) -> Feeds:
    expected = {tensor.name: tensor for tensor in config.input}
    if sorted(tensor.name for tensor in request.inputs) != sorted(expected):
        raise ValueError(f"expected {len(expected)} inputs for model '{config.name}'")
    feeds = {}
    messages = iter(request.raw_input_contents)
    for tensor in request.inputs:
        piece = regions.piece(tensor)
        content = next(messages) if piece is None else bytes(piece)
        feeds[tensor.name] = _read_input(tensor, content, expected[tensor.name])
    sizes = {_rows({"": array}) for array in feeds.values()}
    if len(sizes) != 1 or not 1 <= max(sizes) <= config.max_batch_size:
        raise ValueError(f"batch-size must be 1 to {config.max_batch_size} for '{config.name}'")
    return feeds


def _read_input(tensor: Any, content: bytes, expected: Any) -> NDArray[Any]:
    if tensor.datatype != _datatype(expected):
        raise ValueError(f"unexpected datatype for input '{tensor.name}'")
    if not _fits(tensor.shape[1:], expected.dims):
        raise ValueError(f"unexpected shape for input '{tensor.name}'")
    dtype = np.dtype(triton_to_np_dtype(tensor.datatype))
    if len(content) != dtype.itemsize * np.prod(tensor.shape):
        raise ValueError(f"unexpected byte size for input '{tensor.name}'")
    return np.frombuffer(content, dtype).reshape(tensor.shape)


def _fits(shape: Sequence[int], dims: Sequence[int]) -> bool:
    pairs = zip(shape, dims, strict=False)
    return len(shape) == len(dims) and all(dim in {-1, axis} for axis, dim in pairs)


def _response(request: Any, outputs: Feeds, places: dict[str, memoryview | None]) -> Any:
    wanted = [output.name for output in request.outputs] or list(outputs)
    contents = [outputs[name].astype(np.float32).tobytes() for name in wanted]
    return pb.ModelInferResponse(
        model_name=request.model_name,
        model_version="1",
        outputs=[
            pb.ModelInferResponse.InferOutputTensor(
                name=name, datatype="FP32", shape=outputs[name].shape
            )
            for name in wanted
        ],
        raw_output_contents=[
            _placed(content, places.get(name))
            for name, content in zip(wanted, contents, strict=True)
        ],
    )


def _placed(content: bytes, place: memoryview | None) -> bytes:
    """What is left for the message: nothing when the content has a place in shared memory."""
    if place is None:
        return content
    if len(place) < len(content):
        words = f"shared memory size should be at least {len(content)} bytes to hold the results"
        raise RegionRefused(grpc.StatusCode.INTERNAL, words)
    place[: len(content)] = content
    return b""


def _tensor_metadata(tensor: Any) -> Any:
    return pb.ModelMetadataResponse.TensorMetadata(
        name=tensor.name, datatype=_datatype(tensor), shape=[-1, *tensor.dims]
    )


def _datatype(tensor: Any) -> str:
    return {"TYPE_INT64": "INT64", "TYPE_FP32": "FP32"}[
        type(tensor)
        .DESCRIPTOR.fields_by_name["data_type"]
        .enum_type.values_by_number[tensor.data_type]
        .name
    ]


def _shapes(feeds: Feeds) -> dict[str, tuple[int, ...]]:
    return {name: array.shape[1:] for name, array in feeds.items()}


def _rows(feeds: Feeds) -> int:
    return len(next(iter(feeds.values())))
