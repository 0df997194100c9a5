"""Study `drr-fairness`: figures 3.1, 3.3-3.5, 6.7-6.11 and table 6.3 of seed 004."""

from dataclasses import dataclass

import numpy as np

from headroom.clock import monotonic_s
from headroom.studies import drr_figures as draw
from headroom.studies.drr_cells import (
    SETTINGS,
    Cluster,
    HeatMap,
    Setting,
    carried_over,
    clusters,
    heat_maps,
    overall,
    penalties,
    shape,
    shares,
    state_of_charge,
)
from headroom.studies.drr_example import charged_kwh
from headroom.studies.drr_nights import EV_COUNT, Floats, Nights, draw_nights
from headroom.studies.drr_words import DEFINITIONS, METHOD, besides, claims
from headroom.studies.drr_year import NAMES, POLICIES, Policy
from headroom.studies.report import Findings, Plot, Sheet, Told

QUEUES_SEATS = 7
"""Active EVSEs of figures 6.10 and 6.11 and of table 6.3: 7 x 8 = 56, the size of the thesis's building."""
SHAPES_AT = (6, 8, 9)
_ROTATING: tuple[Policy, ...] = ("fcfs", "round_robin")


@dataclass(frozen=True)
class Year:
    """What was computed. `shapes`: (skewness, kurtosis) below S = 30 %, then from there on."""

    maps: dict[tuple[Setting, Policy], HeatMap]
    heat_s: float
    parts: dict[Policy, tuple[Cluster, ...]]
    penalties: dict[Policy, list[int]]
    shapes: dict[tuple[Policy, int], tuple[float, float, float, float]]
    example: dict[Policy, Floats]
    readings: dict[tuple[str, Setting, Policy], float]


def run(*, seed: int = 0, told: Told, days: int = 365, sizes: int = 10) -> Findings:
    """The whole study; tests reduce `days`, and `sizes` of the heat maps (9 at least)."""
    year = _compute(seed, told, days, sizes)
    values = _values(year)
    return Findings(
        name="drr-fairness",
        title="Who gets how much: Regular, FCFS and dynamic round robin over a year",
        method=METHOD,
        definitions=DEFINITIONS,
        beside=besides(values),
        claims=claims(values),
        sheets=_sheets(year),
        plots=_plots(year),
        values={**values, "heat_map_seconds": round(year.heat_s, 1), "days": days},
        seed=seed,
    )


def _compute(seed: int, told: Told, days: int, sizes: int) -> Year:
    began = monotonic_s()
    building = draw_nights(days, EV_COUNT, seed)
    maps = heat_maps(building, sizes, lambda done: told(0.55 * done, "heat maps"))
    heat_s = monotonic_s() - began
    told(0.55, "queues of one to ten EVs")
    more = draw_nights(days, QUEUES_SEATS * 10, seed)
    by_queue: dict[tuple[Policy, int], Floats] = {}
    for queue in range(1, 11):
        asking = more.first(QUEUES_SEATS * queue)
        for policy in POLICIES:
            by_queue[policy, queue] = shares(policy, "EMS", QUEUES_SEATS, asking)
        told(0.55 + 0.015 * queue, "queues of one to ten EVs")
    return Year(
        maps=maps,
        heat_s=heat_s,
        parts={policy: clusters(by_queue[policy, 8], seed) for policy in _ROTATING},
        penalties={policy: [penalties(by_queue[policy, queue]) for queue in range(1, 11)] for policy in POLICIES},
        shapes={(p, q): _shapes(by_queue[p, q]) for p in _ROTATING for q in SHAPES_AT},
        example={policy: charged_kwh(policy) for policy in _ROTATING},
        readings=_readings(building, told),
    )


def _shapes(share: Floats) -> tuple[float, float, float, float]:
    flat = share.reshape(-1)
    return (*shape(flat[flat < 0.3]), *shape(flat[flat >= 0.3]))


def _readings(building: Nights, told: Told) -> dict[tuple[str, Setting, Policy], float]:
    """S^T in % with 8 active EVSEs and all EVs asking, by two other readings of S."""
    found: dict[tuple[str, Setting, Policy], float] = {}
    for place, policy in enumerate(POLICIES):
        for setting in SETTINGS:
            share = shares(policy, setting, 8, building)
            found["begun full", setting, policy] = overall(state_of_charge(share, building))
        begin = 0.7 + 0.1 * place
        carried = carried_over(
            policy,
            8,
            building,
            lambda done, at=begin: told(at + 0.1 * done, "carried over"),  # type: ignore[misc]
        )
        for setting in SETTINGS:
            found["carried over", setting, policy] = overall(carried[setting])
    return found


