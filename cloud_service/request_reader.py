"""The one request of a call: read within a time, and answered as the caller's mistake if broken."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from obclip.errors import DeadlineExceeded, InvalidRequest, to_status

NO_MESSAGE = InvalidRequest(
    "request", "is no message of this call", "make it with the protos of this release"
)


class RequestReader(grpc.aio.ServerInterceptor):
    """Reads the request of every call that has one.

    A call takes one of the server's places when its headers come, and gRPC waits for the message
    as long as the connection lasts: callers who never send one would keep all others out. And bytes
    that are no message are answered INVALID_ARGUMENT, where gRPC would answer UNKNOWN and log a
    traceback.

    It works for handlers that are coroutines, as all of this server with one request are. On the
    wire a call with one request is a stream of one.

    Args:
        timeout_s: from a call's headers to the end of its message.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Returns the method's handler, as one that reads a stream."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        read, write = _or_none(handler.request_deserializer), handler.response_serializer
        if handler.response_streaming:
            answer = self._reading(handler.unary_stream)
            return grpc.stream_stream_rpc_method_handler(answer, read, write)
        answer = self._reading(handler.unary_unary)
        return grpc.stream_unary_rpc_method_handler(answer, read, write)

    def _reading(
        self, answer: Callable[[Any, Any], Awaitable[Any]]
    ) -> Callable[[AsyncIterator[Any], Any], Awaitable[Any]]:
        async def call(
            requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
        ) -> Any:
            try:
                async with asyncio.timeout(self._timeout_s):
                    request = await anext(aiter(requests), None)
            except TimeoutError:
                await context.abort(*to_status(DeadlineExceeded()))
            if request is None:
                await context.abort(*to_status(NO_MESSAGE))
            return await answer(request, context)

        return call


def _or_none(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(message: bytes) -> Any:
        try:
            return deserialize(message)
        except DecodeError:
            return None

    return read
