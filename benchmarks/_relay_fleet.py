"""Both ends of many relayed pairs in one thread: chargers that ask, and a CSMS that answers.

Sockets, one epoll and frames that were built before: never decoded, hardly read, so that the load costs less than what
it measures.
"""

import base64
import hashlib
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Container
from typing import Final

from benchmarks._relay_frames import DAY, Mix, Words, accepted, frame, question
from headroom.clock import WallClock

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PING, _PONG = 0x9, 0xA
_CALL: Final = ord("2")
_OF_CSMS: Final = ord("x")
_READABLE: Final = select.EPOLLIN
_BIND_ADDRESS_NO_PORT: Final = 24
"""Linux's IP_BIND_ADDRESS_NO_PORT: the port is chosen when the peer is known, so that one may serve many peers."""
_now_s = time.perf_counter


class Wire:
    """The sockets of this process."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[], None]] = {}

    def add(self, link: socket.socket, ready: Callable[[], None], events: int = _READABLE) -> None:
        """Call `ready` whenever there is something to do."""
        self._ready[link.fileno()] = ready
        self._epoll.register(link.fileno(), events)

    def only_reads(self, link: socket.socket) -> None:
        """Its connection is there."""
        self._epoll.modify(link.fileno(), _READABLE)

    def ignore(self, link: socket.socket) -> None:
        """Look at it no more."""
        if self._ready.pop(link.fileno(), None) is not None:
            self._epoll.unregister(link.fileno())

    def drop(self, link: socket.socket) -> None:
        """Forget and close it."""
        self.ignore(link)
        link.close()

    def turn(self, wait_s: float) -> None:
        """Do what there is to do."""
        ready = self._ready
        for number, _ in self._epoll.poll(wait_s, 4096):
            if number in ready:
                ready[number]()

    def until(self, done: Callable[[], bool], within_s: float, what: str) -> None:
        """Turn until it is so; `TimeoutError` after `within_s`."""
        end_s = _now_s() + within_s
        while not done():
            if _now_s() > end_s:
                raise TimeoutError(f"not within {within_s:g} s: {what}")
            self.turn(0.05)

    def rest(self, seconds: float) -> None:
        """Turn for so long."""
        end_s = _now_s() + seconds
        while (left_s := end_s - _now_s()) > 0:
            self.turn(left_s)


class _End:
    """One WebSocket end behind its handshake."""

    mask_bytes = 0

    def __init__(self, fleet: "Fleet", link: socket.socket) -> None:
        self.fleet, self.link = fleet, link
        self._rest = b""
        self._head_is_read = False
        self.sent_s = 0.0
        self.is_open = True

    def ready(self) -> None:
        """Bytes have come."""
        while True:
            try:
                data = self.link.recv(8192)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError:
                data = b""
            if not data:
                self.ended()
                return
            self._take(data)
            if not isinstance(self.link, ssl.SSLSocket) or not self.link.pending():
                return

    def _take(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, size = 0, len(data)
        if not self._head_is_read:
            at = data.find(b"\r\n\r\n") + 4
            if at < 4:
                self._rest = data
                return
            self._head_is_read = True
            self.on_head(data[:at])
        mask_bytes = self.mask_bytes
        while size - at >= 2:
            length, start = data[at + 1] & 0x7F, at + 2
            if length == 126:
                if size - at < 4:
                    break
                length, start = data[at + 2] << 8 | data[at + 3], at + 4
            start += mask_bytes
            if size < start + length:
                break
            if data[at] == 0x81:
                self.on_text(data, start, start + length)
            else:
                self._on_control(data, at, start, start + length)
            at = start + length
        self._rest = data[at:] if at < size else b""

    def _on_control(self, data: bytes, at: int, start: int, end: int) -> None:
        if data[at] & 0xF != _PING:
            return
        payload = data[start:end]
        if self.mask_bytes:
            payload = bytes(byte ^ data[start - 4 + index % 4] for index, byte in enumerate(payload))
        self.send(frame(payload, masked=not self.mask_bytes, opcode=_PONG))

    def send(self, data: bytes) -> bool:
        """Write; False where the relay takes no more."""
        try:
            return self.link.send(data) == len(data)
        except OSError:  # it would block, or the relay is gone, which reading tells too
            return False

    def on_head(self, head: bytes) -> None:
        """The HTTP head."""

    def on_text(self, data: bytes, start: int, end: int) -> None:
        """A whole text message is `data[start:end]`, masked where it is a client's."""

    def ended(self) -> None:
        """The relay has closed."""
        self.is_open = False
        self.fleet.wire.drop(self.link)


class _Csms(_End):
    """Answers the n-th CALL of the charger in its path with the n-th reply, unread."""

    mask_bytes = 4

    def stall(self) -> None:
        """Read no more."""
        self.fleet.wire.ignore(self.link)

    def on_head(self, head: bytes) -> None:
        """Accept."""
        self.number = int(head.split(b" ", 2)[1].rpartition(b"/")[2].removeprefix(b"CP"))
        self.count = self._asked = 0
        self.fleet.csms_ends[self.number] = self
        key = head.lower().index(b"sec-websocket-key: ") + 19
        digest = hashlib.sha1(head[key : head.index(b"\r\n", key)] + _GUID, usedforsecurity=False).digest()
        self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n" % base64.b64encode(digest)
        )

    def on_text(self, data: bytes, start: int, end: int) -> None:  # noqa: ARG002 (of a CALL only its kind is read)
        """Answer, and ask something each time around."""
        fleet = self.fleet
        fleet.relayed += 1
        if data[start + 1] ^ data[start - 3] != _CALL:
            return
        words = fleet.words
        reply = words.reply(self.number, self.count)
        self.count += 1
        if fleet.latencies is not None:
            self.sent_s = _now_s()
            fleet.latencies.append(self.sent_s - fleet.chargers[self.number - fleet.first].sent_s)
        if words.asks and self.count % words.count == 0:
            self._asked += 1
            reply += question(self._asked)
        self.send(reply)


