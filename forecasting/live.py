"""The forecast that the control loop asks: seconds to a day ahead, on meter readings that may be poisoned."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from domain.ids import FeederId
from domain.site import Phase, PhaseAmps
from forecasting.hourly import HOUR_S, Bound, Expected, Hour, HourlyForecast
from forecasting.narx import HorizonModel
from forecasting.persistence import HORIZONS_S, Persistence
from forecasting.plausible import Plausibility, Verdict
from forecasting.series import DAY_H, WEEK_H, Matrix, Vector
from forecasting.short import HORIZONS_S as SHORT_S
from forecasting.short import ShortHorizon

_ALONE = FeederId("one")
_SHOWN = frozenset({Verdict.FINE, Verdict.TOO_HIGH, Verdict.FROZEN})
_QUANTILE = 0.95


@dataclass(frozen=True)
class Scenarios:
    """Equally likely courses of the non-EV load: `load_a` [scenario, source, hour], A; the first hour is the present.

    `sources` name the middle axis. Made of the same forecasts and errors as the bounds: what a distributionally robust
    plan takes as its samples, and its sigma from.
    """

    sources: tuple[tuple[FeederId, Phase], ...]
    load_a: Matrix

    @property
    def sigma_a(self) -> Matrix:
        """[source, hour] the standard deviation of the scenarios, A."""
        return np.asarray(self.load_a.std(axis=0))


class _PhaseForecast:
    """One phase of one feeder."""

    def __init__(self, zone: ZoneInfo, quantile: float, phase: Phase) -> None:
        self._quantile, self._phase = quantile, phase
        self._gate, self._settled = Plausibility(), Plausibility()
        self._plain = Persistence(quantile)
        self._short = ShortHorizon()
        self.hourly = HourlyForecast(zone, quantile)
        self._fine: tuple[float, float] | None = None
        self._raw: tuple[float, float] | None = None
        self._largest_a = 0.0
        self._past: deque[tuple[int, float]] = deque(maxlen=WEEK_H)
        self.verdict = Verdict.FINE

    def observe(self, at: datetime, value_a: float, *, hourly: bool = True) -> None:
        at_s = at.timestamp()
        for gate in (self._gate, self._settled):
            if not gate.trusted:
                gate.recall(self.lowest_a(at))
        self.verdict = self._gate.judge(at_s, value_a)
        if self.verdict in _SHOWN:
            self._raw = at_s, value_a
        if self.verdict is not Verdict.FINE:
            return
        self._fine = at_s, value_a
        self._largest_a = max(self._largest_a, value_a)
        self._plain.observe(_ALONE, at, {self._phase: value_a})
        self._short.observe(at_s, value_a)
        if hourly:
            self.hourly.observe(at_s, value_a)

    def learn(self, at: datetime, value_a: float) -> None:
        if self._settled.judge(at.timestamp(), value_a) is Verdict.FINE:
            self.hourly.observe(at.timestamp(), value_a)

    def restore(self, hours: Sequence[Hour]) -> None:
        self.hourly.restore(hours)
        self._largest_a = max((self._largest_a, *(one.largest_a for one in hours)))
        self._past.extend((one.hour, one.mean_a) for one in hours)

    def lowest_a(self, at: datetime) -> float:
        """The lowest mean of an hour that an earlier run wrote down in the week before; 0 where there is none."""
        since = at.timestamp() // HOUR_S - WEEK_H
        return min((mean_a for hour, mean_a in self._past if hour >= since), default=0.0)

    def upper(self, at: datetime, horizon_s: float) -> float | None:
        """Rises with the horizon, and with the time since the last plausible reading: silence never lowers it."""
        if self._fine is None:
            return None
        at_s = at.timestamp()
        silent_s = max(0.0, at_s - self._fine[0])
        reach_s = horizon_s + silent_s
        bound_a = self._fine[1]
        if self._raw is not None and at_s - self._raw[0] <= horizon_s:
            bound_a = max(bound_a, self._raw[1])
        for rung_s in SHORT_S:
            bound_a = max(bound_a, self._near(at, rung_s))
            if reach_s <= rung_s:
                return bound_a
        bound_a = max(bound_a, self._near(at, HORIZONS_S[-1]))
        bound_a = max(bound_a, self._fine[1] + self._early(1))
        # From the hour of the last plausible reading to the end of what is asked.
        first, last = int(self._fine[0] // HOUR_S), int((at_s + horizon_s) // HOUR_S)
        for hour in range(first, min(last, first + DAY_H) + 1):
            said = self.hourly.bound(hour)
            if said is not None:
                bound_a = max(bound_a, said.upper_a)
            elif hour > first + 1:
                bound_a = max(bound_a, self._largest_a, self._fine[1] + self._early(DAY_H))
        return bound_a if last <= first + DAY_H else max(bound_a, self._largest_a)

    @property
    def newest_a(self) -> float | None:
        """The newest plausible value."""
        return None if self._fine is None else self._fine[1]

    def _early(self, lead_h: int) -> float:
        """The first days' margin, while there is no forecast for the hours ahead."""
        assert self._fine is not None
        known = self.hourly.bound(int(self._fine[0] // HOUR_S) + (0 if lead_h == 1 else lead_h))
        return 0.0 if known is not None else self.hourly.first_margin_a(lead_h)

    def _near(self, at: datetime, horizon_s: float) -> float:
        learned = self._short.upper(horizon_s, self._quantile)
        if learned is not None:
            return learned
        plain = self._plain.upper(_ALONE, at, horizon_s)
        return plain[self._phase] if plain is not None else 0.0


class LiveForecast:
    """A `Forecaster` for a whole site: per feeder and phase the short horizon, the hourly one, and what is plausible.

    Without a trained model the plain forecasts answer; `install` swaps trained ones in, whole, between two calls.
    """

    def __init__(self, timezone: str = "UTC", quantile: float = _QUANTILE) -> None:
        """`timezone` of the building's wall clock; `quantile` of the bound."""
        self._zone, self._quantile = ZoneInfo(timezone), quantile
        self._phases: dict[tuple[FeederId, Phase], _PhaseForecast] = {}

    def install(self, feeder: FeederId, phase: Phase, models: Mapping[int, HorizonModel]) -> None:
        """Models by horizon in hours, trained on this phase of this feeder in A; each phase gets models of its own."""
        self._of(feeder, phase).hourly.install(models)

    def observe(self, feeder: FeederId, at: datetime, base_a: PhaseAmps, *, hourly: bool = True) -> None:
        """One more value per phase, A. What is not plausible teaches nothing; see `forecasting.plausible`.

        Without `hourly` the coming minutes alone learn from it: a better word about it follows (`learn`).
        """
        for phase, value_a in base_a.items():
            self._of(feeder, phase).observe(at, value_a, hourly=hourly)

    def learn(self, feeder: FeederId, at: datetime, base_a: PhaseAmps) -> None:
        """What hours, and so models, are made of: values per phase, A, once they have settled."""
        for phase, value_a in base_a.items():
            self._of(feeder, phase).learn(at, value_a)

    def upper(self, feeder: FeederId, at: datetime, horizon_s: float) -> PhaseAmps | None:
        """The quantile of the largest load within [at, at + horizon_s], A per phase; None where nothing is known.

        Never below the newest observation while that is younger than the horizon; never falls while readings are
        missing or implausible.
        """
        found = {
            phase: bound_a
            for (known, phase), one in self._phases.items()
            if known == feeder and (bound_a := one.upper(at, horizon_s)) is not None
        }
        return found or None

    def knows_hours(self, feeder: FeederId, at: datetime) -> bool:
        """Whether something is forecast of the present hour from hours that were measured, on every phase."""
        hour = int(at.timestamp() // HOUR_S)
        phases = [one for (known, _), one in self._phases.items() if known == feeder]
        return bool(phases) and all(one.hourly.bound(hour) is not None for one in phases)

    def restore(self, feeder: FeederId, phase: Phase, hours: Sequence[Hour]) -> None:
        """What an earlier run wrote down of a phase (`passed`), oldest first: bounds stand on it at once."""
        self._of(feeder, phase).restore(hours)

    def lowest_a(self, feeder: FeederId, phase: Phase, at: datetime) -> float:
        """The lowest mean of an hour, A, that an earlier run wrote down in the week before `at`; 0: there is none."""
        one = self._phases.get((feeder, phase))
        return 0.0 if one is None else one.lowest_a(at)

    def passed(self) -> list[tuple[FeederId, Phase, Hour]]:
        """Hours that were measured and have passed since the last call, to be written down; four weeks are kept."""
        return [(feeder, phase, hour) for (feeder, phase), one in self._phases.items() for hour in one.hourly.passed()]

    def expected(
        self, feeder: FeederId, phase: Phase, at: datetime, hours: int = DAY_H
    ) -> list[tuple[datetime, Expected]]:
        """Median and band of the coming hours, that of `at` first; hours that nothing is said of are left out."""
        one, first = self._phases.get((feeder, phase)), int(at.timestamp() // HOUR_S)
        if one is None:
            return []
        found = (one.hourly.expected(hour) for hour in range(first, first + hours))
        return [(datetime.fromtimestamp(known.hour * HOUR_S, UTC), known) for known in found if known is not None]

    def scenarios(self, at: datetime, hours: int = DAY_H, count: int = 100) -> Scenarios:
        """`count` courses of every phase that has been observed, over the hour of `at` and those after it.

        Scenarios of the hour's largest load, made of the forecasts in force and the newest errors; in the present hour
        at least the newest plausible value.
        """
        first = int(at.timestamp() // HOUR_S)
        known = {key: one for key, one in self._phases.items() if one.newest_a is not None}
        load_a = np.zeros((count, len(known), hours))
        for place, one in enumerate(known.values()):
            for ahead in range(hours):
                load_a[:, place, ahead] = one.hourly.draws(first + ahead, count)
            load_a[:, place, 0] = np.maximum(load_a[:, place, 0], one.newest_a or 0.0)
        return Scenarios(tuple(known), load_a)

    def bound(self, feeder: FeederId, phase: Phase, at: datetime) -> Bound | None:
        """What is expected of the hour that `at` lies in: forecast, bound, and by whom; None where nothing is."""
        one = self._phases.get((feeder, phase))
        return None if one is None else one.hourly.bound(int(at.timestamp() // HOUR_S))

    def samples(self, feeder: FeederId, phase: Phase, at: datetime) -> Vector:
        """Scenarios, A, of the largest load in the hour that `at` lies in; empty where nothing is forecast for it."""
        one = self._phases.get((feeder, phase))
        return np.empty(0) if one is None else one.hourly.samples(int(at.timestamp() // HOUR_S))

    def verdict(self, feeder: FeederId, phase: Phase) -> Verdict:
        """What the newest reading was taken for."""
        one = self._phases.get((feeder, phase))
        return Verdict.FINE if one is None else one.verdict

    def drifted(self, feeder: FeederId, phase: Phase) -> bool:
        """Whether that phase's trained model ought to be trained again."""
        one = self._phases.get((feeder, phase))
        return one is not None and one.hourly.drifted

    def _of(self, feeder: FeederId, phase: Phase) -> _PhaseForecast:
        key = feeder, phase
        if key not in self._phases:
            self._phases[key] = _PhaseForecast(self._zone, self._quantile, phase)
        return self._phases[key]
