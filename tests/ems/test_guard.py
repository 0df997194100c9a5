"""The guard against an oracle that adds up phasors its own way, and against the panel's rows."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from site_strategies import A, B, C, base_loads, currents, line_currents, make_evse, make_feeder, make_site, sites

from domain.site import PHASES, Electrical, Transformer
from ems.guard import Facts, guard, lowest_a, rounded_down
from ems.panel import compile_panel
from ems.wiring import compile_wiring


def some_draws(site, limits, seed):
    """What cars might really do below their set-points: all, nothing, a part, single conductors."""
    rng = random.Random(seed)
    for _ in range(12):
        yield {
            e.id: [
                limits[e.id] * rng.choice([0.0, 1.0, 1.0, rng.random()])
                for _ in range(1 if e.conductors == 2 else e.conductors)
            ]
            for e in site.evses
        }
    yield {e.id: [limits[e.id]] * e.conductors for e in site.evses}


def facts(site, hold, rise=None, held=None, counted=None, in_force=None, limits=None):
    zero = {e.id: 0.0 for e in site.evses}
    held = held or {}
    return Facts(
        limit_a=limits or {f.id: f.usable_a for f in site.feeders},
        hold_base_a=hold,
        rise_base_a=rise or hold,
        held_a=held,
        counted_a=zero | (counted or {}) | held,
        in_force_a=zero | (in_force or {}),
    )


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_phase_of_any_feeder_above_its_limit_whatever_is_proposed(data):
    site = data.draw(sites())
    base = data.draw(base_loads(site))
    proposed = data.draw(currents(site, 2.0))
    limits, _ = guard(compile_wiring(site), proposed, facts(site, base))
    for evse in site.evses:
        assert limits[evse.id] == 0.0 or evse.min_a <= limits[evse.id] <= proposed[evse.id] + 1e-9
        assert round(limits[evse.id] * 10) == pytest.approx(limits[evse.id] * 10, abs=1e-9)
    for draws in some_draws(site, limits, data.draw(st.integers(0, 99))):
        loads = line_currents(site, draws, "", arithmetic=site.electrical.model == "arithmetic")
        for (feeder, phase), load in loads.items():
            room = site.feeder(feeder).usable_a - base[feeder][phase]
            assert load <= max(room, 0.0) + 1e-5, (feeder, phase)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_what_fits_is_passed_unchanged_but_for_rounding(data):
    site = data.draw(sites())
    base = data.draw(base_loads(site, 0.6))
    proposed = data.draw(currents(site))
    proposed = {e.id: proposed[e.id] if proposed[e.id] >= lowest_a(e) else 0.0 for e in site.evses}
    panel = compile_panel(site)
    load = panel.matrix @ np.array([proposed[e] for e in panel.evses])
    assume(
        all(
            x <= site.feeder(r.feeder).usable_a - base[r.feeder][r.phase] for x, r in zip(load, panel.rows, strict=True)
        )
    )
    limits, lowered = guard(compile_wiring(site), proposed, facts(site, base))
    assert not lowered
    for evse in site.evses:
        assert proposed[evse.id] - 0.1 - 1e-6 <= limits[evse.id] <= proposed[evse.id] + 1e-6


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_rises_wait_for_what_others_may_still_draw_and_nothing_falls_for_it(data):
    site = data.draw(sites())
    rise = data.draw(base_loads(site, 0.8))
    in_force = {e.id: data.draw(st.sampled_from([0.0, 6.0, 10.0, 16.0])) for e in site.evses}
    in_force = {e.id: in_force[e.id] if in_force[e.id] >= e.min_a else 0.0 for e in site.evses}
    counted = {e: max(a, data.draw(st.sampled_from([0.0, 12.0, 32.0]))) for e, a in in_force.items()}
    proposed = data.draw(currents(site))
    nothing = {f.id: dict.fromkeys(PHASES, 0.0) for f in site.feeders}
    plain, _ = guard(compile_wiring(site), proposed, facts(site, nothing))
    limits, lowered = guard(compile_wiring(site), proposed, facts(site, nothing, rise, None, counted, in_force))
    worst = {e: max(counted[e], limits[e]) for e in limits}
    for line in compile_wiring(site).lines[0]:
        rises = [e for e in line.alone_a if limits[e] > in_force[e] + 1e-9]
        load = line.current_a(worst, phasor=site.electrical.model == "phasor")
        if load > site.feeder(line.feeder).usable_a - rise[line.feeder][line.phase] + 1e-5:
            assert not rises
    for evse in limits:
        assert limits[evse] <= plain[evse]
        assert limits[evse] >= min(plain[evse], in_force[evse]) - 1e-9
        assert (evse in lowered) or limits[evse] == plain[evse]


def test_base_load_alone_above_the_limit_leaves_nothing():
    site = make_site(
        [make_feeder("main", 100.0), make_feeder("p", 50.0, "main")], [make_evse("a", "p"), make_evse("b")]
    )
    base = {"main": {A: 10.0}, "p": {A: 41.0}}
    limits, lowered = guard(compile_wiring(site), {"a": 6.0, "b": 32.0}, facts(site, base))
    assert limits == {"a": 0.0, "b": 32.0}
    assert lowered == {"a"}


def test_those_that_cannot_be_commanded_count_and_are_left_alone():
    site = make_site([make_feeder("main", 50.0)], [make_evse("a"), make_evse("b")])
    limits, _ = guard(compile_wiring(site), {"a": 9.0, "b": 20.0}, facts(site, {}, held={"a": 32.0}))
    assert limits == {"a": 9.0, "b": 8.0}


def test_the_last_in_line_is_switched_off_when_the_minima_do_not_fit():
    site = make_site([make_feeder("main", 20.0)], [make_evse(name) for name in "abc"])
    limits, lowered = guard(compile_wiring(site), dict.fromkeys("abc", 10.0), facts(site, {}))
    assert limits == {"a": 6.0, "b": 6.0, "c": 0.0}
    assert lowered == {"a", "b", "c"}


def test_no_number_is_nothing():
    site = make_site([make_feeder("main", 50.0)], [make_evse("a"), make_evse("b")])
    limits, _ = guard(compile_wiring(site), {"a": math.nan, "b": math.inf}, facts(site, {}))
    assert limits == {"a": 0.0, "b": 0.0}


def test_a_cap_of_a_group_counts_that_group_alone():
    evses = [make_evse("a", max_a=32.0), make_evse("d", phases=(A, B, C), max_a=100.0, kind="dc")]
    site = make_site([make_feeder("main", 400.0, dc_limit_a=60.0, ac_limit_a=20.0)], evses)
    limits, _ = guard(compile_wiring(site), {"a": 32.0, "d": 100.0}, facts(site, {"main": {A: 200.0}}))
    assert limits == {"a": 20.0, "d": 60.0}


def test_the_map_through_a_delta_wye_transformer_is_not_monotone_and_the_guard_knows():
    """ems.md section 1: 20 A on b-c and 10 A on c-a put 10.0 A on a primary line; when c-a stops, 11.55 A."""
    for pair in itertools.permutations([(A, B), (B, C), (C, A)], 2):
        evses = [make_evse("x", "sub", pair[0], max_a=20.0), make_evse("y", "sub", pair[1], max_a=10.0)]
        feeders = [
            make_feeder("main", 100.0, usable=1.0),
            make_feeder("sub", 100.0, "main", usable=1.0, transformer=Transformer(1.0, "delta-wye")),
        ]
        site = make_site(feeders, evses, electrical=Electrical(model="phasor"))
        for lines in compile_wiring(site).lines:
            both = [line.current_a({"x": 20.0, "y": 10.0}, phasor=True) for line in lines if line.feeder == "main"]
            alone = [line.current_a({"x": 20.0}, phasor=True) for line in lines if line.feeder == "main"]
            assert all(b >= a - 1e-9 for b, a in zip(both, alone, strict=False))


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_lines_agree_with_the_panels_rows(data):
    """Exact against the inscribed polygon: never above it, and at most its loss below."""
    site = data.draw(sites())
    y = data.draw(currents(site))
    panel, phasor = compile_panel(site), site.electrical.model == "phasor"
    rows = {}
    for row, load in zip(panel.rows, panel.matrix @ np.array([y[e] for e in panel.evses]), strict=True):
        rows[row.feeder, row.phase] = max(load, rows.get((row.feeder, row.phase), 0.0))
    exact = {}
    for line in itertools.chain.from_iterable(compile_wiring(site).lines):
        key = (line.feeder, line.phase)
        exact[key] = max(line.current_a(y, phasor=phasor), exact.get(key, 0.0))
    assert exact.keys() == rows.keys()
    for key, load in exact.items():
        assert load <= rows[key] + 1e-6
        assert rows[key] <= load * (1.004 if phasor else 1.0) + 1e-6


@given(st.floats(0.0, 80.0), st.sampled_from([0.0, 6.0, 6.25, 8.0]))
def test_rounding_is_down_and_never_between_nothing_and_the_minimum(limit_a, min_a):
    rounded = rounded_down(limit_a, min_a)
    assert rounded == 0.0 or (min_a <= rounded <= limit_a + 1e-6)
    assert limit_a - rounded < 0.1 + 1e-9 or limit_a < lowest_a(make_evse("a", min_a=min_a)) or min_a == 0.0
