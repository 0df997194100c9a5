"""What is remembered of loads: each decision's picture holds until the next, and is written by the minute."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.ids import EvseId, FeederId, SiteId
from domain.setpoint import Decision, ReasonKind, Setpoint
from domain.site import Evse, Phase, PhaseAmps, Site
from domain.snapshot import EvseView, FeederView, LoadSource, SiteSnapshot
from ems.capacity_gain import volt_amperes
from ems.wiring import compile_wiring
from inventory.load_book import FeederMinute, Shortfall
from inventory.records import session_id

MINUTE = timedelta(minutes=1)
_LONGEST_GAP = timedelta(minutes=5)
"""A picture is not believed for longer than this: the service stood still."""

TOLD_EVERY = timedelta(seconds=10)
"""The present minute, and what sessions go without, is told no more often: a large garage decides twice a second."""

_WANTS_NO_MORE = frozenset(
    {
        ReasonKind.GRANTED,
        ReasonKind.CAR_LIMIT,
        ReasonKind.CSMS_LIMIT,
        ReasonKind.CAR_FULL,
        ReasonKind.NO_SESSION,
        ReasonKind.NO_LINK,
        ReasonKind.WIRING_TEST,
    }
)
"""Reasons for a limit that are not the building's."""


@dataclass(frozen=True, slots=True)
class _Load:
    """A feeder as a decision found it and left it."""

    base_a: PhaseAmps
    upper_a: PhaseAmps
    ev_a: PhaseAmps
    limit_a: float
    curtailed_w: float
    waiting: float


@dataclass(frozen=True, slots=True)
class _Want:
    """A session as a decision left it: what it could have taken beyond its limit, and whether it waits at 0 A."""

    session: str
    curtailed_w: float
    waits: bool


@dataclass
class _Minute:
    """What has been seen of a feeder in the present minute."""

    seconds: float = 0.0
    sums: dict[str, dict[Phase, float]] = field(default_factory=dict)
    largest_a: dict[Phase, float] = field(default_factory=dict)
    limit_a: float = float("inf")
    curtailed_ws: float = 0.0
    waiting_s: float = 0.0

    def add(self, load: _Load, seconds: float) -> "_Minute":
        """A load that stood for so long."""
        self.seconds += seconds
        for name, amps in (("base_a", load.base_a), ("upper_a", load.upper_a), ("ev_a", load.ev_a)):
            summed = self.sums.setdefault(name, {})
            for phase, current_a in amps.items():
                summed[phase] = summed.get(phase, 0.0) + current_a * seconds
        self.curtailed_ws += load.curtailed_w * seconds
        self.waiting_s += load.waiting * seconds
        return self.touch(load)

    def touch(self, load: _Load) -> "_Minute":
        """A load that stands now, for however long."""
        for phase, base_a in load.base_a.items():
            self.largest_a[phase] = max(self.largest_a.get(phase, 0.0), base_a + load.ev_a[phase])
        self.limit_a = min(self.limit_a, load.limit_a)
        return self

    def record(self, site: SiteId, feeder: FeederId, at: datetime) -> FeederMinute:
        """As it is kept."""
        means = {name: {phase: one / self.seconds for phase, one in amps.items()} for name, amps in self.sums.items()}
        return FeederMinute(
            site=site,
            feeder=feeder,
            at=at,
            seconds=self.seconds,
            **means,
            largest_a=dict(self.largest_a),
            limit_a=self.limit_a,
            curtailed_w=self.curtailed_ws / self.seconds,
            waiting=self.waiting_s / self.seconds,
        )


@dataclass
class _Lack:
    """What a session went without until now."""

    since: datetime
    waited_s: float = 0.0
    longest_wait_s: float = 0.0
    waits_s: float = 0.0
    curtailed_wh: float = 0.0


