"""What the phasor form and a known vector group give back."""

import numpy as np
import pytest
from hypothesis import given, settings
from site_strategies import A, B, C, line_currents, make_evse, make_feeder, make_site, sites

from domain.site import Electrical, Transformer
from ems.capacity_gain import capacity_gain
from ems.panel import compile_panel

PAIRS = ((A, B), (B, C), (C, A))


def test_balanced_pairs_gain_two_over_root_three():
    site = make_site(
        [make_feeder("main", 111.0, usable=1.0)], [make_evse(f"e{n}", "main", p) for n, p in enumerate(PAIRS * 6)]
    )
    gain = capacity_gain(site)
    assert gain.phasor_kw == pytest.approx(40.0, abs=0.02)
    assert gain.gain_frac == pytest.approx(2.0 / np.sqrt(3.0) - 1.0, abs=1e-3)
    assert "+15.5 %" in str(gain)


def test_turns_serve_those_for_whom_there_is_no_room_at_once():
    """At 6 A minimum each of 6 EVSEs on one line, 20 A carry three."""
    feeder = make_feeder("main", 20.0, usable=1.0)
    gain = capacity_gain(make_site([feeder], [make_evse(f"e{n}", "main", (A,)) for n in range(6)]))
    assert (gain.at_once, gain.evses, gain.rotation_gain_frac) == (3, 6, pytest.approx(1.0))
    roomy = make_site([make_feeder("main", 400.0)], [make_evse(f"e{n}", "main", (A,)) for n in range(6)])
    assert capacity_gain(roomy).rotation_gain_frac == 0.0
    tiny = make_site([make_feeder("main", 5.0, usable=1.0)], [make_evse("e", "main", (A,))])
    assert (capacity_gain(tiny).at_once, capacity_gain(tiny).rotation_gain_frac) == (0, 0.0)


def test_beside_a_lower_load_than_the_design_load_there_is_more_room():
    feeder = make_feeder("main", 60.0, usable=1.0, base_load_max_a={A: 50.0, B: 0.0, C: 0.0})
    site = make_site([feeder], [make_evse(f"e{n}", "main", (A,)) for n in range(6)])
    assert (capacity_gain(site).at_once, capacity_gain(site, {"main": {A: 30.0}}).at_once) == (1, 5)
    assert capacity_gain(site, {"main": {A: 30.0}}).phasor_kw == pytest.approx(3 * capacity_gain(site).phasor_kw)


def test_line_to_neutral_loads_gain_nothing():
    site = make_site([make_feeder("main", 50.0)], [make_evse(f"e{n}", "main", (A,)) for n in range(3)])
    assert capacity_gain(site).gain_frac == pytest.approx(0.0)


@given(sites())
@settings(max_examples=40, deadline=None)
def test_the_phasor_form_never_takes_capacity_away(site):
    gain = capacity_gain(site)
    assert gain.phasor_kw >= gain.arithmetic_kw * (1.0 - 1e-9) >= 0.0


def two_sides(group):
    """EVSEs on both sides of a delta-wye: only with its group known is it known how their currents add."""
    feeders = [
        make_feeder("main", 40.0, usable=1.0),
        make_feeder("wye", 200.0, "main", transformer=Transformer(1.0, "delta-wye", group)),
    ]
    evses = [make_evse("below", "wye", (A, B)), make_evse("beside", "main", (B, C))]
    return make_site(feeders, evses, electrical=Electrical(model="phasor"))


def test_a_known_vector_group_gives_capacity_back():
    unknown = capacity_gain(two_sides(None)).phasor_kw
    known = [capacity_gain(two_sides(group)).phasor_kw for group in ("Dyn1", "Dyn11")]
    assert min(known) >= unknown - 1e-9
    assert max(known) > unknown * 1.02


@pytest.mark.parametrize(("group", "which"), [("Dyn1", 0), ("Dyn11", 1)])
def test_the_rows_of_a_known_group_are_safe_for_that_group(group, which):
    site = two_sides(group)
    panel = compile_panel(site)
    generator = np.random.default_rng(3)
    for _ in range(200):
        draw = generator.uniform(0.0, 32.0, 2)
        worst = {(row.feeder, row.phase): 0.0 for row in panel.rows}
        for row, load in zip(panel.rows, panel.load_a(draw), strict=True):
            worst[row.feeder, row.phase] = max(worst[row.feeder, row.phase], load)
        true = line_currents(
            site,
            dict(zip(("below", "beside"), ([draw[0]], [draw[1]]), strict=True)),
            "",
            arithmetic=False,
            groups=(which,),
        )
        for line, current_a in true.items():
            assert current_a <= worst.get(line, 0.0) + 1e-9
