import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from ems_sites import LEGS, WIRINGS, building, evse, main_panel, sites
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ids import FeederId
from domain.site import PHASES, Feeder, Phase, Transformer
from ems.panel import SIDES, capacity, compile_panel

A, B, C = PHASES
BELOW = FeederId("below")


def line_currents(site, draws, group):
    """The oracle: complex line currents of every feeder, by absolute angles and the windings' ampere-turns.

    `draws[evse]` is the current of each conductor (both legs of a line-to-line EVSE are one). `group` is the vector
    group of all delta-wye transformers: 1 (high side leads by 30 degrees) or 11 (low side leads).
    """
    turn = math.radians(-30.0 if group == 1 else 30.0)

    def volts(feeder):
        shift = sum(turn for f in site.path(feeder) if f.transformer and f.transformer.winding == "delta-wye")
        return {p: np.exp(1j * (shift - k * 2 * math.pi / 3)) for k, p in enumerate(PHASES)}

    def lines(feeder):
        total = dict.fromkeys(PHASES, 0j)
        for unit in site.evses:
            if unit.feeder != feeder.id:
                continue
            u = volts(feeder.id)
            if unit.conductors == 2:
                one, other = unit.phases
                across = u[one] - u[other]
                total[one] += draws[unit.id][0] * across / abs(across)
                total[other] -= draws[unit.id][0] * across / abs(across)
            else:
                for phase, ampere in zip(unit.phases, draws[unit.id], strict=True):
                    total[phase] += ampere * u[phase]
        for child in site.children(feeder.id):
            below = lines(child)
            if child.transformer is None:
                at_primary = below
            elif child.transformer.winding == "none":
                at_primary = {p: i / child.transformer.ratio for p, i in below.items()}
            else:
                winding = {p: i / (math.sqrt(3) * child.transformer.ratio) for p, i in below.items()}
                # In group 1 the winding of a lies between A and C, in group 11 between A and B.
                enters, leaves = {1: ((A, B, C), (C, A, B)), 11: ((A, B, C), (B, C, A))}[group]
                at_primary = dict.fromkeys(PHASES, 0j)
                for p, start, end in zip(PHASES, enters, leaves, strict=True):
                    at_primary[start] += winding[p]
                    at_primary[end] -= winding[p]
            for phase in PHASES:
                total[phase] += at_primary[phase]
        found[feeder.id] = {p: abs(i) for p, i in total.items()}
        return total

    found = {}
    lines(site.root)
    return found


def all_conductors(site, current_a):
    return {
        unit.id: [ampere] * (1 if unit.conductors == 2 else unit.conductors)
        for unit, ampere in zip(site.evses, current_a, strict=True)
    }


@settings(deadline=None, max_examples=250)
@given(sites(), st.integers(0, 2**32 - 1))
def test_no_draw_below_the_set_points_passes_a_limit(site, seed):
    generator = np.random.default_rng(seed)
    panel = compile_panel(site)
    base_a = {f.id: {p: f.usable_a * generator.choice([0.0, 0.5, 0.8]) for p in PHASES} for f in site.feeders}
    capacity_a = capacity(panel, site, base_a)
    current_a = generator.uniform(0.0, 40.0, len(panel.evses)) * (generator.random(len(panel.evses)) < 0.8)
    assert (panel.matrix >= 0.0).all()
    fullest = (panel.matrix @ current_a / capacity_a).max(initial=0.0)
    current_a = current_a / fullest if fullest > 0.0 else current_a
    for _ in range(6):
        draws = all_conductors(site, current_a)
        for evse_id, amps in draws.items():
            if generator.random() < 0.7:
                draws[evse_id] = [ampere * generator.choice([0.0, generator.random(), 1.0]) for ampere in amps]
        for group in (1, 11):
            for feeder, amps in line_currents(site, draws, group).items():
                for phase, ampere in amps.items():
                    assert ampere + base_a[feeder][phase] <= site.feeder(feeder).usable_a + 1e-6
    for row, cap_a in zip(panel.rows, panel.usable_a, strict=True):
        if row.group is not None:
            grouped = [a if u.kind == row.group else 0.0 for u, a in zip(site.evses, current_a, strict=True)]
            for group in (1, 11):
                amps = line_currents(site, all_conductors(site, grouped), group)
                assert amps[row.feeder][row.phase] <= cap_a + 1e-6


@settings(deadline=None, max_examples=60)
@given(sites(model="phasor", wirings=LEGS, transformers=False), st.integers(0, 2**32 - 1))
def test_the_polygon_loses_less_than_half_a_percent(site, seed):
    site = building([replace(f, ac_limit_a=None) for f in site.feeders], site.evses, "phasor")
    panel = compile_panel(site)
    current_a = np.random.default_rng(seed).uniform(1.0, 40.0, len(panel.evses))
    current_a /= (panel.matrix @ current_a / panel.usable_a).max()
    amps = line_currents(site, all_conductors(site, current_a), 1)
    fullest = max(ampere / site.feeder(f).usable_a for f, phases in amps.items() for ampere in phases.values())
    assert math.cos(math.pi / SIDES) - 1e-9 <= fullest <= 1.0 + 1e-9
    assert math.cos(math.pi / SIDES) > 0.995


