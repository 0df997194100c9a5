"""Where links come from: a port to listen and dial, and a network in memory behind it.

The in-memory network has no sockets, threads or waiting of its own, so it runs in virtual time; links can be delayed,
frozen and cut. It keeps asyncio's contract for transports, so the code above cannot tell it from the machine's own
sockets, which the live service brings in the same shape.
"""

import asyncio
import errno
import ssl as tls
from collections.abc import Callable
from contextvars import copy_context
from typing import Protocol

from simulators.memory_link import MemoryLink
from simulators.processes import process_of

ProtocolFactory = Callable[[], asyncio.Protocol]
_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 (names to compare with; nothing is bound)
_FIRST_EPHEMERAL = 49152


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
        """Open a link; `ConnectionRefusedError` when nobody listens."""
        ...


class _MemoryListener:
    def __init__(
        self, network: "MemoryNetwork", factory: ProtocolFactory, host: str, port: int, ssl: tls.SSLContext | None
    ) -> None:
        self._network, self.factory, self.host, self.port, self.ssl = network, factory, host, port, ssl
        self.context = copy_context()
        if (process := process_of(self.context)) is not None:
            process.hold(self)

    def make(self) -> asyncio.Protocol:
        """The protocol of a link that is accepted, made where the port was opened."""
        return self.context.copy().run(self.factory)

    def owner_died(self, *, silently: bool) -> None:  # noqa: ARG002 (a port of a machine without power is closed too)
        """The process that listened is gone."""
        self.close()

    def close(self) -> None:
        self._network.forget(self)

    def answers(self, host: str) -> bool:
        return self.host in _WILDCARDS or self.host == host


class MemoryNetwork:
    """A network inside one process and one event loop.

    TLS is not played: a listener with an `ssl` context takes only dials with one, and the bytes stay plain.

    Attributes:
        delay_s: one-way delay of links that are dialled from now on (each link's own `delay_s` can be changed later).
        links: every link that is still alive, oldest first.

    Args:
        delay_s: see above.
        gives_up_s: a sender on a link that was cut without a word gives it up so long after it sent something; never
            without it. Linux takes a quarter of an hour, chargers with pings of their own about a minute.
    """

    def __init__(self, *, delay_s: float = 0.0, gives_up_s: float | None = None) -> None:
        self.delay_s, self._gives_up_s = delay_s, gives_up_s
        self.links: list[MemoryLink] = []
        self._listeners: dict[int, list[_MemoryListener]] = {}
        self._silent: dict[int, asyncio.Event] = {}
        self._next_port = _FIRST_EPHEMERAL

    async def listen(
        self,
        factory: ProtocolFactory,
        host: str,
        port: int,
        *,
        ssl: tls.SSLContext | None = None,
        backlog: int = 4096,  # noqa: ARG002 (the port's signature; a dial never waits in memory)
    ) -> Listener:
        """See `Network.listen`. `localhost` is 127.0.0.1, and an empty or wildcard host answers to every name."""
        host = _plain(host)
        port = port or self._ephemeral()
        bound = self._listeners.setdefault(port, [])
        if any(other.answers(host) or host in _WILDCARDS for other in bound):
            raise OSError(errno.EADDRINUSE, f"port {port} of the memory network is already listened on")
        listener = _MemoryListener(self, factory, host, port, ssl)
        bound.append(listener)
        return listener

    async def dial(
        self,
        factory: ProtocolFactory,
        host: str,
        port: int,
        *,
        ssl: tls.SSLContext | None = None,
        server_hostname: str | None = None,  # noqa: ARG002 (the port's signature; no certificate is checked)
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """See `Network.dial`. Waits for ever towards a port that was silenced, until it is restored."""
        if port in self._silent:
            await self._silent[port].wait()
        if self.delay_s:
            await asyncio.sleep(2 * self.delay_s)
        listener = next((one for one in self._listeners.get(port, ()) if one.answers(_plain(host))), None)
        if listener is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens on {host}:{port}")
        if (listener.ssl is None) is not (ssl is None):
            raise ConnectionResetError(errno.ECONNRESET, f"{host}:{port}: one end speaks TLS and the other does not")
        loop = asyncio.get_running_loop()
        link = MemoryLink(loop, self.delay_s, on_gone=self._gone, gives_up_s=self._gives_up_s)
        self.links.append(link)
        ends = (_plain(host), self._ephemeral()), (_plain(host), port)
        await link.open(factory(), listener.make(), *ends, host=listener.context)
        return link.client, link.client.get_protocol()

    def silence(self, port: int) -> None:
        """From now on dials to this port hang, as towards a host that drops packets."""
        self._silent.setdefault(port, asyncio.Event())

    def restore(self, port: int) -> None:
        """End the silence; dials that hang go on."""
        if (event := self._silent.pop(port, None)) is not None:
            event.set()

    def vacate(self, port: int) -> None:
        """Whoever listens on this port loses it without being told: its address has moved to another host."""
        for listener in list(self._listeners.get(port, ())):
            self.forget(listener)

    def forget(self, listener: _MemoryListener) -> None:
        """Close a port; a listener's own `close` calls this."""
        bound = self._listeners.get(listener.port, [])
        if listener in bound:
            bound.remove(listener)

    def _gone(self, link: MemoryLink) -> None:
        if link in self.links:
            self.links.remove(link)

    def _ephemeral(self) -> int:
        self._next_port += 1
        return self._next_port


def _plain(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host
