"""A building in virtual time whose CSMS limits its chargers too: live code, real relay, chargers by the book."""

import asyncio
import random
import uuid
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from domain.events import FeederMetered
from headroom import logs
from headroom.bootstrap import Outside, build
from headroom.clock import monotonic_s
from headroom.decider import InlineDecider
from headroom.service import Service
from headroom.twin import Surroundings, Twin
from inventory.repository import load_state
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators import virtual_time
from simulators.arrivals import demo_arrivals
from simulators.demo_site import demo_site
from simulators.network import MemoryNetwork

START = datetime(2026, 3, 2, 17, 0, tzinfo=ZoneInfo("America/Vancouver"))


class Watch:
    """At every second no charger's profiles allow more than its CSMS limit."""

    def __init__(self, twin: Twin, clock: virtual_time.VirtualClock) -> None:
        self.limits: dict[str, float] = {}
        self._twin, self._clock = twin, clock
        self.worst_a = 0.0
        self.looks = 0

    async def run(self) -> None:
        while True:
            await self._clock.sleep(1.0)
            for charger in self._twin.chargers.values():
                limit_a = self.limits.get(charger.identity)
                if limit_a is None:
                    continue
                for connector, evse in charger.evses.items():
                    if evse.charge is not None:
                        self.looks += 1
                        allowed_a = charger.allowed_a(connector, self._clock.now())
                        self.worst_a = max(self.worst_a, allowed_a - limit_a)


async def story(twin: Twin, service: Service, watch: Watch, clock: virtual_time.VirtualClock) -> None:
    """The CSMS limits every charger, in a place below ours, above ours, and in the place of our fall-back."""
    await clock.sleep(1200.0)
    for place, charger in enumerate(twin.chargers.values()):
        limit_a, level = (10.0, 8.0, 7.0)[place % 3], (2, 50, 0)[place % 3]
        reply = await twin.csms.limit_station(charger.identity, limit_a, level=level)
        assert (reply.kind, reply.payload["status"]) == ("result", "Accepted")
        watch.limits[charger.identity] = limit_a
    await clock.sleep(900.0)
    for charger in twin.chargers.values():
        is_16 = charger.version == "ocpp1.6"
        asked = {"connectorId": 1, "duration": 3600} if is_16 else {"evseId": 1, "duration": 3600}
        reply = await twin.csms.ask(charger.identity, "GetCompositeSchedule", asked)
        schedule = reply.payload["chargingSchedule" if is_16 else "schedule"]
        limits = [period["limit"] for period in schedule["chargingSchedulePeriod"]]
        assert max(limits) <= watch.limits[charger.identity]
        watch.limits.pop(charger.identity)
        everything = (
            {} if is_16 else {"chargingProfileCriteria": {"chargingProfilePurpose": "ChargingStationMaxProfile"}}
        )
        reply = await twin.csms.ask(charger.identity, "ClearChargingProfile", everything)
        assert reply.payload["status"] == "Accepted"
    await clock.sleep(600.0)
    assert service.proxy.counters.desk_errors == 0


async def live() -> None:
    site, source = parse_site(demo_site(6), "demo"), random.Random(7)
    clock, network = virtual_time.VirtualClock(), MemoryNetwork()
    logs.configure("error", clock)
    csms = urlsplit(site.csms.url)
    twin = Twin(site, Surroundings(clock, network, 7, validate=1.0), csms=(csms.hostname or "", csms.port or 80))
    await twin.csms.start()
    store = InlineStore()
    new_id = lambda: str(uuid.UUID(int=source.getrandbits(128), version=4))  # noqa: E731 (a name for a port)
    service = await build([site], {site.id: InlineDecider(site)}, Outside(clock, network, store, monotonic_s, new_id))
    port = await service.proxy.listen("127.0.0.1", 9000)
    twin.charge_points(f"ws://127.0.0.1:{port}/ocpp")
    arrivals = demo_arrivals(site, clock.now(), 7)
    world = twin.open_world(arrivals, lambda reading: service.bus.publish(FeederMetered(clock.now(), reading)))
    watch = Watch(twin, clock)
    async with asyncio.TaskGroup() as group:
        parts = [twin.run_chargers(), world.run(), watch.run(), *(c.run() for c in service.controllers.values())]
        running = [group.create_task(part) for part in parts]
        await story(twin, service, watch, clock)
        for task in running:
            task.cancel()
    await service.proxy.close(1.0)
    report = twin.report()
    assert watch.looks > 1000
    assert watch.worst_a <= 0.05
    assert report["overload_seconds"] == report["breaker_trips"] == 0
    assert report["frames_altered"] == report["frames_leaked"] == report["schema_violations"] == 0
    state = await store.query(lambda conn: load_state(conn, site))
    assert set(state.csms_profiles) == set(twin.chargers), "what the CSMS had set is durable"
    assert all(record.profiles == () for record in state.csms_profiles.values())


def test_chargers_hold_the_lower_of_both_while_cars_come_and_go() -> None:
    virtual_time.run(live, start=START)
