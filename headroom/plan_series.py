"""Measured series and sessions for the planning models: csv, csv.gz or parquet, time in the first column."""

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from ems.planning.horizon import Vector
from headroom.plan_fields import PlanInputError

_HOURS = 24
_PREFERRED = ("eur_per_mwh", "eur_per_kwh", "agile_gbp_per_kwh", "price_usd_per_kwh", "co2_kg_per_kwh", "co2_g_per_kwh")
_CURRENCIES = {"eur": "EUR", "gbp": "GBP", "usd": "USD", "cad": "CAD"}


@dataclass(frozen=True)
class Series:
    """An hourly series on the wall clock of its place: `at[k]` is the start of hour k, without a zone."""

    file: str
    column: str
    at: tuple[datetime, ...]
    values: Vector

    @property
    def currency(self) -> str:
        """From the column's name, EUR where it says nothing."""
        return next((sign for name, sign in _CURRENCIES.items() if name in self.column.split("_")), "EUR")

    def days(self, start_h: int = 0) -> tuple[tuple[date, ...], Vector]:
        """All whole days that begin at `start_h` o'clock: their dates, and days x 24 values.

        A day with an hour missing, twice (change of clocks) or without a number is left out.
        """
        found: dict[date, dict[int, float]] = {}
        twice: set[date] = set()
        for moment, value in zip(self.at, self.values, strict=True):
            shifted = moment - timedelta(hours=start_h)
            hours = found.setdefault(shifted.date(), {})
            if shifted.hour in hours:
                twice.add(shifted.date())
            hours[shifted.hour] = float(value)
        whole = sorted(
            day
            for day, hours in found.items()
            if len(hours) == _HOURS and day not in twice and np.isfinite(list(hours.values())).all()
        )
        return tuple(whole), np.array([[found[day][hour] for hour in range(_HOURS)] for day in whole]).reshape(
            -1, _HOURS
        )


@dataclass(frozen=True, slots=True)
class Session:
    """One real charging session on its wall clock."""

    name: str
    user: str
    plugin: datetime
    plugout: datetime
    energy_kwh: float


def bundled(name: str) -> str:
    """The path of an excerpt that the project carries (ems/planning/data/ATTRIBUTION.md)."""
    return str(resources.files("ems.planning") / "data" / name)


def read_series(spec: str, timezone: str | None = None, kind: str = "prices") -> Series:
    """Read FILE or FILE:COLUMN.

    The column's name gives its unit: `..._per_mwh` is divided by 1000, `co2_kg_...` becomes g. A first column that ends
    in `_utc`, or times with a zone, are put on the wall clock of `timezone` (UTC without one); other times are wall
    clock already.

    Raises:
        PlanInputError: naming file, line and column.
    """
    file, column = _split(spec)
    header, rows = _table(file)
    chosen = _column(file, header, column, kind)
    place, utc = header.index(chosen), header[0].endswith("_utc")
    zone = _zone(timezone)
    at, values = [], []
    for line, row in rows:
        moment = _moment(file, line, header[0], row[0])
        if moment.tzinfo is not None or utc:
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("UTC"))).astimezone(zone)
        at.append(moment.replace(tzinfo=None))
        values.append(_number(file, line, chosen, row[place], blank=np.nan))
    scale = 1e-3 if chosen.endswith("_per_mwh") else 1e3 if chosen.startswith("co2_kg") else 1.0
    return Series(file, chosen, tuple(at), np.array(values) * scale)


def read_sessions(file: str) -> tuple[Session, ...]:
    """Sessions with columns plugin_local, plugout_local, energy_kwh, and session_id and user_id where there are.

    Rows without an end are left out.

    Raises:
        PlanInputError: naming file, line and column.
    """
    header, rows = _table(file)
    for needed in ("plugin_local", "plugout_local", "energy_kwh"):
        if needed not in header:
            raise PlanInputError(file, 1, needed, f"is missing; the columns are {', '.join(header)}")
    sessions, seen = [], set[str]()
    for line, row in rows:
        cells = dict(zip(header, row, strict=True))
        if not cells["plugout_local"].strip():
            continue
        plugin = _moment(file, line, "plugin_local", cells["plugin_local"]).replace(tzinfo=None)
        plugout = _moment(file, line, "plugout_local", cells["plugout_local"]).replace(tzinfo=None)
        energy = _number(file, line, "energy_kwh", cells["energy_kwh"])
        if energy < 0:
            raise PlanInputError(file, line, "energy_kwh", f"must be 0 or more, it is {energy:g}")
        name = cells.get("session_id") or str(line)
        if name in seen:
            raise PlanInputError(file, line, "session_id", f"'{name}' is given twice")
        seen.add(name)
        sessions.append(Session(name, cells.get("user_id") or name, plugin, plugout, energy))
    if not sessions:
        raise PlanInputError(file, None, "", "holds no session with a beginning and an end")
    return tuple(sessions)


