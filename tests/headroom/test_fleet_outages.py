"""Outages in a fleet: who asks is told of each proxy's spool, whichever process answers, and though a proxy is gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from fleet_world import a_fleet

from domain.ids import SiteId
from headroom.access.roles import ANYBODY_HERE, Caller, Role
from headroom.api import outages
from headroom.api.entry import caller_of
from headroom.clock import WallClock
from headroom.fleet import outages as told
from headroom.fleet.connection import Fleet
from proxy.hold_office import HoldOffice
from proxy.protocol.held import Doubt, Entry, Kind
from proxy.settings import Counters, HoldSettings
from proxy.spool import InlineSpool

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
TENANT = Caller("token:a", "a tenant", Role.OPERATOR, "token", sites=frozenset({"cedar"}))


class Asked:
    """The service as the outages' route sees it, at a process that lets nobody in."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.clock = fleet, WallClock()

    def controller(self, site: SiteId) -> "Asked":
        assert site == "cedar"
        return self

    @property
    def site(self) -> object:
        class Site:
            chargers = tuple(type("Charger", (), {"id": name}) for name in ("CP001", "CP002"))

        return Site()

    async def spools(self) -> object:
        return await told.all_spools(self.fleet, self.clock)


def an_office(*chargers: str) -> HoldOffice:
    """A proxy's, in whose spool a message of each charger waits and a start of each is in doubt."""
    spool = InlineSpool()
    office = HoldOffice(spool, WallClock(), HoldSettings(), Counters())
    for seq, charger in enumerate(chargers, 1):
        entry = Entry(Kind.START, "StartTransaction", b"{}", charger, DAY)
        spool.do(lambda book, charger=charger, entry=entry: book.keep(charger, entry), lambda _: None)
        doubt = Doubt(charger, 1, "TAG", DAY.isoformat(), 2_000_000_001, None, 2, DAY)
        if charger == "CP002":
            spool.do(lambda book, seq=seq, doubt=doubt: book.set_aside(seq, doubt), lambda _: None)
    return office


@contextlib.asynccontextmanager
async def telling(fleet: Fleet, name: str, office: HoldOffice) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(told.keep_telling(fleet, name, lambda: office, WallClock()))
        yield
        task.cancel()


async def asked(fleet: Fleet, caller: Caller = ANYBODY_HERE) -> dict[str, object]:
    app = FastAPI()
    app.dependency_overrides[caller_of] = lambda: caller
    app.include_router(outages.router(Asked(fleet)))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        return dict((await client.get("/sites/cedar/outages")).json())


async def test_all_proxies_spools_are_told_and_of_the_site_s_chargers_alone() -> None:
    async with a_fleet() as fleet:
        one, other = an_office("CP001", "CP999"), an_office("CP001", "CP002")
        async with telling(fleet, "m1:/a.db", one), telling(fleet, "m2:/b.db", other):
            found = await _told_by(fleet, 2)
    assert found["waiting"] == {"CP001": 2}
    assert [doubt["charger"] for doubt in found["starts_in_doubt"]] == ["CP002"]  # type: ignore[attr-defined]
    assert [aside["charger"] for aside in found["set_aside"]] == ["CP002"]  # type: ignore[attr-defined]
    named = [(spool["name"], spool["answers"]) for spool in found["spools"]]  # type: ignore[attr-defined]
    assert named == [("m1:/a.db", True), ("m2:/b.db", True)]


async def test_what_lies_on_the_disk_of_a_proxy_that_is_gone_is_told_still() -> None:
    async with a_fleet() as fleet:
        for name, office in (("m1:/a.db", an_office("CP001")), ("m2:/b.db", an_office())):
            async with telling(fleet, name, office):
                await _until_told(fleet, name)
            await fleet.client.delete(fleet.keys.spool_sign(name))
        found = await asked(fleet)
    assert found["waiting"] == {"CP001": 1}
    assert [(spool["name"], spool["answers"]) for spool in found["spools"]] == [("m1:/a.db", False)]  # type: ignore[attr-defined]


