"""One WebSocket each: bytes of a transport in, whole messages out, and back.

An `asyncio.Protocol` around the public Sans-I/O layer of `websockets`: no task, no queue and no lock per socket. Plain
text frames, which is all of them on a good day, go a shorter way (`proxy.plain_frames`).
Time-outs and keep-alive, which that layer leaves to its user, are here. Compression is declined: it costs more than
everything else together, and OCPP messages are small.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from websockets.client import ClientProtocol
from websockets.frames import BINARY, CONT, PONG, TEXT, CloseCode, Frame
from websockets.http11 import Request, Response
from websockets.protocol import Side, State
from websockets.server import ServerProtocol

from proxy.closing import Ending, closing_words
from proxy.network import Unconnected
from proxy.plain_frames import PING, Cutter, Odd, masked_ping, masked_text_frame, text_frame
from proxy.protocol.exchange import Side as ProtocolSide
from proxy.protocol.frames import Binary
from proxy.recording import Recording

LOGGER: Final = logging.getLogger("headroom.websockets")
LOGGER.setLevel(logging.WARNING)  # below that, `websockets` prints whole messages, keys included

_NOT_YET: Final = Unconnected()
_OPEN: Final = State.OPEN


@dataclass(frozen=True, slots=True)
class LegSettings:
    """Bounds of one socket.

    `stall_s`: a peer that takes nothing off us for so long, or lets `max_unsent_bytes` queue up, is gone.
    `close_s`: how long a closing handshake may take.
    """

    max_message_bytes: int = 4 * 2**20
    max_unsent_bytes: int = 2**20
    stall_s: float = 10.0
    close_s: float = 5.0


class LegOwner(Protocol):
    """What a leg tells the link that it belongs to. The three methods are called with the leg itself first."""

    def leg_said(self, leg: "Leg", messages: list[bytes]) -> None:
        """Whole messages have arrived, in order, never none."""
        ...

    def leg_ended(self, leg: "Leg", ending: Ending) -> None:
        """The leg is of no use any more; told once. It closes its own socket."""
        ...

    def leg_full(self, leg: "Leg", full: bool) -> None:
        """Its peer takes no more for now, or takes again."""
        ...


class OpenLegs:
    """The sockets that are open now."""

    def __init__(self) -> None:
        self._legs: set[Leg] = set()
        self._none_left = asyncio.Event()

    def add(self, leg: "Leg") -> None:
        """A socket was opened."""
        self._legs.add(leg)

    def remove(self, leg: "Leg") -> None:
        """A socket is gone."""
        self._legs.discard(leg)
        if not self._legs:
            self._none_left.set()

    async def closed(self, code: int, reason: str, timeout_s: float) -> None:
        """Close all of them; what has not closed after `timeout_s` is dropped."""
        self._none_left.clear()
        for leg in tuple(self._legs):
            leg.close(code, reason)
        try:
            async with asyncio.timeout(timeout_s):
                while self._legs:
                    await self._none_left.wait()
                    self._none_left.clear()
        except TimeoutError:
            for leg in tuple(self._legs):
                leg.give_up("it did not close")


class Leg(asyncio.Protocol):
    """What both ends have in common. `heard_s` is when the last byte came, on the loop's clock; `recording` is who
    writes down what is said, if anybody does. `spend`, where set, is told how many messages have been handed on.
    """

    __slots__ = (
        "_cutter",
        "_early",
        "_ending",
        "_frame",
        "_full",
        "_head_is_read",
        "_loop",
        "_nothing_follows",
        "_open_legs",
        "_owner",
        "_parts",
        "_parts_are_text",
        "_peer",
        "_settings",
        "_time",
        "_timers",
        "_transport",
        "_unsent",
        "_unsent_added",
        "_unsent_base",
        "_websocket",
        "answers_pings",
        "heard_s",
        "recording",
        "spend",
    )

    def __init__(self, websocket: ServerProtocol | ClientProtocol, settings: LegSettings, open_legs: OpenLegs) -> None:
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._websocket = websocket
        is_server = websocket.side is Side.SERVER
        self._peer = ProtocolSide.CHARGER if is_server else ProtocolSide.CSMS
        self.recording: Recording | None = None
        self.spend: Callable[[int], None] | None = None
        self._cutter = Cutter(masked=is_server, max_bytes=settings.max_message_bytes)
        self._frame = text_frame if is_server else masked_text_frame
        self._unsent: list[bytes] = []
        self._nothing_follows = False
        self._settings, self._open_legs = settings, open_legs
        self._transport: asyncio.Transport = _NOT_YET
        self._owner: LegOwner | None = None
        self._early: list[bytes] = []
        self._parts: list[bytes] = []
        self._parts_are_text = True
        self._ending: Ending | None = None
        self._full = self._head_is_read = False
        self._unsent_base = self._unsent_added = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.heard_s = self._loop.time()
        self.answers_pings = False

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._open_legs.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer."""
        if not self._head_is_read:
            self._head_came(data)
            return
        self.heard_s = self._time()
        message = self._cutter.whole(data)
        if message is not None:
            self._hand_on([message])
            return
        if self._websocket.state is _OPEN and self._cutter.is_pong(data):
            self.answers_pings = True
            return
        messages: list[bytes] = []
        odd = False
        for piece in self._cutter.cut(data):
            if type(piece) is Odd:
                odd = True
                self._odd_received(piece, messages)
            elif not odd or self._websocket.state is State.OPEN:
                messages.append(piece)
        if messages:
            self._hand_on(messages)
        if odd:
            self.flush()
            if self._websocket.state is not State.OPEN:
                self._websocket_closing()

    def eof_received(self) -> None:
        """The peer has ended its direction; the transport then closes ours."""
        self._websocket.receive_eof()
        self.flush()
        self._end(Ending(CloseCode.GOING_AWAY, "the connection was closed without a closing handshake"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._websocket.receive_eof()
        self._end(Ending(CloseCode.GOING_AWAY, f"the connection was lost: {exc}" if exc else "the connection was lost"))
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._open_legs.remove(self)

    def pause_writing(self) -> None:
        """The peer takes no more for now."""
        self._full = True
        self._unsent_base, self._unsent_added = self._transport.get_write_buffer_size(), 0
        self._watch_stall()
        if self._owner is not None:
            self._owner.leg_full(self, True)

    def resume_writing(self) -> None:
        """The peer takes again."""
        self._full = False
        self._cancel("stall")
        if self._owner is not None:
            self._owner.leg_full(self, False)

    # What the link calls.

    @property
    def has_ended(self) -> bool:
        """Whether it is of no use any more."""
        return self._ending is not None

    def bind(self, owner: LegOwner) -> None:
        """From now on tell `owner`; first of all what came before."""
        self._owner = owner
        if self._early:
            early, self._early = self._early, []
            owner.leg_said(self, early)
        if self._ending is not None:
            owner.leg_ended(self, self._ending)

    def record(self, recording: Recording) -> None:
        """From now on write down what is said, with what has come already and belongs to nobody yet."""
        self.recording = recording
        if self._early:
            recording.came(self._peer, self._early)

    def send(self, raw: bytes) -> bool:
        """Put one message in line for `flush`; False where the socket is closing and it is lost."""
        if self._websocket.state is not State.OPEN:
            return False
        if self.recording is not None:
            self.recording.goes(self._peer, raw)
        if type(raw) is Binary:
            self._websocket.send_binary(raw)
            self._take_from_websocket()
        else:
            self._unsent.append(self._frame(raw))
        return True

    def send_now(self, raw: bytes) -> bool:
        """As `send` and `flush_messages`, in less time for a text message that finds nothing in line."""
        if self._unsent or self._full or self.recording is not None or type(raw) is not bytes:
            sent = self.send(raw)
            self.flush_messages()
            return sent
        if self._websocket.state is not _OPEN:
            return False
        self._transport.write(self._frame(raw))
        return True

    def flush(self) -> None:
        """Hand everything in line to the transport."""
        self._take_from_websocket()
        self.flush_messages()
        if self._nothing_follows and not self._transport.is_closing():
            self._nothing_follows = False
            if self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()

    def flush_messages(self) -> None:
        """As `flush`, where nothing but `send` was called since."""
        unsent = self._unsent
        if not unsent:
            return
        data = unsent[0] if len(unsent) == 1 else b"".join(unsent)
        unsent.clear()
        self._transport.write(data)
        if self._full:
            self._unsent_added += len(data)
            if self._unsent_added > self._settings.max_unsent_bytes:
                self.give_up(f"{self._unsent_added} bytes wait and it does not take them")

    def _take_from_websocket(self) -> None:
        """Line up what `websockets` has to say, behind what was sent before."""
        for chunk in self._websocket.data_to_send():
            if chunk:
                self._unsent.append(chunk)
            else:  # an empty chunk says that nothing follows
                self._nothing_follows = True

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self._websocket.state is State.OPEN:
            self._unsent.append(PING if self._frame is text_frame else masked_ping())
            self.flush()

    def pause_reading(self) -> None:
        """Leave the peer's bytes in its own hands for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; the socket is gone after `close_s` at the latest. Harmless when repeated."""
        if self._websocket.state is State.OPEN:
            self._websocket.send_close(*closing_words(code, reason))
            self.flush()
        elif self._websocket.state is State.CONNECTING:
            self._transport.close()
        self._websocket_closing()

    def give_up(self, reason: str) -> None:
        """Drop the socket as it stands: its peer does not react."""
        self._end(Ending(CloseCode.GOING_AWAY, reason))
        self._transport.abort()

    # Inside.

    def _hand_on(self, messages: list[bytes]) -> None:
        """Messages that have arrived, for who owns the leg."""
        if self.recording is not None:
            self.recording.came(self._peer, messages)
        if self._owner is not None:
            self._owner.leg_said(self, messages)
        else:
            self._early += messages
        if self.spend is not None:
            self.spend(len(messages))

    def _odd_received(self, data: bytes, messages: list[bytes]) -> None:
        """What `websockets` is to look at."""
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            if isinstance(event, Frame):
                self._odd_frame(event, messages)
            else:
                self._head_received(event)

    def _head_came(self, data: bytes) -> None:
        raise AssertionError(f"{len(data)} bytes where no handshake is due")

    def _head_received(self, head: Request | Response) -> None:
        raise AssertionError(f"an HTTP head where none is due: {head}")

    def _odd_frame(self, frame: Frame, messages: list[bytes]) -> None:
        """Fragments, binary messages, pongs, closing."""
        if frame.opcode is PONG:
            self.answers_pings = True
        elif frame.opcode in (TEXT, BINARY, CONT):
            if frame.opcode is not CONT:
                self._parts_are_text = frame.opcode is TEXT
            self._parts.append(bytes(frame.data))
            if frame.fin:
                whole = b"".join(self._parts)
                self._parts.clear()
                messages.append(whole if self._parts_are_text else Binary(whole))

    def _websocket_closing(self) -> None:
        """A close frame was sent, received or both, or the peer broke the protocol."""
        words = self._websocket.close_rcvd or self._websocket.close_sent
        self._end(Ending(words.code, words.reason) if words else Ending(CloseCode.GOING_AWAY, "refused"))
        if "close" not in self._timers:
            self._timers["close"] = self._loop.call_later(self._settings.close_s, self._transport.abort)

    def _end(self, ending: Ending) -> None:
        if self._ending is None:
            self._ending = ending
            if self._owner is not None:
                self._owner.leg_ended(self, ending)

    def _watch_stall(self, taken_before: int = 0, since_s: float | None = None) -> None:
        """While the peer takes no more: look now and then whether it has taken anything."""
        stall_s = self._settings.stall_s
        last_s = self._loop.time() if since_s is None else since_s

        def look() -> None:
            taken = self._unsent_base + self._unsent_added - self._transport.get_write_buffer_size()
            if taken > taken_before:
                self._watch_stall(taken)
            elif self._loop.time() - last_s >= stall_s:
                self.give_up(f"it has taken nothing for {stall_s:g} s")
            else:
                self._watch_stall(taken_before, last_s)

        self._cancel("stall")
        self._timers["stall"] = self._loop.call_later(stall_s / 4, look)

    def _cancel(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