@settings(deadline=None, max_examples=80)
@given(sites(model="arithmetic"), st.integers(0, 2**32 - 1))
def test_phasor_allows_whatever_arithmetic_allows(site, seed):
    loose = compile_panel(site)
    exact = compile_panel(building(site.feeders, site.evses, "phasor"))
    current_a = np.random.default_rng(seed).uniform(0.0, 40.0, len(loose.evses))
    fullest = (loose.matrix @ current_a / loose.usable_a).max(initial=0.0)
    current_a = current_a / fullest if fullest > 0.0 else current_a
    assert (exact.matrix @ current_a <= exact.usable_a + 1e-6).all()


@pytest.mark.parametrize(("model", "factor"), [("arithmetic", 2.0), ("phasor", math.sqrt(3.0))])
def test_balanced_line_to_line_loads(model, factor):
    site = building([main_panel()], [evse(n, "main", legs) for n, legs in enumerate(LEGS)], model)
    panel = compile_panel(site)
    assert (panel.matrix @ np.ones(3)).max() == pytest.approx(factor, abs=1e-9)


@pytest.mark.parametrize("model", ["arithmetic", "phasor"])
@pytest.mark.parametrize("phases", WIRINGS)
def test_one_evse_alone_loses_nothing(model, phases):
    panel = compile_panel(building([main_panel()], [evse(1, "main", phases)], model))
    assert {row.phase for row in panel.rows} == set(phases)
    assert panel.matrix.max() == pytest.approx(1.0, abs=1e-9)
    assert panel.conductors.tolist() == [len(phases)]


@pytest.mark.parametrize("model", ["arithmetic", "phasor"])
def test_the_primary_of_a_delta_wye_may_carry_more_when_a_load_stops(model):
    """20 A on b-c and 10 A on c-a: one primary line carries 10.0 A, and 11.55 A when c-a stops (ems.md section 1)."""
    below = Feeder(BELOW, 1000.0, parent=FeederId("main"), transformer=Transformer(1.0, "delta-wye"))
    site = building([main_panel(), below], [evse(1, "below", (B, C)), evse(2, "below", (C, A))], model)
    carried = line_currents(site, {"E1": [20.0], "E2": [10.0]}, 1)[FeederId("main")]
    alone = line_currents(site, {"E1": [20.0], "E2": [0.0]}, 1)[FeederId("main")]
    assert min(carried.values()) == pytest.approx(10.0)
    assert alone[min(carried, key=carried.get)] == pytest.approx(11.547, abs=1e-3)
    panel = compile_panel(site)
    for phase in PHASES:
        rows = [index for index, row in enumerate(panel.rows) if row.feeder == "main" and row.phase == phase]
        assert (panel.matrix[rows] @ [20.0, 10.0]).max() >= alone[phase] - 1e-9
        assert (panel.matrix[rows] >= 0.0).all()


def test_a_ratio_maps_currents_to_the_primary():
    below = Feeder(BELOW, 50.0, parent=FeederId("main"), transformer=Transformer(600 / 208))
    panel = compile_panel(building([main_panel(), below], [evse(1, "below", PHASES, kind="dc")]))
    at_main = [row.feeder == "main" for row in panel.rows]
    assert panel.matrix[at_main] == pytest.approx(208 / 600)


@settings(deadline=None, max_examples=40)
@given(sites(), st.sampled_from(list(permutations(PHASES))))
def test_renaming_the_phases_renames_the_rows(site, names):
    renamed = dict(zip(PHASES, names, strict=True))
    others = [replace(unit, phases=tuple(renamed[p] for p in unit.phases)) for unit in site.evses]
    before, after = compile_panel(site), compile_panel(building(site.feeders, others, site.electrical.model))

    def rows(panel, names):
        return sorted(
            (row.feeder, names[row.phase], row.group or "", *np.round(coefficients, 9) + 0.0)
            for row, coefficients in zip(panel.rows, panel.matrix, strict=True)
        )

    assert rows(before, renamed) == rows(after, dict(zip(PHASES, PHASES, strict=True)))


def test_capacity_is_what_others_leave():
    below = Feeder(BELOW, 50.0, usable=0.8, parent=FeederId("main"), ac_limit_a=30.0)
    site = building([main_panel(100.0), below], [evse(1, "below", (A, B))])
    panel = compile_panel(site)
    base_a = {FeederId("main"): {A: 20.0, B: 130.0}, BELOW: {A: 5.0}}
    got = dict(zip(panel.rows, capacity(panel, site, base_a, {FeederId("main"): 90.0, BELOW: 90.0}), strict=True))
    assert {(row.feeder, row.phase, row.group): left_a for row, left_a in got.items()} == {
        ("main", A, None): 70.0,
        ("main", B, None): -40.0,
        ("below", A, None): 35.0,
        ("below", B, None): 40.0,
        ("below", A, "ac"): 30.0,
        ("below", B, "ac"): 30.0,
    }


def test_a_cap_counts_its_own_group_only():
    panel = compile_panel(
        building([main_panel(dc_limit_a=10.0)], [evse(1, "main", (A,), kind="dc"), evse(2, "main", (A,))])
    )
    caps = [(row.phase, list(line)) for row, line in zip(panel.rows, panel.matrix, strict=True) if row.group == "dc"]
    assert caps == [(Phase.A, [1.0, 0.0])]


def test_a_site_without_evses_has_no_rows():
    panel = compile_panel(building([main_panel()], []))
    assert panel.rows == ()
    assert panel.matrix.shape == (0, 0)
    assert panel.kinds.matrix.shape == (0, 0)
