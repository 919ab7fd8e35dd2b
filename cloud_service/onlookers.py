"""Calls that stay open only to look on: health watches and reflection, bounded in number."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

import grpc

_TOO_MANY = "too many open calls of health and reflection; end some, or call Check instead of Watch"


class BoundedOnlookers(grpc.aio.ServerInterceptor):
    """Keeps calls that may idle for long from taking the places of generations and downloads.

    It stands before `RequestReader`, whose handlers all read streams: so a call counts from its
    headers on.

    Args:
        limit: how many may be open at a time; one more is answered RESOURCE_EXHAUSTED.
        contract: the beginning of the methods that it leaves alone.
    """

    def __init__(self, limit: int, contract: str) -> None:
        self._free = limit
        self._contract = contract

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """Returns the method's handler, counted if it streams and is not the contract's."""
        handler = await continuation(handler_call_details)
        is_ours = handler_call_details.method.startswith(self._contract)
        if handler is None or is_ours or not handler.response_streaming:
            return handler
        return grpc.stream_stream_rpc_method_handler(
            self._counted(handler.stream_stream),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _counted(self, answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Awaitable[None]]:
        async def call(requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            if self._free == 0:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, _TOO_MANY)
            self._free -= 1
            try:
                answering = answer(requests, context)
                if isawaitable(answering):
                    await answering
                    return
                async for message in answering:
                    await context.write(message)
            finally:
                self._free += 1

        return call
