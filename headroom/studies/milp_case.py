"""The building of seed 004 table 4.1: eight units, six two-phase EVSEs behind one panel of 200 A per phase."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from domain.ids import ChargerId, EvseId, FeederId, MeterId, SiteId
from domain.site import PHASES, Charger, CsmsSettings, Evse, Feeder, Meter, Phase, PhaseAmps, Site
from ems.asked import admit_in_order
from ems.milp import Milp
from ems.panel import capacity, compile_panel
from ems.problem import Allocation, Panel, Problem, Vector
from ems.scenarios import Array
from headroom.studies.report import StudyError
from simulators.building import BuildingLoad, Home, home_profiles

MAIN = FeederId("main")
RATING_A, USABLE_A, LINE_V = 200.0, 160.0, 208.0
MAX_A = (32.0, 22.0, 24.0, 26.0, 28.0, 30.0)
LEAST_A = 1.0
UNITS, PEAK_KW = 8, 46.0
"""The thesis prints its largest non-EV load, "about 46 kW"; our homes are scaled to it."""
MONDAY = datetime(2026, 1, 12, tzinfo=UTC)
"""On which the homes' four weeks begin anew."""
LEGS = ((Phase.A, Phase.B), (Phase.B, Phase.C), (Phase.C, Phase.A))


@dataclass(frozen=True)
class Building:
    """The site, its panel, and what the eight units draw."""

    site: Site
    panel: Panel
    load: BuildingLoad

    def base_a(self, at: datetime) -> Vector:
        """[phase] non-EV load at the main panel, A."""
        amps = self.load.current_a(at)[MAIN]
        return np.array([amps[phase] for phase in PHASES])

    def line_a(self, current_a: Vector) -> Vector:
        """[phase] what the EVSEs' currents add up to, by the arithmetic of eq. 4.1a."""
        order = [next(n for n, row in enumerate(self.panel.rows) if row.phase == phase) for phase in PHASES]
        return np.asarray((self.panel.matrix @ current_a)[order])


def site_of(max_a: tuple[float, ...], rating_a: float = RATING_A) -> Site:
    """One metered panel with two-phase EVSEs, in turn over the pairs of legs."""
    evses = [
        Evse(EvseId(f"E{n + 1}"), ChargerId(f"C{n + 1}"), 1, MAIN, LEGS[n % 3], most_a, LEAST_A)
        for n, most_a in enumerate(max_a)
    ]
    return Site(
        SiteId("milp"),
        "UTC",
        CsmsSettings("ws://127.0.0.1:9100/ocpp"),
        (Feeder(MAIN, rating_a, usable=0.8, meter=MeterId("m-main")),),
        tuple(Charger(evse.charger, (evse,)) for evse in evses),
        (Meter(MeterId("m-main")),),
    )


def building(seed: int) -> Building:
    """Table 4.1 with eight of the twelve metered homes that the project carries, scaled to 46 kW at most in an hour.

    Half of each home is spread over all three phases, half hangs on one pair of legs.
    """
    site = site_of(MAX_A)
    scale = 1000.0 * PEAK_KW / float(home_profiles()[:, :UNITS].sum(axis=1).max())
    homes = [Home(MAIN, legs, n, scale=scale / 2) for n in range(UNITS) for legs in (PHASES, LEGS[n % 3])]
    return Building(site, compile_panel(site), BuildingLoad(site, homes, seed=seed, appliances=False))


def peak_day() -> int:
    """The day of the four weeks with the largest hour."""
    return int(home_profiles()[:, :UNITS].sum(axis=1).argmax()) // 24


def allocate(case: Building, base_a: Vector, upper_a: Vector) -> Vector:
    """The live strategy's set-points, A per conductor; admitted first come first served while 1 A each fits."""
    amps: PhaseAmps = dict(zip(PHASES, base_a.tolist(), strict=True))
    room_a = capacity(case.panel, case.site, {MAIN: amps})
    count = len(case.panel.evses)
    free = Problem(case.panel, room_a, np.full(count, LEAST_A), upper_a, np.ones(count), None)
    found = Milp().allocate(replace(free, on=admit_in_order(free)))
    if not isinstance(found, Allocation):
        raise StudyError(f"milp-building: {found.why}")
    return found.current_a


@dataclass(frozen=True)
class Month:
    """[EV, step] state of charge and set-point in A, [phase, step] total in A; `left` [EV, day] SoC at departure."""

    soc: Array
    set_a: Array
    total_a: Array
    left: Array


STEP_MIN = 15
_PER_DAY = 24 * 60 // STEP_MIN
_DRIVING, _CHARGING, _TAPER_FROM, _TAPER_FLOOR = 0.8, 0.9, 0.9, 0.1


def live_month(case: Building, days: int, seed: int, told: object) -> Month:
    """Table 4.2: away between a departure U(07, 09) and a return U(17, 19), a commute each day, taper above 90 %."""
    generator = np.random.default_rng([4, 2, seed])
    evs = len(MAX_A)
    battery = generator.uniform(65.0, 120.0, evs)
    per_km = generator.uniform(0.15, 0.22, evs)
    soc = np.ones(evs)
    steps = days * _PER_DAY
    socs, sets, totals = np.zeros((evs, steps)), np.zeros((evs, steps)), np.zeros((3, steps))
    left = np.zeros((evs, days))
    for day in range(days):
        leaves = np.round(generator.uniform(7.0, 9.0, evs) * 60 / STEP_MIN).astype(int)
        returns = np.round(generator.uniform(17.0, 19.0, evs) * 60 / STEP_MIN).astype(int)
        drive = np.minimum(_DRIVING * per_km * generator.lognormal(4.08, 0.745, evs) / battery, 1.0)
        for step in range(_PER_DAY):
            left[leaves == step, day] = soc[leaves == step]
            soc = np.where(returns == step, np.maximum(0.0, soc - drive), soc)
            home = (step < leaves) | (step >= returns)
            now = day * _PER_DAY + step
            set_a = np.zeros(evs)
            base_a = case.base_a(MONDAY + timedelta(minutes=STEP_MIN * now))
            if (home & (soc < 1.0 - 1e-9)).any():
                set_a = allocate(case, base_a, _taken_a(soc, home))
                soc = np.minimum(1.0, soc + set_a * LINE_V / 1000.0 * STEP_MIN / 60.0 * _CHARGING / battery)
            socs[:, now], sets[:, now], totals[:, now] = soc, set_a, base_a + case.line_a(set_a)
        if callable(told):
            told((day + 1) / days)
    return Month(socs, sets, totals, left)


def _taken_a(soc: Vector, home: np.typing.NDArray[np.bool_]) -> Vector:
    """What each car takes at most, A: falling above 90 % to a tenth, 0 when full or away."""
    taper = np.clip((1.0 - soc) / (1.0 - _TAPER_FROM), _TAPER_FLOOR, 1.0)
    return np.where(home & (soc < 1.0 - 1e-9), np.maximum(np.array(MAX_A) * taper, LEAST_A), 0.0)
