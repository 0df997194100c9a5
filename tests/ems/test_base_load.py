"""The non-EV load, against a building that is simulated with phasors of its own."""

import cmath
import math
from datetime import timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from site_strategies import T0, A, B, C, make_evse, make_feeder, make_site, seconds, settled

from domain.ledger import LedgerEntry
from domain.metering import EvseSample, MeterReading
from domain.site import PHASES, Meter, Transformer
from domain.snapshot import LoadSource
from ems.base_load import BaseLoadState, EvseTrack, estimate
from ems.draws import conductor_a

TURN = {p: cmath.exp(-2j * math.pi * k / 3) for k, p in enumerate(PHASES)}
PAIRS = ((A, B), (B, C), (C, A))


def metered_current(evses, draws, base, lag_rad):
    """|I| per phase of a feeder with line-to-line, line-to-neutral and three-phase EVSEs and a lagging base load."""
    total = {p: base[p] * TURN[p] * cmath.exp(-1j * lag_rad) for p in PHASES}
    for evse in evses:
        if evse.conductors == 2:
            one, other = evse.phases
            unit = (TURN[one] - TURN[other]) / abs(TURN[one] - TURN[other])
            total[one] += unit * draws[evse.id]
            total[other] -= unit * draws[evse.id]
        else:
            for phase in evse.phases:
                total[phase] += TURN[phase] * draws[evse.id]
    return {p: abs(i) for p, i in total.items()}


def sample(at, current_a, **options):
    return EvseSample(at=at, received_at=at, current_a=current_a, **options)


def reading(at, **amps):
    return MeterReading("m", at, {p: amps.get(p.value, amps.get("all", 0.0)) for p in PHASES})


def one_panel(*evses, **options):
    return make_site([make_feeder("main", 200.0, meter="m", **options)], evses)


QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
"""A story of several minutes takes too long to shrink."""


class Building:
    """One metered panel in steps of a second: true base and draws, samples each `interval_s`, readings each 5 s."""

    def __init__(self, evses, interval_s, lag_rad, limit_a=32.0):
        self.site = one_panel(*evses)
        self.interval_s, self.lag_rad = interval_s, lag_rad
        self.samples = {e.id: () for e in evses}
        self.ledgers = {e.id: settled(limit_a) for e in evses}
        self.state, self.reading, self.now_s = BaseLoadState(), None, 0

    def step(self, base, draws):
        """A second passes; the views if anything was reported."""
        now, news = T0 + seconds(self.now_s), False
        for number, evse in enumerate(self.site.evses):
            if (self.now_s + 3 * number) % self.interval_s == 0:
                news = True
                self.samples[evse.id] = (*self.samples[evse.id][-9:], sample(now, draws[evse.id]))
        if self.now_s % 5 == 0:
            news = True
            self.reading = MeterReading("m", now, metered_current(self.site.evses, draws, base, self.lag_rad))
        self.now_s += 1
        if not news or self.reading is None:
            return None
        tracks = {e: EvseTrack(self.ledgers[e], s, self.interval_s) for e, s in self.samples.items()}
        views, self.state = estimate(self.site, {"m": self.reading}, tracks, self.state, now)
        return views["main"]


wired = st.lists(st.sampled_from([*PAIRS, (A,), (B,), (A, B, C)]), min_size=1, max_size=4)
lags = st.floats(0.0, math.acos(0.95))
loads = st.fixed_dictionaries(dict.fromkeys(PHASES, st.floats(2.0, 80.0)))


