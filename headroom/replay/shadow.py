"""The recorded building under a controller: the live decision code at every step, and what that comes to.

At each step `ems.decide.decide` sees the cars that are there, the load and the limits in force (all settled: a step is
minutes long), and its targets hold for the step. What cars then draw is added up with phasors, load and EV current in
phase on each line (the worst case), and judged by the simulators' `ElectricalJudge` with its breakers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from domain.ids import DecisionId, EvseId
from domain.ledger import LedgerEntry
from domain.rotation import RotationState
from domain.session import EvseState, Session
from domain.site import PHASES, Evse
from domain.snapshot import EvseView, FeederView, LoadSource, SiteSnapshot
from ems.decide import Plan, compile_plan, decide
from headroom.replay.day_grid import Grid, line_phasors
from headroom.replay.drawing import EMPTY_WH, most_a, watts_per_a
from headroom.replay.recording import Amps, Stay
from simulators.judge import ElectricalJudge

TOLD_KINDS = frozenset({"edf", "llf"})
"""Schedulers that order by what drivers tell; the others are told nothing, for a recording holds no such word."""
_NOTHING_A = 0.05


@dataclass
class Served:
    """What became of one stay: `possible_wh` is what the car could have taken alone at full power."""

    stay: Stay
    possible_wh: float
    delivered_wh: float = 0.0
    waited_s: float = 0.0
    longest_wait_s: float = 0.0
    waits_now_s: float = 0.0

    @property
    def share(self) -> float:
        """Delivered over possible."""
        return 1.0 if self.possible_wh < EMPTY_WH else min(1.0, self.delivered_wh / self.possible_wh)


@dataclass(frozen=True)
class Shadow:
    """A run. `total_a` [step, feeder, phase]; `ev_w` [step]; `served` in the order of the grid's stays."""

    name: str
    judge: ElectricalJudge
    total_a: Amps
    ev_w: Amps
    served: tuple[Served, ...]
    limited_steps: int = 0
    alarms: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Place:
    """One EVSE's electrical facts: W per A, and the arrivals and departures at it, in steps."""

    evse: Evse
    watts_per_a: float


def run_shadow(grid: Grid, strategy: str, told: Callable[[float], None]) -> Shadow:
    """Walk through the grid under `strategy` ("none": every car charges at full power from plug-in on)."""
    return _Run(grid, strategy).go(told)


