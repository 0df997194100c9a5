"""Load series from csv, csv.gz or parquet; every complaint names file, line and column."""

import re
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from domain.errors import HeadroomError
from forecasting.series import DAY_H, HourlySeries, Vector, Zeros, without_false_zeros

_WITH_ZONE = re.compile(r"(?:Z|[+-]\d\d:?\d\d)\s*$")


class SeriesFileError(HeadroomError):
    """A file of measurements that cannot be used: names file, line and field, and says what is allowed."""

    def __init__(self, file: str, line: int | None, field: str, message: str) -> None:
        self.file, self.line, self.field = file, line, field
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {field}: {message}" if field else f"{where}: {message}")


def read_series(
    file: str,
    columns: Sequence[str],
    *,
    timezone: str | None = None,
    exogenous: Sequence[str] = (),
    zeros: Zeros = "auto",
) -> HourlySeries:
    """The sum of `columns` as an hourly series; finer data is averaged over each hour.

    Times are UTC where the first column's name ends in `_utc` or they carry a zone; then, with `timezone`, hours and
    weekdays are those of that zone. Other times are the wall clock of `timezone`, whose doubled hour in autumn is told
    apart by order; without `timezone` a clock without summer time. `exogenous` are FILE:COLUMN on the same clock.

    Raises:
        SeriesFileError: naming file, line and column.
    """
    frame = _indexed(file, _zone(timezone))
    for column in columns:
        if column not in frame.columns:
            names = ", ".join(map(str, frame.columns))
            raise SeriesFileError(file, 1, column, f"is no column; there are {names}")
    load = _numbers(file, frame, columns).sum(axis=1, skipna=False)
    hourly = load.groupby(load.index.floor("h")).mean()
    span = pd.date_range(hourly.index[0], hourly.index[-1], freq="h")
    if len(span) < 2 * DAY_H:
        raise SeriesFileError(file, None, "+".join(columns), f"has {len(span)} hours, at least two days are needed")
    if len(span) > 10 * len(hourly) + 24 * 366:
        raise SeriesFileError(file, None, str(frame.index.name), "has more holes than hours: are the times right?")
    values = without_false_zeros(hourly.reindex(span).to_numpy(dtype=float), zeros)
    if not np.isfinite(values).any():
        raise SeriesFileError(file, None, "+".join(columns), "holds no number")
    wall = span.tz_convert(_zone(timezone)).tz_localize(None) if span.tz is not None else span
    outside = [_exogenous(spec, timezone, span) for spec in exogenous]
    start = span.tz_convert("UTC").tz_localize(None)[0] if span.tz is not None else span[0]
    return HourlySeries(
        name="+".join(columns),
        start=np.datetime64(start.to_datetime64(), "h"),
        load=values,
        hour=wall.hour.to_numpy(dtype=np.int64),
        weekday=wall.day_of_week.to_numpy(dtype=np.int64),
        yearday=wall.day_of_year.to_numpy(dtype=np.int64),
        exogenous=np.stack(outside, axis=1) if outside else np.empty((len(span), 0)),
    )


def read_columns(file: str, columns: Sequence[str], timezone: str | None) -> pd.DataFrame:
    """Numbers as they are, by time in UTC, sorted; lines with a number missing in any column are left out.

    Raises:
        SeriesFileError: naming file, line and column; also where the times have no zone and none is given.
    """
    frame = _indexed(file, _zone(timezone))
    if frame.index.tz is None:
        raise SeriesFileError(file, 2, str(frame.index.name), "has no zone: end the times in Z, or give --timezone")
    for column in columns:
        if column not in frame.columns:
            raise SeriesFileError(file, 1, column, f"is no column; there are {', '.join(map(str, frame.columns))}")
    return _numbers(file, frame, columns).dropna()


