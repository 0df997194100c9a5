"""A site with meters of every kind, and what its desk published."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from domain.events import FeederMetered
from domain.ids import MeterId
from domain.site import Phase, Site
from headroom.meters.desk import MeterDesk
from inventory.meters import MeterBook
from inventory.site_file import parse_site

NOW = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
M = MeterId("m-main")


class StillClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def site_with(*meters: str, phases: str = "[A, B, C]") -> Site:
    """One feeder per meter; each meter as the text of its entry."""
    ids = [meter.split(",")[0].split("id: ")[1].rstrip("}") for meter in meters]
    parents = "".join(
        f"  - {{id: f{n}, parent: main, rating_a: 100, phases: {phases}, meter: {one}, "
        "base_load_max_a: {A: 1, B: 1, C: 1}}\n"
        for n, one in enumerate(ids)
    )
    return parse_site(
        "site: s\ntimezone: UTC\ncsms: {url: 'ws://127.0.0.1:1/x'}\nelectrical: {line_to_line_v: 208}\nfeeders:\n"
        "  - {id: main, rating_a: 200}\n" + parents + "chargers: []\nmeters:\n" + "".join(f"  - {m}\n" for m in meters),
        "s",
    )


class Desk:
    """A desk whose readings are kept."""

    def __init__(self, site: Site) -> None:
        self.clock, self.book = StillClock(), MeterBook(site, {})
        self.events: list[FeederMetered] = []
        self.desk = MeterDesk(site, self.book, self.clock, self.events.append)

    def amps(self, meter: str = "m1") -> list[dict[Phase, float]]:
        return [dict(one.reading.current_a) for one in self.events if one.reading.meter == meter]


async def until(true: Callable[[], object], limit_s: float = 20.0) -> None:
    """Wait for it; the limit is for a hanging test alone."""
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.02)
