"""One day of too many cars on one transformer, decided by the live decision at steps of a minute.

The world is as simple as can be: chargers obey at once, a car takes what it is offered until it has what it needs. The
decision is the product's own: snapshot in, set-points out, with turns, both stages, guard and reasons. It is asked when
a car comes, leaves or is full, when it asked to be woken, and once more where rises have to wait for falls.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from time import process_time
from typing import Literal

from domain.ids import ChargerId, DecisionId, EvseId, FeederId, SiteId
from domain.ledger import LedgerEntry
from domain.rotation import RotationState
from domain.session import EvseState, Session
from domain.setpoint import Decision, Rung
from domain.site import (
    Charger,
    ControlSettings,
    CsmsSettings,
    Electrical,
    Evse,
    Feeder,
    Phase,
    SchedulerSettings,
    Site,
)
from domain.snapshot import EvseView, FeederView, SiteSnapshot
from ems.decide import Plan, compile_plan, decide
from scheduler.fairness import jain

NOON = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
HORIZON_MIN = 1440
LINE_A, LINE_TO_LINE_V, MAX_A, MIN_A = 111.0, 208.0, 32.0, 6.0
SEED = 7

Form = Literal["arithmetic", "phasor"]
_FEEDER = FeederId("transformer")
_KWH_PER_A_MIN = LINE_TO_LINE_V / 60_000.0


@dataclass(frozen=True, slots=True)
class Stay:
    """A car's visit: minutes after noon, and what it needs."""

    evse: EvseId
    phases: tuple[Phase, ...]
    arrival_min: int
    departure_min: int
    need_kwh: float


