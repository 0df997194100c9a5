"""The socket towards the CSMS: we are the client, in the charger's name."""

import asyncio
from typing import Final

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from proxy.closing import Ending
from proxy.legs import LOGGER, Leg, LegSettings, OpenLegs

_YES: Final = b"HTTP/1.1 101"
_END_OF_HEAD: Final = b"\r\n\r\n"
_MAX_HEAD: Final = 64 * 1024


class CsmsLeg(Leg):
    """The end towards the CSMS. `answered` becomes its answer to our handshake, or why there is none."""

    __slots__ = ("_authorization", "_client", "_head", "_target", "answered")

    def __init__(
        self,
        uri: WebSocketURI,
        target: str,
        offered: tuple[str, ...],
        authorization: list[str],
        settings: LegSettings,
        open_legs: OpenLegs,
    ) -> None:
        self._client = ClientProtocol(
            uri,
            subprotocols=[Subprotocol(name) for name in offered] or None,
            max_size=settings.max_message_bytes,
            logger=LOGGER,
        )
        super().__init__(self._client, settings, open_legs)
        self._target, self._authorization = target, authorization
        self._head = bytearray()
        self.answered: asyncio.Future[Response | str] = self._loop.create_future()

    @property
    def subprotocol(self) -> str | None:
        """What the CSMS has chosen."""
        return self._client.subprotocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there: ask."""
        super().connection_made(transport)
        request = self._client.connect()
        request.path = self._target
        if self._authorization:
            request.headers = _with_authorization(request.headers, self._authorization)
        self._client.send_request(request)
        self.flush()

    def _head_came(self, data: bytes) -> None:
        """Bytes of the CSMS's answer, which goes to `websockets`; what follows a 101 are frames."""
        self.heard_s = self._time()
        self._head += data
        end = len(self._head)
        if self._head.startswith(_YES[:end]):
            # Frames may follow right behind: what is not the head is not for the handshake.
            end = self._head.find(_END_OF_HEAD) + len(_END_OF_HEAD)
            if end < len(_END_OF_HEAD):
                if len(self._head) > _MAX_HEAD:
                    self.give_up("its answer has no end")
                return
        head, rest = bytes(self._head[:end]), bytes(self._head[end:])
        self._head.clear()
        self._odd_received(head, [])
        self.flush()
        self._websocket_closing()
        self._head_is_read = self._client.state is not State.CONNECTING
        if rest:
            self.data_received(rest)

    def _head_received(self, head: Request | Response) -> None:
        assert isinstance(head, Response)
        fault = self._client.handshake_exc
        refused = head.status_code != 101
        if not self.answered.done():
            self.answered.set_result(f"{fault}" if isinstance(fault, InvalidHandshake) and not refused else head)

    def _websocket_closing(self) -> None:
        if self._client.state not in (State.CONNECTING, State.OPEN) or self._client.handshake_exc is not None:
            super()._websocket_closing()

    def _end(self, ending: Ending) -> None:
        super()._end(ending)
        if not self.answered.done():
            self.answered.set_result(f"{self._client.handshake_exc or ending.reason}")


def _with_authorization(headers: Headers, authorization: list[str]) -> Headers:
    """The charger's own header, byte for byte, instead of one that the CSMS's URL may have brought."""
    kept = [(name, value) for name, value in headers.raw_items() if name.lower() != "authorization"]
    return Headers([*kept, *(("Authorization", value) for value in authorization)])
