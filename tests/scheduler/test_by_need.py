"""Turns by need: promises are kept, seats follow shares, who is late goes first, and who can wait does."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.rotation import RotationState
from domain.site import SchedulerSettings
from scheduler.admission import admit
from scheduler.contender import Contender, Share
from scheduler.need import outlook

T0 = datetime(2026, 1, 5, 18, 0, tzinfo=UTC)
MOST_W, LEAST_A = 6656.0, 6.0


def minutes(count):
    return timedelta(minutes=count)


def car(name, kind="k0", leaves_h=10.0, needs_wh=20_000.0, got_wh=0.0, circuits=("main",)):
    return Contender(
        name,
        T0,
        frozenset(circuits),
        departure_at=T0 + timedelta(hours=leaves_h),
        remaining_wh=needs_wh,
        max_w=MOST_W,
        delivered_wh=got_wh,
        kind=kind,
    )


def room_for(seats_of):
    """Fits while no circuit has more than its seats."""

    def fits(some):
        return all(sum(name in on for name in some) <= seats for on, seats in seats_of)

    return fits


def ask(cars, fits, shares, state=None, now=T0, quantum_s=7200.0, min_on_s=600.0):
    config = SchedulerSettings("round_robin", quantum_s, min_on_s)
    return admit(config, state or RotationState(), cars, fits, now, shares=shares)


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    seats=st.lists(st.integers(1, 6), min_size=3, max_size=3),
    main=st.integers(1, 10),
    quantum_s=st.sampled_from([1800.0, 7200.0, 14400.0]),
    seed=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_nobody_waits_longer_than_promised_and_what_is_admitted_fits(counts, seats, main, quantum_s, seed):
    names = {f"p{i}": [f"p{i}-{j}" for j in range(count)] for i, count in enumerate(counts)}
    everyone = [name for some in names.values() for name in some]
    fits = room_for([(everyone, main), *((names[f"p{i}"], seats[i]) for i in range(len(counts)))])
    cars = [
        car(n, kind, leaves_h=seed.uniform(1.0, 14.0), needs_wh=seed.uniform(2e3, 3e4), circuits=("main", kind))
        for kind, some in names.items()
        for n in some
    ]
    shares = {kind: Share(seed.uniform(0.0, 2e4), seed.randint(0, main)) for kind in names}
    state, promises, now = RotationState(), {}, T0
    while now < T0 + minutes(240):
        answer = ask(cars, fits, shares, state, now, quantum_s, 300.0)
        assert fits(answer.admitted)
        assert set(answer.admitted) | set(answer.waiting) == set(everyone)
        for name in answer.admitted:
            promises.pop(name, None)
        for name, info in answer.waiting.items():
            assert info.next_turn_at <= info.promised_by
            promises[name] = min(info.promised_by, promises.get(name, info.promised_by))
        for name, by in promises.items():
            assert now < by, f"{name} still waits at {now}"
        assert answer == ask(cars, fits, shares, state, now, quantum_s, 300.0)
        state, now = answer.state, now + minutes(1)


def test_the_least_lax_get_the_seats_and_keep_them_until_a_promise_is_due():
    cars = [car("calm", leaves_h=12.0), car("late", leaves_h=5.0), car("soon", leaves_h=6.0)]
    fits, shares = room_for([(["calm", "late", "soon"], 2)]), {"k0": Share(5000.0, 2)}
    first = ask(cars, fits, shares)
    assert first.admitted == ("late", "soon")
    promised = first.waiting["calm"].promised_by
    assert promised == T0 + timedelta(seconds=3600)
    assert first.wake_at == T0 + minutes(30)
    later = ask(cars, fits, shares, first.state, T0 + minutes(30))
    assert later.admitted == ("late", "soon"), "no turn changes by the clock"
    due = ask(cars, fits, shares, later.state, promised - minutes(2))
    assert "calm" in due.admitted


def test_one_that_can_wait_leaves_its_power_to_the_others_but_not_for_longer_than_promised():
    cars = [car("a", leaves_h=4.0), car("b", leaves_h=4.0), car("stays", leaves_h=12.0, needs_wh=6000.0)]
    fits, shares = room_for([(["a", "b", "stays"], 3)]), {"k0": Share(8000.0, 3)}
    first = ask(cars, fits, shares)
    assert first.admitted == ("a", "b")
    promised = first.waiting["stays"].promised_by
    due = ask(cars, fits, shares, first.state, promised - minutes(2))
    assert due.admitted == ("a", "b", "stays") or set(due.admitted) == {"a", "b", "stays"}
    assert due.wake_at == promised - minutes(2) + minutes(10)
    after = ask(cars, fits, shares, due.state, due.wake_at)
    assert set(after.admitted) == {"a", "b"}


def test_without_others_to_use_the_power_nobody_is_left_out():
    cars = [car("a", leaves_h=4.0), car("stays", leaves_h=12.0, needs_wh=6000.0)]
    answer = ask(cars, room_for([(["a", "stays"], 2)]), {"k0": Share(12_000.0, 2)})
    assert set(answer.admitted) == {"a", "stays"}


def test_seats_go_to_each_kind_by_its_share():
    cars = [car(f"x{n}", "x") for n in range(5)] + [car(f"y{n}", "y", leaves_h=3.0) for n in range(5)]
    everyone = [one.evse for one in cars]
    shares = {"x": Share(3000.0, 2), "y": Share(3000.0, 2)}
    admitted = ask(cars, room_for([(everyone, 6)]), shares).admitted
    assert sorted(name[0] for name in admitted) == ["x", "x", "y", "y"]


def test_one_whose_driver_has_told_nothing_means_turns_by_the_clock():
    cars = [car("a"), Contender("b", T0, frozenset({"main"}), max_w=MOST_W, kind="k0")]
    first = ask(cars, room_for([(["a", "b"], 1)]), {"k0": Share(3000.0, 1)}, quantum_s=7200.0)
    assert first.admitted == ("a",)
    assert first.wake_at == T0 + timedelta(seconds=3600)


@given(
    st.lists(st.tuples(st.floats(0.1, 14.0), st.floats(500.0, 40_000.0), st.floats(0.0, 10_000.0)), max_size=9),
    st.floats(100.0, 30_000.0),
)
@settings(max_examples=80, deadline=None)
def test_fair_parts_are_feasible_and_paces_positive(rows, power_w):
    cars = [car(f"c{n}", leaves_h=h, needs_wh=w, got_wh=g) for n, (h, w, g) in enumerate(rows)]
    needs = outlook(cars, power_w, T0)
    assert set(needs) == {one.evse for one in cars}
    due_wh = 0.0
    for one in sorted(cars, key=lambda one: one.departure_at):
        need, left_h = needs[one.evse], (one.departure_at - T0).total_seconds() / 3600.0
        assert need.pace_w > 0.0
        assert need.laxity_h <= left_h
        contested_wh = (left_h - need.laxity_h) * MOST_W / 3.0
        due_wh += min(contested_wh, MOST_W * left_h)
        assert due_wh <= power_w * left_h * (1.0 + 1e-6) + 1.0


def test_one_that_overstays_is_not_the_most_urgent_of_all():
    needs = outlook([car("over", leaves_h=-3.0, needs_wh=3000.0), car("late", leaves_h=2.0)], 7000.0, T0)
    assert needs["late"].laxity_h < needs["over"].laxity_h


def test_hours_of_its_own_are_not_contested():
    """Alone from hour 4 on at 6.7 kW: 10 kWh can all wait; with three of them at 7 kW nothing can."""
    stays, goes = car("stays", leaves_h=6.0, needs_wh=10_000.0), car("goes", leaves_h=4.0, needs_wh=10_000.0)
    needs = outlook([stays, goes], 7000.0, T0)
    assert needs["stays"].can_wait
    assert not needs["goes"].can_wait
    crowd = [car(f"c{n}", leaves_h=6.0, needs_wh=30_000.0) for n in range(3)]
    assert not any(need.can_wait for need in outlook(crowd, 7000.0, T0).values())
