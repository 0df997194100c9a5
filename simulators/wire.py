"""WebSocket ends over a `Network`, on the public Sans-I/O layer of `websockets`: callbacks, no task per frame.

A simulator shares no code with the proxy that it exercises; this is its own reading of RFC 6455 and OCPP-J.
"""

import asyncio
import base64
import contextlib
import http
import logging
import ssl as tls
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import CONNECTING, OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from domain.errors import HeadroomError
from simulators.network import Listener, Network
from simulators.pings import Pings

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
CLOSE_TIMEOUT_S = 5.0
OPEN_TIMEOUT_S = 10.0
NO_SUBPROTOCOL = 1002
"""Close code after a handshake without a common subprotocol (OCPP-J 1.6 section 3.2 leaves the code open)."""
_QUIET = logging.getLogger("simulators.wire")
_QUIET.addHandler(logging.NullHandler())


class HandshakeRefusedError(HeadroomError):
    """The server answered the WebSocket handshake with something else than 101, or not in HTTP (status 0)."""

    def __init__(self, status: int, body: str) -> None:
        self.status, self.body = status, body
        super().__init__(f"the server refused the connection: HTTP {status} {body.strip()}")


def basic_authorization(user: str, password: str | bytes) -> str:
    """The `Authorization` header; a 1.6 password may be any bytes (security white paper A00.FR.205)."""
    secret = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(user.encode() + b":" + secret).decode("ascii")


class WebSocketEnd(asyncio.Protocol):
    """One end of a connection: whole text messages in and out.

    Attributes:
        on_text: called with each message. Set it in the `on_open` callback: a message may come with the handshake.
        on_closed: called once, with the close code (1006 without a close frame) and reason.
        open: whether messages can be sent.
    """

    def __init__(self, ws: ClientProtocol | ServerProtocol) -> None:
        self.on_text: Callable[[str], None] = _ignore
        self.on_closed: Callable[[int, str], None] = _ignore_close
        self.transport: asyncio.Transport
        self._ws = ws
        self._parts: list[bytes] = []
        self._lost = False
        self._pings = Pings(is_server=isinstance(ws, ServerProtocol))
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Whether the handshake is done and no close has begun."""
        return self._ws.state is OPEN and not self._lost

    @property
    def subprotocol(self) -> str | None:
        """What was agreed on, None without agreement."""
        return self._ws.subprotocol

    def send(self, text: str) -> None:
        """Send one text message; nothing happens on a connection that is closing, as with any packet lost."""
        if self.open:
            self._ws.send_text(text.encode())
            self._flush()

    def ping(self) -> None:
        """Send a ping; the other end answers by itself."""
        if self.open:
            self._ws.send_ping(b"")
            self._flush()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake; the link is dropped if the other end does not answer in 5 s."""
        if self.open:
            self._ws.send_close(code, reason)
            self._flush()

    def abort(self) -> None:
        """Drop the link without a word."""
        if hasattr(self, "transport"):
            self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A link is there; the handshake begins."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._ws.state is OPEN:
            pong = self._pings.answer(data)
            if pong is not None:
                self.transport.write(pong)
                return
        elif self._ws.state is CONNECTING:
            self._pings.head_came(data)
        self._ws.receive_data(data)
        self._flush()
        for event in self._ws.events_received():
            if isinstance(event, Frame):
                self._frame(event)
            else:
                self._handshake(event)

    def eof_received(self) -> None:
        """The other end sends no more; the transport closes itself."""
        self._ws.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """The link is gone."""
        self._lost = True
        self._ws.receive_eof()
        if self._deadline is not None:
            self._deadline.cancel()
        code = self._ws.close_code
        self.on_closed(1006 if code is None else code, self._ws.close_reason or "")

    def _handshake(self, event: Request | Response) -> None:
        raise AssertionError(f"unexpected {event}")

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            self._parts.append(bytes(frame.data))
            if frame.fin:
                message, self._parts = b"".join(self._parts), []
                self._message(message)
        elif frame.opcode is Opcode.BINARY:
            self.close(1003, "OCPP-J is text")

    def _message(self, message: bytes) -> None:
        try:
            text = message.decode()
        except UnicodeDecodeError:
            self.close(1007, "not UTF-8")
            return
        self.on_text(text)

    def _end_stream(self) -> None:
        """Half-close, where the transport can (TLS cannot, and a socket that the peer has reset refuses)."""
        if self.transport.can_write_eof():
            with contextlib.suppress(OSError):
                self.transport.write_eof()
                return
        self.transport.close()

    def _flush(self) -> None:
        for data in self._ws.data_to_send():
            if self._lost or self.transport.is_closing():
                return
            if data:
                self.transport.write(data)
            else:
                self._end_stream()
        if self._deadline is None and self._ws.close_expected():
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)


def _ignore(_: str) -> None:
    """Nobody listens yet."""


def _ignore_close(_: int, __: str) -> None:
    """Nobody listens yet."""


class _ClientEnd(WebSocketEnd):
    def __init__(
        self, ws: ClientProtocol, path: str, authorization: str | None, on_open: Callable[[WebSocketEnd], None]
    ) -> None:
        super().__init__(ws)
        self._client, self._path, self._authorization, self._on_open = ws, path, authorization, on_open
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        request = self._client.connect()
        request.path = self._path
        if self._authorization is not None:
            request.headers["Authorization"] = self._authorization
        self._client.send_request(request)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        was_open = self.opened.done() and not self.opened.cancelled() and self.opened.exception() is None
        if not was_open:
            self.on_closed = _ignore_close
        super().connection_lost(exc)
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionResetError("the link ended during the WebSocket handshake"))

    def _handshake(self, event: Request | Response) -> None:
        assert isinstance(event, Response)
        if self.opened.done():
            return
        if self._client.handshake_exc is None:
            self.opened.set_result(None)
            self._on_open(self)
            return
        body = event.body.decode(errors="replace")
        status = event.status_code
        self.opened.set_exception(HandshakeRefusedError(status, body if status != 101 else "with an invalid upgrade"))


