"""What an operator may count. No label or value comes from a user's text."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from cloud_service.admission import AdmissionQueue
from cloud_service.denoising import Cost
from cloud_service.startup_error import CannotStart

_LOOPBACK = "127.0.0.1"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)
_CANDIDATES = (1, 2, 4, 6, 8, 12, 16, 30, 60)


class Metrics:
    """Prometheus metrics of one service, in a registry of their own.

    Args:
        queue: its requests are read at each scrape.
        free_slots: tells how many slots of shared memory are free.
    """

    def __init__(self, queue: AdmissionQueue, free_slots: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "obclip_requests",
            "Generation requests ended, by status",
            ["status"],
            registry=self.registry,
        )
        self._request_s = Histogram(
            "obclip_request_seconds",
            "Wall time of one request, its wait included",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._model_s = Histogram(
            "obclip_model_seconds",
            "Wall time of one request inside UNet calls",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._candidates = Histogram(
            "obclip_candidates",
            "Candidates of one request",
            buckets=_CANDIDATES,
            registry=self.registry,
        )
        self._evals = Counter("obclip_evals", "Full UNet passes", registry=self.registry)
        self._gauge("obclip_running", "Requests that run").set_function(lambda: queue.running)
        self._gauge("obclip_waiting", "Requests that wait").set_function(lambda: queue.waiting)
        self._gauge("obclip_sending", "Requests that send").set_function(lambda: queue.sending)
        self._gauge("obclip_free_slots", "Free slots of shared memory").set_function(free_slots)

    def count_end(self, status: grpc.StatusCode, seconds: float) -> None:
        """Counts one request's end."""
        self._requests.labels(status.name).inc()
        self._request_s.observe(seconds)

    def count_run(self, candidates: int, cost: Cost) -> None:
        """Counts one finished run."""
        self._candidates.observe(candidates)
        self._model_s.observe(cost.model_s)
        self._evals.inc(cost.evals)

    @contextmanager
    def served(self, port: int | None) -> Iterator[str | None]:
        """Serves the metrics over HTTP on loopback; gives host:port.

        Args:
            port: 0 takes a free one; None serves nothing.

        Raises:
            CannotStart: the port is taken.
        """
        if port is None:
            yield None
            return
        try:
            server, thread = start_http_server(port, _LOOPBACK, self.registry)
        except OSError as error:
            raise CannotStart(
                f"cannot serve metrics on port {port}", "choose another --metrics-port"
            ) from error
        try:
            yield f"{_LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, registry=self.registry)
