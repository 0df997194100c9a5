from dataclasses import replace

import numpy as np
from ems_sites import LEGS, building, evse, main_panel, sites
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ids import FeederId, MeterId
from domain.site import PHASES, Feeder, Transformer
from ems.failsafe import prove, render

A, B, C = PHASES
MAIN, SUB = FeederId("main"), FeederId("sub")
BASE_A = {A: 60.0, B: 40.0, C: 70.0}


def metered(rating_a=100.0, **more):
    return main_panel(rating_a, **{"usable": 0.8, "meter": MeterId("m"), "base_load_max_a": BASE_A} | more)


def proven(number, feeder, phases, failsafe_a=6.0, **more):
    return evse(number, feeder, phases, failsafe_a=failsafe_a, failsafe_proven=True, **more)


def test_fall_backs_and_base_load_are_added_phase_by_phase():
    proof = prove(building([metered()], [proven(n, "main", legs) for n, legs in enumerate(LEGS)]))
    assert [str(line) for line in proof.lines] == [
        "main phase A: fall-backs 12.0 A + base load 60.0 A of 80.0 A: holds",
        "main phase B: fall-backs 12.0 A + base load 40.0 A of 80.0 A: holds",
        "main phase C: fall-backs 12.0 A + base load 70.0 A of 80.0 A: does not hold by 2.0 A",
    ]
    assert not proof.holds
    assert proof.must_be_zero == ("E2",)
    assert proof.base_too_high == ()
    assert render(proof).splitlines()[-2:] == ["the fail-safe proof does not hold", "set failsafe_a: 0 for E2"]


def test_one_that_resumes_from_zero_is_named_first():
    site = building([metered()], [proven(n, "main", legs) for n, legs in enumerate(LEGS)])
    assert prove(site, resumes_from_zero=["E1"]).must_be_zero == ("E1",)


def test_naming_stops_when_it_fits():
    site = building([metered(base_load_max_a={A: 68.0})], [proven(n, "main", (A,)) for n in range(4)])
    proof = prove(site)
    assert proof.must_be_zero == ("E2", "E3")
    mended = [replace(unit, failsafe_a=0.0 if unit.id in proof.must_be_zero else 6.0) for unit in site.evses]
    assert prove(building(site.feeders, mended)).holds


def test_an_unproven_fall_back_counts_at_full_rating_until_the_site_accepts_it():
    unit = evse(1, "main", (A,), failsafe_a=6.0, max_a=32.0)
    site = building([metered()], [unit])
    proof = prove(site)
    assert [line.failsafe_a for line in proof.lines] == [32.0, 0.0, 0.0]
    assert not proof.holds
    assert proof.unproven == ("E1",)
    assert proof.must_be_zero == ()
    assert "accept_unproven_failsafe" in render(proof)
    accepted = prove(replace(site, accept_unproven_failsafe=True))
    assert accepted.holds
    assert "not shown by test, counted as written (accepted by the site): E1" in render(accepted)
    assert prove(building([metered()], [replace(unit, failsafe_proven=True)])).unproven == ()


def test_a_metered_feeder_without_history_or_design_load_fails():
    proof = prove(building([metered(base_load_max_a=None)], [proven(1, "main", (A,), 0.0)]))
    assert not proof.holds
    assert [line.base_a for line in proof.failing] == [None, None, None]
    assert proof.must_be_zero == ()
    assert "main: give base_load_max_a, the most it ever carries beside EVs" in render(proof)


def test_history_comes_before_the_design_load():
    site = building([metered()], [proven(1, "main", (A,))])
    assert prove(site, {MAIN: {A: 74.0}}).holds
    proof = prove(site, {MAIN: {A: 74.1}})
    assert [(line.phase, round(line.spare_a, 6)) for line in proof.failing] == [(A, -0.1)]


def test_a_base_load_above_the_limit_is_nobodys_fall_back():
    proof = prove(building([metered(base_load_max_a={B: 81.0})], [proven(1, "main", (A,))]))
    assert [line.phase for line in proof.base_too_high] == [B]
    assert proof.must_be_zero == ()
    assert "main phase B: the base load alone is above 80.0 A" in render(proof)


def test_a_dedicated_panel_carries_what_its_children_carry():
    sub = Feeder(SUB, 50.0, usable=1.0, parent=MAIN, meter=MeterId("s"), base_load_max_a={A: 30.0, B: 9.0})
    other = Feeder(FeederId("other"), 50.0, parent=MAIN, transformer=Transformer(2.0), base_load_max_a={A: 20.0})
    proof = prove(building([main_panel(), sub, other], [proven(1, "sub", (A, B))]))
    assert {line.phase: line.base_a for line in proof.lines if line.feeder == "main"} == {A: 40.0, B: 9.0, C: 0.0}
    unknown = replace(sub, base_load_max_a=None)
    assert {line.feeder for line in prove(building([main_panel(), unknown], [])).failing} == {"main", "sub"}


def test_a_group_cap_has_lines_of_its_own():
    units = [proven(1, "main", (A,)), proven(2, "main", (A,), 8.0, kind="dc")]
    proof = prove(building([metered(dc_limit_a=7.0)], units))
    (line,) = proof.failing
    assert (line.group, line.phase, line.failsafe_a, line.base_a, line.usable_a) == ("dc", A, 8.0, 0.0, 7.0)
    assert proof.must_be_zero == ("E2",)


def test_phasors_count_in_the_phasor_form():
    site = building([metered()], [proven(n, "main", legs) for n, legs in enumerate(LEGS)], "phasor")
    assert [round(line.failsafe_a, 3) for line in prove(site).lines] == [10.392] * 3


@settings(deadline=None, max_examples=80)
@given(sites(), st.integers(0, 2**32 - 1))
def test_with_those_named_at_zero_the_proof_holds_if_it_can(site, seed):
    generator = np.random.default_rng(seed)
    units = [
        replace(unit, failsafe_a=float(generator.choice([0.0, 6.0, 16.0])), failsafe_proven=True) for unit in site.evses
    ]
    base_a = {f.id: {p: f.usable_a * generator.uniform(0.0, 1.02) for p in PHASES} for f in site.feeders}
    proof = prove(building(site.feeders, units, site.electrical.model), base_a)
    mended = [replace(unit, failsafe_a=0.0 if unit.id in proof.must_be_zero else unit.failsafe_a) for unit in units]
    after = prove(building(site.feeders, mended, site.electrical.model), base_a)
    assert {(line.feeder, line.phase) for line in after.failing} <= {
        (line.feeder, line.phase) for line in proof.base_too_high
    }
    assert proof.holds == (not proof.must_be_zero and not proof.base_too_high)