class LoadMinutes:
    """Turns decisions into minutes of feeders and shortfalls of sessions. No clock, no I/O: records go out."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._evses: Mapping[EvseId, Evse] = {evse.id: evse for evse in site.evses}
        self._volts = {evse.id: volt_amperes(site, evse) for evse in site.evses}
        self._phasor = site.electrical.model == "phasor"
        self._wiring = compile_wiring(site)
        self._at: datetime | None = None
        self._loads: Mapping[FeederId, _Load] = {}
        self._wants: tuple[_Want, ...] = ()
        self._minute: datetime | None = None
        self._minutes: dict[FeederId, _Minute] = {}
        self._lacks: dict[str, _Lack] = {}
        self._changed: dict[str, None] = {}
        self._told_at: datetime | None = None

    def decided(self, snapshot: SiteSnapshot, decision: Decision) -> tuple[FeederMinute | Shortfall, ...]:
        """Take up a decision; returns the minutes that ended before it and, every `TOLD_EVERY`, the present one and
        changed shortfalls; those of sessions that are over at once.
        """
        now = snapshot.at
        records: tuple[FeederMinute | Shortfall, ...] = tuple(self._pass_time(now))
        lacking_w = {point.evse: self._curtailed_w(snapshot.evses[point.evse], point) for point in decision.setpoints}
        self._at, self._wants = now, tuple(self._wanted(snapshot, decision, lacking_w))
        self._loads = self._seen(snapshot, decision, lacking_w)
        running = {want.session for want in self._wants}
        gone = [session for session in self._lacks if session not in running]
        records += tuple(self._shortfalls(gone))
        for session in gone:
            del self._lacks[session]
        for want in self._wants:
            self._lacks.setdefault(want.session, _Lack(now))
        minute = _minute_of(now)
        if self._minute != minute:
            self._minute, self._minutes = minute, {}
        for feeder, kept in self._minutes.items():
            kept.touch(self._loads[feeder])
        if self._told_at is not None and timedelta(0) <= now - self._told_at < TOLD_EVERY:
            return records
        return records + self.rest()

    def rest(self) -> tuple[FeederMinute | Shortfall, ...]:
        """All that was not told yet, as it stands at the newest decision."""
        if self._at is None:
            return ()
        self._told_at = self._at
        return (*self._shortfalls(list(self._changed)), *self._written())

    def _shortfalls(self, sessions: Iterable[str]) -> Iterator[Shortfall]:
        """Those of the sessions of which something has changed since they were told."""
        for session in sessions:
            if session in self._changed:
                del self._changed[session]
                lack = self._lacks[session]
                yield Shortfall(session, lack.since, lack.waited_s, lack.longest_wait_s, lack.curtailed_wh)

    def _pass_time(self, now: datetime) -> Iterator[FeederMinute]:
        """What held since the last decision, added up; a minute that ended on the way goes out."""
        if self._at is None or not timedelta(0) < now - self._at <= _LONGEST_GAP:
            return
        since = self._at
        while since < now:
            until = min(now, _minute_of(since) + MINUTE)
            if self._minute != _minute_of(since):
                self._minute, self._minutes = _minute_of(since), {}
            self._add((until - since).total_seconds())
            if until == _minute_of(since) + MINUTE:
                yield from self._written()
            since = until
        self._lack((now - self._at).total_seconds())

    def _add(self, seconds: float) -> None:
        for feeder, load in self._loads.items():
            self._minutes.setdefault(feeder, _Minute()).add(load, seconds)

    def _lack(self, seconds: float) -> None:
        for want in self._wants:
            lack = self._lacks[want.session]
            if not want.waits:
                lack.waits_s = 0.0
            if not (want.waits or want.curtailed_w):
                continue
            lack.curtailed_wh += want.curtailed_w * seconds / 3600
            if want.waits:
                lack.waited_s += seconds
                lack.waits_s += seconds
                lack.longest_wait_s = max(lack.longest_wait_s, lack.waits_s)
            self._changed[want.session] = None

    def _written(self) -> Iterator[FeederMinute]:
        """The present minute of every feeder; one of which nothing has passed yet as it stands."""
        assert self._minute is not None
        for feeder, load in self._loads.items():
            minute = self._minutes.get(feeder) or _Minute().add(load, 1.0)
            yield minute.record(self._site.id, feeder, self._minute)

    def _wanted(self, snapshot: SiteSnapshot, decision: Decision, lacking_w: Mapping[EvseId, float]) -> Iterator[_Want]:
        for point in decision.setpoints:
            session = snapshot.evses[point.evse].session
            if session is not None and session.ended_at is None:
                lacks_w = lacking_w[point.evse]
                yield _Want(session_id(session), lacks_w, lacks_w > 0.0 and point.limit_a == 0.0)

    def _seen(
        self, snapshot: SiteSnapshot, decision: Decision, lacking_w: Mapping[EvseId, float]
    ) -> dict[FeederId, _Load]:
        drawn_a = drawn(snapshot)
        curtailed_w, waiting = dict.fromkeys(snapshot.feeders, 0.0), dict.fromkeys(snapshot.feeders, 0.0)
        for point in decision.setpoints:
            feeder, lacks_w = self._evses[point.evse].feeder, lacking_w[point.evse]
            curtailed_w[feeder] += lacks_w
            waiting[feeder] += lacks_w > 0.0 and point.limit_a == 0.0
        shares = {
            feeder.id: {
                phase: _shares_a(snapshot.feeders[feeder.id], phase, self._ev_a(feeder.id, phase, drawn_a))
                for phase in feeder.phases
            }
            for feeder in self._site.feeders
        }
        return {
            feeder.id: _Load(
                base_a={phase: base_a for phase, (base_a, _) in shares[feeder.id].items()},
                upper_a={
                    phase: max(view.base_high_a.get(phase, 0.0), view.forecast_a.get(phase, 0.0))
                    for phase in feeder.phases
                },
                ev_a={phase: ev_a for phase, (_, ev_a) in shares[feeder.id].items()},
                limit_a=min([feeder.usable_a, *_limits_a(snapshot, feeder.id)]),
                curtailed_w=curtailed_w[feeder.id],
                waiting=waiting[feeder.id],
            )
            for feeder, view in ((one, snapshot.feeders[one.id]) for one in self._site.feeders)
        }

    def _curtailed_w(self, view: EvseView, point: Setpoint) -> float:
        """The power that EVSE and car could take beyond the limit, where the limit is the building's doing; W."""
        if point.reason.kind in _WANTS_NO_MORE or view.session is None:
            return 0.0
        bounds = (self._evses[view.evse].max_a, view.csms_limit_a, view.seen_max_a)
        most_a = min(bound for bound in bounds if bound is not None)
        return max(0.0, most_a - point.limit_a) * self._volts[view.evse]

    def _ev_a(self, feeder: FeederId, phase: Phase, drawn_a: Mapping[EvseId, float]) -> float:
        """What the EVSEs put on a line, A; where a transformer's group is not known, the larger of both."""
        lines = self._wiring.at.get((feeder, phase), ())
        return max((line.current_a(drawn_a, phasor=self._phasor) for line in lines), default=0.0)


def _shares_a(view: FeederView, phase: Phase, ev_a: float) -> tuple[float, float]:
    """Base and EV load of a line. A meter that is heard says what both are together: samples of EVSEs are older."""
    base_a = view.base_likely_a.get(phase, 0.0)
    total_a = (view.metered_a or {}).get(phase) if view.source is LoadSource.MEASURED else None
    if total_a is None:
        return base_a, ev_a
    return min(base_a, total_a), max(0.0, total_a - base_a)


def _limits_a(snapshot: SiteSnapshot, feeder: FeederId) -> list[float]:
    """The temporary limits that hold at a feeder now."""
    return [
        one.limit_a
        for one in snapshot.limits
        if one.feeder == feeder and one.starts_at <= snapshot.at and (one.ends_at is None or snapshot.at < one.ends_at)
    ]


def drawn(snapshot: SiteSnapshot) -> dict[EvseId, float]:
    """What each EVSE draws: measured, or the newest limit where it has a car and nothing is measured; A."""
    found: dict[EvseId, float] = {}
    for view in snapshot.evses.values():
        measured_a = view.ledger.measured_a
        if measured_a is None:
            measured_a = view.ledger.limit_a if view.session is not None else 0.0
        found[view.evse] = measured_a
    return found


def _minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
