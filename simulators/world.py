"""The physical world: cars come and go, currents flow, meters read; and a judge who sees the truth.

Works on any clock, real, fast or virtual. Nothing here knows of limits, profiles or decisions: the charger's own model
(`PhysicalEvse`) turns what it was told into a current, the world adds the currents up.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush
from math import ceil, inf
from typing import Protocol

import numpy as np

from domain.ids import EvseId
from domain.metering import MeterReading
from domain.ports import Clock
from domain.site import PHASES, Site
from simulators.arrivals import Arrival
from simulators.building import BuildingLoad
from simulators.car import Car
from simulators.feeder_meters import FeederMeters
from simulators.judge import ElectricalJudge
from simulators.phasors import Amps, Phasors, evse_voltage_v, unit_phasors
from simulators.service import ServiceJudge
from simulators.world_report import WorldReport

MOST_STEPS_AT_ONCE = 60
HISTORY_MINUTES = 7 * 24 * 60


class PhysicalEvse(Protocol):
    """What the world needs of a charger's power side."""

    @property
    def current_a(self) -> float:
        """Current in the conductor with most, A RMS: what flowed during the last step."""
        ...

    def step(self, now: datetime, dt_s: float) -> None:
        """Live through the `dt_s` seconds that end at `now`."""
        ...

    def plug(self, car: Car, id_tag: str) -> None:
        """A car is plugged in and its driver shows a tag."""
        ...

    def unplug(self) -> None:
        """The car is gone, whatever it was doing."""
        ...


@dataclass(frozen=True, slots=True)
class MinuteOfLoad:
    """One minute for plots: arrays [feeder in site order, phase], A RMS; `total_a` its largest, `base_a` its mean."""

    at: datetime
    total_a: Amps
    base_a: Amps