def day_of(series: Series, day: date, start_h: int) -> Vector:
    """The 24 hours from `start_h` o'clock of one date.

    Raises:
        PlanInputError: that day is not whole in the file.
    """
    dates, values = series.days(start_h)
    if day not in dates:
        span = f"whole days are there from {dates[0]} to {dates[-1]}" if dates else "it holds no whole day"
        begin = datetime.combine(day, time(start_h))
        raise PlanInputError(
            series.file, None, series.column, f"lacks the 24 hours from {begin:%Y-%m-%d %H:%M}; {span}"
        )
    return np.asarray(values[dates.index(day)])


def _split(spec: str) -> tuple[str, str | None]:
    if not Path(spec).exists() and ":" in spec:
        file, _, column = spec.rpartition(":")
        return file, column
    return spec, None


def _table(file: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and rows with the line they stand on (parquet: the row's number)."""
    path = Path(file)
    try:
        if not path.exists():
            raise PlanInputError(file, None, "", "cannot be read: No such file or directory")
        if path.suffix == ".parquet":
            return _parquet(path)
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        reader = csv.reader(io.StringIO(raw.decode("utf-8-sig")))
        header = next(reader, [])
        rows = [(reader.line_num, row) for row in reader if row]
    except OSError as problem:
        raise PlanInputError(file, None, "", f"cannot be read: {problem.strerror or problem}") from problem
    except (UnicodeDecodeError, EOFError, zlib.error, csv.Error) as problem:
        raise PlanInputError(file, None, "", "is neither csv, csv.gz nor parquet") from problem
    if len(header) < 2 and rows:
        raise PlanInputError(file, 1, "", "must have at least two columns, separated by commas: time, then values")
    for line, row in rows:
        if len(row) != len(header):
            raise PlanInputError(file, line, "", f"has {len(row)} columns, the first line names {len(header)}")
    if not rows:
        raise PlanInputError(file, 1, "", "holds no rows")
    return header, rows


def _parquet(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    import pandas as pd
    import pyarrow as pa

    try:
        frame = pd.read_parquet(path)
    except pa.ArrowInvalid as problem:
        raise PlanInputError(str(path), None, "", "is not a parquet file") from problem
    columns = [
        series.dt.strftime("%Y-%m-%dT%H:%M%z") if "datetime" in str(series.dtype) else series
        for _, series in frame.items()
    ]
    cells = [["" if pd.isna(cell) else str(cell) for cell in column] for column in columns]
    return [str(name) for name in frame.columns], [(n + 1, list(row)) for n, row in enumerate(zip(*cells, strict=True))]


def _column(file: str, header: Sequence[str], column: str | None, kind: str) -> str:
    if column is not None:
        if column not in header[1:]:
            raise PlanInputError(file, 1, column, f"is no column; there are {', '.join(header[1:])}")
        return column
    of_kind = [name for name in header[1:] if ("co2" in name) == (kind == "carbon")]
    known = [name for name in _PREFERRED if name in of_kind]
    if known or len(of_kind) == 1:
        return known[0] if known else of_kind[0]
    raise PlanInputError(file, 1, "", f"has no clear column of {kind}: say {file}:COLUMN, of {', '.join(header[1:])}")


def _moment(file: str, line: int, field: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as problem:
        raise PlanInputError(file, line, field, f"must be a time such as 2019-03-05T17:00, it is '{text}'") from problem


def _number(file: str, line: int, field: str, text: str, blank: float | None = None) -> float:
    if blank is not None and text.strip().lower() in {"", "nan"}:
        return blank
    try:
        value = float(text)
    except ValueError as problem:
        raise PlanInputError(file, line, field, f"must be a number, it is '{text}'") from problem
    if not np.isfinite(value):
        raise PlanInputError(file, line, field, f"must be a finite number, it is '{text}'")
    return value


def _zone(timezone: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError) as problem:
        raise PlanInputError("--timezone", None, "", f"'{timezone}' is no zone; say e.g. Europe/Amsterdam") from problem
