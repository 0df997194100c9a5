"""The socket towards a charger: we are the server, and the CSMS has the word."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from proxy.allowance import Allowance
from proxy.certificates import PeerCertificate
from proxy.entrance import Visitor, address_of
from proxy.legs import LOGGER, Leg, LegSettings, OpenLegs

_END_OF_HEAD: Final = b"\r\n\r\n"
_MAX_HEAD: Final = 64 * 1024
_LONGEST_PAUSE_S: Final = 5.0
"""How long a charger that says too much is not heard at a stretch: it is not taken for dead meanwhile."""


class ChargerLeg(Leg):
    """The end towards a charger. Its handshake waits, unread, until the CSMS has spoken."""

    __slots__ = (
        "_allowance",
        "_handshake_s",
        "_has_request",
        "_head",
        "_on_pause",
        "_on_request",
        "_refused",
        "_server",
        "offered",
        "visitor",
    )

    def __init__(
        self,
        settings: LegSettings,
        on_request: Callable[["ChargerLeg", Request, Response], None],
        open_legs: OpenLegs,
        handshake_s: float,
    ) -> None:
        self.offered: tuple[str, ...] = ()
        self.visitor = Visitor()
        self._allowance: Allowance
        self._on_pause: Callable[[], None] = _nobody

        def note_offer(_server: ServerProtocol, offered: Sequence[Subprotocol]) -> None:
            self.offered = tuple(offered)

        # `websockets` binds the callback to its own object, so that it has to be a plain function.
        self._server = ServerProtocol(max_size=settings.max_message_bytes, select_subprotocol=note_offer, logger=LOGGER)
        super().__init__(self._server, settings, open_legs)
        self._on_request = on_request
        self._handshake_s = handshake_s
        self._head = bytearray()
        self._has_request = False
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the request has to follow."""
        super().connection_made(transport)
        self._timers["handshake"] = self._loop.call_later(self._handshake_s, self.give_up, "no request came")

    def _head_came(self, data: bytes) -> None:
        """Bytes of the request. Those behind it are held back until it is answered: `websockets` would answer a ping
        among them before.
        """
        self._head += data
        end = self._head.find(_END_OF_HEAD)
        if end < 0 and len(self._head) < _MAX_HEAD:
            return
        self._head_is_read = True
        self._cancel("handshake")
        self.pause_reading()
        end = len(self._head) if end < 0 else end + len(_END_OF_HEAD)
        request, self._head = bytes(self._head[:end]), self._head[end:]
        self._odd_received(request, [])
        self.flush()
        if self._server.state is State.CONNECTING and not self._has_request and self._server.handshake_exc is None:
            self.give_up("its request has no end")
        self._websocket_closing()

    def _head_received(self, head: Request | Response) -> None:
        assert isinstance(head, Request)
        self._has_request = True
        self.visitor = self._visitor(head)
        # `accept` looks at the request before anything is dialled: a plain HTTP request goes no further.
        answer = self._server.accept(head)
        if answer.status_code == 101:
            self._on_request(self, head, answer)
        else:
            self.answer(answer)

    def answer(self, response: Response) -> None:
        """Send the answer to the request: 101 opens the socket, anything else is the end."""
        if self._transport.is_closing():
            return
        self._server.send_response(response)
        self.flush()
        self.resume_reading()
        if response.status_code != 101:
            self._refused = True
            self._websocket_closing()

    def read_what_was_held(self) -> None:
        """After 101 and `bind`: the bytes that came right behind the request."""
        held, self._head = bytes(self._head), bytearray()
        if held and not self._transport.is_closing():
            self.data_received(held)

    def limit(self, per_s: float, burst: int, on_pause: Callable[[], None]) -> None:
        """From now on it may say so much: what exceeds that waits in its own hands, and none of it is lost."""
        self._allowance, self._on_pause = Allowance(per_s, burst, self._time), on_pause
        self.spend = self._spend

    def _spend(self, messages: int) -> None:
        if not self._transport.is_closing() and (pause_s := self._allowance.spend(messages)) > 0.0:
            self._on_pause()
            self.pause_reading()
            self._hear_again_in(pause_s)

    def _hear_again_in(self, pause_s: float) -> None:
        self.heard_s = self._time()
        stretch_s = min(pause_s, _LONGEST_PAUSE_S)
        self._cancel("pause")
        self._timers["pause"] = self._loop.call_later(stretch_s, self._hear_again, pause_s - stretch_s)

    def _hear_again(self, pause_s: float) -> None:
        if self._transport.is_closing():
            return
        if pause_s > 0.0:
            self._hear_again_in(pause_s)
        else:
            self.heard_s = self._time()
            self.resume_reading()

    def _visitor(self, request: Request) -> Visitor:
        tls = self._transport.get_extra_info("ssl_object")
        der = tls.getpeercert(True) if tls is not None else None
        certificate = PeerCertificate.from_der(der) if der else None
        return Visitor(
            address=address_of(self._transport.get_extra_info("peername")),
            encrypted=tls is not None,
            certificate=certificate,
            unreadable=bool(der) and certificate is None,
            authorization=tuple(request.headers.get_all("Authorization")),
        )

    def _websocket_closing(self) -> None:
        if self._server.state not in (State.CONNECTING, State.OPEN) or self._server.handshake_exc or self._refused:
            super()._websocket_closing()


def _nobody() -> None:
    """Nobody wants to know."""