def _values(year: Year) -> dict[str, object]:
    def cell(seats: int, queue: int) -> dict[str, dict[str, float]]:
        return {
            setting: {NAMES[p]: round(float(year.maps[setting, p].score[seats - 1, queue - 1]), 2) for p in POLICIES}
            for setting in SETTINGS
        }

    peaks = {}
    for setting in SETTINGS:
        score = year.maps[setting, "regular"].score
        seats, queue = np.unravel_index(int(np.nanargmax(np.round(score, 1))), score.shape)
        peaks[setting] = [int(seats) + 1, int(queue) + 1, round(float(score[seats, queue]), 1)]
    return {
        "score_8x7": cell(8, 7),
        "score_5x9": cell(5, 9),
        "regular_peak": peaks,
        "clusters": {
            NAMES[p]: [[round(100 * c.median, 2), c.population] for c in parts] for p, parts in year.parts.items()
        },
        "penalties": {NAMES[p]: counts for p, counts in year.penalties.items()},
        "shapes": {f"{NAMES[p]} {q}": [_number(v) for v in values] for (p, q), values in year.shapes.items()},
        "ev4_kwh": {NAMES[p]: round(float(energy[3, -1]), 2) for p, energy in year.example.items()},
        "other_readings": {f"{what}, {s}, {NAMES[p]}": round(v, 2) for (what, s, p), v in year.readings.items()},
        "ordered_cells": _ordered(year),
    }


def _ordered(year: Year) -> dict[str, list[int]]:
    """Per setting: cells in which Regular <= FCFS <= d-RR holds to 0.1 percentage points, and all cells."""
    found: dict[str, list[int]] = {}
    for setting in SETTINGS:
        regular, fcfs, rotating = (year.maps[setting, policy].score for policy in POLICIES)
        simulated = np.isfinite(regular)
        holds = (regular <= fcfs + 0.1) & (fcfs <= rotating + 0.1)
        found[setting] = [int(holds[simulated].sum()), int(simulated.sum())]
    return found


def _number(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None


def _sheets(year: Year) -> tuple[Sheet, ...]:
    cells = [
        (setting, NAMES[policy], seats + 1, queue + 1, round(float(value), 3))
        for (setting, policy), found in year.maps.items()
        for (seats, queue), value in np.ndenumerate(found.score)
        if np.isfinite(value)
    ]
    shapes = [
        (queue, NAMES[policy], *(_number(v) for v in year.shapes[policy, queue]))
        for queue in SHAPES_AT
        for policy in _ROTATING
    ]
    counts = list(zip(range(1, 11), *(year.penalties[policy] for policy in POLICIES), strict=True))
    parts = [
        (NAMES[policy], place, round(100.0 * part.median, 2), part.population)
        for policy, found in year.parts.items()
        for place, part in enumerate(found, start=1)
    ]
    readings = [(what, setting, NAMES[policy], round(v, 2)) for (what, setting, policy), v in year.readings.items()]
    below, above = ("skewness below 30 %", "kurtosis below 30 %"), ("skewness from 30 %", "kurtosis from 30 %")
    return (
        Sheet("heat_maps", "S^T of every cell", ("setting", "policy", "active", "queue", "S_T_percent"), cells),
        Sheet("table_6_3", "Skewness and kurtosis (table 6.3)", ("queue", "policy", *below, *above), shapes, True),
        Sheet("clusters", "Clusters (fig. 6.10)", ("policy", "cluster", "median_percent", "ev_days"), parts, True),
        Sheet("penalties", "Penalties (fig. 6.11)", ("queue", *(NAMES[p] for p in POLICIES)), counts, True),
        Sheet(
            "other_readings",
            "S^T by other readings of S, 8 x 7",
            ("S is", "setting", "policy", "S_T_percent"),
            readings,
            True,
        ),
    )


def _plots(year: Year) -> tuple[Plot, ...]:
    without, with_ems = SETTINGS
    return (
        Plot("fig_3_1", "Fig. 3.1: FCFS leaves EV4 without energy, d-RR does not", draw.example_figure(year.example)),
        Plot(
            "fig_3_3_to_3_5",
            "Fig. 3.3-3.5: 15 kW shared, no EMS (grey: not simulated)",
            draw.heat_figure(year.maps, without),
        ),
        Plot(
            "fig_6_7_to_6_9",
            "Fig. 6.7-6.9: 1.5 to 10 kW per active EVSE, with EMS",
            draw.heat_figure(year.maps, with_ems),
        ),
        Plot("fig_6_10", "Fig. 6.10: clusters of S, queue size 8, with EMS", draw.cluster_figure(year.parts)),
        Plot("fig_6_11", "Fig. 6.11: penalties over queue size", draw.penalty_figure(year.penalties)),
    )
