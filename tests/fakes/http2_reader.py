"""A gRPC caller that says itself when it takes bytes, in plain HTTP/2 (RFC 9113).

It answers the server's pings, so that to the server it is alive.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

WINDOW_BYTES: Final = 65_535  # of a stream and of a connection, until they are widened
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Http2Reader:
    """One connection with calls whose answers come only as far as the window goes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use `connected`."""
        self._reader, self._writer = reader, writer
        self._streams = 0

    def call(self, path: str, message: bytes | None) -> int:
        """Begins a call, which without a message is headers alone; returns its stream."""
        stream = 2 * self._streams + 1
        self._streams += 1
        fields = {
            ":method": "POST", ":scheme": "http", ":path": path, ":authority": "test",
            "content-type": "application/grpc", "te": "trailers",
        }  # fmt: skip
        head = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())
        self._write(_HEADERS, _END_HEADERS, stream, head)
        if message is not None:
            self._write(_DATA, _END_STREAM, stream, struct.pack(">BI", 0, len(message)) + message)
        return stream

    def widen(self, stream: int, size_bytes: int) -> None:
        """Lets so many bytes more come, on the stream and on the connection."""
        for number in (0, stream):
            self._write(_WINDOW_UPDATE, 0, number, struct.pack(">I", size_bytes))

    async def data(self) -> AsyncIterator[bytes]:
        """What the streams carry, as it comes, until the server closes the connection."""
        while True:
            try:
                head = await self._reader.readexactly(9)
                payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            kind, flags = head[3], head[4]
            if kind == _DATA:
                yield payload
            if kind == _PING and not flags & _ACK:
                self._write(_PING, _ACK, 0, payload)

    def _write(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        size = len(payload).to_bytes(3, "big")
        self._writer.write(size + struct.pack(">BBI", kind, flags, stream) + payload)


def _text(words: str) -> bytes:
    """A string as HPACK has it, up to 126 bytes."""
    return bytes([len(words)]) + words.encode()


@asynccontextmanager
async def connected(address: str, window_bytes: int = WINDOW_BYTES) -> AsyncIterator[Http2Reader]:
    """Connects to host:port.

    Args:
        address: of the server.
        window_bytes: of a stream, until it is widened.
    """
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        caller = Http2Reader(reader, writer)
        writer.write(_PREFACE)
        caller._write(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, window_bytes))
        caller._write(_SETTINGS, _ACK, 0, b"")
        yield caller
    finally:
        writer.close()
