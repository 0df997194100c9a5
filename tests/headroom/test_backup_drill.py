"""The drill: a backup under load in an outage, everything destroyed, put back elsewhere, and the building goes on."""

import asyncio
import json
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from databases import KINDS, new_database

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


def kept(spool: Path) -> int:
    with closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute("SELECT count(*) FROM entry WHERE state = 'pending'").fetchone()[0]


def destroy(folder: Path) -> None:
    """The disk with the database and the spool is gone."""
    for path in folder.glob("*.db*"):
        path.unlink()


async def headroom(*words: str) -> Any:
    """A command of ours, with its document."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headroom", *words, "--json", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, words
    return json.loads(out)


async def asked(child: ServiceChild, path: str, body: Any = None) -> Any:
    async with httpx.AsyncClient(
        trust_env=False, timeout=60, base_url=f"http://127.0.0.1:{child.api_port}/api/v1"
    ) as c:
        answer = await (c.get(path) if body is None else c.post(path, json=body))
        return answer.raise_for_status().json()


def all_linked(twin: Twin) -> bool:
    return all(charger.online for charger in twin.chargers.values())


async def sessions(child: ServiceChild) -> dict[str, str]:
    """Their transactions by their ids."""
    found = (await asked(child, "/sites/demo/sessions?limit=100"))["items"]
    return {session["id"]: session["transaction_id"] for session in found}


async def newest_decision(child: ServiceChild) -> str:
    found: str = (await asked(child, "/sites/demo/decisions?limit=1"))["items"][0]["at"]
    return found


@pytest.mark.parametrize("target", KINDS)
async def test_a_building_goes_on_from_its_backup(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FastClock.starting(SPEED, datetime(2026, 3, 3, 1, 0, tzinfo=UTC))
    site = parse_site(demo_site(CHARGERS), "demo")
    twin = Twin(site, Surroundings(clock, LoopNetwork(), validate=1.0), csms=("127.0.0.1", 0))
    await twin.csms.start()
    file, spool, backup = tmp_path / "site.yaml", tmp_path / "held.db", tmp_path / "drill.zip"
    monkeypatch.setenv("HEADROOM_SPOOL", str(spool))
    file.write_text(demo_site(CHARGERS, csms_url=twin.csms.url).replace("outage: close", "outage: hold"))
    old, log = tmp_path / "old.db", tmp_path / "service.log"
    before = f"sqlite:///{old}"
    with new_database(target, tmp_path) as after:
        first = ServiceChild(ChildOptions(file, before, str(clock), log))
        await first.start()
        ports = {"ocpp_port": first.ocpp_port, "api_port": first.api_port}
        second = ServiceChild(ChildOptions(file, after, str(clock), log, **ports))
        pusher = ReadingPusher(f"http://127.0.0.1:{first.api_port}/api/v1")
        for charger in twin.charge_points(f"ws://127.0.0.1:{first.ocpp_port}/ocpp"):
            charger.outbox.attempts = 10_000
        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(part) for part in (twin.run_chargers(), pusher.run())]
                await asyncio.wait_for(twin.connected(), 60)
                world = twin.open_world(demo_arrivals(site, clock.now(), 6), pusher.put)
                running.append(group.create_task(world.run()))
                async with asyncio.timeout(120):
                    while len(twin.csms.ledger.running()) < 3:
                        await asyncio.sleep(0.1)
                feeder = site.feeders[0].id
                limit = await asked(first, "/sites/demo/limits", {"feeder": feeder, "limit_a": 30.0, "reason": "drill"})
                token = await headroom("token", "create", "--role", "viewer", "--database", before)
                twin.csms.stop(crash=True)
                async with asyncio.timeout(120):
                    while kept(spool) < 10:
                        await asyncio.sleep(0.05)
                had = await sessions(first)
                written = await headroom("backup", "--database", before, "--out", str(backup))
                first.kill()
                destroy(tmp_path)
                restored = await headroom("restore", str(backup), "--database", after)
                waiting = kept(spool)
                await second.start()
                again, limits = await sessions(second), await asked(second, "/sites/demo/limits")
                listed = await headroom("token", "list", "--database", after)
                decided = await newest_decision(second)
                await twin.csms.start()
                async with asyncio.timeout(120):
                    while await newest_decision(second) == decided or kept(spool) >= waiting or not all_linked(twin):
                        await asyncio.sleep(0.2)
                for task in running:
                    task.cancel()
        finally:
            await first.stop()
            await second.stop()
            twin.csms.stop()
    assert restored["rows"] == written["rows"]
    assert restored["spools"] == 1
    assert waiting >= 10
    assert had.items() <= again.items()
    assert [one["id"] for one in limits["items"]] == [limit["id"]]
    assert token["id"] in {one["id"] for one in listed["tokens"]}
    report = twin.report()
    assert report["overload_seconds"] == 0
    assert report["breaker_trips"] == 0
    assert backup.stat().st_mode & 0o077 == 0
