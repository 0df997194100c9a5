"""What the API asks of the past, one method for each list: newest first, in pages."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from domain.errors import UnknownIdError
from domain.ids import DecisionId, EvseId, FeederId, MeterId, SiteId
from domain.metering import EvseSample, MeterReading
from domain.rotation import RotationState
from domain.snapshot import TemporaryLimit
from headroom.control_loop import SiteController
from headroom.monthly import Month, MonthFigures, figures
from inventory import access, load_queries, queries
from inventory.access import AuditRow
from inventory.load_queries import DecisionMark, LoadStep
from inventory.queries import DecisionSummary, Page, SessionOrder, SessionRow
from inventory.records import AlarmRecord, DecisionRecord, LimitRecord, SessionRecord, SetpointEvent
from inventory.store import Store


class History:
    """Questions to the store about sites, EVSEs and meters of this service; `UnknownIdError` for any other."""

    def __init__(self, store: Store, controllers: Mapping[SiteId, SiteController]) -> None:
        self._store, self._controllers = store, controllers

    async def sessions(
        self,
        site: SiteId,
        limit: int,
        cursor: str | None,
        *,
        evse: EvseId | None = None,
        open_only: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        order: SessionOrder = "newest",
    ) -> Page[SessionRow]:
        """A site's sessions, or those of one EVSE, that still run, or that began in [since, until)."""
        self._check(site)
        return await self._store.query(
            lambda conn: queries.sessions(
                conn,
                site,
                limit=limit,
                cursor=cursor,
                evse=evse,
                open_only=open_only,
                since=since,
                until=until,
                order=order,
            ),
            (SessionRecord,),
        )

    async def session(self, site: SiteId, session: str) -> SessionRow:
        """One session of a site."""
        self._check(site)
        found = await self._store.query(lambda conn: queries.session(conn, session))
        if found is None or found.site != site:
            raise UnknownIdError("session", session)
        return found

    async def decisions(
        self, site: SiteId, limit: int, cursor: str | None, since: datetime | None = None, until: datetime | None = None
    ) -> Page[DecisionSummary]:
        """A site's decisions in [since, until) without their set-points."""
        self._check(site)
        return await self._store.query(
            lambda conn: queries.decisions(conn, site, limit=limit, cursor=cursor, since=since, until=until),
            (DecisionRecord,),
        )

    async def loads(
        self, site: SiteId, feeder: FeederId, since: datetime, until: datetime, step_s: int
    ) -> list[LoadStep]:
        """A feeder's load in [since, until), in steps; the present minute as the newest decision left it."""
        self._check(site)
        self._controllers[site].tell_loads()
        return await self._store.query(lambda conn: load_queries.loads(conn, site, feeder, since, until, step_s))

    async def decision_marks(self, site: SiteId, since: datetime, until: datetime, step_s: int) -> list[DecisionMark]:
        """The last decision of every step of [since, until)."""
        self._check(site)
        return await self._store.query(lambda conn: load_queries.decision_marks(conn, site, since, until, step_s))

    async def months(self, site: SiteId, months: Sequence[Month]) -> list[MonthFigures]:
        """The figures of each month."""
        controller = self._controllers[site]
        controller.tell_loads()
        served = controller.site

        def ask(conn: Connection) -> list[MonthFigures]:
            return [
                figures(
                    served,
                    month,
                    load_queries.feeder_use(conn, site, month.since, month.until),
                    load_queries.stays(conn, site, month.since, month.until),
                )
                for month in months
            ]

        return await self._store.query(ask)

    async def decision(self, site: SiteId, decision: DecisionId) -> DecisionRecord:
        """One decision of a site with inputs, set-points and reasons."""
        self._check(site)
        record = await self._store.query(lambda conn: queries.decision(conn, decision))
        if record is None or record.site != site:
            raise UnknownIdError("decision", decision)
        return record

    async def rotation_before(self, record: DecisionRecord) -> RotationState:
        """The turns as a decision found them: those that the decision before it left."""
        return await self._store.query(
            lambda conn: queries.rotation_before(conn, record.site, record.decision.at, record.decision.id)
        )

    async def limits(self, site: SiteId, limit: int, cursor: str | None) -> Page[TemporaryLimit]:
        """A site's temporary limits, past ones included, withdrawn ones not."""
        self._check(site)
        return await self._store.query(
            lambda conn: queries.limits(conn, site, limit=limit, cursor=cursor), (LimitRecord,)
        )

    async def alarms(self, site: SiteId, limit: int, cursor: str | None, *, standing_only: bool) -> Page[AlarmRecord]:
        """A site's alarms."""
        self._check(site)
        return await self._store.query(
            lambda conn: queries.alarms(conn, site, standing_only=standing_only, limit=limit, cursor=cursor),
            (AlarmRecord,),
        )

    async def readings(
        self, meter: MeterId, since: datetime | None, until: datetime | None, limit: int, cursor: str | None
    ) -> Page[MeterReading]:
        """A meter's readings in [since, until)."""
        return await self._store.query(
            lambda conn: queries.readings(conn, meter, since=since, until=until, limit=limit, cursor=cursor)
        )

    async def samples(self, evse: EvseId, limit: int, cursor: str | None) -> Page[EvseSample]:
        """What an EVSE drew."""
        return await self._store.query(lambda conn: queries.samples(conn, evse, limit=limit, cursor=cursor))

    async def setpoints(self, evse: EvseId, limit: int, cursor: str | None) -> Page[SetpointEvent]:
        """What became of an EVSE's limits."""
        return await self._store.query(lambda conn: queries.setpoint_events(conn, evse, limit=limit, cursor=cursor))

    async def audit(
        self, sites: frozenset[str] | None, caller: str | None, limit: int, cursor: str | None
    ) -> Page[AuditRow]:
        """Who wrote what."""
        named = None if sites is None else sorted(sites)
        return await self._store.query(
            lambda conn: access.audit(conn, sites=named, caller=caller, limit=limit, cursor=cursor), ()
        )

    def _check(self, site: SiteId) -> None:
        if site not in self._controllers:
            raise UnknownIdError("site", site)
