"""Where links come from: a port to listen and dial on, and the machine's own sockets behind it."""

import asyncio
import socket
import ssl as tls
from collections.abc import Callable
from typing import Protocol

ProtocolFactory = Callable[[], asyncio.Protocol]

UNACKNOWLEDGED_MS = 60_000
"""How long the peer's TCP may leave our bytes unacknowledged. With pings on the wire this finds a half-open socket,
also where the peer never answers a ping."""


TLS_HANDSHAKE_S = 15.0
"""How long a charger may take for TLS; slow ones with a 2048 bit key and a bad link take some seconds."""


class Listener(Protocol):
    """An open port."""

    @property
    def port(self) -> int:
        """The port that is bound, also where 0 was asked for."""
        ...

    def close(self) -> None:
        """Accept no more; links that are open stay."""
        ...


class Network(Protocol):
    """Makes links of `asyncio.Transport` and `asyncio.Protocol`."""

    async def listen(
        self,
        factory: ProtocolFactory,
        host: str,
        port: int,
        *,
        ssl: tls.SSLContext | None = None,
        backlog: int = 4096,
    ) -> Listener:
        """Accept links; `factory` makes the protocol of each. `OSError` when the port is taken."""
        ...

    async def dial(
        self,
        factory: ProtocolFactory,
        host: str,
        port: int,
        *,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Open a link; `OSError` (TLS errors are such) when there is none to be had. Time-outs are the caller's."""
        ...


class LoopNetwork:
    """The machine's own TCP, through the running event loop."""

    async def listen(
        self,
        factory: ProtocolFactory,
        host: str,
        port: int,
        *,
        ssl: tls.SSLContext | None = None,
        backlog: int = 4096,
    ) -> Listener:
        """See `Network.listen`. A backlog of 100, asyncio's own, makes 2,000 chargers wait for minutes."""
        limit_s = TLS_HANDSHAKE_S if ssl is not None else None
        server = await asyncio.get_running_loop().create_server(
            factory, host, port, ssl=ssl, backlog=backlog, ssl_handshake_timeout=limit_s
        )
        for listening in server.sockets:
            _limit_unacknowledged(listening)
        return _SocketListener(server)

    async def dial(
        self,
        factory: ProtocolFactory,
        host: str,
        port: int,
        *,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """See `Network.dial`."""
        name = server_hostname if ssl is not None else None
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(factory, host, port, ssl=ssl, server_hostname=name)
        _limit_unacknowledged(transport.get_extra_info("socket"))
        return transport, protocol


class _SocketListener:
    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self.port: int = server.sockets[0].getsockname()[1]

    def close(self) -> None:
        self._server.close()


class _Socket(Protocol):
    def setsockopt(self, level: int, option: int, value: int, /) -> object: ...


def _limit_unacknowledged(link: _Socket) -> None:
    """Linux only; a socket that is accepted inherits it from the one that listens."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


class Unconnected(asyncio.Transport):
    """The link of who was never connected: there is nothing to drop."""

    def abort(self) -> None:
        """Nothing is there."""

    def is_closing(self) -> bool:
        """It is of no use."""
        return True
