"""Repair without looking ahead, and reading of files."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loads import measured

from forecasting.files import SeriesFileError, read_series
from forecasting.series import repair, without_false_zeros

LOADS = st.lists(st.one_of(st.floats(0, 50), st.just(float("nan"))), min_size=4, max_size=60)


@given(LOADS, st.integers(0, 12), st.data())
def test_what_an_origin_sees_does_not_depend_on_later_hours(values: list[float], lag: int, data: st.DataObject) -> None:
    load = np.array(values)
    origin = data.draw(st.integers(0, len(load) - 1))
    whole = repair(load).lagged([lag])[origin]
    known = repair(load[: origin + 1]).lagged([lag])[origin]
    np.testing.assert_array_equal(whole, known)


def test_short_gaps_are_interpolated_once_closed_and_long_ones_imputed_from_the_week_before() -> None:
    load = np.arange(400.0) % 24
    load[[200, 201]] = np.nan
    load[300:310] = np.nan
    known = repair(load)
    assert known.closed[200:202].tolist() == pytest.approx([7 + 2 / 3 * 1.5, 10 - 1], abs=1.0)
    assert known.closed[200] == pytest.approx(load[199] + (load[202] - load[199]) / 3)
    np.testing.assert_array_equal(known.closed[300:310], load[300 - 168 : 310 - 168])


@pytest.mark.parametrize(
    ("load", "rule", "missing"),
    [
        ([30.0, 31.0, 29.0] * 50 + [0.0], "auto", 1),  # a building is never at zero: no reading
        ([0.0, 1.0, 0.0] * 50, "auto", 0),  # a flat that often is
        ([0.001, 3.0, 2.0] * 50 + [0.0], "auto", 0),  # comes close to zero: believed
        ([0.0, 1.0, 0.0] * 50, "missing", 100),
        ([30.0, 31.0, 29.0] * 50 + [0.0], "real", 0),
        ([-1.0, np.inf, np.nan, 2.0] * 40, "auto", 120),
    ],
)
def test_zeros_that_are_no_reading(load: list[float], rule: str, missing: int) -> None:
    assert int(np.isnan(without_false_zeros(np.array(load), rule)).sum()) == missing  # type: ignore[arg-type]


def test_the_excerpt_has_its_clock_change_in_order() -> None:
    series = measured()
    assert len(series) == 91 * 24 + 1  # an hour twice on 3 November 2013
    assert series.hour[:3].tolist() == [0, 1, 2]
    changed = (np.datetime64("2013-11-03T08", "h") - series.start).astype(int)
    assert series.hour[changed : changed + 3].tolist() == [1, 1, 2]
    assert np.isfinite(series.load).mean() > 0.99
    assert series.weekday[0] == 6  # 1 September 2013 was a Sunday


def _csv(folder: Path, text: str) -> str:
    file = folder / "loads.csv"
    file.write_text(text, encoding="utf-8")
    return str(file)


def _hours(count: int, value: str = "2") -> str:
    return "".join(f"2024-01-{1 + n // 24:02d}T{n % 24:02d}:00,{value}\n" for n in range(count))


@pytest.mark.parametrize(
    ("text", "columns", "zone", "said"),
    [
        ("t,kw\n" + _hours(48), ["mw"], None, "loads.csv:1: mw: is no column; there are kw"),
        ("t,kw\n" + _hours(20), ["kw"], None, "has 20 hours, at least two days"),
        ("t,kw\nsoon,1\n" + _hours(48), ["kw"], None, "loads.csv:2: t: must be a time"),
        ("t,kw\n" + _hours(48, "much"), ["kw"], None, "loads.csv:2: kw: must be a number, it is 'much'"),
        ("t,kw\n" + _hours(48, ""), ["kw"], None, "holds no number"),
        ("t,kw\n" + _hours(48), ["kw"], "Mars/North", "'Mars/North' is no zone"),
        ("t\n1\n", ["kw"], None, "needs a column of times"),
        ("t,kw\n" + _hours(48, "2,3"), ["kw"], None, "loads.csv:1: names fewer columns than its lines have"),
        ("t,kw\n" + "7,1\n" * 48, ["kw"], None, "loads.csv:2: t: must be a time"),
        ("", ["kw"], None, "is neither csv"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(
    tmp_path: Path, text: str, columns: list[str], zone: str | None, said: str
) -> None:
    with pytest.raises(SeriesFileError) as refused:
        read_series(_csv(tmp_path, text), columns, timezone=zone)
    assert said in str(refused.value)


def test_offsets_may_change_within_a_file_and_zones_may_not_be_missing_in_some_lines(tmp_path: Path) -> None:
    lines = [f"2024-03-{29 + n // 24:02d}T{n % 24:02d}:00+0{1 + (n > 49)}:00,1" for n in range(60) if n != 50]
    series = read_series(_csv(tmp_path, "t,kw\n" + "\n".join(lines) + "\n"), ["kw"], timezone="Europe/Berlin")
    assert len(series.load) == 59
    lines[5] = lines[5].replace("+01:00", "")
    with pytest.raises(SeriesFileError, match=r"loads.csv:7: t: has no zone, unlike others"):
        read_series(_csv(tmp_path, "t,kw\n" + "\n".join(lines) + "\n"), ["kw"], timezone="Europe/Berlin")


def test_quarter_hours_are_averaged_columns_summed_and_the_outside_joined_by_time(tmp_path: Path) -> None:
    rows = [f"2024-01-{1 + n // 96:02d}T{n % 96 // 4:02d}:{15 * (n % 4):02d},{n % 4},1" for n in range(96 * 3)]
    file = _csv(tmp_path, "start_utc,a,b\n" + "\n".join(rows) + "\n")
    outside = tmp_path / "temperature.csv"
    outside.write_text("start_utc,temp_c\n2024-01-01T05:00,7\n2024-01-01T09:00,9\n", encoding="utf-8")
    series = read_series(file, ["a", "b"], timezone="Europe/Berlin", exogenous=[f"{outside}:temp_c"])
    assert len(series) == 72
    np.testing.assert_allclose(series.load, 2.5)
    assert series.hour[0] == 1  # Berlin is an hour ahead in winter
    assert series.exogenous[[4, 5, 8, 9, 71], 0].tolist() == [7, 7, 7, 9, 9]
    with pytest.raises(SeriesFileError, match="must be FILE:COLUMN"):
        read_series(file, ["a"], exogenous=["temperature"])
    with pytest.raises(SeriesFileError, match="cannot be read"):
        read_series(str(tmp_path / "none.csv"), ["a"])
