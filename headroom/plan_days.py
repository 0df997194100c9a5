"""The days that `headroom plan` works on: prices, carbon and stays, measured or drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

import numpy as np

from ems.planning.fleet import two_peak_fleet, workplace_fleet
from ems.planning.horizon import Day, Stay, Vector
from ems.planning.prices import gaussian_days, mean_profile, to_slots
from headroom.plan_fields import PlanInputError
from headroom.plan_series import Series, Session, bundled, day_of, read_series, read_sessions


class PriceMode(StrEnum):
    """Where a day's prices come from."""

    historical = "historical"
    scenario = "scenario"
    day = "day"


@dataclass(frozen=True)
class Source:
    """What the command line says about data; None means the bundled excerpt, or drawn cars."""

    prices: str | None = None
    carbon: str | None = None
    sessions: str | None = None
    timezone: str | None = None
    mode: PriceMode = PriceMode.historical
    day: date | None = None
    start_h: int = 0


class Market:
    """Prices and carbon of any day that the source allows."""

    def __init__(self, source: Source, *, with_carbon: bool = False) -> None:
        self._source = source
        self.prices = _series(source.prices, "nl_dayahead_2019.csv.gz", "Europe/Amsterdam", source.timezone, "prices")
        self.carbon: Series | None = None
        if with_carbon:
            zone = source.timezone
            self.carbon = _series(source.carbon, "gb_carbon_2019.csv.gz", "Europe/London", zone, "carbon")
        self.dates, self._days = self.prices.days(source.start_h)
        if not self.dates:
            raise PlanInputError(self.prices.file, None, self.prices.column, "holds no whole day of 24 hours")

    def draw_date(self, place: int, count: int) -> date:
        """The place-th of `count` days spread evenly over the price file; the day asked for where there is one."""
        return self._source.day or self.dates[(2 * place + 1) * len(self.dates) // (2 * count)]

    def price(self, slots: int, day: date, rng: np.random.Generator) -> Vector:
        """Price per kWh and slot; `day` counts in mode day alone, `rng` in mode scenario alone."""
        if self._source.mode == PriceMode.day:
            return to_slots(day_of(self.prices, day, self._source.start_h), slots)
        if self._source.mode == PriceMode.historical:
            return to_slots(mean_profile(self._days), slots, "lines")
        if len(self.dates) < 2:
            raise PlanInputError(
                self.prices.file, None, self.prices.column, "scenario prices need two whole days or more"
            )
        return to_slots(gaussian_days(rng, self._days, 1)[0], slots, "lines")

    def intensity(self, slots: int, day: date) -> Vector:
        """Carbon intensity in g/kWh and slot: of the day itself in mode day, else the mean shape."""
        if self.carbon is None:
            raise ValueError("this market was opened without carbon")
        if self._source.mode == PriceMode.day:
            return to_slots(day_of(self.carbon, day, self._source.start_h), slots)
        dates, values = self.carbon.days(self._source.start_h)
        if not dates:
            raise PlanInputError(self.carbon.file, None, self.carbon.column, "holds no whole day of 24 hours")
        return to_slots(mean_profile(values), slots, "lines")


@dataclass(frozen=True)
class Cars:
    """The cars of one day, and the sessions whose energy was more than their stay can give at the limit."""

    stays: tuple[Stay, ...]
    capped: tuple[str, ...] = ()


class Parking:
    """Stays of any day: drawn as the seed says, or the sessions that began in those 24 hours."""

    def __init__(self, source: Source, model: str, cars: int, limit_kw: float) -> None:
        if source.start_h and not source.sessions:
            raise PlanInputError(
                "--start-hour", None, "", "must be 0 without --sessions: drawn cars come from midnight on"
            )
        self._source, self._model, self._cars, self._limit_kw = source, model, cars, limit_kw
        self._sessions = read_sessions(source.sessions) if source.sessions else ()

    def on(self, day: date, slots: int, rng: np.random.Generator) -> Cars:
        """The stays of the 24 hours that begin at `start_h` o'clock of `day`."""
        if self._source.sessions:
            begin = datetime.combine(day, time(self._source.start_h))
            found = stays_of(self._sessions, begin, slots, self._limit_kw)
            if not found.stays:
                span = f"{self._sessions[0].plugin:%Y-%m-%d} to {self._sessions[-1].plugin:%Y-%m-%d}"
                message = f"no session begins in the 24 hours from {begin:%Y-%m-%d %H:%M}; they lie in {span}"
                raise PlanInputError(self._source.sessions, None, "plugin_local", message)
            return found
        draw = two_peak_fleet if self._model == "emission" else workplace_fleet
        return Cars(draw(rng, self._cars, slots, self._limit_kw))


def stays_of(sessions: Sequence[Session], begin: datetime, slots: int, limit_kw: float) -> Cars:
    """Sessions that begin within 24 h of `begin`, cut at the end of the horizon.

    Whole slots inside the session count (at least one). A session that took more energy than its stay can give at
    `limit_kw` is capped and named: its car charged faster, or longer than the horizon.
    """
    slot = timedelta(hours=24.0 / slots)
    stays, capped = [], []
    for session in sessions:
        if not begin <= session.plugin < begin + timedelta(hours=24) or session.plugout <= session.plugin:
            continue
        arrival = min(slots - 1, int(np.ceil((session.plugin - begin) / slot)))
        departure = int(np.clip(np.floor((session.plugout - begin) / slot), arrival + 1, slots))
        most = limit_kw * (departure - arrival) * 24.0 / slots
        if session.energy_kwh > most:
            capped.append(session.name)
        stays.append(Stay(session.name, arrival, departure, min(session.energy_kwh, most), limit_kw))
    return Cars(tuple(sorted(stays, key=lambda stay: (stay.arrival, stay.ev))), tuple(capped))


def make_day(price: Vector, capacity_kw: float) -> Day:
    """A day of 24 h with the same capacity in every slot."""
    return Day(24.0 / price.shape[0], price, np.full(price.shape[0], capacity_kw))


def _series(spec: str | None, excerpt: str, zone: str, timezone: str | None, kind: str) -> Series:
    return read_series(spec, timezone, kind) if spec else read_series(bundled(excerpt), timezone or zone, kind)