def stays_by_seed() -> dict[int, tuple[Stay, ...]]:
    """The instances that are carried here: seed 7 and twenty more, 54 cars each."""
    found: dict[int, list[Stay]] = {}
    with files("benchmarks").joinpath("data/scarcity.csv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            phases = tuple(Phase(letter) for letter in row["phases"])
            times = int(row["arrival_min"]), int(row["departure_min"])
            stay = Stay(EvseId(row["evse"]), phases, *times, float(row["energy_kwh"]))
            found.setdefault(int(row["seed"]), []).append(stay)
    return {seed: tuple(stays) for seed, stays in found.items()}


def scarce_site(stays: Sequence[Stay], form: Form, scheduler: SchedulerSettings) -> Site:
    """One transformer of 40 kW: 111 A per line conductor, which caps the sum of balanced loads at 40 kW as well."""
    evses = [
        Evse(stay.evse, ChargerId(f"C-{stay.evse}"), 1, _FEEDER, stay.phases, MAX_A, MIN_A, failsafe_proven=True)
        for stay in stays
    ]
    return Site(
        id=SiteId("scarcity"),
        timezone="UTC",
        csms=CsmsSettings("ws://127.0.0.1:9100/ocpp"),
        feeders=(Feeder(_FEEDER, LINE_A, usable=1.0),),
        chargers=tuple(Charger(evse.charger, (evse,)) for evse in evses),
        electrical=Electrical(line_to_line_v=LINE_TO_LINE_V, model=form),
        scheduler=scheduler,
        control=ControlSettings(dead_band_a=0.1),
    )


@dataclass
class _Car:
    """What happened to one car so far."""

    stay: Stay
    delivered_kwh: float = 0.0
    limit_a: float = 0.0
    switches: int = 0
    waiting_min: int = 0
    longest_wait_min: int = 0
    present: bool = False

    @property
    def in_need(self) -> bool:
        return self.present and self.delivered_kwh < self.stay.need_kwh - 1e-9

    def told(self, limit_a: float) -> None:
        """A new limit: a switch where it goes from 0 to non-zero or back, in need."""
        self.switches += self.in_need and (limit_a > 0.0) != (self.limit_a > 0.0)
        self.limit_a = limit_a

    def minute(self) -> bool:
        """A minute passes; whether the car is full by it."""
        if not self.in_need:
            return False
        self.waiting_min = 0 if self.limit_a > 0.0 else self.waiting_min + 1
        self.longest_wait_min = max(self.longest_wait_min, self.waiting_min)
        self.delivered_kwh = min(self.stay.need_kwh, self.delivered_kwh + self.limit_a * _KWH_PER_A_MIN)
        return not self.in_need


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a day came to: fractions of the need, the longest wait in minutes, and CPU seconds for the whole day."""

    energy_frac: float
    jain: float
    worst_wait_min: int
    switches: int
    smallest_frac: float
    decisions: int
    day_s: float


def simulate(
    stays: Sequence[Stay],
    form: Form,
    scheduler: SchedulerSettings,
    *,
    known: bool = True,
    watch: Callable[[int, Decision], object] = lambda _minute, _decision: None,
) -> Outcome:
    """A day under the live decision; `known`: drivers have told when they leave and what they need."""
    day = _Day(stays, compile_plan(scarce_site(stays, form, scheduler)), known)
    begun_s = process_time()
    for minute in range(HORIZON_MIN):
        day.pass_minute(minute, watch)
    return day.outcome(process_time() - begun_s)


@dataclass
class _Day:
    """The world and what the decision sees of it."""

    stays: Sequence[Stay]
    plan: Plan
    known: bool
    cars: dict[EvseId, _Car] = field(default_factory=dict)
    views: dict[EvseId, EvseView] = field(default_factory=dict)
    rotation: RotationState = field(default_factory=RotationState)
    wake_at: datetime | None = None
    filled: bool = False
    decisions: int = 0

    def __post_init__(self) -> None:
        for stay in self.stays:
            self.cars[stay.evse] = _Car(stay)
            self.views[stay.evse] = EvseView(stay.evse, EvseState.AVAILABLE, True, None, _settled(0.0))

    def pass_minute(self, minute: int, watch: Callable[[int, Decision], object]) -> None:
        """Cars come and go, the decision is asked if there is a reason to, and the minute passes."""
        changed = self._come_and_go(minute)
        now = NOON + timedelta(minutes=minute)
        woken = self.wake_at is not None and now >= self.wake_at
        if changed or woken or self.filled:
            watch(minute, self._decide(now))
        full = [car.minute() for car in self.cars.values()]
        self.filled = any(full)

    def _come_and_go(self, minute: int) -> bool:
        changed = False
        for car in self.cars.values():
            if minute in (car.stay.arrival_min, car.stay.departure_min):
                car.present = minute == car.stay.arrival_min
                changed = True
        return changed

    def _decide(self, now: datetime) -> Decision:
        """Falls first, and again for the rises that have waited for them: chargers here obey at once."""
        decision = self._told(now)
        if any(point.target_a > point.limit_a for point in decision.setpoints):
            decision = self._told(now)
        return decision

    def _told(self, now: datetime) -> Decision:
        self.decisions += 1
        views: Mapping[EvseId, EvseView] = {name: self._view(car) for name, car in self.cars.items()}
        snapshot = SiteSnapshot(self.plan.site, now, views, {_FEEDER: FeederView(_FEEDER)}, self.rotation)
        decision = decide(snapshot, self.plan, now, trigger="benchmark", decision_id=DecisionId("d"))
        if decision.rung is not Rung.STRATEGY:
            raise AssertionError(f"the strategy did not answer: {decision.rung_why}")
        self.rotation, self.wake_at = decision.rotation, decision.wake_at
        for point in decision.setpoints:
            self.cars[point.evse].told(point.limit_a)
        return decision

    def _view(self, car: _Car) -> EvseView:
        if not car.present and car.limit_a == 0.0:
            return self.views[car.stay.evse]
        if not car.present:
            return replace(self.views[car.stay.evse], ledger=_settled(car.limit_a))
        begun = NOON + timedelta(minutes=car.stay.arrival_min)
        session = Session(
            car.stay.evse,
            f"T-{car.stay.evse}",
            begun,
            energy_wh=1000.0 * car.delivered_kwh,
            departure_at=NOON + timedelta(minutes=car.stay.departure_min) if self.known else None,
            energy_wanted_wh=1000.0 * car.stay.need_kwh if self.known else None,
            full_since=None if car.in_need else begun,
        )
        return EvseView(car.stay.evse, EvseState.CHARGING, True, session, _settled(car.limit_a))

    def outcome(self, day_s: float) -> Outcome:
        """What it came to."""
        cars = self.cars.values()
        fractions = [car.delivered_kwh / car.stay.need_kwh for car in cars]
        return Outcome(
            energy_frac=sum(car.delivered_kwh for car in cars) / sum(car.stay.need_kwh for car in cars),
            jain=jain(fractions),
            worst_wait_min=max(car.longest_wait_min for car in cars),
            switches=sum(car.switches for car in cars),
            smallest_frac=min(fractions),
            decisions=self.decisions,
            day_s=day_s,
        )


def _settled(limit_a: float) -> LedgerEntry:
    return LedgerEntry(limit_a, limit_a, sent_at=NOON, acknowledged_at=NOON, settled_at=NOON)
