"""The building's meters: what they see of the true currents, when they say it, and when they do not."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop, heappush

import numpy as np

from domain.ids import MeterId
from domain.metering import MeterReading
from domain.site import PHASES, Feeder, Site
from simulators.phasors import Amps


class FeederMeters:
    """Reads every metered feeder once per interval, the meters spread evenly over it.

    Args:
        site: which feeders have meters.
        on_reading: takes each reading; `at` is when it was taken.
        interval_s: between readings of one meter, s.
        noise: standard deviation of the relative error.
        lag_s: between a reading and its delivery, s.
        seed: of the noise.
    """

    def __init__(
        self,
        site: Site,
        on_reading: Callable[[MeterReading], None],
        *,
        interval_s: float = 10.0,
        noise: float = 0.0,
        lag_s: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._on_reading, self._interval_s, self._noise, self._lag_s = on_reading, interval_s, noise, lag_s
        self._rng = np.random.default_rng([seed, 7])
        self._meters: list[tuple[int, Feeder, MeterId]] = [
            (row, feeder, feeder.meter) for row, feeder in enumerate(site.feeders) if feeder.meter is not None
        ]
        self._due: list[datetime] = []
        self._waiting: list[tuple[datetime, int, MeterReading]] = []
        self._numbers = itertools.count()
        self._silent: set[MeterId] = set()
        self._frozen: dict[MeterId, Amps | None] = {}
        self._late_s: dict[MeterId, float] = {}
        self._scatter: dict[MeterId, float] = {}
        self._dead: set[MeterId] = set()

    def silence(self, meter: MeterId) -> None:
        """The meter takes and delivers nothing, from now until `restore`."""
        self._silent.add(meter)

    def freeze(self, meter: MeterId) -> None:
        """The meter goes on telling its next values for ever, with new time stamps, until `restore`."""
        self._frozen[meter] = None

    def delay(self, meter: MeterId, lag_s: float) -> None:
        """The meter's readings come so much later than usual, until `restore`."""
        self._late_s[meter] = lag_s

    def scatter(self, meter: MeterId, noise: float) -> None:
        """The meter's relative error has this standard deviation, until `restore`."""
        self._scatter[meter] = noise

    def zero(self, meter: MeterId) -> None:
        """The meter reads nothing on every phase, until `restore`."""
        self._dead.add(meter)

    def restore(self, meter: MeterId) -> None:
        """The meter works again."""
        self._silent.discard(meter)
        self._frozen.pop(meter, None)
        self._late_s.pop(meter, None)
        self._scatter.pop(meter, None)
        self._dead.discard(meter)

    def due(self, now: datetime) -> bool:
        """Whether `step` has anything to do."""
        return not self._due or now >= min(self._due) or bool(self._waiting and self._waiting[0][0] <= now)

    def step(self, now: datetime, current_a: Amps) -> None:
        """Read what is due of `current_a` [feeder in site order, phase] A; deliver the readings whose lag is over."""
        interval = timedelta(seconds=self._interval_s)
        if not self._due:
            self._due = [now + interval * place / len(self._meters) for place in range(len(self._meters))]
        for place, (row, feeder, meter) in enumerate(self._meters):
            if now < self._due[place]:
                continue
            missed = (now - self._due[place]) // interval
            self._due[place] += interval * (missed + 1)
            noise = self._scatter.get(meter, self._noise)
            values = current_a[row] * (1 + noise * self._rng.standard_normal(len(PHASES)))
            if meter in self._dead:
                values = np.zeros(len(PHASES))
            if meter in self._frozen:
                kept = self._frozen[meter]
                self._frozen[meter] = values = values if kept is None else kept
            if meter not in self._silent:
                reading = {phase: max(0.0, float(values[PHASES.index(phase)])) for phase in feeder.phases}
                due = now + timedelta(seconds=self._lag_s + self._late_s.get(meter, 0.0))
                heappush(self._waiting, (due, next(self._numbers), MeterReading(meter, now, reading)))
        while self._waiting and self._waiting[0][0] <= now:
            *_, taken = heappop(self._waiting)
            if taken.meter not in self._silent:
                self._on_reading(taken)
