"""A charger, a proxy that holds and can be killed, and a CSMS that comes and goes; all on loopback."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from proxy_world import VERSIONS, LoopClock, Notebook, charger_named, soon, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve

from domain.events import Event
from proxy.network import LoopNetwork
from proxy.places import ChargerPlace
from proxy.server import ProxyServer
from proxy.settings import HoldSettings, ProxySettings
from proxy.spool import InlineSpool, Spool

QUICK = HoldSettings(redial_first_s=0.02, redial_most_s=0.05, replay_per_s=2000.0)
Json = dict[str, object]


class ComingCsms:
    """Answers like a ledger: transaction ids from 7 on. What it is asked is in `told`."""

    def __init__(self) -> None:
        self.port = 0
        self.told: list[tuple[str, Json]] = []
        self.silent = False
        self.deaf_to: set[str] = set()
        self.refuses: set[str] = set()
        self.boot_status = "Accepted"
        self.refuse_with: int | None = None
        self.connections: list[ServerConnection] = []
        self.replies: asyncio.Queue[list[object]] = asyncio.Queue()
        self._server: Server | None = None
        self._ids = itertools.count(7)

    async def start(self) -> None:
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            self.port,
            subprotocols=VERSIONS,
            compression=None,
            process_request=lambda connection, _: (
                connection.respond(self.refuse_with, "no") if self.refuse_with else None
            ),
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            for connection in self.connections:
                connection.transport.abort()
            server.close()
            await server.wait_closed()

    def actions(self) -> list[str]:
        return [action for action, _ in self.told]

    async def _handle(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        async for message in connection:
            frame = json.loads(message)
            if frame[0] != 2:
                self.replies.put_nowait(frame)
                continue
            _, call_id, action, payload = frame
            self.told.append((action, payload))
            if self.silent or action in self.deaf_to:
                continue
            if action in self.refuses:
                await connection.send(json.dumps([4, call_id, "InternalError", "no", {}]))
            else:
                await connection.send(json.dumps([3, call_id, self.result(action, payload)]))

    def result(self, action: str, payload: Json) -> Json:
        if action == "StartTransaction":
            return {"transactionId": next(self._ids), "idTagInfo": {"status": "Accepted"}}
        if action == "Authorize":
            return {"idTagInfo": {"status": "Accepted" if payload["idTag"] != "BAD" else "Blocked"}}
        if action == "BootNotification":
            return {"status": self.boot_status, "currentTime": "2026-03-01T12:00:00Z", "interval": 300}
        if action == "Heartbeat":
            return {"currentTime": "2026-03-01T12:00:00Z"}
        return {}


class HoldWorld:
    """The proxy is made anew by `restart`, on the same spool, as after a kill."""

    def __init__(self, spool: Spool, settings: ProxySettings, names: tuple[str, ...], place: Json) -> None:
        self.spool, self.settings, self.names, self.place = spool, settings, names, place
        self.csms = ComingCsms()
        self.events: list[Event] = []
        self.desks: dict[str, Notebook] = {}
        self.proxy: ProxyServer
        self.port = 0
        self._ids = itertools.count(1)
        self._calls = itertools.count(1)

    async def start(self) -> None:
        url = f"ws://127.0.0.1:{self.csms.port}/csms"
        known = {name: replace(ChargerPlace(charger_named(name), url, "hold"), **self.place) for name in self.names}
        self.proxy = ProxyServer(
            network=LoopNetwork(),
            clock=LoopClock(),
            directory=known.get,
            publish=self.events.append,
            desk=lambda charger, _: self.desks.setdefault(charger.id, Notebook()),
            settings=self.settings,
            new_id=lambda: f"own-{next(self._ids)}",
            spool=self.spool,
        )
        self.port = await self.proxy.listen("127.0.0.1", self.port)

    def charger(self, name: str = "CP001", **options: object) -> "connect":
        options.setdefault("subprotocols", ["ocpp1.6"])
        return connect(f"ws://127.0.0.1:{self.port}/ocpp/{name}", compression=None, **options)

    async def ask(self, charger: ClientConnection, action: str, payload: Json) -> Json:
        """What the charger is answered."""
        call_id = f"c{next(self._calls)}"
        await charger.send(json.dumps([2, call_id, action, payload]))
        kind, answered, *rest = json.loads(await soon(charger.recv()))
        assert (kind, answered) == (3, call_id), rest
        return rest[0]

    async def lose_csms(self) -> None:
        await self.csms.stop()
        await until(lambda: all(link.csms_away for link in self.proxy.links.values()))

    async def csms_returns(self) -> None:
        await self.csms.start()
        await until(lambda: not any(link.csms_away for link in self.proxy.links.values()))

    async def all_told(self) -> None:
        """Wait until nothing is kept any more."""
        async with asyncio.timeout(10):
            while (await self.proxy.office.load("CP001")).pending:
                await asyncio.sleep(0.005)

    def heard(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def hold_world(
    *,
    hold: HoldSettings = QUICK,
    settings: ProxySettings | None = None,
    names: tuple[str, ...] = ("CP001",),
    **place: object,
) -> AsyncIterator[HoldWorld]:
    world = HoldWorld(InlineSpool(), settings or ProxySettings(hold=hold), names, place)
    await world.csms.start()
    await world.start()
    try:
        yield world
    finally:
        await world.proxy.close(1.0)
        await world.csms.stop()


def start(number: int = 1, tag: str = "TAG") -> Json:
    return {"connectorId": 1, "idTag": tag, "meterStart": 1000 * number, "timestamp": f"2099-03-01T12:{number:02}:00Z"}


def meter(transaction: object, wh: int) -> Json:
    sample = {"value": str(wh)}
    values = [{"timestamp": "2099-03-01T12:30:00Z", "sampledValue": [sample]}]
    return {"connectorId": 1, "transactionId": transaction, "meterValue": values}


def stop(transaction: object, wh: int) -> Json:
    return {"transactionId": transaction, "meterStop": wh, "timestamp": "2099-03-01T13:00:00Z"}
