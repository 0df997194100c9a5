"""The case study of seed 004 table 5.1 on metered homes: eight units, and days that no plan has seen."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from domain.ids import ChargerId, EvseId, FeederId, SiteId
from domain.site import PHASES, Charger, CsmsSettings, Evse, Feeder, Site
from ems.panel import compile_panel
from ems.problem import Mask, Panel, Vector
from ems.radius import HourlyRadius, adaptive_radius
from ems.scenarios import Array, HorizonProblem

UNITS, HOURS, MAIN_A, UNIT_A = 8, 24, 250.0, 40.0
SUPPLY_V = 240.0
_FORECAST_DAYS, _SAMPLE_DAYS, _RADIUS_DAYS, _NEWEST_DAYS = 7, 20, 50, 7


@dataclass(frozen=True)
class History:
    """`load_a` [days, homes, hours] in A at 240 V, and the forecast of each day from the days before it."""

    load_a: Array

    @classmethod
    def of(cls, homes_kwh: Array) -> "History":
        """Of metered homes [hours, homes], kWh per hour, whole days."""
        return cls(homes_kwh.reshape(-1, HOURS, homes_kwh.shape[1]).transpose(0, 2, 1) * 1000.0 / SUPPLY_V)

    @cached_property
    def forecast_a(self) -> Array:
        """[days, homes, hours]: per home and hour the mean of the seven days before; the first seven days are 0."""
        days = self.load_a.shape[0]
        past = [self.load_a[day - _FORECAST_DAYS : day].mean(axis=0) for day in range(_FORECAST_DAYS, days)]
        return np.concatenate([np.zeros((_FORECAST_DAYS, *self.load_a.shape[1:])), past])

    def errors_a(self, day: int) -> Array:
        """[samples, homes, hours]: what was forecast wrong on the days before `day`, and in the hours beside each.

        Whole days, so that homes and hours keep what they have in common.
        """
        first = max(_FORECAST_DAYS, day - _SAMPLE_DAYS)
        wrong = (self.load_a - self.forecast_a)[first:day]
        return np.concatenate([np.roll(wrong, shift, axis=2) for shift in (-1, 0, 1)])

    def radius(self, day: int, level: float) -> HourlyRadius:
        """The radius from the newest week's errors against the older ones, over all homes."""
        wrong = (self.load_a - self.forecast_a)[max(_FORECAST_DAYS, day - _RADIUS_DAYS) : day].transpose(0, 2, 1)
        newest, older = wrong[-_NEWEST_DAYS:], wrong[:-_NEWEST_DAYS]
        hours = [np.tile(np.arange(HOURS), len(part)).tolist() for part in (newest, older)]
        homes = self.load_a.shape[1]
        return adaptive_radius(newest.reshape(-1, homes), older.reshape(-1, homes), *hours, level=level)


def units_panel(per_unit: int = 1, units: int = UNITS, main_a: float = MAIN_A) -> Panel:
    """A main panel and sub-feeders of 40 A (times EVSEs), line to neutral on one phase as in the thesis."""
    main, phase = FeederId("main"), (PHASES[0],)
    feeders = [Feeder(main, main_a, usable=1.0)]
    feeders += [Feeder(FeederId(f"u{n}"), UNIT_A * per_unit / 0.8, parent=main) for n in range(units)]
    chargers = []
    for number in range(units * per_unit):
        name = ChargerId(f"C{number}")
        evse = Evse(EvseId(f"E{number}"), name, 1, FeederId(f"u{number // per_unit}"), phase)
        chargers.append(Charger(name, (evse,)))
    where = CsmsSettings("ws://127.0.0.1:9100/ocpp")
    return compile_panel(Site(SiteId("units"), "UTC", where, tuple(feeders), tuple(chargers)))


def carries(panel: Panel, units: int = UNITS) -> Array:
    """[rows, units]: every unit's load is on its own row and on the main panel's."""
    return np.array(
        [[1.0 if row.feeder in {"main", f"u{unit}"} else 0.0 for unit in range(units)] for row in panel.rows]
    )


def plugged_in(generator: np.random.Generator, count: int, evses: int) -> Array:
    """[count, evses, hours] 0 or 1: 70 % of the time, 20 % from 08:00 to 15:00 (table 5.1)."""
    hour = np.arange(HOURS)
    chance = np.where((hour >= 8) & (hour < 15), 0.2, 0.7)
    return (generator.random((count, evses, HOURS)) < chance).astype(np.float64)


@dataclass(frozen=True)
class Day:
    """A day to plan, what really happens on it, and the radius that the newest errors call for."""

    problem: HorizonProblem
    load_a: Array
    radius: HourlyRadius


def day_of(history: History, panel: Panel, day: int, level: float, generator: np.random.Generator) -> Day:
    """Homes drawn for the eight units, cars that take all they are offered, and whoever is there at midnight."""
    homes = generator.permutation(history.load_a.shape[1])[:UNITS]
    errors = history.errors_a(day)[:, homes]
    served: Mask = generator.random(UNITS) < 0.7
    most_a: Vector = generator.uniform(25.0, 32.0, UNITS)
    limit_a = np.array([MAIN_A if row.feeder == "main" else UNIT_A for row in panel.rows])
    problem = HorizonProblem(
        panel=panel,
        step_h=1.0,
        hours=tuple(range(HOURS)),
        room_a=np.tile(limit_a[:, None], (1, HOURS)),
        served=served,
        low_a=np.zeros(UNITS),
        high_a=np.tile(most_a[:, None], (1, HOURS)),
        energy_ah=np.full(UNITS, 32.0 * HOURS),
        weight=np.ones(UNITS),
        load_a=np.maximum(history.forecast_a[day][homes] + errors, 0.0),
        carries=carries(panel),
        available=plugged_in(generator, len(errors), UNITS),
    )
    return Day(problem, history.load_a[day][homes], history.radius(day, level))
