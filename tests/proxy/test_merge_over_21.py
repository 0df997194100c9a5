"""A 2.1 station and a 2.1 CSMS on the `ocpp` package, schemas and all, with the real relay and desk between them."""

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ocpp.routing import on
from ocpp.v21 import ChargePoint, call, call_result
from proxy_world import VERSIONS, LoopClock, beside, charger_named, command, soon, until
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from domain.commands import ApplySetpoint
from domain.events import CsmsLimitChanged, SessionStarted, SetpointAccepted
from proxy.network import LoopNetwork
from proxy.protocol.desk import ChargerDesk
from proxy.server import ChargerPlace, ProxyServer
from proxy.settings import ProxySettings
from simulators.behaviour import STANDARD
from simulators.charging_profiles import profile_201
from simulators.composite import Charge, Supply, cap_a
from simulators.profile_store import ProfileStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHARGE = Charge("tx-1", NOW)


class Station(ChargePoint):
    """Keeps profiles by the book; the package validates all that comes and goes."""

    def __init__(self, connection: Any) -> None:
        super().__init__("CP001", connection)
        self.store = ProfileStore(STANDARD, (1,), ocpp16=False)
        self.held: list[float | None] = []

    def allowed_a(self) -> float | None:
        return cap_a(self.store, NOW, Supply(3, 120.0))

    @on("SetChargingProfile")
    def on_set(self, evse_id: int, charging_profile: dict, **_: Any) -> call_result.SetChargingProfile:
        wire = camel(charging_profile)
        refused = self.store.install(profile_201(evse_id, wire, NOW), CHARGE)
        self.held.append(self.allowed_a())
        return call_result.SetChargingProfile(status="Accepted" if refused is None else "Rejected")

    @on("ClearChargingProfile")
    def on_clear(self, charging_profile_id: int | None = None, **_: Any) -> call_result.ClearChargingProfile:
        gone = self.store.clear(lambda one: one.profile_id == charging_profile_id)
        return call_result.ClearChargingProfile(status="Accepted" if gone else "Unknown")

    @on("GetVariables")
    def on_variables(self, get_variable_data: list, **_: Any) -> call_result.GetVariables:
        unknown = [{**camel(one), "attribute_status": "UnknownVariable"} for one in get_variable_data]
        return call_result.GetVariables(get_variable_result=unknown)

    @on("GetChargingProfiles")
    def on_get(self, **_: Any) -> call_result.GetChargingProfiles:
        return call_result.GetChargingProfiles(status="NoProfiles")


class Csms(ChargePoint):
    """Accepts what comes."""

    def __init__(self, connection: Any) -> None:
        super().__init__("CP001", connection)
        self.streamed: list[str] = []

    async def route_message(self, raw_msg: str) -> None:
        if raw_msg.startswith("[6,"):  # a SEND, which the package does not know
            self.streamed.append(raw_msg)
        else:
            await super().route_message(raw_msg)

    @on("BootNotification")
    def on_boot(self, **_: Any) -> call_result.BootNotification:
        return call_result.BootNotification(current_time="2026-03-01T12:00:00Z", interval=300, status="Accepted")

    @on("TransactionEvent")
    def on_transaction(self, **_: Any) -> call_result.TransactionEvent:
        return call_result.TransactionEvent()


def camel(value: Any) -> Any:
    """The package hands words_like_this to its handlers."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value

    def name(key: str) -> str:
        first, *rest = key.split("_")
        return first + "".join(part.title() for part in rest)

    return {name(key): camel(one) for key, one in value.items()}


def cap(limit: float, level: int, number: int) -> call.SetChargingProfile:
    schedule = {
        "id": 1,
        "start_schedule": "2026-01-01T00:00:00Z",
        "charging_rate_unit": "A",
        "charging_schedule_period": [{"start_period": 0, "limit": limit}],
    }
    profile = {
        "id": number,
        "stack_level": level,
        "charging_profile_purpose": "ChargingStationMaxProfile",
        "charging_profile_kind": "Absolute",
        "charging_schedule": [schedule],
    }
    return call.SetChargingProfile(charging_profile=profile, evse_id=0)


def ems(limit_a: float, number: int) -> ApplySetpoint:
    return replace(command(limit_a=limit_a, number=number), at=LoopClock().now())


@asynccontextmanager
async def between() -> AsyncIterator[tuple[Station, Csms, ProxyServer, list, Any]]:
    sides: list[Csms] = []

    async def upstream(connection: Any) -> None:
        sides.append(Csms(connection))
        await sides[-1].start()

    events: list = []
    ids, tokens = itertools.count(), itertools.count()
    async with serve(upstream, "127.0.0.1", 0, subprotocols=[*VERSIONS, "ocpp2.1"]) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/csms"
        proxy = ProxyServer(
            network=LoopNetwork(),
            clock=LoopClock(),
            directory={"CP001": ChargerPlace(charger_named("CP001"), url)}.get,
            publish=events.append,
            desk=lambda charger, version: ChargerDesk(charger, version, lambda: f"t{next(tokens)}"),
            settings=ProxySettings(),
            new_id=lambda: f"own-{next(ids)}",
        )
        port = await proxy.listen("127.0.0.1", 0)
        async with connect(f"ws://127.0.0.1:{port}/ocpp/CP001", subprotocols=["ocpp2.1"]) as socket:
            station = Station(socket)
            async with beside(station.start()):
                await until(lambda: sides)
                yield station, sides[0], proxy, events, socket
        await proxy.close(2.0)


async def test_a_session_with_limits_of_both_sides_crossing() -> None:
    async with between() as (station, csms, proxy, events, socket):
        product = {"vendor_name": "V", "model": "M"}
        boot = await soon(station.call(call.BootNotification(charging_station=product, reason="PowerUp")))
        assert boot.status == "Accepted"
        started = call.TransactionEvent(
            event_type="Started",
            seq_no=0,
            timestamp="2026-03-01T12:00:00Z",
            transaction_info={"transaction_id": "tx-1", "charging_state": "Charging"},
            trigger_reason="Authorized",
            evse={"id": 1},
        )
        await soon(station.call(started, suppress=False))
        await until(lambda: [event for event in events if isinstance(event, SessionStarted)])
        proxy.apply(ems(16.0, 1))
        await until(lambda: [event for event in events if isinstance(event, SetpointAccepted)])
        assert station.allowed_a() == 16.0
        for limit, level, number, held in ((9.0, 2, 1, 9.0), (7.0, 40, 2, 7.0), (20.0, 40, 2, 16.0)):
            async with beside(csms.call(cap(limit, level, number), suppress=False)) as theirs:
                proxy.apply(ems(16.0, 2))
                assert (await soon(theirs)).status == "Accepted"
            assert station.allowed_a() <= min(limit, 16.0)
            await until(lambda held=held: station.allowed_a() == held)
        clear = call.ClearChargingProfile(
            charging_profile_criteria={"charging_profile_purpose": "ChargingStationMaxProfile"}
        )
        assert (await soon(csms.call(clear, suppress=False))).status == "Accepted"
        assert (await soon(csms.call(clear, suppress=False))).status == "Unknown"
        assert station.allowed_a() == 16.0
        assert max(station.held[-8:]) <= 16.0
        stream = json.dumps(
            [6, "s1", "NotifyPeriodicEventStream", {"id": 1, "pending": 0, "basetime": "x", "data": []}]
        )
        await socket.send(stream)
        await until(lambda: csms.streamed == [stream])
        assert {event.limit_a for event in events if isinstance(event, CsmsLimitChanged)} >= {9.0, 7.0, None}
        assert proxy.counters.desk_errors == 0
