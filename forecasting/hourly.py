"""Hours ahead in service: hourly means of a meter, several forecasts of each coming hour, the best one's bound.

Per phase of a feeder. Each completed hour settles what was forecast for it, teaches the trained model (its linear part
once a day, its share at once), and issues forecasts one hour and one day ahead. Who answers is decided by the last
week (`forecasting.adaptation`): the network, unless a plain rival was better. The bound is on the *largest* value
inside the hour: intervals are calibrated on it. From the first hour on the interval stands on what four homes together
were seen to do, relative to the load so far, and is replaced by the building's own errors as they come.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from math import isfinite

import numpy as np

from forecasting.adaptation import Contest, DriftDetector
from forecasting.intervals import AdaptiveInterval, Band
from forecasting.narx import Checked, HorizonModel
from forecasting.newest import HISTORY_H, newest_rows, repaired_block
from forecasting.series import DAY_H, WEEK_H, Matrix, Vector

HOUR_S = 3600
LEADS_H = (1, DAY_H)
NARX = "narx"
COVERED_SHARE = 0.25
"""An hour with plausible readings in fewer minutes than this share of the most seen in an hour counts as missing."""

_PRIOR_ERRORS = {
    1: (-1.06, -0.64, -0.19, 0.0, 0.19, 0.69, 1.16),
    DAY_H: (-1.28, -0.79, -0.25, 0.0, 0.26, 0.89, 1.54),
}
"""Errors of persistence over the mean load: 1, 5, 25, 50, 75, 95 and 99 % quantiles of 30 draws of 4 of the 12
Fontana homes (CityLearn 1.8.0), August 2016 to January 2017."""
_PRIOR_PLACES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Bound:
    """What is expected of one hour: the forecast of its mean, and the bound on its largest value, A."""

    forecast_a: float
    upper_a: float
    by: str


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour that has passed (epoch s // 3600): mean and largest value, A."""

    hour: int
    mean_a: float
    largest_a: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What the largest value of an hour is expected to be, A: median, and the band that holds 90 % of them."""

    hour: int
    median_a: float
    low_a: float
    high_a: float
    by: str


@dataclass(slots=True)
class _Pending:
    """What was said about an hour, until it has passed."""

    forecasts: dict[str, float]
    said: Bound
    band: Band
    row: Vector | None = None
    linear: float = 0.0
    correction: float = 0.0

    def forget(self, name: str) -> None:
        """What a model said that is no longer there is not held against its successor; the bound stays."""
        self.forecasts.pop(name, None)
        self.row = None


@dataclass(slots=True)
class _Lead:
    """Everything that belongs to one lead time."""

    hours: int
    contest: Contest = field(default_factory=lambda: Contest(NARX))
    drift: DriftDetector = field(default_factory=DriftDetector)
    interval: AdaptiveInterval | None = None
    pending: dict[int, _Pending] = field(default_factory=dict)
    model: HorizonModel | None = None
    lessons: list[tuple[int, Vector, float]] = field(default_factory=list)


class HourlyForecast:
    """One phase of one feeder. No clock: times are those of the readings, epoch s."""

    def __init__(self, zone: tzinfo = UTC, quantile: float = 0.95) -> None:
        """`zone` gives hours and weekdays; `quantile` is that of the bound."""
        self._zone, self._quantile = zone, quantile
        self._leads = tuple(_Lead(hours) for hours in LEADS_H)
        self._means: deque[float] = deque(maxlen=HISTORY_H)
        self._block: tuple[Matrix, Matrix] | None = None
        self._hour: int | None = None
        self._sum = self._count = 0.0
        self._largest = 0.0
        self._minutes: set[int] = set()
        self._most_minutes = 0
        self._learned_at = 0
        self._passed: deque[Hour] = deque(maxlen=HISTORY_H)

    def install(self, models: Mapping[int, HorizonModel]) -> None:
        """Swap the trained models in, by horizon in hours; others stay out. What was usual is learned again.

        Models with outside variables or of the thesis's preset are left out: the service has no weather.
        """
        for lead in self._leads:
            model = models.get(lead.hours)
            if model is not None and model.preset == "default" and not model.bends:
                lead.model, lead.contest, lead.drift = model, Contest(NARX), DriftDetector()
                lead.lessons.clear()
                for waiting in lead.pending.values():
                    waiting.forget(NARX)

    @property
    def drifted(self) -> bool:
        """Whether a trained model's errors have grown for good: time to train again."""
        return any(lead.drift.drifted for lead in self._leads)

    def observe(self, at_s: float, value_a: float) -> None:
        """One more plausible value; older than the present hour is ignored."""
        hour = int(at_s // HOUR_S)
        if self._hour is None:
            self._hour = hour
        if hour < self._hour:
            return
        while self._hour < hour:
            if hour - self._hour > HISTORY_H:
                self._means.clear()
                self._hour = hour - 1
            self._end_hour()
        self._sum += value_a
        self._count += 1.0
        self._largest = max(self._largest, value_a)
        self._minutes.add(int(at_s % HOUR_S // 60))

    def restore(self, hours: Sequence[Hour]) -> None:
        """What an earlier run wrote down, oldest first, from after the newest hour known: as if it had been observed.

        Hours that are missing in between count as missing.
        """
        for one in hours[-HISTORY_H:]:
            if self._hour is None or one.hour - self._hour > HISTORY_H:
                self._means.clear()
                self._hour = one.hour
            while self._hour < one.hour:
                self._close(np.nan, np.nan)
            if self._hour == one.hour:
                self._close(one.mean_a, one.largest_a)

    def passed(self) -> list[Hour]:
        """The hours that were measured and have passed since the last call: what a restart will want to know."""
        found = list(self._passed)
        self._passed.clear()
        return found

    def expected(self, hour: int) -> Expected | None:
        """Median and band of an hour's largest value, by the shortest lead that speaks of it; None: none does."""
        for lead in self._leads:
            waiting = lead.pending.get(hour)
            if waiting is not None and lead.interval is not None:
                said, band = waiting.said, waiting.band
                median_a = said.forecast_a + lead.interval.median(self._wall(hour).hour)
                low_a, high_a = (max(0.0, said.forecast_a + edge) for edge in (band.low, band.high))
                return Expected(hour, min(max(low_a, median_a), high_a), low_a, high_a, said.by)
        return None

    def bound(self, hour: int) -> Bound | None:
        """The bound on an hour (epoch s // 3600), by the shortest lead that speaks of it."""
        for lead in self._leads:
            waiting = lead.pending.get(hour)
            if waiting is not None:
                return waiting.said
        return None

    def samples(self, hour: int) -> Vector:
        """Scenarios of an hour's largest value, A: the bound's forecast plus the errors of the last four weeks.

        Empty while nothing is forecast for that hour. What a distributionally robust plan takes; `std()` is its sigma.
        """
        for lead in self._leads:
            waiting = lead.pending.get(hour)
            if waiting is not None and lead.interval is not None:
                errors = lead.interval.samples(self._wall(hour).hour)
                return np.maximum(0.0, waiting.said.forecast_a + errors)
        return np.empty(0)

    def draws(self, hour: int, count: int) -> Vector:
        """`count` scenarios of an hour's largest value, A, the newest errors first repeated where they are fewer.

        Equal places belong to errors of about the same time, so that phases of one building rise together. Where
        nothing is forecast for that hour: the load so far with the first days' errors.
        """
        found = self.samples(hour)
        if not found.size:
            errors = self._prior(DAY_H).errors
            found = np.maximum(0.0, (self.level_a or 0.0) + np.random.default_rng(hour).permutation(errors))
        return np.resize(found[::-1], count)

    @property
    def level_a(self) -> float | None:
        """The mean of the last day, or of what there is."""
        known = [mean for mean in list(self._means)[-DAY_H:] if isfinite(mean)]
        if known:
            return float(np.mean(known))
        return self._sum / self._count if self._count else None

    def first_margin_a(self, lead_h: int) -> float:
        """The margin above the newest value while the building has told nothing yet."""
        return _PRIOR_ERRORS[lead_h][5] * (self.level_a or 0.0)

    def _end_hour(self) -> None:
        """The present hour is over: as it was measured, if enough of it was."""
        assert self._hour is not None
        self._most_minutes = max(self._most_minutes, len(self._minutes))
        covered = self._count > 0 and len(self._minutes) >= COVERED_SHARE * self._most_minutes
        mean, largest = (self._sum / self._count, self._largest) if covered else (np.nan, np.nan)
        if covered:
            self._passed.append(Hour(self._hour, mean, largest))
        self._close(mean, largest)
        self._sum = self._count = self._largest = 0.0
        self._minutes.clear()

    def _close(self, mean: float, largest: float) -> None:
        """The present hour had this mean and this largest value; NaN: not known."""
        assert self._hour is not None
        self._means.append(mean)
        self._block = None
        if isfinite(mean):
            for lead in self._leads:
                self._settle(lead, self._hour, mean, largest)
        for lead in self._leads:
            lead.pending.pop(self._hour, None)
            self._issue(lead, self._hour)
        self._learn()
        self._hour += 1

    def _settle(self, lead: _Lead, hour: int, mean: float, largest: float) -> None:
        waiting = lead.pending.get(hour)
        if waiting is None:
            return
        clock = self._wall(hour).hour
        if lead.interval is not None:
            lead.interval.observe(clock, largest - waiting.said.forecast_a, waiting.band)
        lead.contest.observe(waiting.forecasts, mean)
        if waiting.row is not None and lead.model is not None:
            lead.drift.observe(waiting.forecasts[NARX] - mean)
            lead.model.share.learn(waiting.correction, mean - waiting.linear)
            lead.lessons.append((hour, waiting.row, mean))

    def _learn(self) -> None:
        """Once a day the linear parts take up what became known."""
        assert self._hour is not None
        if self._hour - self._learned_at < DAY_H:
            return
        passed, self._learned_at = min(self._hour - self._learned_at, DAY_H), self._hour
        for lead in self._leads:
            if lead.model is not None and lead.lessons:
                hours, rows, values = zip(*lead.lessons, strict=True)
                ages = np.array([float(self._hour - hour) for hour in hours])
                lead.model.learn(np.stack(rows), np.array(values), ages, float(passed))
                lead.lessons.clear()

    def _issue(self, lead: _Lead, hour: int) -> None:
        """Forecasts made at the end of `hour`."""
        target = hour + lead.hours
        clock = self._wall(target).hour
        forecasts = self._plain(lead.hours)
        row, linear, correction = self._by_model(lead, hour)
        if row is not None and lead.model is not None:
            whole = lead.model.combined(np.array([linear]), np.array([correction]), row[None, :])
            forecasts[NARX] = float(whole[0])
        if not forecasts:
            return
        if lead.interval is None:
            lead.interval = AdaptiveInterval(self._prior(lead.hours))
        by = lead.contest.best(forecasts)
        # One interval for whoever answers: who was best lately is a little worse from then on than it looked.
        upper = forecasts[by] + lead.interval.upper(clock, self._quantile)
        said = Bound(forecasts[by], max(forecasts[by], upper), by)
        lead.pending[target] = _Pending(forecasts, said, lead.interval.band(clock), row, linear, correction)

    def _plain(self, lead_h: int) -> dict[str, float]:
        """Persistence, the same hour of the day and week before, and the mean of that hour over the last week."""
        means = list(self._means)
        lags = {"persistence": 0, "yesterday": -lead_h % DAY_H, "week": -lead_h % WEEK_H}
        found = {name: means[-1 - lag] for name, lag in lags.items() if lag < len(means)}
        same = [means[-1 - lag] for lag in range(-lead_h % DAY_H, min(len(means), WEEK_H), DAY_H)]
        same = [value for value in same if isfinite(value)]
        if len(same) >= 3:
            found["usual"] = sum(same) / len(same)
        return {name: value for name, value in found.items() if isfinite(value)}

    def _by_model(self, lead: _Lead, hour: int) -> tuple[Vector | None, float, float]:
        if lead.model is None or len(self._means) < HISTORY_H or not isfinite(self._means[-1]):
            return None, 0.0, 0.0
        if self._block is None:
            self._block = repaired_block([np.array(self._means)])
        closed, opened = self._block
        wall = self._wall(hour)
        yearday = wall.timetuple().tm_yday
        rows = newest_rows(lead.model.names, closed, opened, lead.hours, wall.hour, wall.weekday(), yearday)
        return rows[0], float(lead.model.linear(rows)[0]), float(lead.model.correction(rows)[0])

    def _prior(self, lead_h: int) -> Checked:
        places = (np.arange(60) + 0.5) / 60
        errors = (self.level_a or 0.0) * np.interp(places, _PRIOR_PLACES, _PRIOR_ERRORS[lead_h])
        return Checked(errors, np.arange(60) % DAY_H)

    def _wall(self, hour: int) -> datetime:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)).astimezone(self._zone)
