"""Both ends of many relayed pairs: chargers that send MeterValues, and a CSMS that answers.

Frames are cut and answered by hand and never decoded, so that the load costs less than what it measures.
"""

import asyncio
import base64
import hashlib
import struct
from collections.abc import Callable
from typing import Final, cast

from headroom.clock import WallClock

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _PING, _PONG = 0x1, 0x9, 0xA


class _End(asyncio.Protocol):
    """One WebSocket end: cuts the stream into frames and hands on opcode, mask and payload."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._buffer = bytearray()
        self._head_is_read = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._head_is_read:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[: end + 4])
            del self._buffer[: end + 4]
            self._head_is_read = True
            self.on_head(head)
        buffer, at, size = self._buffer, 0, len(self._buffer)
        while size - at >= 2:
            length, start = buffer[at + 1] & 0x7F, at + 2
            if length == 126:
                if size < start + 2:
                    break
                (length,) = struct.unpack_from("!H", buffer, start)
                start += 2
            mask = b""
            if buffer[at + 1] & 0x80:
                mask = bytes(buffer[start : start + 4])
                start += 4
            if size < start + length:
                break
            self.on_frame(buffer[at] & 0xF, mask, buffer[start : start + length])
            at = start + length
        del buffer[:at]

    def on_head(self, head: bytes) -> None:
        """The HTTP head."""

    def on_frame(self, opcode: int, mask: bytes, payload: bytearray) -> None:
        """A whole frame."""


def frame(payload: bytes, *, masked: bool, opcode: int = _TEXT) -> bytes:
    """One whole frame; the mask is zero, which costs its reader as much as any other."""
    size, bit = len(payload), 0x80 if masked else 0
    length = bytes([bit | size]) if size < 126 else struct.pack("!BH", bit | 126, size)
    return bytes([0x80 | opcode]) + length + (bytes(4) if masked else b"") + payload


class Csms(_End):
    """Answers the n-th CALL of the charger in its path with the n-th id, unread."""

    def on_head(self, head: bytes) -> None:
        """Accept."""
        self.identity = head.split(b" ", 2)[1].rpartition(b"/")[2]
        self.count = 0
        key = head.lower().index(b"sec-websocket-key: ") + 19
        digest = hashlib.sha1(head[key : head.index(b"\r\n", key)] + _GUID, usedforsecurity=False).digest()
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n" % base64.b64encode(digest)
        )

    def on_frame(self, opcode: int, mask: bytes, payload: bytearray) -> None:
        """Answer."""
        if opcode == _TEXT:
            self.count += 1
            self.transport.write(frame(b'[3,"%b-%d",{}]' % (self.identity, self.count), masked=False))
        elif opcode == _PING:
            plain = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
            self.transport.write(frame(plain, masked=False, opcode=_PONG))


class Charger(_End):
    """Sends MeterValues when told; answers the limits that it is sent."""

    def __init__(self, identity: str, on_reply: "Callable[[Charger], None]") -> None:
        super().__init__()
        self._identity, self._on_reply = identity, on_reply
        self._count = 0
        self._values = meter_values()
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in."""
        super().connection_made(transport)
        self.transport.write(
            b"GET /ocpp/%b HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n" % self._identity.encode()
        )

    def on_head(self, head: bytes) -> None:
        """Let in, or not."""
        assert head.startswith(b"HTTP/1.1 101"), head
        self.connected.set_result(None)

    def on_frame(self, opcode: int, mask: bytes, payload: bytearray) -> None:  # noqa: ARG002 (servers do not mask)
        """A reply, a limit or a ping."""
        if opcode == _PING:
            self.transport.write(frame(bytes(payload), masked=True, opcode=_PONG))
        elif payload.startswith(b"[2,"):
            reply = b'[3,"%b",{"status":"Accepted"}]' % bytes(payload).split(b'"')[1]
            self.transport.write(frame(reply, masked=True))
        else:
            self._on_reply(self)

    def send(self) -> None:
        """The next MeterValues."""
        self._count += 1
        payload = b'[2,"%b-%d","MeterValues",%b]' % (self._identity.encode(), self._count, self._values)
        self.transport.write(frame(payload, masked=True))


def meter_values() -> bytes:
    """A 1.6 MeterValues payload of three measurands, stamped now: 450 bytes, as chargers send them."""
    stamp = WallClock().now().strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    sampled = b",".join(
        b'{"value":"%b","context":"Sample.Periodic","measurand":"%b","unit":"%b"}' % words
        for words in (
            (b"13.2", b"Current.Import", b"A"),
            (b"20417", b"Energy.Active.Import.Register", b"Wh"),
            (b"4758.1", b"Power.Active.Import", b"W"),
            (b"208.1", b"Voltage", b"V"),
        )
    )
    return b'{"connectorId":1,"transactionId":4711,"meterValue":[{"timestamp":"%b","sampledValue":[%b]}]}' % (
        stamp,
        sampled,
    )
