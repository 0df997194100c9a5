"""The non-EV load of a site's feeders as it stands: which readings are believed, the estimate, and the forecast."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from domain.ids import EvseId, FeederId, MeterId
from domain.metering import MeterReading
from domain.site import NO_AMPS, Phase, PhaseAmps, Site
from domain.snapshot import FeederView, LoadSource
from ems.base_load import BaseLoadState, EvseTrack, estimate
from ems.wiring import compile_wiring
from forecasting.live import LiveForecast
from forecasting.plausible import Plausibility, Verdict
from forecasting.port import Forecaster
from inventory.live import LiveState

log = structlog.get_logger()

FORECAST_S = 60.0
"""How far ahead the base load is secured: a decision, a reading and a charger's response later."""

NO_REACH: Mapping[FeederId, float] = {}

FORECAST_HOLDS_S = 24 * 3600.0
"""A meter silent for longer than a forecast reaches counts at its fail-safe value."""

MOVED_A = 5.0
"""A meter that repeats itself to the last digit while an EVSE below it, or their sum, moves by more shows no load."""


SEEN = timedelta(seconds=10)
"""A step of an EVSE is in a meter's next reading, and in the EVSE's own sample, within this."""


@dataclass
class _Watched:
    """What one meter last showed, since when, and what the EVSEs below it drew first after that."""

    gates: Mapping[Phase, Plausibility]
    believed: MeterReading | None = None
    shown: MeterReading | None = None
    since: datetime | None = None
    first_a: dict[EvseId, float] = field(default_factory=dict)
    doubt: str | None = None