@given(wired, lags, loads, st.sampled_from([10, 20, 30]), st.data())
@settings(max_examples=60, deadline=None, phases=QUICK)
def test_no_step_of_an_evse_makes_the_base_load_look_smaller(phases, lag_rad, base, interval_s, data):
    """Cars start, stop and change at any second, at most once between two samples; limits allow it all."""
    evses = [make_evse(f"e{i}", phases=p) for i, p in enumerate(phases)]
    building = Building(evses, interval_s, lag_rad)
    draws = dict.fromkeys((e.id for e in evses), 0.0)
    changes = {
        (e.id, k): (data.draw(st.integers(1, interval_s - 1)), data.draw(st.sampled_from([0.0, 8.0, 16.0, 32.0])))
        for e in evses
        for k in range(8)
    }
    for now_s in range(8 * interval_s):
        for number, evse in enumerate(evses):
            after_sample_s = (now_s + 3 * number) % interval_s
            at_s, to_a = changes[evse.id, min(7, (now_s + 3 * number) // interval_s)]
            if after_sample_s == at_s:
                draws[evse.id] = to_a
        view = building.step(base, draws)
        if view is None:
            continue
        for phase in PHASES:
            assert view.base_high_a[phase] >= base[phase] - 1e-6, (now_s, phase)
            assert view.base_likely_a[phase] <= view.base_high_a[phase]


@given(wired, lags, st.lists(loads, min_size=2, max_size=6), st.sampled_from([10, 30]), st.data())
@settings(max_examples=30, deadline=None, phases=QUICK)
def test_with_steady_cars_a_rise_is_seen_at_once_and_a_fall_after_one_interval(
    phases, lag_rad, levels, interval_s, data
):
    evses = [make_evse(f"e{i}", phases=p) for i, p in enumerate(phases)]
    building = Building(evses, interval_s, lag_rad)
    draws = {e.id: data.draw(st.sampled_from([0.0, 6.0, 16.0])) for e in evses}
    view = None
    for base in levels:
        for second in range(3 * interval_s):
            view = building.step(base, draws) or view
            for phase in PHASES:
                if second >= 5:
                    assert view.base_high_a[phase] >= base[phase] - 1e-6
                if second >= interval_s + 10:
                    assert view.base_likely_a[phase] >= base[phase] - 1e-6
        for phase in PHASES:
            # The angle between base and EV load is not known: up to 48 degrees off, on both legs of each car.
            assert view.base_likely_a[phase] <= base[phase] + 0.5 * sum(draws.values()) + 1e-6


def test_a_start_on_its_way_is_not_counted_twice():
    site = one_panel(make_evse("e", phases=(A,)))
    low, raised = settled(6.0), LedgerEntry(30.0, 30.0, T0, T0, None)
    samples = (sample(T0 - seconds(20), 6.0), sample(T0 - seconds(1), 6.0))
    views, state = estimate(
        site, {"m": reading(T0 - seconds(4), A=46.0)}, {"e": EvseTrack(low, samples, 20.0)}, BaseLoadState(), T0
    )
    assert 40.0 <= views["main"].base_likely_a[A] < 41.0
    at = T0 + seconds(10)
    views, state = estimate(site, {"m": reading(at, A=70.0)}, {"e": EvseTrack(raised, samples, 20.0)}, state, at)
    assert 40.0 <= views["main"].base_likely_a[A] < 41.0
    assert views["main"].base_high_a[A] == pytest.approx(64.0, abs=0.5)


def test_a_reduction_on_its_way_makes_the_highest_load_higher():
    site = one_panel(make_evse("e", phases=(A,)))
    samples = (sample(T0 - seconds(10), 30.0), sample(T0, 30.0))
    views, state = estimate(
        site, {"m": reading(T0, A=70.0)}, {"e": EvseTrack(settled(30.0), samples)}, BaseLoadState(), T0
    )
    assert 40.0 <= views["main"].base_high_a[A] < 41.0
    at = T0 + seconds(8)
    falling = LedgerEntry(10.0, 30.0, at, at, None)
    views, _ = estimate(site, {"m": reading(at, A=70.0)}, {"e": EvseTrack(falling, samples)}, state, at)
    assert views["main"].base_high_a[A] == pytest.approx(60.0, abs=1.0)
    assert 40.0 <= views["main"].base_likely_a[A] < 41.0


def test_before_its_first_sample_an_evse_is_not_measured():
    site = one_panel(make_evse("e", phases=(A,)))
    track = EvseTrack(settled(30.0), (sample(T0 + seconds(20), 30.0),))
    views, _ = estimate(site, {"m": reading(T0, A=70.0)}, {"e": track}, BaseLoadState(), T0 + seconds(20))
    assert views["main"].base_high_a[A] == pytest.approx(70.0), "it may have started after the reading"


def test_an_evse_nobody_measures_counts_from_nothing_to_its_limit():
    site = one_panel(make_evse("e", phases=(A,)))
    views, _ = estimate(site, {"m": reading(T0, A=70.0)}, {"e": EvseTrack(settled(20.0))}, BaseLoadState(), T0)
    assert views["main"].base_high_a[A] == pytest.approx(70.0)
    idle, _ = estimate(
        site, {"m": reading(T0, A=70.0)}, {"e": EvseTrack(settled(20.0), idle=True)}, BaseLoadState(), T0
    )
    assert idle["main"].base_high_a[A] == idle["main"].base_likely_a[A] == pytest.approx(70.0)


@pytest.mark.parametrize(
    "bad",
    [
        reading(T0 - seconds(61), all=10.0),
        reading(T0 + seconds(31), all=10.0),
        reading(T0, A=math.nan, B=1.0, C=1.0),
        reading(T0, A=-0.1, B=1.0, C=1.0),
        reading(T0, A=math.inf, B=1.0, C=1.0),
        MeterReading("m", T0, {A: 10.0, B: 10.0}),
        None,
    ],
)
def test_what_is_no_fresh_reading_counts_as_forecast_then_design_load_then_full(bad):
    readings = {} if bad is None else {"m": bad}
    site = one_panel(make_evse("e"))
    full, _ = estimate(site, readings, {}, BaseLoadState(), T0)
    assert full["main"].source is LoadSource.FAILSAFE
    assert full["main"].base_high_a == full["main"].base_likely_a == dict.fromkeys(PHASES, 160.0)
    design, _ = estimate(
        one_panel(make_evse("e"), base_load_max_a={A: 50.0, B: 40.0, C: 30.0}), readings, {}, BaseLoadState(), T0
    )
    assert design["main"].base_high_a == {A: 50.0, B: 40.0, C: 30.0}
    foreseen, state = estimate(site, readings, {}, BaseLoadState(), T0, {"main": {A: 90.0, B: 91.0, C: 92.0}})
    assert foreseen["main"].source is LoadSource.FORECAST
    assert foreseen["main"].base_high_a == foreseen["main"].base_likely_a == foreseen["main"].forecast_a
    assert state == BaseLoadState()


def test_a_stamp_a_little_ahead_is_fresh():
    views, _ = estimate(one_panel(make_evse("e")), {"m": reading(T0 + seconds(29), all=10.0)}, {}, BaseLoadState(), T0)
    assert views["main"].source is LoadSource.MEASURED
    assert views["main"].metered_a[A] == 10.0


def tree(transformer=None, root_meter=None):
    feeders = [
        make_feeder("main", 200.0, meter=root_meter),
        make_feeder("p1", 100.0, "main", meter="m", transformer=transformer),
        make_feeder("p2", 100.0, "main"),
    ]
    return make_site(feeders, [make_evse("e", "p1"), make_evse("d", "p2")])


def test_a_feeder_without_a_meter_carries_what_the_metered_ones_below_carry():
    idle = {e: EvseTrack(settled(0.0), idle=True) for e in ("e", "d")}
    views, _ = estimate(tree(), {"m": reading(T0, A=10.0, B=20.0, C=30.0)}, idle, BaseLoadState(), T0)
    assert views["main"].base_high_a == pytest.approx({A: 10.0, B: 20.0, C: 30.0})
    assert views["main"].source is LoadSource.DEDICATED
    assert views["main"].reading_at == T0
    assert views["p2"].base_high_a == dict.fromkeys(PHASES, 0.0)
    stale, _ = estimate(tree(), {}, idle, BaseLoadState(), T0)
    assert stale["main"].source is LoadSource.FAILSAFE
    assert stale["main"].base_high_a == dict.fromkeys(PHASES, 80.0)


def test_through_transformers_magnitudes_add_on_the_safe_side():
    idle = {e: EvseTrack(settled(0.0), idle=True) for e in ("e", "d")}
    amps = {"m": reading(T0, A=30.0, B=30.0, C=30.0)}
    views, _ = estimate(tree(Transformer(2.0)), amps, idle, BaseLoadState(), T0)
    assert views["main"].base_high_a[A] == pytest.approx(15.0)
    views, _ = estimate(tree(Transformer(1.0, "delta-wye")), amps, idle, BaseLoadState(), T0)
    assert views["main"].base_high_a[A] == pytest.approx(60.0 / math.sqrt(3.0))


def test_a_stale_parent_counts_at_least_what_its_children_carry():
    site = tree(root_meter="m0")
    idle = {e: EvseTrack(settled(0.0), idle=True) for e in ("e", "d")}
    views, _ = estimate(
        site, {"m": reading(T0, all=70.0)}, idle, BaseLoadState(), T0, {"main": dict.fromkeys(PHASES, 20.0)}
    )
    assert views["main"].base_high_a == dict.fromkeys(PHASES, 70.0)


def test_conductors_from_what_a_charger_reports():
    three, pair = make_evse("e", phases=(A, B, C)), make_evse("e", phases=(A, B))
    assert conductor_a(pair, sample(T0, 16.0, line_a=(16.0, 16.2)), 208.0) == (16.2, 16.2)
    assert conductor_a(three, sample(T0, 16.0), 400.0) == (16.0, 16.0, 16.0)
    assert conductor_a(three, sample(T0, 16.0, line_a=(16.0, 0.1, 0.0)), 400.0) == (16.0, 0.1, 0.0)
    assert conductor_a(three, sample(T0, 16.0, power_w=3700.0), 400.0) == (16.0, 0.0, 0.0)
    assert conductor_a(three, sample(T0, 16.0, power_w=7400.0), 400.0) == (16.0, 16.0, 0.0)
    assert conductor_a(three, sample(T0, None), 400.0) is None


def test_an_evse_that_fell_silent_is_not_metered():
    site = one_panel(make_evse("e", phases=(A,)))
    samples = (sample(T0 - seconds(400), 30.0),)
    views, _ = estimate(site, {"m": reading(T0, A=70.0)}, {"e": EvseTrack(settled(30.0), samples)}, BaseLoadState(), T0)
    assert views["main"].base_high_a[A] == pytest.approx(70.0)


def test_meters_have_their_own_patience():
    site = make_site([make_feeder("main", 100.0, meter="m")], [make_evse("e")])
    patient = type(site)(
        **{f: getattr(site, f) for f in ("id", "timezone", "csms", "feeders", "chargers")}, meters=(Meter("m", 600.0),)
    )
    late = {"m": reading(T0 - timedelta(seconds=300), all=10.0)}
    assert estimate(site, late, {}, BaseLoadState(), T0)[0]["main"].source is LoadSource.FAILSAFE
    assert estimate(patient, late, {}, BaseLoadState(), T0)[0]["main"].source is LoadSource.MEASURED