class World:
    """Owns the cars and the true currents.

    Args:
        site: the panel tree.
        clock: the only source of time.
        evses: the power side of every EVSE of the site.
        load: the building's other load, on the same site.
        on_reading: takes the meters' readings.
        seed: of the meters' noise.
        arrivals: who comes; those before the world's first instant are left out.
        meter_interval_s: between readings of one meter.
        step_s: longest step of the simulation.
        meter_noise: standard deviation of the meters' relative error.
        meter_lag_s: how late readings are delivered.

    Raises:
        ValueError: an EVSE of the site has no power side, or the load belongs to another site.
    """

    def __init__(
        self,
        site: Site,
        clock: Clock,
        evses: Mapping[EvseId, PhysicalEvse],
        load: BuildingLoad,
        on_reading: Callable[[MeterReading], None],
        seed: int = 0,
        *,
        arrivals: Iterable[Arrival] = (),
        meter_interval_s: float = 10.0,
        step_s: float = 1.0,
        meter_noise: float = 0.0,
        meter_lag_s: float = 0.0,
    ) -> None:
        missing = [evse.id for evse in site.evses if evse.id not in evses]
        if missing:
            raise ValueError(f"the simulated world needs a power side for every EVSE; none for {', '.join(missing)}")
        if [feeder.id for feeder in load.site.feeders] != [feeder.id for feeder in site.feeders]:
            raise ValueError("the building load was made for another site: build it from the same site")
        self.site, self._clock, self._load, self._step_s = site, clock, load, step_s
        self.meters = FeederMeters(
            site, on_reading, interval_s=meter_interval_s, noise=meter_noise, lag_s=meter_lag_s, seed=seed
        )
        self.judge = ElectricalJudge(site)
        self.history: deque[MinuteOfLoad] = deque(maxlen=HISTORY_MINUTES)
        self._now = clock.now()
        self._places = {evse.id: place for place, evse in enumerate(site.evses)}
        self._sides = [evses[evse.id] for evse in site.evses]
        self._cars: list[Car | None] = [None] * len(site.evses)
        self._stay: list[Arrival | None] = [None] * len(site.evses)
        self._service = ServiceJudge(len(site.evses))
        self._coming = deque(sorted((a for a in arrivals if a.at >= self._now), key=lambda a: a.at))
        self._leaving: list[tuple[datetime, int]] = []
        self._voltage_v = np.array([evse_voltage_v(site, evse) for evse in site.evses])
        self._power_factor_sum = np.ones(len(site.evses))
        self._conductor_share = np.ones((len(site.evses), 3))
        self._unit = self._unit_currents()
        self._minute = _Minute()
        self.ev_a: Amps
        self._base: Phasors = np.zeros((len(site.feeders), len(PHASES)), dtype=np.complex128)
        self._currents_a = [0.0] * len(site.evses)
        self._flow(None)

    async def run(self) -> None:
        """Advance with the clock until cancelled."""
        step = timedelta(seconds=self._step_s)
        due = self._now
        while True:
            now = self._clock.now()
            due = max(due + step, now)
            await self._clock.sleep((due - now) / timedelta(seconds=1))
            self.advance()

    def advance(self) -> None:
        """Bring the world up to the clock's present, in steps of at most `step_s` (sixty of them, then longer ones)."""
        now = self._clock.now()
        behind_s = (now - self._now) / timedelta(seconds=1)
        if behind_s <= 0:
            return
        steps = min(MOST_STEPS_AT_ONCE, max(1, ceil(behind_s / self._step_s - 0.01)))
        start = self._now
        for number in range(1, steps + 1):
            self._advance_to(start + (now - start) * number / steps, behind_s / steps)

    def plug(self, arrival: Arrival) -> None:
        """The car of `arrival` is plugged in now; whoever still stands there leaves first."""
        place = self._places[arrival.evse]
        self.unplug(arrival.evse)
        evse, car = self.site.evses[place], arrival.new_car()
        self._cars[place], self._stay[place] = car, arrival
        self._conductor_share[place] = car.phase_share if evse.conductors == 3 else 1.0
        self._power_factor_sum[place] = car.power_factor_sum(evse.conductors)
        self._flow(None)
        full_a = min(evse.max_a, car.onboard_a(evse.conductors))
        full_w = full_a * float(self._voltage_v[place] * self._power_factor_sum[place])
        self._service.begin(place, arrival.energy_wh, full_w)
        heappush(self._leaving, (arrival.departure_at, place))
        self._sides[place].plug(car, arrival.id_tag)

    def unplug(self, evse: EvseId) -> None:
        """The car at `evse` leaves, if there is one."""
        place = self._places[evse]
        if self._cars[place] is None:
            return
        self._sides[place].unplug()
        self._service.end(place)
        self._cars[place] = self._stay[place] = None

    def stay_at(self, evse: EvseId) -> Arrival | None:
        """Who stands at an EVSE now."""
        return self._stay[self._places[evse]]

    def car_at(self, evse: EvseId) -> Car | None:
        """The car that stands at an EVSE now."""
        return self._cars[self._places[evse]]

    def report(self) -> WorldReport:
        """What was measured so far."""
        service, judge = self._service, self.judge
        return WorldReport(
            sessions=service.sessions,
            energy_delivered_kwh=service.delivered_wh / 1000,
            energy_requested_kwh=service.requested_wh / 1000,
            max_loading=judge.max_loading,
            overload_seconds=judge.overload_s,
            base_overload_seconds=judge.base_overload_s,
            breaker_trips=int(judge.breakers.trips.sum()),
            jain_index=service.jain_index,
            longest_wait_s=service.longest_wait_s,
            switches=service.switches,
            worst=judge.worst,
            first_overload=judge.first_overload,
        )

    def _advance_to(self, now: datetime, dt_s: float) -> None:
        self._now = now
        self._come_and_go(now)
        for car, side in zip(self._cars, self._sides, strict=True):
            if car is not None:
                side.step(now, dt_s)
        currents_a = [side.current_a for side in self._sides]
        if currents_a != self._currents_a:
            self._flow(currents_a)
        base = self._base = self._load.phasors(now)
        self.judge.observe(now, dt_s, self._ev, base)
        in_need = [car is not None and car.wants for car in self._cars]
        self._service.observe(dt_s, self.ev_a, self._power_w, in_need)
        if self.meters.due(now):
            self.meters.step(now, self.total_a)
        if (minute := self._minute.add(now, dt_s, self._ev, base)) is not None:
            self.history.append(minute)

    def _flow(self, currents_a: list[float] | None) -> None:
        """The EVSEs draw this from now on (None: the same, by other cars)."""
        self._currents_a = currents_a = self._currents_a if currents_a is None else currents_a
        self.ev_a = np.array(currents_a, dtype=np.float64)
        conductors_a = (self.ev_a[:, None] * self._conductor_share).ravel()
        # einsum and not @: the threads of BLAS cost more than so small a product.
        real, imaginary = (np.einsum("fc,c->f", part, conductors_a) for part in self._unit)
        self._ev = (real + 1j * imaginary).reshape(-1, len(PHASES))
        self._power_w = self.ev_a * self._voltage_v * self._power_factor_sum

    @property
    def total_a(self) -> Amps:
        """Magnitudes of what flows [feeder in site order, phase], A RMS."""
        return np.asarray(np.abs(self._ev + self._base))

    def _come_and_go(self, now: datetime) -> None:
        while self._leaving and self._leaving[0][0] <= now:
            departure_at, place = heappop(self._leaving)
            stay = self._stay[place]
            if stay is not None and stay.departure_at == departure_at:
                self.unplug(stay.evse)
        while self._coming and self._coming[0].at <= now:
            self.plug(self._coming.popleft())

    def _unit_currents(self) -> tuple[Amps, Amps]:
        """Real and imaginary part of [feeder x phase, EVSE x 3 conductors] A per A; unused conductors are zero."""
        unit = np.zeros((len(self.site.feeders), len(PHASES), len(self.site.evses), 3), dtype=np.complex128)
        for place, evse in enumerate(self.site.evses):
            unit[:, :, place, : evse.conductors] = unit_phasors(self.site, evse.feeder, evse.phases)
        flat = unit.reshape(len(self.site.feeders) * len(PHASES), -1)
        return np.ascontiguousarray(flat.real), np.ascontiguousarray(flat.imag)


class _Minute:
    """Gathers steps into minutes."""

    def __init__(self) -> None:
        self._ends_s = -inf
        self._steps: list[tuple[float, Phasors, Phasors]] = []

    def add(self, now: datetime, dt_s: float, ev: Phasors, base: Phasors) -> MinuteOfLoad | None:
        """Add a step; the minute that it completes, if it does."""
        self._steps.append((dt_s, ev, base))
        now_s, before_s = now.timestamp(), self._ends_s
        if before_s - 60.0 <= now_s < before_s:
            return None
        self._ends_s = (now_s // 60 + 1) * 60
        return None if before_s == -inf else self._done(now)

    def _done(self, now: datetime) -> MinuteOfLoad:
        steps, self._steps = self._steps, []
        dts_s = np.array([step[0] for step in steps])
        bases = np.array([step[2] for step in steps])
        totals_a = np.abs(np.array([step[1] for step in steps]) + bases)
        base_as = (np.abs(bases) * dts_s[:, None, None]).sum(axis=0)
        return MinuteOfLoad(now.replace(second=0, microsecond=0), totals_a.max(axis=0), base_as / dts_s.sum())