class _Run:
    def __init__(self, grid: Grid, strategy: str) -> None:
        self._grid, self._strategy = grid, strategy
        self._plan: Plan | None = None if strategy == "none" else compile_plan(grid.site)
        self._places = [_Place(evse, watts_per_a(grid.site, evse)) for evse in grid.site.evses]
        self._column = {evse.id: place for place, evse in enumerate(grid.site.evses)}
        self._hours = grid.step / timedelta(hours=1)
        self._limits = dict.fromkeys(self._column, 0.0)
        self._rotation = RotationState()
        self._alarms: dict[str, int] = {}
        self._limited = 0
        self._served = tuple(Served(stay, self._possible_wh(stay)) for stay in grid.stays)
        self._come: dict[int, list[Served]] = {}
        for served in self._served:
            self._come.setdefault(grid.step_of(served.stay.arrives), []).append(served)

    def _possible_wh(self, stay: Stay) -> float:
        place = self._places[self._column[stay.evse]]
        steps = self._grid.step_of(stay.leaves) - self._grid.step_of(stay.arrives)
        return min(stay.energy_wh, place.watts_per_a * most_a(stay, place.evse) * steps * self._hours)

    def go(self, told: Callable[[float], None]) -> Shadow:
        grid = self._grid
        unit, judge = line_phasors(grid.site), ElectricalJudge(grid.site)
        total_a, ev_w = np.zeros_like(grid.base_a), np.zeros(grid.steps)
        here: dict[EvseId, Served] = {}
        watts = np.array([place.watts_per_a for place in self._places])
        for step in range(grid.steps):
            for served in self._come.get(step, ()):
                here[served.stay.evse] = served
            here = {e: s for e, s in here.items() if grid.step_of(s.stay.leaves) > step}
            drawn_a = self._draw(here, self._limit(here, step))
            ev = unit @ drawn_a
            length = np.abs(ev)
            along = np.where(length > 0.0, ev / np.where(length > 0.0, length, 1.0), 1.0)
            base = grid.base_a[step] * along
            total_a[step] = np.abs(ev + base)
            judge.observe(grid.at(step + 1), grid.step.total_seconds(), ev, base)
            ev_w[step] = float(drawn_a @ watts)
            if step % 32 == 0:
                told(step / grid.steps)
        return Shadow(self._strategy, judge, total_a, ev_w, self._served, self._limited, self._alarms)

    def _limit(self, here: Mapping[EvseId, Served], step: int) -> Mapping[EvseId, float]:
        """What each EVSE may give in this step, A per conductor."""
        wanting = {evse: s for evse, s in here.items() if s.stay.energy_wh - s.delivered_wh > EMPTY_WH}
        if self._plan is None:
            return {evse: self._places[self._column[evse]].evse.max_a for evse in wanting}
        if not wanting:
            self._limits = dict.fromkeys(self._column, 0.0)
            self._rotation = RotationState()
            return {}
        now = self._grid.at(step)
        name = DecisionId(f"replay-{step}")
        decision = decide(self._snapshot(here, step, now), self._plan, now, trigger="replay", decision_id=name)
        self._rotation = decision.rotation
        self._limits = {one.evse: one.target_a for one in decision.setpoints}
        for alarm in decision.alarms:
            self._alarms[alarm.kind.value] = self._alarms.get(alarm.kind.value, 0) + 1
        wanted = {e: most_a(s.stay, self._places[self._column[e]].evse) for e, s in wanting.items()}
        self._limited += any(self._limits[evse] < amps - 1.0 for evse, amps in wanted.items())
        return self._limits

    def _snapshot(self, here: Mapping[EvseId, Served], step: int, now: datetime) -> SiteSnapshot:
        site, before = self._grid.site, now - timedelta(minutes=1)
        evses = {}
        for place in self._places:
            evse = place.evse
            served = here.get(evse.id)
            limit_a = self._limits[evse.id]
            entry = LedgerEntry(limit_a, limit_a, sent_at=before, acknowledged_at=before, settled_at=before)
            session = None if served is None else self._session(served, now)
            state = EvseState.AVAILABLE if session is None else EvseState.CHARGING
            taken_a = None if served is None else most_a(served.stay, evse)
            evses[evse.id] = EvseView(evse.id, state, True, session, entry, seen_max_a=taken_a)
        feeders = {}
        for row, feeder in enumerate(site.feeders):
            base = dict(zip(PHASES, self._grid.base_a[step, row].tolist(), strict=True))
            source = LoadSource.MEASURED if feeder.meter else LoadSource.DEDICATED
            feeders[feeder.id] = FeederView(
                feeder.id, base, base, source=source, reading_at=now if feeder.meter else None
            )
        return SiteSnapshot(site, now, evses, feeders, self._rotation)

    def _session(self, served: Served, now: datetime) -> Session:
        stay = served.stay
        full = stay.energy_wh - served.delivered_wh <= EMPTY_WH
        told = self._grid.site.scheduler.kind in TOLD_KINDS
        return Session(
            stay.evse,
            f"{stay.evse}-{stay.arrives:%Y%m%d%H%M}",
            min(stay.arrives, now),
            energy_wh=served.delivered_wh,
            departure_at=stay.leaves if told else None,
            energy_wanted_wh=stay.energy_wh if told else None,
            full_since=now if full else None,
        )

    def _draw(self, here: Mapping[EvseId, Served], limits_a: Mapping[EvseId, float]) -> Amps:
        """[EVSE] mean current of the step; books energy and waits."""
        drawn_a = np.zeros(len(self._places))
        for evse, served in here.items():
            left_wh = served.stay.energy_wh - served.delivered_wh
            if left_wh <= EMPTY_WH:
                continue
            place = self._places[self._column[evse]]
            offered_a = limits_a.get(evse, 0.0)
            amps = min(offered_a, most_a(served.stay, place.evse)) if offered_a >= place.evse.min_a - 1e-6 else 0.0
            energy_wh = min(left_wh, amps * place.watts_per_a * self._hours)
            served.delivered_wh += energy_wh
            drawn_a[self._column[evse]] = energy_wh / (place.watts_per_a * self._hours)
            if amps > _NOTHING_A:
                served.waits_now_s = 0.0
            else:
                seconds = self._grid.step.total_seconds()
                served.waited_s += seconds
                served.waits_now_s += seconds
                served.longest_wait_s = max(served.longest_wait_s, served.waits_now_s)
        return drawn_a
