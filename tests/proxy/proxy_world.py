"""A proxy on loopback between peers that are not ours: `websockets`' own client and server."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from domain.commands import ApplySetpoint
from domain.events import Event
from domain.ids import ChargerId, DecisionId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.network import LoopNetwork
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome
from proxy.protocol.interception import PassesAll
from proxy.server import ChargerPlace, ProxyServer
from proxy.settings import ProxySettings

EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSIONS = ["ocpp1.6", "ocpp2.0.1"]


class LoopClock:
    """Shows the loop's time, whatever loop it is."""

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Notebook(PassesAll):
    """A desk that writes everything down and turns each command into one CALL."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.exchanges: list[Exchange] = []
        self.outcomes: list[OwnOutcome] = []
        self.connections = 0
        self.at_connection: list[OwnCall] = []
        self.fails = False

    def connected(self, now: datetime) -> list[OwnCall]:
        self._fail()
        self.connections += 1
        return list(self.at_connection)

    def on_call(self, call: Call) -> list[Event]:
        self._fail()
        self.calls.append(call)
        return []

    def on_exchange(self, exchange: Exchange) -> list[Event]:
        self._fail()
        self.exchanges.append(exchange)
        return []

    def apply(self, command: ApplySetpoint) -> list[OwnCall]:
        self._fail()
        payload = {"limit": command.limit_a}
        return [OwnCall("SetChargingProfile", payload, str(command.evse), str(command.decision), command.urgent)]

    def on_outcome(self, outcome: OwnOutcome) -> tuple[list[Event], list[OwnCall]]:
        self._fail()
        self.outcomes.append(outcome)
        return [], []

    def _fail(self) -> None:
        if self.fails:
            raise RuntimeError("the desk is on fire")


def command(charger: str = "CP001", limit_a: float = 10.0, *, urgent: bool = False, number: int = 1) -> ApplySetpoint:
    return ApplySetpoint(
        charger=ChargerId(charger),
        connector=1,
        evse=EvseId(f"{charger}-1"),
        limit_a=limit_a,
        failsafe_a=6.0,
        deadman_s=300.0,
        decision=DecisionId(f"d{number}"),
        at=EPOCH,
        urgent=urgent,
    )


@dataclass
class Csms:
    """A CSMS on loopback that keeps its connections and hands out what arrives."""

    port: int = 0
    greeting: str | None = None
    connections: list[ServerConnection] = field(default_factory=list)
    received: "asyncio.Queue[str | bytes]" = field(default_factory=asyncio.Queue)

    async def handle(self, connection: ServerConnection) -> None:
        if self.greeting is not None:
            await connection.send(self.greeting)
        self.connections.append(connection)
        async for message in connection:
            self.received.put_nowait(message)

    @property
    def newest(self) -> ServerConnection:
        return self.connections[-1]

    async def next(self) -> str | bytes:
        return await soon(self.received.get())


@dataclass
class World:
    """What a test needs to reach."""

    proxy: ProxyServer
    port: int
    csms: Csms
    desks: dict[str, Notebook]
    events: list[Event]

    def charger(self, path: str = "/ocpp/CP001", **options: object) -> "connect":
        options.setdefault("subprotocols", ["ocpp1.6"])
        scheme = "wss" if "ssl" in options else "ws"
        return connect(f"{scheme}://127.0.0.1:{self.port}{path}", compression=None, max_size=None, **options)

    def told(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 10)


@asynccontextmanager
async def beside(coroutine) -> AsyncIterator["asyncio.Task[object]"]:
    """Run something at the same time; it is cancelled, and what it raised dropped, at the end."""
    task = asyncio.get_running_loop().create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that happens by itself."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.002)


def charger_named(name: str) -> Charger:
    return Charger(ChargerId(name), (Evse(EvseId(f"{name}-1"), ChargerId(name), 1, FeederId("main"), PHASES),))


@asynccontextmanager
async def world(
    settings: ProxySettings | None = None,
    *,
    names: tuple[str, ...] = ("CP001", "CP002"),
    csms_url: str | None = None,
    csms_options: dict[str, object] | None = None,
    asks: Callable[[ChargerPlace], ChargerPlace] = lambda place: place,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[World]:
    csms = Csms()
    desks: dict[str, Notebook] = {}
    events: list[Event] = []
    options = {"subprotocols": VERSIONS, "compression": None, "max_size": None} | (csms_options or {})
    async with serve(csms.handle, "127.0.0.1", 0, **options) as server:
        csms.port = server.sockets[0].getsockname()[1]
        scheme = "wss" if "ssl" in options else "ws"
        url = csms_url or f"{scheme}://127.0.0.1:{csms.port}/csms"
        places = {name: asks(ChargerPlace(charger_named(name), url)) for name in names}
        ids = itertools.count(1)
        proxy = ProxyServer(
            network=LoopNetwork(),
            clock=LoopClock(),
            directory=places.get,
            publish=events.append,
            desk=lambda charger, version: desks.setdefault(f"{charger.id} {version}", Notebook()),
            settings=settings or ProxySettings(),
            new_id=lambda: f"own-{next(ids)}",
        )
        port = await proxy.listen("127.0.0.1", 0, ssl=tls)
        try:
            yield World(proxy, port, csms, desks, events)
        finally:
            await proxy.close(2.0)


async def reply_to(peer: ClientConnection | ServerConnection, message: str | bytes, payload: str = "{}") -> str:
    """Answer a CALL as `peer`; returns its id."""
    text = message if isinstance(message, str) else message.decode()
    call_id = text.split('"')[1]
    await peer.send(f'[3,"{call_id}",{payload}]')
    return call_id
