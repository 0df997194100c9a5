"""The plan over a site's coming hours, kept fresh beside the control loop, for the strategies that take one."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy import Connection

from domain.errors import StorageError
from domain.events import Event, SessionEnded, SessionStarted
from domain.ids import EvseId, SiteId
from domain.ports import Clock
from domain.session import Session
from domain.site import Site
from domain.snapshot import EvseView, SiteSnapshot
from ems.habits import Stay
from ems.horizon import LOOKING_AHEAD
from ems.panel import compile_panel
from ems.problem import Infeasible, Outlook, Panel
from headroom.load_outlook import load_outlook
from headroom.planner import Planner, PlanQuestion
from headroom.site_picture import SitePicture
from headroom.waiting import Bell
from inventory import queries
from inventory.store import Store

log = structlog.get_logger()

HISTORY = timedelta(days=28)
"""How far back stays tell how an EVSE is used."""

_NOT_YET_S = 60.0
"""To look again where a meter has not been heard."""

_USED_FOR = 3
"""A plan is used for so many times the interval at which it is renewed."""


class Plans(Protocol):
    """What the control loop asks of whoever looks ahead."""

    def outlook(self, now: datetime) -> Outlook | None:
        """The newest plan's word on the present; None where there is none that is young enough."""
        ...

    def look(self) -> None:
        """Look again soon: something has changed."""
        ...

    async def run(self) -> None:
        """Until cancelled or stopped; whatever fails costs the plan alone."""
        ...

    def stop(self) -> None:
        """Plan no more."""
        ...


class NoPlans:
    """Looks ahead for nobody."""

    def outlook(self, now: datetime) -> Outlook | None:  # noqa: ARG002 - as `Plans`
        """None."""
        return None

    def look(self) -> None:
        """Nothing to look at."""

    async def run(self) -> None:
        """Over at once."""

    def stop(self) -> None:
        """Nothing runs."""


class Lookahead:
    """Of one site. While its strategy takes no plan this does nothing but wait."""

    def __init__(self, picture: SitePicture, planner: Planner, store: Store, clock: Clock) -> None:
        self._picture, self._planner, self._store, self._clock = picture, planner, store, clock
        self._wake = Bell()
        self._task: asyncio.Task[object] | None = None
        self._stays: dict[tuple[EvseId, datetime], Stay] | None = None
        self._planned: tuple[datetime, Outlook] | None = None
        self._compiled: tuple[Site, Panel] | None = None

    def handle(self, event: Event) -> None:
        """A car that has come or gone is a reason to plan again."""
        if isinstance(event, SessionStarted | SessionEnded) and self._picture.concerns(event):
            views = (self._picture.view(evse.id, event.at) for evse in self._picture.site.charger(event.charger).evses)
            self._note(views, event.at)
            self._wake.ring()

    def look(self) -> None:
        """Look again soon: the strategy may be another."""
        self._wake.ring()

    def outlook(self, now: datetime) -> Outlook | None:
        """The newest plan's word on the present; None where there is none that is young enough."""
        if self._planned is None or self._picture.site.strategy not in LOOKING_AHEAD:
            return None
        at, found = self._planned
        oldest = timedelta(seconds=_USED_FOR * self._planner.pace.every_s)
        return found if timedelta(0) <= now - at <= oldest else None

    async def run(self) -> None:
        """Plan again and again, until cancelled or stopped."""
        self._task = asyncio.current_task()
        pace = self._planner.pace
        while True:
            self._wake.clear()
            if self._picture.site.strategy not in LOOKING_AHEAD:
                self._stays = self._planned = None
                await self._wake.wait()
                continue
            wait_s = pace.every_s
            try:
                if not await self._plan():
                    wait_s = _NOT_YET_S
            except Exception as error:  # whatever it was, it costs the plan alone
                log.warning("no_plan", site=self._picture.site.id, why=f"{type(error).__name__}: {error}")
            await self._clock.sleep(pace.rest_s)
            await self._wake.wait_at_most(self._clock, max(0.0, wait_s - pace.rest_s))

    def stop(self) -> None:
        """Plan no more."""
        if self._task is not None:
            self._task.cancel()

    async def _plan(self) -> bool:
        """Whether there was anything to plan on."""
        now = self._clock.now()
        snapshot = self._picture.snapshot(now)
        stays = await self._known_stays(snapshot)
        forecast = self._picture.base.live_forecast
        if forecast is None:
            return False
        site = snapshot.site
        if self._compiled is None or self._compiled[0] is not site:
            self._compiled = site, compile_panel(site)
        panel = self._compiled[1]
        hours, count = self._planner.pace.extent(len(panel.entries.row))
        load = load_outlook(site, panel, forecast, now, hours, count)
        if not load.complete:
            return False
        since = max(now - HISTORY, min((stay.started_at for stay in stays), default=now))
        answer = await self._planner.plan(PlanQuestion(snapshot, stays, since, load.load_a, load.carries))
        if isinstance(answer, Infeasible):
            log.info("no_plan", site=site.id, why=answer.why)
        elif self._picture.site == site:
            self._planned = now, answer
        return True

    async def _known_stays(self, snapshot: SiteSnapshot) -> tuple[Stay, ...]:
        """Those that the store remembers, once; since then those that were seen here."""
        oldest = snapshot.at - HISTORY
        if self._stays is None:
            try:
                found = await self._store.query(lambda conn: _stays(conn, snapshot.site.id, oldest))
            except StorageError as problem:
                log.warning("stays_not_read", site=snapshot.site.id, error=str(problem))
                found = []
            self._stays = {(stay.evse, stay.started_at): stay for stay in found}
        self._note(snapshot.evses.values(), snapshot.at)
        self._stays = {k: one for k, one in self._stays.items() if one.ended_at is None or one.ended_at > oldest}
        return tuple(self._stays.values())

    def _note(self, views: Iterable[EvseView], at: datetime) -> None:
        """What is seen at some EVSEs: a stay of theirs that is not seen any more ended at `at`."""
        if self._stays is None:
            return
        here = {view.evse: view.session for view in views}
        seen = {(one.evse, one.started_at): _stay(one) for one in here.values() if one is not None}
        for key, stay in self._stays.items():
            if stay.evse in here and stay.ended_at is None and key not in seen:
                seen[key] = replace(stay, ended_at=at)
        self._stays |= seen


def _stays(conn: Connection, site: SiteId, since: datetime) -> list[Stay]:
    found: list[Stay] = []
    cursor = None
    while True:
        page = queries.sessions(conn, site, limit=queries.MAX_PAGE, cursor=cursor)
        found += [_stay(row.session) for row in page.items if row.session.started_at >= since]
        cursor = page.next
        if cursor is None or page.items[-1].session.started_at < since:
            return found


def _stay(session: Session) -> Stay:
    return Stay(session.evse, session.started_at, session.ended_at, session.energy_wh)
