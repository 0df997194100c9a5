"""Non-EV load through each metered feeder: what the meter says less what the EVSEs draw (ems.md sections 1 and 6.4).

A meter and the chargers speak at different times, and cars start and stop in between. So for a reading at t each draw
is an interval [low, high]: between the samples around t where one came after t; else from min(newest sample, limit in
force) to the highest that the ledger allows. With E the phasor sum of the draws on the line (seen from the base load's
own angle), |E + B| = I gives the base load's magnitude

    b = -Re E + sqrt(I^2 - (Im E)^2),

which grows with the angle between E and B: the base load's power factor is only known to be within 1 and 0.95
lagging, so the larger of the two ends is taken. Intervals go through this formula term by term: `high` from the
smallest Re E and the smallest |Im E|, `low` from the largest of each; never below 0.

A reading that every EVSE has been sampled after is *closed*: its bounds stay, and no step between samples is missing in
them. The newest reading is open: a car may have stopped since its last sample, which makes `high` too low.

- *point*: the largest point of the last sample interval, or `low` of the newest closed reading if that is more; moved
  into [low, high] of the newest reading. So an EVSE whose start is on its way is not counted twice, a stop that a
  sample tells late is not mistaken for base load that went away, and a rise that cars might explain is seen an
  interval later where they do not.
- `base_likely_a`: the largest point of the last sample interval.
- `base_high_a`: the largest of that, `high` of the newest reading, and the smallest `high` of the closed readings of
  the last two intervals. At a constant base load each of those is above it, whatever cars do once per interval.

What cannot be known: a base load that rises in the same interval by what an EVSE falls unseen shows in no reading.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from domain.ids import EvseId, FeederId, MeterId
from domain.metering import MeterReading
from domain.site import NO_AMPS, Evse, Feeder, Phase, PhaseAmps, Site
from domain.snapshot import FeederView, LoadSource
from ems.draws import LAG_S, NO_DRAW, Draw, draw_at
from ems.draws import EvseTrack as EvseTrack
from ems.wiring import LoadedLine, Wiring, compile_wiring, through_magnitudes

Line = tuple[FeederId, Phase]

FUTURE_S = 30.0
"""A stamp further ahead than this is no reading."""

_REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the largest base load, A, per phase that a reading leaves open."""

    at: datetime
    low_a: PhaseAmps
    high_a: PhaseAmps