async def test_a_tenant_learns_of_no_machine_and_of_no_spool_without_its_own_messages() -> None:
    async with a_fleet() as fleet:
        one, other = an_office("CP001", "CP999"), an_office("CP999")
        async with telling(fleet, "m1:/a.db", one), telling(fleet, "m2:/b.db", other):
            await _told_by(fleet, 2)
            found = await asked(fleet, TENANT)
    assert found["waiting"] == {"CP001": 1}
    assert [(spool["name"], spool["answers"]) for spool in found["spools"]] == [("", True)]  # type: ignore[attr-defined]


async def test_what_has_not_changed_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_EVERY_S", 0.05)
    async with a_fleet() as fleet:
        office = an_office("CP001")
        async with telling(fleet, "m1:/a.db", office):
            await _until_told(fleet, "m1:/a.db")
            whole = await fleet.client.hget(fleet.keys.spools, "m1:/a.db")
            before = (await asked(fleet))["spools"][0]  # type: ignore[index]
            await _rounds(fleet, 3)
            assert await fleet.client.hget(fleet.keys.spools, "m1:/a.db") == whole
            after = (await asked(fleet))["spools"][0]  # type: ignore[index]
            assert after["told_at"] > before["told_at"], "it is known to be so still"
            await fleet.client.delete(fleet.keys.spool_sign("m1:/a.db"))
            await _rounds(fleet, 2)
            assert await fleet.client.pttl(fleet.keys.spool_sign("m1:/a.db")) > 0
            entry = Entry(Kind.OTHER, "DataTransfer", b"{}", "later", DAY)
            office.spool.do(lambda book: book.keep("CP001", entry), lambda _: None)
            await _rounds(fleet, 2)
            assert (await asked(fleet))["waiting"] == {"CP001": 2}


async def test_a_redis_that_lost_it_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_EVERY_S", 0.05)
    async with a_fleet() as fleet:
        keys, office = fleet.keys, an_office("CP001")
        async with telling(fleet, "m1:/a.db", office):
            await _until_told(fleet, "m1:/a.db")
            old = [(key, await fleet.client.hgetall(key)) for key in (keys.spools, keys.spool_times)]
            await fleet.client.delete(keys.spools, keys.spool_times, keys.spool_sign("m1:/a.db"))
            await _rounds(fleet, 2)
            assert (await asked(fleet))["waiting"] == {"CP001": 1}, "restarted empty"
            entry = Entry(Kind.OTHER, "DataTransfer", b"{}", "later", DAY)
            office.spool.do(lambda book: book.keep("CP001", entry), lambda _: None)
            await _rounds(fleet, 2)
            async with fleet.client.pipeline() as pipe:
                for key, values in old:
                    pipe.hset(key, mapping=values)
                await pipe.execute()
            await _rounds(fleet, 2)
            assert (await asked(fleet))["waiting"] == {"CP001": 2}, "restarted with an older copy"


async def _rounds(fleet: Fleet, count: int) -> None:
    """So many times something was told."""
    async with asyncio.timeout(20):
        for _ in range(count):
            before = await fleet.client.hget(fleet.keys.spool_times, "m1:/a.db")
            while await fleet.client.hget(fleet.keys.spool_times, "m1:/a.db") in {before, None}:
                await asyncio.sleep(0.02)


async def _until_told(fleet: Fleet, name: str) -> None:
    async with asyncio.timeout(20):
        while not await fleet.client.hexists(fleet.keys.spools, name):
            await asyncio.sleep(0.05)


async def _told_by(fleet: Fleet, count: int) -> dict[str, object]:
    async with asyncio.timeout(20):
        while len((found := await asked(fleet))["spools"]) < count:  # type: ignore[arg-type]
            await asyncio.sleep(0.05)
    return found
