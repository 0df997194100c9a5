"""Outages in a fleet: who asks is told of each proxy's spool, whichever process answers, and though a proxy is gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
from fastapi import FastAPI
from fleet_world import a_fleet

from domain.ids import SiteId
from headroom.api import outages
from headroom.clock import WallClock
from headroom.fleet import outages as told
from headroom.fleet.connection import Fleet
from proxy.hold_office import HoldOffice
from proxy.protocol.held import Doubt, Entry, Kind
from proxy.settings import Counters, HoldSettings
from proxy.spool import InlineSpool

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


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


async def asked(fleet: Fleet) -> dict[str, object]:
    app = FastAPI()
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


async def _until_told(fleet: Fleet, name: str) -> None:
    async with asyncio.timeout(20):
        while not await fleet.client.hexists(fleet.keys.spools, name):
            await asyncio.sleep(0.05)


async def _told_by(fleet: Fleet, count: int) -> dict[str, object]:
    async with asyncio.timeout(20):
        while len((found := await asked(fleet))["spools"]) < count:  # type: ignore[arg-type]
            await asyncio.sleep(0.05)
    return found