async def open_websocket(
    network: Network,
    url: str,
    *,
    subprotocols: Sequence[str] = (),
    authorization: str | None = None,
    ssl: tls.SSLContext | None = None,
    timeout_s: float = OPEN_TIMEOUT_S,
    on_open: Callable[[WebSocketEnd], None] = lambda _: None,
) -> WebSocketEnd:
    """Dial and shake hands.

    Args:
        network: where to dial.
        url: ws:// or wss://; its path goes out exactly as written.
        subprotocols: what to offer; nothing is offered when empty.
        authorization: the header's value.
        ssl: for wss; Python's default context when None.
        timeout_s: for dialling and handshake together, by the loop's time.
        on_open: gets the end at the moment it opens, to set `on_text` and `on_closed`.

    Returns:
        the end; it may have closed again since it opened.

    Raises:
        HandshakeRefusedError: an HTTP answer other than 101.
        OSError: no link, or it ended during the handshake (`TimeoutError` included).
    """
    uri = parse_uri(url)
    context = (ssl or tls.create_default_context()) if uri.secure else None
    offered = [Subprotocol(name) for name in subprotocols] or None
    ws = ClientProtocol(uri, subprotocols=offered, max_size=MAX_MESSAGE_BYTES, logger=_QUIET)
    end = _ClientEnd(ws, uri.resource_name, authorization, on_open)
    try:
        async with asyncio.timeout(timeout_s):
            await network.dial(lambda: end, uri.host, uri.port, ssl=context, server_hostname=uri.host)
            await end.opened
    except BaseException:
        if end.opened.done() and not end.opened.cancelled():
            end.opened.exception()
        end.abort()
        raise
    return end


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client asks for in its handshake.

    Attributes:
        path: as written, without the query.
        query: as written, "" without one.
        identity: the last segment, percent-decoded.
        subprotocols: offered, in its order.
        user: of Basic authentication, None without.
        password: of Basic authentication, raw bytes.
    """

    path: str
    query: str
    identity: str
    subprotocols: tuple[str, ...]
    user: str | None
    password: bytes | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Answer the handshake with this HTTP status."""

    status: int
    body: str = ""


Decide = Callable[[Opening], Refusal | None]
OnOpen = Callable[["ServerEnd"], None]


class ServerEnd(WebSocketEnd):
    """The accepting end. `opening` tells who has come; available from `on_open` on."""

    opening: Opening

    def __init__(self, supported: Sequence[str], decide: Decide, on_open: OnOpen) -> None:
        names = [Subprotocol(name) for name in supported]
        ws = ServerProtocol(
            subprotocols=names, select_subprotocol=_first_common, max_size=MAX_MESSAGE_BYTES, logger=_QUIET
        )
        super().__init__(ws)
        self._server, self._decide, self._on_open = ws, decide, on_open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has dialled; it gets 10 s to finish its handshake."""
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(OPEN_TIMEOUT_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The link is gone."""
        self._patience.cancel()
        super().connection_lost(exc)

    def _handshake(self, event: Request | Response) -> None:
        assert isinstance(event, Request)
        self._patience.cancel()
        response = self._server.accept(event)
        if response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
            self.opening = _opening(event)
            if (refusal := self._decide(self.opening)) is not None:
                response = self._server.reject(refusal.status, refusal.body)
                if refusal.status == http.HTTPStatus.UNAUTHORIZED:
                    response.headers["WWW-Authenticate"] = 'Basic realm="OCPP"'
        self._server.send_response(response)
        self._flush()
        if response.status_code != http.HTTPStatus.SWITCHING_PROTOCOLS:
            return
        if self.subprotocol is None:
            # J16 3.2: without a common version complete the handshake without the header, then close.
            self.close(NO_SUBPROTOCOL, "no common subprotocol")
        else:
            self._on_open(self)


async def serve_websockets(
    network: Network,
    host: str,
    port: int,
    *,
    subprotocols: Sequence[str],
    on_open: OnOpen,
    decide: Decide = lambda _: None,
    ssl: tls.SSLContext | None = None,
) -> Listener:
    """Accept connections.

    Args:
        network: where to listen.
        host: address to bind.
        port: 0 takes any.
        subprotocols: supported, in order of preference.
        on_open: gets every connection that was agreed on; it sets `on_text` and `on_closed`.
        decide: None accepts, a `Refusal` is answered.
        ssl: serve wss.
    """
    return await network.listen(lambda: ServerEnd(subprotocols, decide, on_open), host, port, ssl=ssl)


def _first_common(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    ours = protocol.available_subprotocols or ()
    return next((name for name in ours if name in offered), None)


def _opening(request: Request) -> Opening:
    path, _, query = request.path.partition("?")
    offered = [name.strip() for line in request.headers.get_all("Sec-WebSocket-Protocol") for name in line.split(",")]
    user, password = _credentials(request.headers.get("Authorization"))
    identity = unquote(path.rstrip("/").rpartition("/")[2])
    return Opening(path, query, identity, tuple(offered), user, password)


def _credentials(header: str | None) -> tuple[str | None, bytes | None]:
    kind, _, value = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None, None
    try:
        user, _, password = base64.b64decode(value, validate=True).partition(b":")
    except ValueError:
        return None, None
    return user.decode(errors="replace"), password
