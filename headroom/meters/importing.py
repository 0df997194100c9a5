"""A meter's past from a file: readings for history, and the hours in which nobody charged for the forecast."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
from sqlalchemy import Connection, or_, select

from domain.errors import HeadroomError
from domain.ids import MeterId
from domain.metering import MeterReading
from domain.site import Phase, Site
from headroom.meters.values import Conversion
from inventory import tables
from inventory.base_load_hours import BaseLoadHour, write_hours
from inventory.meters import MeterBook
from inventory.records import ReadingRecord
from inventory.repository import write

_BATCH = 5000
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's lines. `hours`: hours new to the forecast; `charging`: hours left out, EVs drew then."""

    readings: int
    duplicates: int
    refused: int
    first_refusal: str
    hours: int
    charging: int


def readings_of(
    frame: pd.DataFrame, columns: Mapping[str, str], meter: MeterId, conversion: Conversion
) -> Iterator[MeterReading]:
    """One reading per line. `columns`: from phase, or `total`, to the column's name."""
    for at, row in zip(frame.index, frame.to_dict("records"), strict=True):
        if "total" in columns:
            current_a = conversion.of_total(float(row[columns["total"]]))
        else:
            current_a = conversion.per_phase({Phase(p): float(row[column]) for p, column in columns.items()})
        yield MeterReading(meter, at.to_pydatetime(), current_a)


def sort_out(readings: Iterator[MeterReading], site: Site, now: datetime) -> tuple[list[MeterReading], int, int, str]:
    """Readings that can be right, once each in the order of time; how many were doubles, how many not, and why."""
    book, found = MeterBook(site, {}), dict[datetime, MeterReading]()
    duplicates, refused, first = 0, 0, ""
    for reading in readings:
        problem = book.problem(reading, now)
        if problem is not None:
            refused, first = refused + 1, first or f"{reading.at.isoformat()}: {problem}"
        elif reading.at in found:
            duplicates += 1
        else:
            found[reading.at] = reading
    return [found[at] for at in sorted(found)], duplicates, refused, first


def store(conn: Connection, site: Site, readings: Sequence[MeterReading]) -> tuple[int, int]:
    """Write readings and hours; how many hours were new, and how many were left out because an EV may have charged."""
    if not readings:
        return 0, 0
    for at in range(0, len(readings), _BATCH):
        write(conn, [ReadingRecord(reading) for reading in readings[at : at + _BATCH]])
    feeder = next((one for one in site.feeders if one.meter == readings[0].meter), None)
    if feeder is None:
        raise HeadroomError(f"meter '{readings[0].meter}' is on no feeder of {site.id}")
    busy = _charging(conn, site, [evse.id for evse in site.evses_below(feeder.id)], readings[0].at, readings[-1].at)
    by_hour: dict[datetime, list[MeterReading]] = {}
    for reading in readings:
        by_hour.setdefault(reading.at.replace(minute=0, second=0, microsecond=0), []).append(reading)
    free = {hour: some for hour, some in by_hour.items() if hour not in busy}
    rows = []
    for hour, some in free.items():
        for phase in feeder.phases:
            values = [reading.current_a[phase] for reading in some]
            rows.append(BaseLoadHour(feeder.id, phase, hour, sum(values) / len(values), max(values)))
    new = sum(write_hours(conn, site.id, rows[at : at + _BATCH]) for at in range(0, len(rows), _BATCH))
    return new // max(1, len(feeder.phases)), len(by_hour) - len(free)


def _charging(conn: Connection, site: Site, evses: Sequence[str], first: datetime, last: datetime) -> set[datetime]:
    """Hours that a session of one of these EVSEs touches: the meter then shows more than the building."""
    t = tables.sessions
    query = select(t.c.started_at, t.c.ended_at).where(
        t.c.site_id == site.id,
        t.c.evse_id.in_(evses),
        t.c.started_at <= last,
        or_(t.c.ended_at.is_(None), t.c.ended_at >= first),
    )
    found: set[datetime] = set()
    for row in conn.execute(query):
        hour = max(row.started_at, first).replace(minute=0, second=0, microsecond=0)
        until = min(row.ended_at or last, last)
        while hour <= until:
            found.add(hour)
            hour += _HOUR
    return found
