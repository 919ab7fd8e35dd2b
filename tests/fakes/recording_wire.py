"""A TCP relay that records every HTTP/2 frame a client sends."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES = 9
DATA, HEADERS, RESET_STREAM, GO_AWAY = 0, 1, 3, 7
END_STREAM = 1
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
        address: "127.0.0.1:port", for the client.
        endless_stream: A stream that the server cannot end; 0 is none.
    """

    address: str = ""
    endless_stream: int = 0
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
            without_end = _without_end(self.endless_stream)
            for pump in (
                threading.Thread(target=_pump, args=(client, server, _recorded(sent))),
                threading.Thread(target=_pump, args=(server, client, without_end)),
            ):
                pump.start()
                self._pumps.append(pump)

    def join(self) -> None:
        """Waits until both directions of every connection have ended."""
        for pump in self._pumps:
            pump.join(timeout=10)
            assert not pump.is_alive()


@contextmanager
def recording_wire(upstream: str, endless_stream: int = 0) -> Iterator[RecordingWire]:
    """Relays a free port of this machine to a server; the client must be closed before the end.

    Args:
        upstream: "host:port" of the server.
        endless_stream: What the server says to end this stream is not handed on. gRPC's server ends
            a call at its deadline, before the client or after it; a malicious one need not.
    """
    host, port = upstream.rsplit(":", 1)
    wire = RecordingWire(endless_stream=endless_stream)
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


def _pump(source: socket.socket, sink: socket.socket, hand_on: Callable[[bytes], bytes]) -> None:
    with suppress(OSError):  # the other direction may close both ends
        while chunk := source.recv(65536):
            sink.sendall(hand_on(chunk))
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def _recorded(record: bytearray) -> Callable[[bytes], bytes]:
    def hand_on(chunk: bytes) -> bytes:
        record.extend(chunk)
        return chunk

    return hand_on


def _without_end(stream: int) -> Callable[[bytes], bytes]:
    begun = bytearray()

    def hand_on(chunk: bytes) -> bytes:
        begun.extend(chunk)
        whole = list(_whole_frames(bytes(begun)))
        del begun[: sum(map(len, whole))]
        return b"".join(frame for frame in whole if not _ends(frame, stream))

    return hand_on


def _ends(frame: bytes, stream: int) -> bool:
    end = frame[3] == RESET_STREAM or (frame[3] in {DATA, HEADERS} and frame[4] & END_STREAM)
    return bool(end) and _stream(frame) == stream


def _stream(frame: bytes) -> int:
    return int.from_bytes(frame[5:FRAME_HEADER_BYTES])


def _whole_frames(sent: bytes) -> Iterator[bytes]:
    position = 0
    while position + FRAME_HEADER_BYTES <= len(sent):
        length = FRAME_HEADER_BYTES + int.from_bytes(sent[position : position + 3])
        if position + length > len(sent):
            return
        yield sent[position : position + length]
        position += length


def _parse(sent: bytes) -> Iterator[Frame]:
    assert sent.startswith(PREFACE)
    for frame in _whole_frames(sent[len(PREFACE) :]):
        kind, payload = frame[3], frame[FRAME_HEADER_BYTES:]
        if kind in TOLD:
            yield Frame(kind, _stream(frame), b"" if kind == HEADERS else payload)
