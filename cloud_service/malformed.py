"""Bytes that are no message of the contract, answered as the caller's mistake."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from obclip.errors import InvalidRequest, to_status

NO_MESSAGE = InvalidRequest(
    "request", "is no message of this call", "make it with the protos of this release"
)


class MalformedRequests(grpc.aio.ServerInterceptor):
    """Answers INVALID_ARGUMENT where gRPC would answer UNKNOWN and log a traceback.

    It works for handlers that are coroutines, as all of this server with one request are.
    """

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Returns the method's handler, with a deserializer that does not raise."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        read, write = _or_none(handler.request_deserializer), handler.response_serializer
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(_checked(handler.unary_stream), read, write)
        return grpc.unary_unary_rpc_method_handler(_checked(handler.unary_unary), read, write)


def _or_none(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(message: bytes) -> Any:
        try:
            return deserialize(message)
        except DecodeError:
            return None

    return read


def _checked(answer: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        if request is None:
            await context.abort(*to_status(NO_MESSAGE))
        return await answer(request, context)

    return call
