"""What a kWh costs at each step: a series of prices, one price, or Ontario's time of use where nothing is given."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from headroom.plan_series import read_series
from headroom.replay.day_grid import Grid
from headroom.replay.recording import Amps, RecordingError

OFF_PEAK, MID_PEAK, ON_PEAK = 0.076, 0.122, 0.158
"""CAD per kWh, Ontario Energy Board, from 1 November 2024, without taxes and delivery."""
ONTARIO = "Ontario time-of-use prices of November 2024 (7.6 / 12.2 / 15.8 cents per kWh), as no prices were given"


@dataclass(frozen=True)
class Prices:
    """[step] price per kWh, in what currency, and where it comes from."""

    per_kwh: Amps
    currency: str
    source: str


def prices_for(grid: Grid, spec: str | None, flat: float | None) -> Prices:
    """`spec` is FILE[:COLUMN], hourly; `flat` one price per kWh in the site's currency.

    Raises:
        RecordingError, PlanInputError: the prices cannot be read or miss every hour of the recording.
    """
    zone = ZoneInfo(grid.site.timezone)
    walls = [grid.at(step).astimezone(zone).replace(tzinfo=None) for step in range(grid.steps)]
    if flat is not None:
        return Prices(np.full(grid.steps, flat), "", f"one price of {flat:g} per kWh")
    if spec is None:
        return Prices(np.array([ontario(wall) for wall in walls]), "CAD", ONTARIO)
    series = read_series(spec, grid.site.timezone)
    known = {at: value for at, value in zip(series.at, series.values.tolist(), strict=True) if value == value}  # noqa: PLR0124
    values = [known.get(wall.replace(minute=0, second=0, microsecond=0)) for wall in walls]
    given = [value for value in values if value is not None]
    if not given:
        raise RecordingError(spec, None, "", f"has no price between {walls[0]:%Y-%m-%d} and {walls[-1]:%Y-%m-%d}")
    mean = float(np.mean(given))
    filled = np.array([mean if value is None else value for value in values])
    return Prices(filled, series.currency, f"{spec}; {len(values) - len(given)} steps without a price at the mean")


def ontario(wall: datetime) -> float:
    """The price at a wall clock: on-peak 07-11 and 17-19 in winter (November to April), 11-17 in summer; weekdays."""
    if wall.weekday() >= 5:
        return OFF_PEAK
    inner, outer = timedelta(hours=11) <= _time(wall) < timedelta(hours=17), 7 <= wall.hour < 19
    winter = wall.month in {11, 12, 1, 2, 3, 4}
    if inner:
        return MID_PEAK if winter else ON_PEAK
    return (ON_PEAK if winter else MID_PEAK) if outer else OFF_PEAK


def _time(wall: datetime) -> timedelta:
    return timedelta(hours=wall.hour, minutes=wall.minute)
