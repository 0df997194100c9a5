"""Loads and shortfalls of a stretch of time, added up by the database: answers are small however long the stretch."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Row, case, cast, extract, func, select

from domain.ids import DecisionId, FeederId, SiteId
from domain.setpoint import Rung
from domain.site import Phase, PhaseAmps
from inventory import tables
from inventory.rows import PER_PHASE


@dataclass(frozen=True, slots=True)
class LoadStep:
    """A feeder over one step that begins at `at`; as in `inventory.load_book.FeederMinute`."""

    at: datetime
    base_a: PhaseAmps
    upper_a: PhaseAmps
    ev_a: PhaseAmps
    largest_a: PhaseAmps
    limit_a: float


@dataclass(frozen=True, slots=True)
class DecisionMark:
    """The last decision of a step. `decisions`: how many there were; `prompted`: by something that happened;
    `fell`: how many a simpler rung than the strategy answered.
    """

    id: DecisionId
    at: datetime
    trigger: str
    rung: Rung
    decisions: int
    prompted: int
    fell: int


@dataclass(frozen=True, slots=True)
class FeederUse:
    """A feeder over a stretch: mean load and highest load per phase in A, curtailed energy of its own EVSEs."""

    feeder: FeederId
    seconds: float
    mean_a: PhaseAmps
    largest_a: PhaseAmps
    curtailed_wh: float


@dataclass(frozen=True, slots=True)
class Stay:
    """A session as the figures see it."""

    energy_wh: float
    waited_s: float
    longest_wait_s: float
    curtailed_wh: float


def loads(
    conn: Connection, site: SiteId, feeder: FeederId, since: datetime, until: datetime, step_s: int
) -> list[LoadStep]:
    """A feeder's load in [since, until) in steps of `step_s` (whole minutes), oldest first; steps without data are
    left out.
    """
    t = tables.feeder_minutes
    step = _step(t.c.at, step_s)
    means = [_mean(f"{name}_{phase}_a") for name in PER_PHASE if name != "largest" for phase in "abc"]
    peaks = [func.max(t.c[f"largest_{phase}_a"]).label(f"largest_{phase}_a") for phase in "abc"]
    query = (
        select(step.label("step"), *means, *peaks, func.min(t.c.limit_a).label("limit_a"))
        .where(t.c.site_id == site, t.c.feeder_id == feeder, t.c.at >= since, t.c.at < until)
        .group_by("step")
        .order_by("step")
    )
    return [
        LoadStep(
            at=datetime.fromtimestamp(row.step * step_s, UTC),
            limit_a=row.limit_a,
            **{f"{name}_a": _phases(row, name) for name in PER_PHASE},
        )
        for row in conn.execute(query)
    ]


def decision_marks(conn: Connection, site: SiteId, since: datetime, until: datetime, step_s: int) -> list[DecisionMark]:
    """A mark for every step of [since, until) in which something was decided, oldest first."""
    t = tables.decisions
    prompted = case((t.c.trigger != "interval", 1), else_=0)
    fell = case((t.c.rung != Rung.STRATEGY.value, 1), else_=0)
    steps = (
        select(
            func.max(t.c.at).label("at"),
            func.count().label("decisions"),
            func.sum(prompted).label("prompted"),
            func.sum(fell).label("fell"),
        )
        .where(t.c.site_id == site, t.c.at >= since, t.c.at < until)
        .group_by(_step(t.c.at, step_s))
        .subquery()
    )
    query = (
        select(t.c.id, t.c.at, t.c.trigger, t.c.rung, steps.c.decisions, steps.c.prompted, steps.c.fell)
        .join(steps, (t.c.at == steps.c.at) & (t.c.site_id == site))
        .order_by(t.c.at, t.c.id)
    )
    found: dict[datetime, DecisionMark] = {}
    for row in conn.execute(query):
        counts = (int(row.decisions), int(row.prompted), int(row.fell))
        found[row.at] = DecisionMark(DecisionId(row.id), row.at, row.trigger, Rung(row.rung), *counts)
    return list(found.values())


def feeder_use(conn: Connection, site: SiteId, since: datetime, until: datetime) -> Mapping[FeederId, FeederUse]:
    """Every feeder that has been seen in [since, until)."""
    t = tables.feeder_minutes
    means = [_weighted(t.c[f"base_{phase}_a"] + t.c[f"ev_{phase}_a"]).label(f"mean_{phase}_a") for phase in "abc"]
    peaks = [func.max(t.c[f"largest_{phase}_a"]).label(f"largest_{phase}_a") for phase in "abc"]
    query = (
        select(
            t.c.feeder_id,
            func.sum(t.c.seconds).label("seconds"),
            (func.sum(t.c.curtailed_w * t.c.seconds) / 3600.0).label("curtailed_wh"),
            *means,
            *peaks,
        )
        .where(t.c.site_id == site, t.c.at >= since, t.c.at < until)
        .group_by(t.c.feeder_id)
    )
    return {
        FeederId(row.feeder_id): FeederUse(
            FeederId(row.feeder_id), row.seconds, _phases(row, "mean"), _phases(row, "largest"), row.curtailed_wh
        )
        for row in conn.execute(query)
    }


def stays(conn: Connection, site: SiteId, since: datetime, until: datetime) -> list[Stay]:
    """The sessions that began in [since, until), with what they went without."""
    s, t = tables.sessions, tables.shortfalls
    query = (
        select(
            s.c.energy_wh,
            func.coalesce(func.sum(t.c.waited_s), 0.0).label("waited_s"),
            func.coalesce(func.max(t.c.longest_wait_s), 0.0).label("longest_wait_s"),
            func.coalesce(func.sum(t.c.curtailed_wh), 0.0).label("curtailed_wh"),
        )
        .outerjoin(t, t.c.session_id == s.c.id)
        .where(s.c.site_id == site, s.c.started_at >= since, s.c.started_at < until)
        .group_by(s.c.id, s.c.energy_wh)
    )
    return [Stay(*row) for row in conn.execute(query)]


def _step(at: ColumnElement[datetime], step_s: int) -> ColumnElement[int]:
    """The number of the step since 1970: whole numbers divide downwards in SQLite and PostgreSQL alike."""
    return cast(func.floor(extract("epoch", at)), Integer) // step_s


def _weighted(value: ColumnElement[Any]) -> ColumnElement[Any]:
    seconds = tables.feeder_minutes.c.seconds
    return func.sum(value * seconds) / func.sum(seconds)


def _mean(name: str) -> ColumnElement[Any]:
    return _weighted(tables.feeder_minutes.c[name]).label(name)


def _phases(row: Row[Any], name: str) -> PhaseAmps:
    found = {phase: getattr(row, f"{name}_{phase.value.lower()}_a") for phase in Phase}
    return {phase: current_a for phase, current_a in found.items() if current_a is not None}
