"""Tables (csv, csv.gz): charging sessions, meter history, load; which of them a file is, its header says.

- sessions: `plugin_local`, `plugout_local`, `energy_kwh`, and where there are `session_id`, `user_id`, `evse`;
- meter history: `at`, `meter`, `A`, `B`, `C`: the meter's whole current in A, EV charging included;
- load: time first, then one column per feeder (its id or its meter's, or any name for the main panel alone), non-EV
  load in kW (name ends in `_kw`, `_kwh` or neither) or in A on every phase (`_a`).
"""

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.ids import EvseId, FeederId
from domain.site import Site
from headroom.plan_series import Session, read_series, read_sessions
from headroom.replay.recording import Reading, Recording, RecordingError, Stay, metered_feeder, meters_of, phase_amps
from simulators.phasors import feeder_voltage_v

POWER_FACTOR = 0.97
_SESSION_COLUMNS = {"plugin_local", "plugout_local", "energy_kwh"}
_METER_COLUMNS = ("at", "meter", "A", "B", "C")


def read_table(file: Path, site: Site) -> Recording:
    """What a table says, by the columns that it has.

    Raises:
        RecordingError, PlanInputError: naming file, line and column.
    """
    header = _header(file)
    if set(header) >= _SESSION_COLUMNS:
        return _sessions(file, site)
    if set(header) >= set(_METER_COLUMNS):
        return _meters(file, site)
    if len(header) < 2:
        raise RecordingError(
            file, 1, "", "must have sessions (plugin_local, ...), readings (at, meter, A, B, C) or a load"
        )
    return _load(file, header, site)


def _text(file: Path) -> str:
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as problem:
        raise RecordingError(file, None, "", f"cannot be read: {problem.strerror or problem}") from problem
    except (UnicodeDecodeError, EOFError) as problem:
        raise RecordingError(file, None, "", f"cannot be read: {problem}") from problem


def _header(file: Path) -> list[str]:
    return [name.strip() for name in next(csv.reader(io.StringIO(_text(file))), [])]


def _sessions(file: Path, site: Site) -> Recording:
    zone = ZoneInfo(site.timezone)
    sessions = sorted(read_sessions(str(file)), key=lambda one: (one.plugin, one.name))
    named = _named_evses(file, site)
    homes = _homes(sessions, site, named)
    free_from: dict[EvseId, datetime] = {}
    stays, away, empty = [], 0, 0
    for one in sessions:
        begins, ends = one.plugin.replace(tzinfo=zone), one.plugout.replace(tzinfo=zone)
        if ends <= begins or one.energy_kwh <= 0.0:
            empty += 1
            continue
        places = [named[one.name]] if one.name in named else [homes[one.user], *(evse.id for evse in site.evses)]
        place = next((p for p in places if p not in free_from or free_from[p] <= begins), None)
        if place is None:
            away += 1
            continue
        free_from[place] = ends
        stays.append(Stay(place, begins.astimezone(UTC), ends.astimezone(UTC), 1000.0 * one.energy_kwh))
    notes = (
        []
        if named
        else [
            "sessions name no EVSE: each user has one, in the order of their first session; where "
            "it is taken, the first free one"
        ]
    )
    if empty:
        notes.append(f"{empty} of {len(sessions)} sessions took no energy or end before they begin, and were left out")
    if away:
        notes.append(f"{away} of {len(sessions)} sessions found every EVSE of the site taken and were left out")
    return Recording(tuple(stays), notes=tuple(notes), sources=(str(file),))


def _named_evses(file: Path, site: Site) -> dict[str, EvseId]:
    known = {str(evse.id): evse.id for evse in site.evses}
    found: dict[str, EvseId] = {}
    reader = csv.DictReader(io.StringIO(_text(file)))
    if "evse" not in (reader.fieldnames or ()):
        return found
    for row in reader:
        if row["evse"] not in known:
            raise RecordingError(file, reader.line_num, "evse", f"'{row['evse']}' is no EVSE of the site")
        found[row.get("session_id") or str(reader.line_num)] = known[row["evse"]]
    return found


def _homes(sessions: Sequence[Session], site: Site, named: dict[str, EvseId]) -> dict[str, EvseId]:
    users = dict.fromkeys(one.user for one in sessions if one.name not in named)
    return {user: site.evses[place % len(site.evses)].id for place, user in enumerate(users)}


def _meters(file: Path, site: Site) -> Recording:
    readings = []
    reader = csv.DictReader(io.StringIO(_text(file)))
    for row in reader:
        feeder = metered_feeder(site, row["meter"])
        if feeder is None:
            known = ", ".join(meters_of(site)) or "none"
            raise RecordingError(
                file, reader.line_num, "meter", f"'{row['meter']}' is no meter of the site; it has {known}"
            )
        try:
            at = datetime.fromisoformat(row["at"])
            amps = [float(row[name] or 0.0) for name in "ABC"]
        except ValueError as problem:
            raise RecordingError(file, reader.line_num, "", f"must be a time and numbers: {problem}") from problem
        at = at.replace(tzinfo=ZoneInfo(site.timezone)) if at.tzinfo is None else at
        readings.append(Reading(feeder, at.astimezone(UTC), phase_amps(amps), includes_ev=True))
    return Recording(readings=tuple(readings), sources=(str(file),))


def _load(file: Path, header: Sequence[str], site: Site) -> Recording:
    zone = ZoneInfo(site.timezone)
    columns = {name: metered_feeder(site, _bare(name)) for name in header[1:]}
    if not any(columns.values()):
        columns = {header[1]: site.root.id}
    notes: list[str] = []
    found: dict[str, int] = defaultdict(int)
    readings = []
    for column, feeder in columns.items():
        if feeder is None:
            continue
        series = read_series(f"{file}:{column}", site.timezone)
        for at, value in zip(series.at, series.values.tolist(), strict=True):
            if value != value:  # noqa: PLR0124 - NaN is not equal to itself
                found[column] += 1
                continue
            amps = _amps(site, feeder, column, max(0.0, value))
            readings.append(Reading(feeder, at.replace(tzinfo=zone).astimezone(UTC), phase_amps([amps] * 3), False))
    notes += [f"column {name}: {count} values are missing and were bridged" for name, count in found.items()]
    left_out = [name for name, feeder in columns.items() if feeder is None]
    if left_out:
        notes.append(f"columns that name no feeder were passed over: {', '.join(left_out)}")
    notes.append(f"load is spread evenly over the three phases (power factor {POWER_FACTOR} where it is in kW)")
    return Recording(readings=tuple(readings), notes=tuple(notes), sources=(str(file),))


def _bare(name: str) -> str:
    return next((name.removesuffix(unit) for unit in ("_kwh", "_kw", "_a") if name.endswith(unit)), name)


def _amps(site: Site, feeder: FeederId, column: str, value: float) -> float:
    if column.endswith("_a"):
        return value
    return 1000.0 * value / (sqrt(3.0) * feeder_voltage_v(site, feeder) * POWER_FACTOR)