class BaseLoads:
    """One site's base loads. No clock, no I/O: `now` comes in, views go out.

    A reading that cannot be right is taken for silence: the meter goes stale, and its feeder counts at the forecast's
    upper quantile, then at its fail-safe value. So a poisoned meter never makes the base load look smaller.
    """

    def __init__(self, site: Site, live: LiveState, forecaster: Forecaster) -> None:
        self.forecaster = forecaster
        self.meters: Mapping[MeterId, FeederId] = {
            feeder.meter: feeder.id for feeder in site.feeders if feeder.meter is not None
        }
        self._site, self._live = site, live
        self._wiring = compile_wiring(site)
        self._state = BaseLoadState()
        self._taught: dict[FeederId, datetime] = {}
        self._settled: dict[FeederId, tuple[datetime, PhaseAmps]] = {}
        self._watched = {
            meter: _Watched({phase: Plausibility() for phase in site.feeder(feeder).phases})
            for meter, feeder in self.meters.items()
        }

    def estimate(
        self, tracks: Mapping[EvseId, EvseTrack], now: datetime, reach_s: Mapping[FeederId, float] = NO_REACH
    ) -> dict[FeederId, FeederView]:
        """A view of every feeder; the forecast learns from every reading once.

        `reach_s`: feeders whose load is to be secured further ahead than `FORECAST_S`, up to their design load.
        """
        readings: dict[MeterId, MeterReading] = {}
        forecasts: dict[FeederId, PhaseAmps] = {}
        for meter, feeder in self.meters.items():
            believed = self._believed(meter)
            age_s = 0.0
            if believed is not None:
                readings[meter] = believed
                age_s = max(0.0, (now - believed.at).total_seconds())
            stale = age_s > self._site.meter(meter).stale_after_s
            upper = self._upper(feeder, now, age_s if stale else 0.0, reach_s.get(feeder, 0.0))
            if upper is not None and age_s <= FORECAST_HOLDS_S:
                forecasts[feeder] = upper
        views, self._state = estimate(
            self._site, readings, tracks, self._state, now, forecasts=forecasts, wiring=self._wiring
        )
        for feeder in self.meters.values():
            self._teach(feeder, views[feeder])
        return views

    def _upper(self, feeder: FeederId, now: datetime, stale_s: float, reach_s: float) -> PhaseAmps | None:
        """The forecast's upper quantile; what it says of the time beyond `FORECAST_S` counts up to the design load.

        A meter that fell silent before the forecast knew the building's hours counts at its design load at least: what
        was seen for some minutes says little of the next ones.
        """
        near = self.forecaster.upper(feeder, now, FORECAST_S + stale_s)
        if near is None:
            return None
        design = self._site.feeder(feeder).base_load_max_a or {}
        live = self.live_forecast
        if stale_s > 0.0 and live is not None and not live.knows_hours(feeder, now):
            near = {p: max(near_a, design.get(p, 0.0)) for p, near_a in near.items()}
        if reach_s <= FORECAST_S:
            return near
        far = self.forecaster.upper(feeder, now, reach_s + stale_s) or {}
        return {p: max(near_a, min(far.get(p, 0.0), design.get(p, math.inf))) for p, near_a in near.items()}

    def _teach(self, feeder: FeederId, view: FeederView) -> None:
        """The coming minutes learn from every reading at once; the hours when all EVSEs have been sampled after it.

        Then what a car's step between two samples leaves open is settled: of what is possible, the value next to the
        one before.
        """
        live = self.live_forecast
        if view.source is LoadSource.MEASURED and view.reading_at not in (None, self._taught.get(feeder)):
            assert view.reading_at is not None
            self._taught[feeder] = view.reading_at
            if live is None:
                self.forecaster.observe(feeder, view.reading_at, view.base_likely_a)
            else:
                live.observe(feeder, view.reading_at, view.base_likely_a, hourly=False)
        state = self._state.feeders.get(feeder)
        if live is None or state is None:
            return
        for bounds in state.closed:
            at, before_a = self._settled.get(feeder, (None, NO_AMPS))
            if at is not None and bounds.at <= at:
                continue
            found = {p: min(max(before_a.get(p, high), bounds.low_a[p]), high) for p, high in bounds.high_a.items()}
            self._settled[feeder] = bounds.at, found
            live.learn(feeder, bounds.at, found)

    def doubt(self, meter: MeterId) -> str | None:
        """Why the meter's newest reading is not believed; None where it is."""
        return self._watched[meter].doubt

    @property
    def live_forecast(self) -> LiveForecast | None:
        """The whole forecast, where it is one (a recorded profile is not)."""
        return self.forecaster if isinstance(self.forecaster, LiveForecast) else None

    def _believed(self, meter: MeterId) -> MeterReading | None:
        """The newest reading that can be right."""
        watched = self._watched[meter]
        known = self._live.readings(meter)
        if not known or (watched.shown is not None and known[-1].at <= watched.shown.at):
            return watched.believed
        before, doubted = watched.shown, watched.doubt
        for reading in known:
            if before is None or reading.at > before.at:
                self._watch(watched, reading)
        if watched.doubt is not None and doubted is None:
            log.warning("meter_doubted", meter=meter, why=watched.doubt)
        return watched.believed

    def _watch(self, watched: _Watched, reading: MeterReading) -> None:
        for phase, gate in watched.gates.items():
            if not gate.trusted and self.live_forecast is not None:
                gate.recall(self.live_forecast.lowest_a(self.meters[reading.meter], phase, reading.at))
        if watched.since is None or watched.shown is None or watched.shown.current_a != reading.current_a:
            watched.since, watched.first_a = reading.at, {}
        watched.shown = reading
        verdicts = {p: gate.judge(reading.at.timestamp(), reading.current_a[p]) for p, gate in watched.gates.items()}
        low = [phase for phase, verdict in verdicts.items() if verdict is Verdict.TOO_LOW]
        moved = self._moved(watched, self.meters[reading.meter], watched.since + SEEN, reading.at - SEEN)
        watched.doubt = None
        if low:
            watched.doubt = f"phase {', '.join(low)}: {Verdict.TOO_LOW}"
        elif moved:
            watched.doubt = f"frozen: it shows the same while {', '.join(moved)} changed"
        else:
            watched.believed = reading

    def _moved(self, watched: _Watched, feeder: FeederId, since: datetime, until: datetime) -> list[EvseId]:
        """The EVSEs below that moved far, one by itself or all together, while the meter showed one and the same."""
        found, apart_a = [], dict[EvseId, float]()
        for evse in self._site.evses_below(feeder):
            for sample in self._live.samples(evse.id):
                if sample.current_a is None or not since <= sample.received_at <= until:
                    continue
                first_a = watched.first_a.setdefault(evse.id, sample.current_a)
                apart_a[evse.id] = sample.current_a - first_a
                if abs(apart_a[evse.id]) > MOVED_A and evse.id not in found:
                    found.append(evse.id)
        if not found and abs(sum(apart_a.values())) > MOVED_A:
            found = [evse for evse, moved_a in apart_a.items() if moved_a != 0.0]
        return found
