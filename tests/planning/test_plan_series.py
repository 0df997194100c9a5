"""Measured series and sessions: units, clocks, whole days, and complaints with their line."""

import gzip
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planning_oracles import measured

from headroom.plan_days import stays_of
from headroom.plan_fields import PlanInputError
from headroom.plan_series import Session, bundled, day_of, read_series, read_sessions

clock = datetime.fromisoformat


def write(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(file)


def hours(count: int, column: str = "eur_per_mwh", first: str = "start_utc") -> str:
    at = pd.date_range("2019-03-30", periods=count, freq="h")
    rows = (f"{moment:%Y-%m-%dT%H:%M}Z,{n}" for n, moment in enumerate(at))
    return f"{first},{column}\n" + "\n".join(rows) + "\n"


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz"])
def test_units_and_currency_come_from_the_column(tmp_path: Path, name: str) -> None:
    series = read_series(write(tmp_path, name, hours(24)))
    assert series.values == pytest.approx(np.arange(24) / 1000)
    assert series.currency == "EUR"
    carbon = read_series(write(tmp_path, name, hours(24, "co2_kg_per_kwh")), kind="carbon")
    assert carbon.values == pytest.approx(np.arange(24) * 1000.0)
    assert read_series(write(tmp_path, name, hours(24, "agile_gbp_per_kwh"))).currency == "GBP"


def test_a_change_of_clocks_leaves_its_day_out(tmp_path: Path) -> None:
    series = read_series(write(tmp_path, "p.csv", hours(96)), "Europe/Amsterdam")
    dates, days = series.days()
    # The 30th lacks its first hour, the 31st has 23: clocks go forward.
    assert dates == (date(2019, 4, 1), date(2019, 4, 2))
    assert days.shape == (2, 24)
    with pytest.raises(
        PlanInputError, match=r"lacks the 24 hours from 2019-03-31 00:00; whole days are there from 2019-04-01"
    ):
        day_of(series, date(2019, 3, 31), 0)
    assert series.days(12)[0][0] == date(2019, 3, 31)


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"start_utc": pd.date_range("2019-01-01", periods=48, freq="h"), "eur_per_mwh": np.arange(48.0)}
    )
    frame.loc[3, "eur_per_mwh"] = np.nan
    frame.to_parquet(tmp_path / "p.parquet")
    series = read_series(str(tmp_path / "p.parquet"))
    assert series.days()[0] == (date(2019, 1, 2),)
    assert series.at[5] == clock("2019-01-01T05:00")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "start_utc,eur_per_mwh\n2019-01-01T00:00,1\n2019-01-01T01:00,x\n",
            "p.csv:3: eur_per_mwh: must be a number, it is 'x'",
        ),
        ("start_utc,eur_per_mwh\nyesterday,1\n", "p.csv:2: start_utc: must be a time"),
        ("start_utc,eur_per_mwh\n2019-01-01T00:00,1,2\n", "p.csv:2: has 3 columns, the first line names 2"),
        ("start_utc,eur_per_mwh\n", "p.csv:1: holds no rows"),
        ("start_utc;eur_per_mwh\n2019-01-01T00:00;1\n", "p.csv:1: must have at least two columns"),
        ("start_utc,a,b\n2019-01-01T00:00,1,2\n", "p.csv:1: has no clear column of prices"),
        ("start_utc,eur_per_mwh\n2019-01-01T00:00,inf\n", "p.csv:2: eur_per_mwh: must be a finite number"),
    ],
)
def test_bad_series_name_their_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(PlanInputError) as found:
        read_series(write(tmp_path, "p.csv", text))
    assert says in str(found.value)


def test_a_column_may_be_named(tmp_path: Path) -> None:
    file = write(tmp_path, "p.csv", "t,a,b\n2019-01-01T00:00,1,2\n")
    assert read_series(f"{file}:b").values.tolist() == [2.0]
    with pytest.raises(PlanInputError, match="is no column; there are a, b"):
        read_series(f"{file}:c")
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(PlanInputError, match="is not a parquet file"):
        read_series(str(tmp_path / "x.parquet"))
    damaged = bytearray(gzip.compress(bytes(range(256)) * 40))
    damaged[40:80] = b"\xff" * 40
    (tmp_path / "z.csv.gz").write_bytes(damaged)
    with pytest.raises(PlanInputError, match="neither csv"):
        read_series(str(tmp_path / "z.csv.gz"))
    (tmp_path / "y.csv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(PlanInputError, match="neither csv"):
        read_series(str(tmp_path / "y.csv"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("session_id,plugin_local,energy_kwh\n1,2019-01-01T00:00,3\n", "s.csv:1: plugout_local: is missing"),
        (
            "plugin_local,plugout_local,energy_kwh\n2019-01-01T00:00,2019-01-01T05:00,-3\n",
            "s.csv:2: energy_kwh: must be 0",
        ),
        ("plugin_local,plugout_local,energy_kwh\n2019-01-01T00:00,,3\n", "s.csv: holds no session"),
        (
            "session_id,plugin_local,plugout_local,energy_kwh\n" + 2 * "7,2019-01-01T00:00,2019-01-01T05:00,3\n",
            "s.csv:3: session_id: '7' is given twice",
        ),
    ],
)
def test_bad_sessions_name_their_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(PlanInputError) as found:
        read_sessions(write(tmp_path, "s.csv", text))
    assert says in str(found.value)


def test_sessions_become_whole_slots_and_are_capped_by_name() -> None:
    begin = clock("2019-10-15T12:00")
    sessions = (
        Session("in", "u", clock("2019-10-15T17:05"), clock("2019-10-16T07:50"), 10.0),
        Session("greedy", "u", clock("2019-10-16T11:10"), clock("2019-10-16T20:00"), 30.0),
        Session("before", "u", clock("2019-10-15T11:59"), clock("2019-10-15T20:00"), 5.0),
        Session("brief", "u", clock("2019-10-15T18:00"), clock("2019-10-15T18:02"), 0.1),
    )
    found = stays_of(sessions, begin, 24, 7.4)
    named = {stay.ev: stay for stay in found.stays}
    assert set(named) == {"in", "greedy", "brief"}
    assert (named["in"].arrival, named["in"].departure) == (6, 19)
    assert (named["greedy"].arrival, named["greedy"].departure, named["greedy"].energy_kwh) == (
        23,
        24,
        pytest.approx(7.4),
    )
    assert named["brief"].departure == named["brief"].arrival + 1
    assert found.capped == ("greedy",)


def test_the_excerpts_and_the_measured_files_agree() -> None:
    whole = read_series(measured("nl_dayahead/hourly.parquet", "nl_dayahead_2019.csv.gz"), "Europe/Amsterdam")
    excerpt = read_series(bundled("nl_dayahead_2019.csv.gz"), "Europe/Amsterdam")
    assert day_of(whole, date(2019, 7, 1), 0) == pytest.approx(day_of(excerpt, date(2019, 7, 1), 0))
    carbon = read_series(bundled("gb_carbon_2019.csv.gz"), kind="carbon")
    assert 50 < carbon.values.mean() < 400
