"""Kill -9 of the service under load: sessions and set-points are back, and nothing was overloaded meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from domain.metering import MeterReading
from headroom.clock import FastClock
from headroom.demo_link import ReadingPusher
from headroom.service_child import ChildOptions, ServiceChild
from headroom.twin import Surroundings, Twin
from inventory.site_file import parse_site
from proxy.network import LoopNetwork
from simulators.arrivals import demo_arrivals
from simulators.demo_site import demo_site

SPEED = 40.0
CHARGERS = 6


async def evses(child: ServiceChild) -> dict[str, dict[str, object]]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        found = (await client.get(f"http://127.0.0.1:{child.api_port}/api/v1/sites/demo/evses")).raise_for_status()
    return {evse["id"]: evse for evse in found.json()["items"]}


async def until_running(child: ServiceChild, sessions: int) -> dict[str, dict[str, object]]:
    """The EVSEs, once so many of them have a session and an accepted limit of at least the minimum."""
    async with asyncio.timeout(60):
        while True:
            try:
                found = await evses(child)
            except httpx.HTTPError:
                found = {}
            running = {
                k: e for k, e in found.items() if e["session"] and e["linked"] and float(str(e["in_force_a"])) >= 6
            }
            if len(running) >= sessions:
                return running
            await asyncio.sleep(0.1)


async def test_kill_9_and_restart_bring_sessions_and_limits_back_and_overload_nothing(tmp_path: Path) -> None:
    clock = FastClock.starting(SPEED, datetime(2026, 3, 3, 1, 0, tzinfo=UTC))
    network = LoopNetwork()
    site = parse_site(demo_site(CHARGERS), "demo")
    twin = Twin(site, Surroundings(clock, network, validate=1.0), csms=("127.0.0.1", 0))
    await twin.csms.start()
    file = tmp_path / "site.yaml"
    file.write_text(demo_site(CHARGERS, csms_url=twin.csms.url))
    child = ServiceChild(ChildOptions(file, tmp_path / "kill.db", str(clock), tmp_path / "service.log"))
    await child.start()
    pusher = ReadingPusher(f"http://127.0.0.1:{child.api_port}/api/v1")
    twin.charge_points(f"ws://127.0.0.1:{child.ocpp_port}/ocpp")
    deaths: list[int] = []
    try:
        async with asyncio.TaskGroup() as group:
            parts = [twin.run_chargers(), pusher.run(), child.keep_alive(deaths.append)]
            running = [group.create_task(part) for part in parts]
            await asyncio.wait_for(twin.connected(), 60)

            def read(reading: MeterReading) -> None:
                pusher.put(reading)

            world = twin.open_world(demo_arrivals(site, clock.now(), 6), read)
            running.append(group.create_task(world.run()))
            before = await until_running(child, sessions=3)
            child.kill()
            killed_at = clock.now()
            after = await until_running(child, sessions=3)
            assert clock.now() - killed_at < timedelta(hours=1)
            known = {e["session"]["transaction_id"] for e in before.values() if isinstance(e["session"], dict)}
            again = {e["session"]["transaction_id"] for e in after.values() if isinstance(e["session"], dict)}
            assert known & again, "the sessions of before are gone"
            # Long enough for every dead-man step to have come had the limits not been taken up again.
            await clock.sleep(site.control.deadman_s + 120)
            for task in running:
                task.cancel()
    finally:
        await child.stop()
        twin.csms.stop()
    assert deaths == [-9]
    assert child.starts == 2
    report = twin.report()
    assert report["overload_seconds"] == 0
    assert report["breaker_trips"] == 0
    assert report["frames_altered"] == 0
    assert not twin.violations