def _exogenous(spec: str, timezone: str | None, span: pd.DatetimeIndex) -> Vector:
    file, _, column = spec.rpartition(":")
    if not file or not column:
        raise SeriesFileError("--exogenous", None, "", f"must be FILE:COLUMN, it is '{spec}'")
    frame = _indexed(file, _zone(timezone))
    if column not in frame.columns:
        raise SeriesFileError(file, 1, column, f"is no column; there are {', '.join(map(str, frame.columns))}")
    if (frame.index.tz is None) != (span.tz is None):
        raise SeriesFileError(file, None, column, "is on another clock than the load: give --timezone")
    values = _numbers(file, frame, [column])[column]
    hourly = values.groupby(values.index.floor("h")).mean().reindex(span).ffill()
    if not hourly.notna().any():
        raise SeriesFileError(file, None, column, "has no value in the hours of the load")
    # Before its first value the variable is taken to be what it is then: those rows are at the very beginning.
    return np.asarray(hourly.bfill().to_numpy(dtype=float))


def _indexed(file: str, zone: ZoneInfo | None) -> pd.DataFrame:
    path = Path(file)
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, skip_blank_lines=False)
    except OSError as problem:
        raise SeriesFileError(file, None, "", f"cannot be read: {problem.strerror or problem}") from problem
    except (ValueError, EOFError) as problem:
        raise SeriesFileError(file, None, "", "is neither csv, csv.gz nor parquet") from problem
    if frame.empty or len(frame.columns) < 2:
        raise SeriesFileError(file, 1, "", "needs a column of times, columns of numbers and at least one row")
    if path.suffix != ".parquet" and not isinstance(frame.index, pd.RangeIndex):
        raise SeriesFileError(file, 1, "", "names fewer columns than its lines have: every number would be shifted")
    name = str(frame.columns[0])
    raw = frame.pop(name)
    if raw.dtype.kind in "iufb":
        raw = raw.astype(str)  # 20190305 is a date, and no count of nanoseconds
    moments = _moments(raw, file, name)
    if moments.isna().any():
        row = int(np.flatnonzero(moments.isna())[0])
        raise SeriesFileError(file, row + 2, name, f"must be a time such as 2019-03-05T17:00, it is '{raw.iloc[row]}'")
    index = _placed(pd.DatetimeIndex(moments), name, zone)
    frame.index = index.rename(name)
    frame = frame[frame.index.notna()]
    if frame.empty:
        raise SeriesFileError(file, None, name, "holds no time that exists in this zone")
    return frame.sort_index(kind="stable")


def _moments(raw: "pd.Series[str]", file: str, name: str) -> "pd.Series[pd.Timestamp]":
    """Times, with their zone where all of them have one: offsets differ between summer and winter."""
    form = None if raw.dtype.kind == "M" else "ISO8601"
    try:
        return pd.to_datetime(raw, errors="coerce", format=form, utc=False)
    except ValueError:
        bare = ~raw.astype(str).str.contains(_WITH_ZONE)
    if bare.any():
        row = int(np.flatnonzero(bare)[0])
        raise SeriesFileError(file, row + 2, name, f"has no zone, unlike others: '{raw.iloc[row]}'")
    return pd.to_datetime(raw, errors="coerce", format=form, utc=True)


def _placed(moments: pd.DatetimeIndex, name: str, zone: ZoneInfo | None) -> pd.DatetimeIndex:
    """On UTC where the zone is known; the second of two equal wall-clock hours is standard time."""
    if moments.tz is not None:
        return moments.tz_convert("UTC")
    if name.endswith("_utc"):
        return moments.tz_localize("UTC")
    if zone is None:
        return moments
    return moments.tz_localize(zone, ambiguous=~moments.duplicated(), nonexistent="NaT").tz_convert("UTC")


def _numbers(file: str, frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    found = {}
    for column in columns:
        values = pd.to_numeric(frame[column], errors="coerce")
        broken = values.isna() & frame[column].notna() & (frame[column].astype(str).str.strip() != "")
        if broken.any():
            row = int(np.flatnonzero(broken.to_numpy())[0])
            raise SeriesFileError(file, row + 2, column, f"must be a number, it is '{frame[column].iloc[row]}'")
        found[column] = values.astype(float)
    return pd.DataFrame(found, index=frame.index)


def _zone(timezone: str | None) -> ZoneInfo | None:
    if timezone is None:
        return None
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        raise SeriesFileError("--timezone", None, "", f"'{timezone}' is no zone; say e.g. Europe/London") from problem
