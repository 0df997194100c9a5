"""One direction of a link in memory: bytes in order, after a delay, within a bound, until somebody cuts it."""

import asyncio
import errno
from collections import deque
from contextvars import Context
from typing import Protocol

WIRE_CAPACITY = 256 * 1024
"""Bytes on the way in one direction (kernel send and receive buffer together)."""
READ_SIZE = 256 * 1024
"""The most that one `data_received` carries, as in asyncio."""
NETWORK = Context()
"""What is on the way belongs to no process: it arrives whatever becomes of its sender."""


class WireEnd(Protocol):
    """A transport, as its wires see it."""

    def is_reading(self) -> bool:
        """Whether data would be delivered now."""
        ...

    def take(self, data: bytes) -> None:
        """Data has arrived."""
        ...

    def take_eof(self) -> None:
        """The peer has ended its direction."""
        ...

    def drain(self) -> None:
        """The wire has room again."""
        ...

    def break_off(self, error: Exception | None) -> None:
        """End now."""
        ...

    def get_write_buffer_size(self) -> int:
        """Bytes that the wire has not taken yet."""
        ...


class Wire:
    """One direction of a link: in order, after `delay_s`, as long as it is not frozen."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay_s: float, gives_up_s: float | None) -> None:
        self.delay_s, self._gives_up_s = delay_s, gives_up_s
        self.frozen = False
        self.dead = False
        self.source: WireEnd
        self.sink: WireEnd
        self._loop = loop
        self._chunks: deque[tuple[float, bytes | None]] = deque()
        self._size = 0
        self._delivery: asyncio.Handle | None = None

    @property
    def room(self) -> int:
        """How many bytes more it takes."""
        return WIRE_CAPACITY - self._size

    def send(self, chunk: bytes | None) -> None:
        """Put bytes on the way; None is the end of the stream."""
        if self.dead:
            self._miss_acknowledgement()
            return
        # In a queue bytes never overtake, even when the delay has become shorter.
        self._chunks.append((self._loop.time() + self.delay_s, chunk))
        self._size += len(chunk or b"")
        self.pump()

    def _miss_acknowledgement(self) -> None:
        """Nobody acknowledges what is sent: after a while the sender's TCP gives the link up."""
        if self._gives_up_s is not None:
            gone = TimeoutError(errno.ETIMEDOUT, "nothing that was sent was acknowledged")
            self._loop.call_later(self._gives_up_s, self.source.break_off, gone, context=NETWORK)
            self._gives_up_s = None

    def pump(self) -> None:
        """Schedule the next delivery if there can be one."""
        if self._delivery is not None or not self._chunks or self.frozen or not self.sink.is_reading():
            return
        due = self._chunks[0][0]
        if due <= self._loop.time():
            self._delivery = self._loop.call_soon(self._deliver, context=NETWORK)
        else:
            self._delivery = self._loop.call_at(due, self._deliver, context=NETWORK)

    def kill(self) -> None:
        """Lose what is on the way and all that comes."""
        self.dead = True
        self._chunks.clear()
        self._size = 0
        if self._delivery is not None:
            self._delivery.cancel()
            self._delivery = None

    def _deliver(self) -> None:
        self._delivery = None
        if self.frozen or not self.sink.is_reading():
            return
        parts: list[bytes] = []
        total, now = 0, self._loop.time()
        while self._chunks and (self._chunks[0][0] <= now or not parts) and total < READ_SIZE:
            chunk = self._chunks[0][1]
            if chunk is None:
                break
            parts.append(chunk)
            total += len(chunk)
            self._chunks.popleft()
        self._size -= total
        if parts:
            self.sink.take(parts[0] if len(parts) == 1 else b"".join(parts))
            self.source.drain()
        elif self._chunks:
            self._chunks.popleft()
            self.sink.take_eof()
        self.pump()
