"""The non-EV load of every hour, per phase of a metered feeder: what forecasts are trained on and restart from.

Kept apart from the readings: those are pruned, and hold the EVSEs' current too. An hour is written once; what is there
stays, so that an import never replaces what was measured in service.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Float, Index, String, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.ids import FeederId, SiteId
from domain.site import Phase
from inventory.tables import ID, UtcDateTime, metadata

base_load_hours = Table(
    "base_load_hours",
    metadata,
    Column("site_id", ID, primary_key=True),
    Column("feeder_id", ID, primary_key=True),
    Column("phase", String(1), primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("mean_a", Float, nullable=False),
    Column("largest_a", Float, nullable=False),
    Index(None, "at"),
)


@dataclass(frozen=True, slots=True)
class BaseLoadHour:
    """The hour that begins at `at`: mean and largest non-EV load of a phase, A."""

    feeder: FeederId
    phase: Phase
    at: datetime
    mean_a: float
    largest_a: float


def write_hours(conn: Connection, site: SiteId, hours: Iterable[BaseLoadHour]) -> int:
    """Writes the hours that are not there yet; how many those were."""
    values = [
        {
            "site_id": site,
            "feeder_id": hour.feeder,
            "phase": hour.phase.value,
            "at": hour.at,
            "mean_a": hour.mean_a,
            "largest_a": hour.largest_a,
        }
        for hour in hours
    ]
    if not values:
        return 0
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    before = _count(conn, site)
    conn.execute(insert(base_load_hours).on_conflict_do_nothing(), values)
    return _count(conn, site) - before


def read_hours(
    conn: Connection, site: SiteId, since: datetime, feeder: FeederId | None = None, phase: Phase | None = None
) -> Mapping[tuple[FeederId, Phase], list[BaseLoadHour]]:
    """The hours from `since` on, oldest first, of all phases or of one feeder or phase."""
    t = base_load_hours
    query = select(t).where(t.c.site_id == site, t.c.at >= since).order_by(t.c.at)
    if feeder is not None:
        query = query.where(t.c.feeder_id == feeder)
    if phase is not None:
        query = query.where(t.c.phase == phase.value)
    found: dict[tuple[FeederId, Phase], list[BaseLoadHour]] = {}
    for row in conn.execute(query):
        hour = BaseLoadHour(FeederId(row.feeder_id), Phase(row.phase), row.at, row.mean_a, row.largest_a)
        found.setdefault((hour.feeder, hour.phase), []).append(hour)
    return found


def _count(conn: Connection, site: SiteId) -> int:
    t = base_load_hours
    return int(conn.execute(select(func.count()).select_from(t).where(t.c.site_id == site)).scalar_one())
