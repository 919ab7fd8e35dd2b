"""The standard health service (https://grpc.io/docs/guides/health-checking)."""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from obclip.v1 import service_pb2

SERVICE_NAME = service_pb2.DESCRIPTOR.services_by_name["ObclipService"].full_name

_Status = health_pb2.HealthCheckResponse
_Context = grpc.aio.ServicerContext[Any, Any]


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # without types
    """Repeats whether the models are ready.

    grpcio-health-checking 1.81's own holds a lock while it writes to a watcher, so one who does not
    read stops it for all, and a watcher who leaves takes the others' notices along.
    """

    def __init__(self) -> None:
        self._statuses = {"": _Status.SERVING}
        self._changed = asyncio.Event()
        self._is_stopped = False

    def set_serving(self, is_serving: bool) -> None:
        """States the health of the server as a whole and of the contract's service."""
        if self._is_stopped:
            return
        status = _Status.SERVING if is_serving else _Status.NOT_SERVING
        self._statuses = dict.fromkeys(("", SERVICE_NAME), status)
        self._changed.set()
        self._changed = asyncio.Event()

    def stop(self) -> None:
        """States that nothing serves any more, whatever is set later."""
        self.set_serving(False)
        self._is_stopped = True

    async def Check(  # noqa: N802 -- gRPC's names
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        """Answers with the status now."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802 -- gRPC's names
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> None:
        """Streams the status now and whenever it is another."""
        told = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, _Status.SERVICE_UNKNOWN)
            if status != told:
                await context.write(health_pb2.HealthCheckResponse(status=status))
            told = status
            await changed.wait()