@dataclass(frozen=True, slots=True)
class FeederState:
    """Of one metered feeder: readings not yet closed (newest last, close ones left out), closed ones, and points.

    `points` per phase: those, in A, that are or may become the largest of the window; the newest last.
    """

    pending: tuple[MeterReading, ...] = ()
    closed: tuple[Bounds, ...] = ()
    points: Mapping[Phase, tuple[tuple[datetime, float], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BaseLoadState:
    """Carried from one estimate to the next; empty at the start."""

    feeders: Mapping[FeederId, FeederState] = field(default_factory=dict)


def estimate(
    site: Site,
    readings: Mapping[MeterId, MeterReading],
    tracks: Mapping[EvseId, EvseTrack],
    state: BaseLoadState,
    now: datetime,
    forecasts: Mapping[FeederId, PhaseAmps] | None = None,
    wiring: Wiring | None = None,
) -> tuple[dict[FeederId, FeederView], BaseLoadState]:
    """A view of every feeder at `now`, and the state to carry on.

    Args:
        site: the building.
        readings: the newest reading per meter.
        tracks: every EVSE; one that is absent may draw anything up to its rating.
        state: the previous state.
        now: aware instant.
        forecasts: upper quantile of the base load per feeder, A, where there is one.
        wiring: `compile_wiring(site)`, to compute it once.

    Returns:
        Metered feeders: MEASURED where the reading is fresh; else FORECAST where there is one, else FAILSAFE with
        `base_load_max_a`, else with the feeder's whole usable rating (stale is full), and in each case at least what
        the feeders below carry. Feeders without a meter carry what the metered feeders below them carry: DEDICATED
        where that is known, else the worst source among them.
    """
    forecasts = forecasts or {}
    wired = wiring or compile_wiring(site)
    views: dict[FeederId, FeederView] = {}
    after: dict[FeederId, FeederState] = {}
    seen: dict[tuple[EvseId, datetime], Draw] = {}
    for feeder in wired.leaves_first:
        below = _below(site, feeder, views)
        forecast_a = forecasts.get(feeder.id)
        reading = _fresh(site, feeder, readings, now)
        if feeder.meter is None:
            views[feeder.id] = replace(below, forecast_a=forecast_a or NO_AMPS)
        elif reading is None:
            views[feeder.id] = _stale(feeder, forecast_a, below, readings.get(feeder.meter))
        else:
            fleet = _Fleet(wired, feeder, tracks, now, seen)
            newest = fleet.bounds(reading)
            after[feeder.id] = _advance(state.feeders.get(feeder.id, FeederState()), reading, newest, fleet)
            views[feeder.id] = _view(reading, newest, after[feeder.id], feeder, forecast_a)
    return {feeder.id: views[feeder.id] for feeder in site.feeders}, BaseLoadState(after)


def _fresh(site: Site, feeder: Feeder, readings: Mapping[MeterId, MeterReading], now: datetime) -> MeterReading | None:
    """The feeder's reading, if it is one: in time, of every phase, every value a number and not negative."""
    reading = readings.get(feeder.meter) if feeder.meter is not None else None
    if reading is None or feeder.meter is None:
        return None
    age_s = (now - reading.at).total_seconds()
    if age_s > site.meter(feeder.meter).stale_after_s or age_s < -FUTURE_S:
        return None
    values = [reading.current_a.get(phase, math.nan) for phase in feeder.phases]
    return reading if all(math.isfinite(value) and value >= 0.0 for value in values) else None


def _stale(feeder: Feeder, forecast_a: PhaseAmps | None, below: FeederView, reading: MeterReading | None) -> FeederView:
    if forecast_a:
        load_a, source = forecast_a, LoadSource.FORECAST
    elif feeder.base_load_max_a is not None:
        load_a, source = feeder.base_load_max_a, LoadSource.FAILSAFE
    else:
        load_a, source = dict.fromkeys(feeder.phases, feeder.usable_a), LoadSource.FAILSAFE
    full = {p: max(load_a.get(p, 0.0), below.base_high_a.get(p, 0.0)) for p in feeder.phases}
    at = reading.at if reading is not None else None
    return FeederView(feeder.id, full, full, full, source=source, reading_at=at)


def _below(site: Site, feeder: Feeder, views: Mapping[FeederId, FeederView]) -> FeederView:
    """What the children carry, in the feeder's own amperes: magnitudes added, the safe side of unknown angles."""
    high: dict[Phase, float] = dict.fromkeys(feeder.phases, 0.0)
    likely: dict[Phase, float] = dict(high)
    source, oldest = LoadSource.DEDICATED, None
    for child in site.children(feeder.id):
        view = views[child.id]
        for total, load_a in ((high, view.base_high_a), (likely, view.base_likely_a)):
            for phase, current_a in through_magnitudes(child, load_a).items():
                total[phase] = total.get(phase, 0.0) + current_a
        source = max(source, view.source, key=_WORSE.index)
        if view.reading_at is not None:
            oldest = min(oldest or view.reading_at, view.reading_at)
    source = LoadSource.DEDICATED if source is LoadSource.MEASURED else source
    return FeederView(feeder.id, high, likely, source=source, reading_at=oldest)


_WORSE = (LoadSource.DEDICATED, LoadSource.MEASURED, LoadSource.FORECAST, LoadSource.FAILSAFE)


@dataclass(frozen=True)
class _Fleet:
    """The EVSEs below a feeder. `seen`: draws already worked out, by EVSE and instant: feeders share them."""

    wiring: Wiring
    feeder: Feeder
    tracks: Mapping[EvseId, EvseTrack]
    now: datetime
    seen: dict[tuple[EvseId, datetime], Draw]

    @property
    def evses(self) -> tuple[Evse, ...]:
        """Every one, at any depth."""
        return self.wiring.below[self.feeder.id]

    @cached_property
    def busy(self) -> list[Evse]:
        """Those of them that may be drawing something."""
        return [evse for evse in self.evses if (track := self.tracks.get(evse.id)) is None or not track.idle]

    @cached_property
    def window(self) -> timedelta:
        """The longest sample interval below the feeder, and the clocks' lag."""
        below = (self.tracks.get(evse.id) for evse in self.evses)
        return timedelta(seconds=max((track.window_s for track in below if track is not None), default=0.0) + LAG_S)

    @cached_property
    def followed_at(self) -> datetime:
        """Until when every EVSE that is metered has been sampled, as far as clocks and delays let anybody say."""
        tracks = (self.tracks.get(evse.id) for evse in self.busy)
        sampled = [t for track in tracks if track and (t := track.metered_until(self.now))]
        return min(sampled) - timedelta(seconds=LAG_S) if sampled else self.now

    def bounds(self, reading: MeterReading) -> Bounds:
        """What a reading leaves open, by all that is known now."""
        draws = {evse.id: self._draw(evse, reading.at) for evse in self.busy}
        if not any(any(draw.high_a) for draw in draws.values()):
            own = {phase: reading.current_a[phase] for phase in self.feeder.phases}
            return Bounds(reading.at, own, own)
        low: dict[Phase, float] = {}
        high: dict[Phase, float] = {}
        for phase in self.feeder.phases:
            line = self.wiring.at.get((self.feeder.id, phase), ())
            low[phase], high[phase] = base_bounds_a(reading.current_a[phase], line, draws)
        return Bounds(reading.at, low, high)

    def _draw(self, evse: Evse, at: datetime) -> Draw:
        found = self.seen.get((evse.id, at))
        if found is None:
            volts = self.wiring.site.electrical.line_to_line_v
            found = self.seen[evse.id, at] = draw_at(evse, self.tracks.get(evse.id), volts, at, self.now)
        return found


def _advance(before: FeederState, reading: MeterReading, newest: Bounds, fleet: _Fleet) -> FeederState:
    """The state with a reading (or newer samples about it) taken up."""
    oldest = reading.at - 2.0 * fleet.window
    pending = _thinned(before.pending, reading, fleet.window / _REMEMBERED)
    done = [one for one in pending if one.at <= fleet.followed_at]
    closed = [one for one in before.closed if oldest <= one.at and all(one.at != other.at for other in done)]
    closed += [fleet.bounds(one) for one in done if one.at >= oldest]
    points: dict[Phase, tuple[tuple[datetime, float], ...]] = {}
    since = fleet.now - fleet.window
    for phase in fleet.feeder.phases:
        known = before.points.get(phase, ())
        recent = tuple((at, a) for at, a in known if at >= since) or known[-1:]
        floor_a = closed[-1].low_a[phase] if closed else 0.0
        likely_a = max(recent[0][1], floor_a) if recent else newest.high_a[phase]
        point_a = min(max(likely_a, newest.low_a[phase]), newest.high_a[phase])
        points[phase] = (*((at, a) for at, a in recent if at >= since and a > point_a), (fleet.now, point_a))
    waiting = tuple(one for one in pending if one.at > fleet.followed_at and one.at >= oldest)
    return FeederState(waiting or (reading,), tuple(closed), points)


def _thinned(pending: tuple[MeterReading, ...], reading: MeterReading, apart: timedelta) -> tuple[MeterReading, ...]:
    """With the newest reading; of those closer together than `apart` the newest stays."""
    if pending and pending[-1].at >= reading.at:
        return pending
    if len(pending) > 1 and reading.at - pending[-2].at < apart:
        pending = pending[:-1]
    return (*pending, reading)


def _view(
    reading: MeterReading, newest: Bounds, state: FeederState, feeder: Feeder, forecast_a: PhaseAmps | None
) -> FeederView:
    likely = {phase: points[0][1] for phase, points in state.points.items()}
    high = {
        phase: max(
            likely[phase],
            newest.high_a[phase],
            min((one.high_a[phase] for one in state.closed), default=0.0),
        )
        for phase in likely
    }
    return FeederView(
        feeder.id,
        base_high_a=high,
        base_likely_a=likely,
        forecast_a=forecast_a or NO_AMPS,
        metered_a=reading.current_a,
        source=LoadSource.MEASURED,
        reading_at=reading.at,
    )


def base_bounds_a(total_a: float, lines: Sequence[LoadedLine], draws: Mapping[EvseId, Draw]) -> tuple[float, float]:
    """Smallest and largest base load, A, that with the draws (absent: none) gives a line current of `total_a`.

    `lines`: the line once per vector group of the transformers; each is tried, and each end of the power factor.
    Both ends take the larger over the power factor's range.
    """
    if not lines:
        return total_a, total_a
    lows: list[float] = []
    highs: list[float] = []
    for line in lines:
        drawn = [(draws.get(pull.evse, NO_DRAW), pull.draw) for pull in line.pulls]
        ends: list[tuple[float, float]] = []
        # The base load lags by each angle: the EVSEs lead it by that much.
        for re_low, re_high, im_low, im_high in line.bounds_a(
            [draw.low_a[n] for draw, n in drawn], [draw.high_a[n] for draw, n in drawn]
        ):
            furthest = max(abs(im_low), abs(im_high))
            nearest = 0.0 if im_low <= 0.0 <= im_high else min(abs(im_low), abs(im_high))
            ends.append((_base_a(total_a, re_high, furthest), _base_a(total_a, re_low, nearest)))
        lows.append(max(low for low, _ in ends))
        highs.append(max(high for _, high in ends))
    return min(*lows, *highs), max(highs)


def _base_a(total_a: float, re_a: float, im_a: float) -> float:
    return max(0.0, math.sqrt(max(0.0, total_a**2 - im_a**2)) - re_a)
