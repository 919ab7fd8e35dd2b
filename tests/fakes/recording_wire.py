"""A TCP relay that records every HTTP/2 frame a client sends."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES = 9
DATA, HEADERS, RESET_STREAM, GO_AWAY = 0, 1, 3, 7
# SETTINGS, PING and WINDOW_UPDATE follow the connection's timing; the rest is what the client says.
TOLD = frozenset({DATA, HEADERS, RESET_STREAM, GO_AWAY})


@dataclass(frozen=True)
class Frame:
    """One frame of the client.

    Attributes:
        kind: HTTP/2 frame type.
        stream: Stream number.
        payload: The content of DATA and RST_STREAM; headers hold the time that is left, and are
            compared by their values at the service instead.
    """

    kind: int
    stream: int
    payload: bytes


@dataclass
class RecordingWire:
    """The running relay.

    Attributes:
        address: "localhost:port", for the client.
    """

    address: str = ""
    _sent: list[bytearray] = field(default_factory=list)
    _pumps: list[threading.Thread] = field(default_factory=list)

    def frames(self) -> list[tuple[Frame, ...]]:
        """Returns what the client sent, one tuple a connection; only after the relay has ended."""
        return [tuple(_parse(bytes(sent))) for sent in self._sent]

    def serve(self, listener: socket.socket, upstream: tuple[str, int]) -> None:
        """Accepts connections until the listener is closed."""
        while True:
            try:
                client, _peer = listener.accept()
            except OSError:
                return
            server = socket.create_connection(upstream, timeout=10)
            server.settimeout(None)
            sent = bytearray()
            self._sent.append(sent)
            for pump in (
                threading.Thread(target=_pump, args=(client, server, sent)),
                threading.Thread(target=_pump, args=(server, client, bytearray())),
            ):
                pump.start()
                self._pumps.append(pump)

    def join(self) -> None:
        """Waits until both directions of every connection have ended."""
        for pump in self._pumps:
            pump.join(timeout=10)
            assert not pump.is_alive()


@contextmanager
def recording_wire(upstream: str) -> Iterator[RecordingWire]:
    """Relays a free port of this machine to a server; the client must be closed before the end.

    Args:
        upstream: "host:port" of the server.
    """
    host, port = upstream.rsplit(":", 1)
    wire = RecordingWire()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire.address = f"127.0.0.1:{listener.getsockname()[1]}"
        acceptor = threading.Thread(target=wire.serve, args=(listener, (host, int(port))))
        acceptor.start()
        try:
            yield wire
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    acceptor.join(timeout=10)
    wire.join()


def _pump(source: socket.socket, sink: socket.socket, record: bytearray) -> None:
    with suppress(OSError):  # the other direction may close both ends
        while chunk := source.recv(65536):
            record += chunk
            sink.sendall(chunk)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def _parse(sent: bytes) -> Iterator[Frame]:
    assert sent.startswith(PREFACE)
    position = len(PREFACE)
    while position + FRAME_HEADER_BYTES <= len(sent):
        length = int.from_bytes(sent[position : position + 3])
        kind = sent[position + 3]
        stream = int.from_bytes(sent[position + 5 : position + 9])
        payload = sent[position + FRAME_HEADER_BYTES :][:length]
        if kind in TOLD:
            yield Frame(kind, stream, b"" if kind == HEADERS else payload)
        position += FRAME_HEADER_BYTES + length
