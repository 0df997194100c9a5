"""The residents of the thesis's case study (seed 004, sections 3.2 and 6.3): when they come and go, what they need.

Printed there: arrivals U(18:00, 22:00), departures U(07:00, 09:00), commute LN(4.08, 0.745) km, 0.15-0.22 kWh/km and
65-120 kWh per EV, driving efficiency 0.8, charging efficiency 0.9, 365 days. Its formula for the state of charge after
the commute, S_ini = S_start - eta_d l E_l / P_b, *multiplies* by the driving efficiency; so do we. Times are rounded to
a grid of five minutes: arrivals up, departures down.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

STEP_S = 300.0
STEPS_PER_H = 12
OPENS_H = 18
STEPS = 15 * STEPS_PER_H
"""From 18:00, when the first EV may come, to 09:00, when the last has gone."""
EV_COUNT = 56
WORST_CASE_KW = 15.0
EMS_KW = (1.5, 10.0)
_DRIVING, CHARGING = 0.8, 0.9


@dataclass(frozen=True)
class Nights:
    """[night, EV]: steps of arrival and departure, energy for the day's drive in kWh in the battery, battery in kWh.

    `ems_kw` [night, hour, EV] is what the EMS of the thesis would give an active EVSE: U(1.5, 10) kW, anew every hour.
    `rank` [night, EV] is a random order of the EVs: who asks where not all do.
    """

    arrival: Whole
    departure: Whole
    used_kwh: Floats
    battery_kwh: Floats
    ems_kw: Floats
    rank: Whole

    @property
    def need_kwh(self) -> Floats:
        """What the EVSE must deliver so that the battery is as full as it was, kWh."""
        return np.asarray(self.used_kwh / CHARGING)

    def first(self, count: int) -> "Nights":
        """Only the `count` EVs of each night that come first in its random order."""
        columns = np.argsort(self.rank, axis=1)[:, :count]

        def pick(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            return np.take_along_axis(values, columns, axis=1)

        hourly = np.take_along_axis(self.ems_kw, columns[:, None, :], axis=2)
        parts = (self.arrival, self.departure, self.used_kwh, self.battery_kwh)
        arrival, departure, used, battery = (pick(values) for values in parts)
        rank = np.tile(np.arange(count), (len(columns), 1))
        return Nights(arrival, departure, used, battery, hourly, rank)  # type: ignore[arg-type]


def draw_nights(nights: int, evs: int, seed: int) -> Nights:
    """Draw a year of residents; the same seed gives the same year."""
    generator = np.random.default_rng([4, seed])
    shape = (nights, evs)
    battery = np.broadcast_to(generator.uniform(65.0, 120.0, evs), shape)
    per_km = generator.uniform(0.15, 0.22, evs)
    arrival = np.ceil(generator.uniform(0.0, 4.0, shape) * STEPS_PER_H).astype(np.int64)
    departure = np.floor(generator.uniform(13.0, 15.0, shape) * STEPS_PER_H).astype(np.int64)
    used = np.minimum(_DRIVING * per_km * generator.lognormal(4.08, 0.745, shape), battery)
    ems = generator.uniform(*EMS_KW, (nights, STEPS // STEPS_PER_H, evs))
    rank = np.argsort(generator.random(shape), axis=1)
    return Nights(arrival, departure, used, np.asarray(battery), ems, rank)