class Charger(_End):
    """Asks when told; answers the CSMS, and the limits that it is sent."""

    def __init__(self, fleet: "Fleet", link: socket.socket, number: int) -> None:
        super().__init__(fleet, link)
        self.number, self.count, self.limits = number, 0, 0
        self._is_connected = False
        self.is_in = False

    def ready(self) -> None:
        """Connected, or bytes have come."""
        if self._is_connected:
            super().ready()
            return
        if isinstance(self.link, ssl.SSLSocket):
            try:
                self.link.do_handshake()
            except ssl.SSLWantReadError:
                self.fleet.wire.only_reads(self.link)
                return
            except OSError:
                self.ended()
                return
        self._is_connected = True
        self.fleet.wire.only_reads(self.link)
        self.send(
            b"GET /ocpp/CP%05d HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n" % self.number
        )

    def on_head(self, head: bytes) -> None:
        """Let in, or not."""
        if not head.startswith(b"HTTP/1.1 101"):
            self.fleet.refused += 1
            return
        self.is_in = True
        self.fleet.let_in(self)

    def on_text(self, data: bytes, start: int, end: int) -> None:
        """A reply, a question of the CSMS's or a limit."""
        fleet = self.fleet
        if data[start + 1] != _CALL:
            fleet.relayed += 1
            if fleet.latencies is not None:
                fleet.latencies.append(_now_s() - fleet.csms_ends[self.number].sent_s)
            fleet.replied(self)
            return
        if data[start + 4] == _OF_CSMS:
            fleet.relayed += 1
        else:
            self.limits += 1
        self.send(accepted(data[start + 4 : data.index(b'"', start + 4, end)]))

    def ask(self) -> bool:
        """The next CALL; False where the relay takes no more."""
        data = self.fleet.words.call(self.number, self.count)
        self.count += 1
        if self.fleet.latencies is not None:
            self.sent_s = _now_s()
        return self.send(data)


class Fleet:
    """The chargers, numbered from `first` on, and the CSMS of one relay. `csms_port` is where that has to dial."""

    def __init__(self, wire: Wire, mix: Mix = DAY, first: int = 0) -> None:
        self.wire, self.first = wire, first
        self.chargers: list[Charger] = []
        self.csms_ends: dict[int, _Csms] = {}
        self.relayed = self.refused = self.entered = 0
        self.replies = 0
        self.latencies: list[float] | None = None
        self.saturating = False
        self.asks_when_in = False
        self._idle: deque[Charger] = deque()
        self.speak(mix)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listening.setblocking(False)
        self.csms_port: int = self._listening.getsockname()[1]
        wire.add(self._listening, self._accept)

    def speak(self, mix: Mix) -> None:
        """Say these words from now on, stamped now."""
        self.words = Words(mix, WallClock().now())

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listening.accept()
            except BlockingIOError:
                return
            link.setblocking(False)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end = _Csms(self, link)
            self.wire.add(link, end.ready)

    def connect(self, port: int, count: int, tls: ssl.SSLContext | None = None) -> None:
        """So many chargers come at once."""
        for number in range(self.first, self.first + count):
            self.dial(number, port, tls=tls)

    def dial(self, number: int, port: int, source: str = "", tls: ssl.SSLContext | None = None) -> None:
        """A charger comes, the next or one that was here before; `source` is its address where that matters."""
        link = socket.socket()
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            link.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            link.bind((source, 0))
        link.connect_ex(("127.0.0.1", port))
        if tls is not None:
            link = tls.wrap_socket(link, do_handshake_on_connect=False, server_hostname="localhost")
        charger = Charger(self, link, number)
        self.chargers[number - self.first : number - self.first + 1] = [charger]
        self.wire.add(link, charger.ready, select.EPOLLOUT | _READABLE)

    def let_in(self, charger: Charger) -> None:
        """A charger has its 101."""
        self.entered += 1
        if self.asks_when_in:
            charger.ask()
        else:
            self._idle.append(charger)

    def replied(self, charger: Charger) -> None:
        """A charger has its answer."""
        self.replies += 1
        if self.saturating:
            charger.ask()
        else:
            self._idle.append(charger)

    def saturate(self, seconds: float) -> None:
        """Every charger asks as soon as it is answered."""
        self.begin()
        self.wire.rest(seconds)
        self.saturating = False

    def begin(self, without: Container[Charger] = ()) -> None:
        """Every charger asks as soon as it is answered, from now on."""
        self.saturating = True
        idle, self._idle = self._idle, deque()
        for charger in idle:
            if charger not in without:
                charger.ask()

    def pace(self, seconds: float, frames_per_s: float) -> None:
        """Chargers take turns at a steady rate."""
        began_s, every_s = _now_s(), 2 / frames_per_s
        for number in range(int(seconds / every_s)):
            due_s = began_s + number * every_s
            while (left_s := due_s - _now_s()) > 0:
                self.wire.turn(left_s)
            if self._idle and (charger := self._idle.popleft()).is_open:
                charger.ask()

    def quiet(self) -> None:
        """Wait for the last answers."""
        alive = [charger for charger in self.chargers if charger.is_open]
        self.wire.until(lambda: len(self._idle) >= len(alive), 20, "the last answers")

    def close(self) -> None:
        """Close every socket."""
        self.wire.drop(self._listening)
        for end in (*self.chargers, *self.csms_ends.values()):
            if end.is_open:
                self.wire.drop(end.link)
