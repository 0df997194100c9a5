"""No feature looks ahead; the thesis's lags are its own; the service's row is the table's."""

from dataclasses import replace

import numpy as np
import pytest
from loads import made, measured

from forecasting.features import THESIS_LAGS, Preset, bends_of, table, target, two_days_before
from forecasting.newest import HISTORY_H, newest_rows, repaired_block


@pytest.mark.parametrize("preset", ["default", "thesis"])
@pytest.mark.parametrize("horizon_h", [1, 5, 24, 30])
def test_a_row_is_the_same_when_the_future_is_not_there_or_is_another(preset: Preset, horizon_h: int) -> None:
    series = made(900, outside=1, missing=0.08)
    bends = bends_of(series, 600)
    whole = table(series, horizon_h, preset, bends).values
    for origin in (540, 601, 655, 780):
        alone = table(series.until(origin + 1), horizon_h, preset, bends).values[-1]
        np.testing.assert_array_equal(whole[origin], alone)
    wild = series.load.copy()
    wild[700:] = 1e6
    other = table(replace(series, load=wild), horizon_h, preset, bends).values
    np.testing.assert_array_equal(whole[:700], other[:700])
    assert not np.array_equal(whole[700], other[700])


@pytest.mark.parametrize("horizon_h", [1, 24])
def test_the_thesis_looks_at_the_lags_of_its_equation(horizon_h: int) -> None:
    series = made(400)
    features = table(series, horizon_h, "thesis")
    for lag in THESIS_LAGS:
        column = features.names.index(f"load-{lag - 1}")
        assert features.values[300, column] == series.load[300 - lag + 1]
    if horizon_h == 1:
        assert series.load[301 - 48] == features.values[300, features.names.index("load-47")]
    assert two_days_before(1) == 47
    assert two_days_before(24) == 24
    assert any(name.startswith("product-") for name in features.names)


def test_calendar_and_seasonal_lags_are_those_of_the_hour_forecast() -> None:
    series = made(900)
    features = table(series, 3)
    origin = 24 * 30 + 22  # 22:00; three hours later it is 01:00 of the next day
    row = dict(zip(features.names, features.values[origin], strict=True))
    assert row["is-hour-1"] == 1.0
    assert sum(value for name, value in row.items() if name.startswith("is-hour-")) == 1.0
    assert row[f"is-weekday-{series.weekday[origin + 3]}"] == 1.0
    assert row["same-21"] == series.load[origin + 3 - 24]
    assert row["same-week-165"] == series.load[origin + 3 - 168]
    assert target(series, 3)[origin] == series.load[origin + 3]


def test_the_newest_rows_are_the_last_of_each_table() -> None:
    several = [made(800, seed=seed, missing=0.05 * seed) for seed in range(3)]
    for horizon_h in (1, 24):
        names = table(several[0], horizon_h).names
        closed, opened = repaired_block([series.load[-HISTORY_H:] for series in several])
        last = several[0]
        rows = newest_rows(
            names, closed, opened, horizon_h, int(last.hour[-1]), int(last.weekday[-1]), int(last.yearday[-1])
        )
        for row, series in zip(rows, several, strict=True):
            cut = series.load[-HISTORY_H:]
            short = replace(
                series,
                load=cut,
                hour=series.hour[-HISTORY_H:],
                weekday=series.weekday[-HISTORY_H:],
                yearday=series.yearday[-HISTORY_H:],
                exogenous=series.exogenous[-HISTORY_H:],
            )
            np.testing.assert_allclose(row, table(short, horizon_h).values[-1], rtol=1e-12, atol=1e-12)


def test_a_measured_house_gives_whole_rows_after_three_weeks() -> None:
    features = table(measured(), 24)
    assert features.usable[24 * 21 :].all()
    assert not features.usable[: 24 * 19].any()
