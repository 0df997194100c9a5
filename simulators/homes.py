"""Which homes a site has: as many as it has EVSEs, on its metered feeders, sized to the site's design load."""

from itertools import combinations

import numpy as np

from domain.site import PHASES, Feeder, Phase, Site
from simulators.building import HOURS, BuildingLoad, Home, home_profiles
from simulators.phasors import Amps

LOAD_MARGIN = 1.1
"""A feeder's design load over the largest load of the four weeks that are replayed."""
UNSTATED_SHARE = 0.4
"""Largest load over usable rating, on a metered feeder whose design load is not written."""


def homes_for(site: Site) -> tuple[Home, ...]:
    """One home per EVSE, twelve at least, unscaled; deterministic.

    Homes hang on metered feeders (a Dedicated feeder carries EVSEs only), two on each lowest one for each on a feeder
    that has metered feeders below, in turn over the pairs of legs. The n-th dozen lives by the same profiles n days
    shifted.
    """
    slots = [feeder for feeder in site.feeders if feeder.meter for _ in range(1 if _feeds_metered(site, feeder) else 2)]
    if not slots:
        return ()
    profiles, given = home_profiles().shape[1], dict.fromkeys((feeder.id for feeder in slots), 0)
    homes: list[Home] = []
    for number in range(max(profiles, len(site.evses))):
        feeder = slots[number % len(slots)]
        pairs = _leg_pairs(feeder)
        shift_days = number // profiles % (HOURS // 24)
        homes.append(Home(feeder.id, pairs[given[feeder.id] % len(pairs)], number % profiles, shift_days))
        given[feeder.id] += 1
    return tuple(homes)


def building_load(site: Site, *, seed: int = 0, power_factor: float = 0.97) -> BuildingLoad:
    """The load that the demo and `simulate` put on a site.

    Guarantees that over the four weeks replayed the load of every metered feeder, looked at every 10 s, times
    `LOAD_MARGIN`, is at most its `base_load_max_a` (40 % of usable where none is written), and equal on one phase of
    one feeder: one factor scales all homes.
    """
    load = BuildingLoad(site, homes_for(site), seed=seed, power_factor=power_factor)
    if not load.homes:
        return load
    peak_a, design_a = load.peak_a() * LOAD_MARGIN, _design_a(site)
    loaded = peak_a > 0
    return load.scaled(float((design_a[loaded] / peak_a[loaded]).min()))


def _design_a(site: Site) -> Amps:
    """[feeder, phase] what the non-EV load may reach, A; infinite where there is no meter."""
    design = np.full((len(site.feeders), len(PHASES)), np.inf)
    for row, feeder in enumerate(site.feeders):
        if feeder.meter is None:
            continue
        for phase in feeder.phases:
            stated = None if feeder.base_load_max_a is None else feeder.base_load_max_a.get(phase, 0.0)
            design[row, PHASES.index(phase)] = UNSTATED_SHARE * feeder.usable_a if stated is None else stated
    return design


def _feeds_metered(site: Site, feeder: Feeder) -> bool:
    return any(
        other.meter and other.id != feeder.id and any(above.id == feeder.id for above in site.path(other.id))
        for other in site.feeders
    )


def _leg_pairs(feeder: Feeder) -> list[tuple[Phase, ...]]:
    """A-B, B-C, C-A on a three-phase feeder; what there is on a smaller one."""
    phases = tuple(phase for phase in PHASES if phase in feeder.phases)
    if len(phases) == 3:
        return [(Phase.A, Phase.B), (Phase.B, Phase.C), (Phase.C, Phase.A)]
    return [*combinations(phases, 2)] or [phases]
