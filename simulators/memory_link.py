"""A link in memory: two transports that keep asyncio's contract, and one wire for each direction.

A wire stands for the kernel's buffers and the network: it holds a bounded number of bytes. What does not fit waits in
the sender's own write buffer, whose water marks pause and resume its protocol, exactly as on a socket.
"""

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from typing import Any, Literal, TypeVarTuple, Unpack

from simulators.memory_wire import NETWORK, Wire
from simulators.processes import process_of

Args = TypeVarTuple("Args")

Bytes = bytes | bytearray | memoryview
Address = tuple[str, int]
End = Literal["client", "server"]

HIGH_WATER = 64 * 1024
_TOO_LATE = "Cannot call write() after write_eof()"


class MemoryTransport(asyncio.Transport):
    """One end of a `MemoryLink`. Behaves as asyncio's socket transport does, for `asyncio.Protocol` only."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol,
        out: Wire,
        extra: dict[str, Any],
        on_lost: Callable[[], None],
        owner: Context | None = None,
    ) -> None:
        super().__init__(extra)
        self._owner = owner or copy_context()
        self._process = process_of(self._owner)
        if self._process is not None:
            self._process.hold(self)
        self._loop, self._protocol, self._out, self._on_lost = loop, protocol, out, on_lost
        self._inward: Wire
        self._buffer: deque[bytes] = deque()
        self._buffered = 0
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._writing_paused = False
        self._reading_paused = False
        self._opened = False
        self._eof_asked = False
        self._eof_sent = False
        self._closing = False
        self._lost = False

    def attach(self, inward: Wire) -> None:
        """Name the wire that this end reads from."""
        self._inward = inward

    def start(self) -> None:
        """Tell the protocol of its connection."""
        if self._closing:
            return
        self._opened = True
        self._guard("connection_made", self._protocol.connection_made, self)
        self._inward.pump()

    # What asyncio promises: reading

    def is_reading(self) -> bool:
        """Whether data would be delivered now."""
        return self._opened and not self._reading_paused and not self._closing

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`; harmless when repeated."""
        if not self._closing:
            self._reading_paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        if not self._closing and self._reading_paused:
            self._reading_paused = False
            self._inward.pump()

    # What asyncio promises: writing

    def write(self, data: Bytes) -> None:
        """Send, or buffer what the wire does not take. Silently lost on a closing transport, as on a socket."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._eof_asked:
            raise RuntimeError(_TOO_LATE)
        if self._closing or not data:
            return
        chunk = bytes(data)
        if not self._buffer and (room := self._out.room) > 0:
            self._out.send(chunk[:room])
            chunk = chunk[room:]
        if chunk:
            self._buffer.append(chunk)
            self._buffered += len(chunk)
            self._pause_if_full()

    def writelines(self, list_of_data: Iterable[Bytes]) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """A memory link can be closed one way."""
        return True

    def write_eof(self) -> None:
        """End our direction once the buffer is empty; the other goes on."""
        if self._closing or self._eof_asked:
            return
        self._eof_asked = True
        if not self._buffer:
            self._send_eof()

    def get_write_buffer_size(self) -> int:
        """Bytes that the wire has not taken yet."""
        return self._buffered

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """(low, high) water marks in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks; `ValueError` unless high >= low >= 0."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low
        self._pause_if_full()

    # What asyncio promises: the end

    def is_closing(self) -> bool:
        """Whether `close` or `abort` was called, or the link is gone."""
        return self._closing

    def close(self) -> None:
        """Read no more, send what is buffered, then end; `connection_lost(None)` follows."""
        if self._closing:
            return
        self._closing = True
        if not self._buffer:
            self._finish(None)

    def abort(self) -> None:
        """End at once and drop what is buffered; `connection_lost(None)` follows."""
        self.break_off(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the link over to another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.Protocol:
        """The protocol in charge."""
        return self._protocol  # type: ignore[return-value]  # asyncio types it as the base class that it takes

    # What the wires call

    def take(self, data: bytes) -> None:
        """Data has arrived."""
        self._guard("data_received", self.get_protocol().data_received, data)

    def take_eof(self) -> None:
        """The peer has ended its direction; the protocol decides whether ours stays open."""
        keep_open: list[bool | None] = []
        self._guard("eof_received", lambda: keep_open.append(self.get_protocol().eof_received()))
        if not (keep_open and keep_open[0]):
            self.close()

    def drain(self) -> None:
        """The wire has room again."""
        while self._buffer and (room := self._out.room) > 0:
            chunk = self._buffer.popleft()
            self._out.send(chunk[:room])
            self._buffered -= min(room, len(chunk))
            if len(chunk) > room:
                self._buffer.appendleft(chunk[room:])
        if self._writing_paused and self._buffered <= self._low and not self._lost:
            self._writing_paused = False
            self._guard("resume_writing", self._protocol.resume_writing)
        if not self._buffer and not self._lost:
            if self._closing:
                self._finish(None)
            elif self._eof_asked:
                self._send_eof()

    def break_off(self, error: Exception | None) -> None:
        """End now; the protocol's `connection_lost` gets `error`."""
        self._buffer.clear()
        self._buffered = 0
        self._closing = True
        self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._send_eof()
        self._loop.call_soon(self._tell_lost, error, context=NETWORK)

    def _send_eof(self) -> None:
        if not self._eof_sent:
            self._eof_sent = True
            self._out.send(None)

    def _tell_lost(self, error: Exception | None) -> None:
        if self._opened:
            self._in_owner(self._protocol.connection_lost, error)
        if self._process is not None:
            self._process.drop(self)
        # Whoever goes on sending to an end that is gone is told so by a reset.
        sender = self._inward.source
        self._inward.kill()
        if sender.get_write_buffer_size():
            sender.break_off(ConnectionResetError(errno.ECONNRESET, "the peer has closed the link"))
        self._on_lost()

    def _pause_if_full(self) -> None:
        if self._buffered > self._high and not self._writing_paused:
            self._writing_paused = True
            self._guard("pause_writing", self._protocol.pause_writing)

    def _guard(self, what: str, call: Callable[[Unpack[Args]], object], *args: *Args) -> None:
        """A protocol that raises loses its link, and the loop's handler hears of it."""
        try:
            self._in_owner(call, *args)
        except Exception as error:  # the contract of asyncio's own transports
            context = {"message": f"Fatal error: protocol.{what}() call failed.", "exception": error}
            self._loop.call_exception_handler({**context, "transport": self, "protocol": self._protocol})
            self.break_off(error)

    def _in_owner(self, call: Callable[[Unpack[Args]], object], *args: *Args) -> None:
        """Call the protocol as its own process would be called: not at all, or later, while that does not run."""
        context = self._owner.copy()
        if self._process is None:
            context.run(call, *args)
        else:
            context.run(self._process.run, context, call, args)

    def owner_died(self, *, silently: bool) -> None:
        """The process that held this end is gone, and with it what it had not sent."""
        if silently:
            self._out.kill()
            self._inward.kill()
            self._closing = self._lost = True
            self._buffer.clear()
        else:
            self.break_off(None)


class MemoryLink:
    """Two ends and what happens between them.

    Attributes:
        client: the transport of the end that dialled.
        server: the transport of the end that listened.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        delay_s: float,
        *,
        on_gone: Callable[["MemoryLink"], None],
        gives_up_s: float | None = None,
    ) -> None:
        self._loop = loop
        self._up, self._down = Wire(loop, delay_s, gives_up_s), Wire(loop, delay_s, gives_up_s)
        self._ends_left = 2
        self._on_gone = on_gone
        self.client: MemoryTransport
        self.server: MemoryTransport

    async def open(
        self,
        dialler: asyncio.Protocol,
        acceptor: asyncio.Protocol,
        client: Address,
        server: Address,
        host: Context | None = None,
    ) -> None:
        """Make both ends and tell their protocols, the dialled one first; returns when both know.

        The server's end is called back in the context `host`, the client's in the present one.
        """
        seen_by_client = {"peername": server, "sockname": client, "link": self}
        seen_by_server = {"peername": client, "sockname": server, "link": self}
        self.client = MemoryTransport(self._loop, dialler, self._up, seen_by_client, self._end_lost)
        self.server = MemoryTransport(self._loop, acceptor, self._down, seen_by_server, self._end_lost, host)
        self._up.source, self._up.sink = self.client, self.server
        self._down.source, self._down.sink = self.server, self.client
        self.client.attach(self._down)
        self.server.attach(self._up)
        self._loop.call_soon(self.server.start, context=NETWORK)
        made = self._loop.create_future()
        self._loop.call_soon(self.client.start, context=NETWORK)
        self._loop.call_soon(_finish, made, context=NETWORK)
        await made

    @property
    def delay_s(self) -> float:
        """One-way delay in seconds, both ways."""
        return self._up.delay_s

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self._up.delay_s = self._down.delay_s = seconds

    def freeze(self, towards: End | None = None) -> None:
        """Deliver nothing (towards one end, or at all): what is sent waits, and the buffers behind it fill."""
        for wire in self._wires(towards):
            wire.frozen = True

    def thaw(self) -> None:
        """Go on where it was frozen; nothing is lost."""
        for wire in self._wires(None):
            wire.frozen = False
            wire.pump()

    def cut(self, tell: tuple[End, ...] = ("client", "server")) -> None:
        """Lose the link and all that is on the way. An end that is not told keeps a half-open socket."""
        for wire in self._wires(None):
            wire.kill()
        for end in tell:
            transport = self.client if end == "client" else self.server
            transport.break_off(ConnectionResetError(errno.ECONNRESET, "the link was cut"))

    def _wires(self, towards: End | None) -> tuple[Wire, ...]:
        if towards is None:
            return (self._up, self._down)
        return (self._down,) if towards == "client" else (self._up,)

    def _end_lost(self) -> None:
        self._ends_left -= 1
        if self._ends_left == 0:
            self._on_gone(self)


def _finish(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
