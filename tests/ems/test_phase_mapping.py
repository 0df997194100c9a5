"""Wiring told from steps: right, moved, turned, elsewhere; and that noise and moving loads give no wrong verdict."""

import cmath
import math
import random

import pytest
from site_strategies import T0, A, B, C, make_evse, make_feeder, make_site

from domain.site import PHASES
from ems.phase_mapping import MOST_STEPS, Plateau, Verdict, has_room, is_done, judge, metered_feeder

FEEDER = make_feeder("p1", 100.0, meter="m")
ANGLE = {phase: cmath.exp(-2j * math.pi * n / 3.0) for n, phase in enumerate(PHASES)}


def seen(phases, current_a, base_a, lag):
    """What a meter shows: a base load that lags, and the EVSE where it really is."""
    total = {p: base_a[p] * ANGLE[p] * cmath.exp(-1j * lag) for p in PHASES}
    if len(phases) == 2:
        leg = (ANGLE[phases[0]] - ANGLE[phases[1]]) / math.sqrt(3.0) * current_a
        total[phases[0]] += leg
        total[phases[1]] -= leg
    else:
        for phase in phases:
            total[phase] += ANGLE[phase] * current_a
    return {p: abs(total[p]) for p in PHASES}


def plateaus(real, count=9, noise_a=0.1, drift_a=0.0, jumps_a=0.0, seed=0, base_a=30.0, lag=0.2):
    source = random.Random(seed)
    base, found = {p: base_a + 3.0 * n for n, p in enumerate(PHASES)}, []
    for number in range(count):
        base = {p: a + drift_a + source.gauss(0.0, jumps_a) for p, a in base.items()}
        current_a = 20.0 if number % 2 == 0 else 16.0
        shown = seen(real, current_a, {p: max(0.0, a) for p, a in base.items()}, lag)
        found.append(Plateau(current_a, {p: a + source.gauss(0.0, noise_a) for p, a in shown.items()}))
    return found


def verdict(written, real, **options):
    return judge(make_evse("e", "p1", written), FEEDER, plateaus(real, **options), T0)


@pytest.mark.parametrize(
    ("written", "real", "expected"),
    [
        ((A, B), (A, B), Verdict.AS_WRITTEN),
        ((B, A), (A, B), Verdict.AS_WRITTEN),
        ((A, B), (B, C), Verdict.WRONG),
        ((C, A), (A, B), Verdict.WRONG),
        ((A,), (A,), Verdict.AS_WRITTEN),
        ((A,), (C,), Verdict.WRONG),
        ((A, B, C), (A, B, C), Verdict.AS_WRITTEN),
        ((A, B, C), (A,), Verdict.AS_WRITTEN),
        ((A, B, C), (B,), Verdict.WRONG),
        ((B, C, A), (B,), Verdict.AS_WRITTEN),
        ((A, B), (), Verdict.WRONG),
    ],
)
@pytest.mark.parametrize("base_a", [0.5, 40.0])
def test_steps_tell_where_an_evse_is(written, real, expected, base_a):
    found = verdict(written, real, base_a=base_a)
    assert found.verdict is expected
    assert set(found.found) == set(real)
    assert found.confidence > 0.99
    assert found.text.startswith("e ")


def test_a_steady_drift_cancels():
    found = verdict((A, B), (B, C), drift_a=1.5)
    assert (found.verdict, found.found) == (Verdict.WRONG, (B, C))


def test_the_fewer_steps_and_the_louder_the_building_the_less_is_said():
    assert verdict((A, B), (A, B), count=4).verdict is Verdict.UNKNOWN
    loud = verdict((A, B), (A, B), jumps_a=6.0)
    assert loud.verdict is Verdict.UNKNOWN
    assert loud.found is None
    assert not is_done(loud)


def test_a_building_that_moves_gives_no_wrong_verdict():
    """300 buildings whose base load jumps by amperes between plateaus: many tell nothing, hardly any tells wrong."""
    wrong = told = 0
    for seed in range(300):
        jumps_a = (0.3, 1.0, 3.0)[seed % 3]
        found = verdict((A, B), (A, B), jumps_a=jumps_a, count=MOST_STEPS + 1, seed=seed)
        told += found.verdict is Verdict.AS_WRITTEN
        wrong += found.verdict is Verdict.WRONG
    assert wrong <= 3
    assert told >= 100


def test_the_meter_that_sees_it_is_the_nearest_and_not_through_a_transformer():
    from domain.site import Transformer

    feeders = [make_feeder("main", 200.0, meter="m"), make_feeder("p1", 100.0, "main"), make_feeder("p2", 50.0, "p1")]
    site = make_site(feeders, [make_evse("e", "p2")])
    assert metered_feeder(site, site.evses[0]).id == "main"
    between = make_feeder("p1", 100.0, "main", transformer=Transformer(2.88, "delta-wye"))
    site = make_site([feeders[0], between, feeders[2]], [make_evse("e", "p2")])
    assert metered_feeder(site, site.evses[0]) is None


def test_nothing_is_tried_near_full_load():
    assert has_room({A: 79.0, B: 10.0}, 100.0)
    assert not has_room({A: 81.0, B: 10.0}, 100.0)
