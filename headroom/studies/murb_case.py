"""The building of seed 004 table 6.2: a main panel, three sub-feeders, DC fast chargers and Level II EVSEs.

All currents are normalised to the main panel's 600 V, as in the thesis: 150 A at 480 V are 120 A, 80 A at 208 V are
27.7 A. The table prints no ratings for the sub-feeders, so they are the main panel's and never bind by themselves.
"""

from dataclasses import dataclass

import numpy as np

from domain.ids import ChargerId, EvseId, FeederId, SiteId
from domain.site import PHASES, Charger, CsmsSettings, Evse, Feeder, Site
from ems.asked import Asked, asked
from ems.panel import capacity, compile_panel
from ems.problem import Panel, Problem, Vector
from ems.scenarios import Array

MAIN_RATING_A, MAIN_USABLE_A, SUPPLY_V = 1250.0, 1000.0, 600.0
DC_150_A, DC_100_A, LEVEL_II_A = 150.0 * 480.0 / SUPPLY_V, 100.0 * 480.0 / SUPPLY_V, 80.0 * 208.0 / SUPPLY_V
NON_EV_2_A, NON_EV_3_A = (200.0, 600.0), (80.0, 200.0)
OPENS_H, STEP_MIN = 17, 5
STEPS = 24 * 60 // STEP_MIN
BETA, DC_PRIORITY = 1.2, 1.5
"""The thesis: 1 <= alpha <= 1.5 and beta < alpha, no more."""
_LEAST_A = 6.0


@dataclass(frozen=True)
class Building:
    """The panel and, per EVSE, sub-feeder, kind, maximum and minimum in A at 600 V."""

    site: Site
    panel: Panel
    feeder: tuple[str, ...]
    is_dc: np.typing.NDArray[np.bool_]
    max_a: Vector
    min_a: Vector


def building(copies: int = 1) -> Building:
    """Table 6.2; with `copies` > 1 every sub-feeder that many times, on a main panel as much larger."""
    main = FeederId("main")
    rating_a = MAIN_RATING_A * copies
    feeders = [Feeder(main, rating_a, usable=0.8)]
    evses: list[Evse] = []
    for copy in range(copies):
        for name, kinds in (
            ("sf1", [DC_150_A] * 2 + [LEVEL_II_A] * 7),
            ("sf2", []),
            ("sf3", [DC_100_A] + [LEVEL_II_A] * 8),
        ):
            feeder = FeederId(f"{name}-{copy}" if copies > 1 else name)
            feeders.append(Feeder(feeder, rating_a, usable=0.8, parent=main))
            for most_a in kinds:
                evses.append(_evse(len(evses), feeder, most_a))
    chargers = tuple(Charger(evse.charger, (evse,)) for evse in evses)
    site = Site(SiteId("murb"), "America/Toronto", CsmsSettings("ws://127.0.0.1:9100/ocpp"), tuple(feeders), chargers)
    return Building(
        site=site,
        panel=compile_panel(site),
        feeder=tuple(str(evse.feeder) for evse in evses),
        is_dc=np.array([evse.kind == "dc" for evse in evses], dtype=np.bool_),
        max_a=np.array([evse.max_a for evse in evses]),
        min_a=np.array([evse.min_a for evse in evses]),
    )


def _evse(number: int, feeder: FeederId, most_a: float) -> Evse:
    is_dc = most_a > LEVEL_II_A
    charger = ChargerId(f"C{number:03d}")
    least_a = _LEAST_A * (480.0 if is_dc else 208.0) / SUPPLY_V
    return Evse(
        EvseId(f"E{number:03d}"),
        charger,
        1,
        feeder,
        (PHASES[0],),
        most_a,
        least_a,
        kind="dc" if is_dc else "ac",
        priority=DC_PRIORITY if is_dc else 1.0,
    )


@dataclass(frozen=True)
class Demand:
    """[step] non-EV load of sub-feeders 2 and 3, and [EVSE, step] what cars request; A at 600 V, from 17:00."""

    sf2_a: Vector
    sf3_a: Vector
    request_a: Array


def time_of_use(step: int) -> str:
    """Ontario's winter weekday: on-peak 07-11 and 17-19, mid-peak 11-17, else off-peak."""
    hour = (OPENS_H + step * STEP_MIN / 60.0) % 24.0
    if 7.0 <= hour < 11.0 or 17.0 <= hour < 19.0:
        return "on-peak"
    return "mid-peak" if 11.0 <= hour < 17.0 else "off-peak"


def draw_demand(case: Building, seed: int) -> Demand:
    """A day: non-EV load higher in the day than at night within the ranges printed; sessions come and go."""
    generator = np.random.default_rng([6, seed])
    hour = (OPENS_H + np.arange(STEPS) * STEP_MIN / 60.0) % 24.0
    day = 1.0 / (1.0 + np.exp(-(hour - 7.0) * 1.6)) * 1.0 / (1.0 + np.exp((hour - 18.0) * 0.9))
    loads = []
    for low, high in (NON_EV_2_A, NON_EV_3_A):
        noise = np.convolve(generator.normal(0.0, 1.0, STEPS + 23), np.ones(24) / 24.0, mode="valid")
        share = 0.12 + 0.76 * day + 0.35 * noise
        loads.append(low + (high - low) * np.clip(share, 0.0, 1.0))
    request = np.zeros((len(case.max_a), STEPS))
    for row, (most_a, is_dc) in enumerate(zip(case.max_a, case.is_dc, strict=True)):
        at = -float(generator.uniform(0.0, 24.0 if is_dc else 48.0))
        while at < STEPS:
            length = generator.uniform(5.0, 12.0) if is_dc else generator.uniform(18.0, 72.0)
            begin, end = int(max(0.0, at)), int(max(0.0, at + length))
            request[row, begin:end] = most_a * generator.uniform(0.7, 1.0)
            at += length + generator.exponential(9.0 if is_dc else 10.0)
    return Demand(loads[0], loads[1], request)


def ask(case: Building, demand: Demand, step: int) -> tuple[Problem, Asked]:
    """What the building asks of the strategy at one step; everyone who requests is admitted, their minima fit."""
    base = {FeederId("sf2"): float(demand.sf2_a[step]), FeederId("sf3"): float(demand.sf3_a[step])}
    base[FeederId("main")] = sum(base.values())
    room_a = capacity(case.panel, case.site, {feeder: {PHASES[0]: amps} for feeder, amps in base.items()})
    alpha = np.where(case.is_dc, DC_PRIORITY, 1.0)
    request = demand.request_a[:, step]
    problem = Problem(case.panel, room_a, case.min_a, request, alpha, request > 0.0)
    given = asked(problem, request > 0.0)
    assert isinstance(given, Asked), given
    return problem, given
