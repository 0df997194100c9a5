"""Turn-taking: the wait bound, fairness, elapsed time, contactor wear, and the sorted queues."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.rotation import RotationState
from domain.site import SchedulerSettings
from scheduler.admission import admit
from scheduler.contender import Contender
from scheduler.fairness import jain
from scheduler.round_robin import MIN_OFF_S

T0 = datetime(2026, 1, 5, 18, 0, tzinfo=UTC)


@dataclass
class Tree:
    """Circuits with capacities; each EVSE loads some of them with its minimum."""

    capacity_a: dict[str, float]
    loads: dict[str, frozenset[str]]
    min_a: dict[str, float] = field(default_factory=dict)

    def fits(self, some):
        return all(
            sum(self.min_a.get(e, 6.0) for e in some if circuit in self.loads[e]) <= capacity + 1e-9
            for circuit, capacity in self.capacity_a.items()
        )

    def contender(self, evse, since=T0, present=None, **more):
        everyone = present if present is not None else list(self.loads)
        contended = {
            c
            for c, capacity in self.capacity_a.items()
            if sum(self.min_a.get(e, 6.0) for e in everyone if c in self.loads[e]) > capacity + 1e-9
        }
        return Contender(evse, since, frozenset(self.loads[evse] & contended), **more)

    def contenders(self, present=None, **more):
        present = list(self.loads) if present is None else present
        return [self.contender(e, present=present, **more) for e in present]


def one_circuit(count, seats):
    return Tree({"c": 6.0 * seats}, {f"e{i:02d}": frozenset({"c"}) for i in range(count)})


def rr(quantum_s=3600.0, min_on_s=600.0, kind="round_robin"):
    return SchedulerSettings(kind=kind, quantum_s=quantum_s, min_on_s=min_on_s)


def run(tree, config, minutes, step_s=60, state=None, start=T0, present=None):
    """Ask every `step_s` and whenever the scheduler wants to be woken; yields (now, admission)."""
    state = RotationState() if state is None else state
    now, end = start, start + timedelta(minutes=minutes)
    while now < end:
        answer = admit(config, state, tree.contenders(present), tree.fits, now)
        yield now, answer
        state = answer.state
        following = now + timedelta(seconds=step_s)
        now = min(following, answer.wake_at) if answer.wake_at is not None and answer.wake_at > now else following


trees = st.builds(
    lambda counts, seats, main, minima: Tree(
        {"main": 6.0 * main} | {f"p{i}": 6.0 * s for i, s in enumerate(seats[: len(counts)])},
        {f"p{i}-{j}": frozenset({"main", f"p{i}"}) for i, n in enumerate(counts) for j in range(n)},
        {f"p{i}-{j}": minima[(3 * i + j) % len(minima)] for i, n in enumerate(counts) for j in range(n)},
    ),
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    seats=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    main=st.integers(1, 9),
    minima=st.lists(st.sampled_from([6.0, 6.0, 8.0, 10.0]), min_size=1, max_size=4),
)


@given(trees, st.sampled_from([120.0, 1800.0, 3600.0]), st.sampled_from([60, 47, 300]))
@settings(max_examples=60, deadline=None)
def test_nobody_waits_longer_than_promised_and_what_is_admitted_fits(tree, quantum_s, step_s):
    promises, charged = {}, {}
    for now, answer in run(tree, rr(quantum_s, 300.0), 120, step_s):
        assert tree.fits(answer.admitted)
        assert set(answer.admitted) | set(answer.waiting) == set(tree.loads)
        for evse in answer.admitted:
            charged[evse] = True
            promises.pop(evse, None)
        for evse, info in answer.waiting.items():
            assert (info.promised_by is not None) == tree.fits((evse,))
            if info.promised_by is not None:
                assert info.next_turn_at <= info.promised_by
                promises[evse] = min(info.promised_by, promises.get(evse, info.promised_by))
        for evse, by in promises.items():
            assert now < by, f"{evse} still waits at {now}"


@given(st.integers(2, 14), st.integers(1, 5), st.sampled_from([600.0, 3600.0, 7200.0]))
@settings(max_examples=40, deadline=None)
def test_on_one_circuit_the_wait_is_at_most_group_size_less_one_slices_and_shares_are_equal(count, seats, quantum_s):
    tree = one_circuit(count, seats)
    size = -(-count // seats)
    slice_s = max(quantum_s / size, 600.0)
    longest = timedelta(seconds=(size - 1) * slice_s)
    last = None
    for now, answer in run(tree, rr(quantum_s), slice_s * size * 8 / 60, 300):
        for info in answer.waiting.values():
            assert info.promised_by - now <= longest
        last = answer
    assert jain([turn.served_s for turn in last.state.turns.values()]) > 0.97


def test_all_fit_means_nobody_waits_and_nothing_wakes():
    answer = admit(rr(), RotationState(), one_circuit(4, 4).contenders(), one_circuit(4, 4).fits, T0)
    assert len(answer.admitted) == 4
    assert answer.waiting == {}
    assert answer.wake_at is None


def test_slices_follow_the_group_and_turns_are_announced():
    tree = one_circuit(6, 2)
    answer = admit(rr(), RotationState(), tree.contenders(), tree.fits, T0)
    slice_ = timedelta(seconds=1200)
    assert answer.admitted == ("e00", "e01")
    assert answer.wake_at == T0 + slice_
    assert [answer.waiting[f"e0{i}"].next_turn_at - T0 for i in (2, 3, 4, 5)] == [
        slice_,
        slice_,
        2 * slice_,
        2 * slice_,
    ]
    assert [answer.waiting[f"e0{i}"].place for i in (2, 3, 4, 5)] == [1, 2, 3, 4]
    answer = admit(rr(), answer.state, tree.contenders(), tree.fits, T0 + slice_)
    assert answer.admitted == ("e02", "e03")
    assert answer.state.order == ("e02", "e03", "e04", "e05", "e00", "e01")


def test_the_quantum_shrinks_when_one_more_asks_and_time_used_stays():
    tree = one_circuit(4, 1)
    present = ["e00", "e01"]
    first = admit(rr(), RotationState(), tree.contenders(present), tree.fits, T0)
    assert first.wake_at == T0 + timedelta(seconds=1800)
    later = T0 + timedelta(seconds=1000)
    second = admit(rr(), first.state, tree.contenders(["e00", "e01", "e02"]), tree.fits, later)
    assert second.admitted == ("e00",)
    assert second.wake_at == T0 + timedelta(seconds=1200)
    assert second.waiting["e01"].next_turn_at == T0 + timedelta(seconds=1200)


def test_a_replug_gains_nothing():
    tree = one_circuit(3, 1)
    state = admit(rr(), RotationState(), tree.contenders(), tree.fits, T0).state
    at = T0 + timedelta(seconds=700)
    state = admit(rr(), state, tree.contenders(["e01", "e02"]), tree.fits, at).state
    assert state.turns["e00"].used_s == 700.0
    at += timedelta(seconds=5)
    answer = admit(rr(), state, tree.contenders(), tree.fits, at)
    assert answer.state.order == ("e01", "e02", "e00")
    assert answer.state.turns["e00"].used_s == 700.0


def test_a_full_car_leaves_and_its_place_goes_to_the_next_at_once():
    tree = one_circuit(4, 2)
    state = admit(rr(), RotationState(), tree.contenders(), tree.fits, T0).state
    answer = admit(rr(), state, tree.contenders(["e01", "e02", "e03"]), tree.fits, T0 + timedelta(seconds=60))
    assert answer.admitted == ("e01", "e02")


def test_a_fall_in_capacity_switches_off_at_once_and_the_place_is_kept():
    tree = one_circuit(3, 3)
    state = admit(rr(), RotationState(), tree.contenders(), tree.fits, T0).state
    tree.capacity_a["c"] = 12.0
    at = T0 + timedelta(seconds=30)
    answer = admit(rr(), state, tree.contenders(), tree.fits, at)
    assert answer.admitted == ("e00", "e01")
    tree.capacity_a["c"] = 18.0
    soon = admit(rr(), answer.state, tree.contenders(), tree.fits, at + timedelta(seconds=15))
    assert soon.admitted == ("e00", "e01"), "contactors are not worn by a load that comes and goes"
    assert soon.wake_at == soon.waiting["e02"].promised_by == at + timedelta(seconds=MIN_OFF_S)
    back = admit(rr(), soon.state, tree.contenders(), tree.fits, soon.wake_at)
    assert back.admitted == ("e00", "e01", "e02")


def test_one_cut_off_in_mid_slice_stays_off_for_the_minimum_off_time_and_nobody_takes_its_place():
    tree = one_circuit(4, 3)
    state = admit(rr(), RotationState(), tree.contenders(), tree.fits, T0).state
    at = T0 + timedelta(seconds=30)
    tree.capacity_a["c"] = 12.0
    state = admit(rr(), state, tree.contenders(), tree.fits, at).state
    tree.capacity_a["c"] = 18.0
    held = admit(rr(), state, tree.contenders(), tree.fits, at + timedelta(seconds=15))
    assert held.admitted == ("e00", "e01")
    assert held.waiting["e02"].promised_by == at + timedelta(seconds=MIN_OFF_S)
    assert held.wake_at == at + timedelta(seconds=MIN_OFF_S)
    back = admit(rr(), held.state, tree.contenders(), tree.fits, held.wake_at)
    assert back.admitted == ("e00", "e01", "e02")
    assert back.state.turns["e02"].used_s == 30.0 + 60.0


def test_a_guest_uses_what_the_one_ahead_cannot_and_yields_to_it():
    tree = Tree({"main": 12.0, "p0": 6.0}, {"a": {"main", "p0"}, "b": {"main", "p0"}, "c": {"main"}, "d": {"main"}})
    tree.loads = {e: frozenset(c) for e, c in tree.loads.items()}
    answer = admit(rr(), RotationState(), tree.contenders(), tree.fits, T0)
    assert answer.admitted == ("a", "c")
    used = [now for now, a in run(tree, rr(), 180) if "b" in a.admitted]
    assert used
    assert used[0] - T0 <= timedelta(seconds=2 * 1800)


def test_a_guest_starts_only_if_it_may_stay_on_for_the_minimum_on_time():
    loads = {"a": frozenset({"main", "p0"}), "b": frozenset({"main", "p0"}), "d": frozenset({"main"})}
    tree = Tree({"main": 12.0, "p0": 6.0}, loads)
    state = admit(rr(), RotationState(), tree.contenders(["a", "b"]), tree.fits, T0).state
    early, late = T0 + timedelta(seconds=600), T0 + timedelta(seconds=1500)
    assert admit(rr(), state, tree.contenders(), tree.fits, early).admitted == ("a", "d")
    waits = admit(rr(), state, tree.contenders(), tree.fits, late)
    assert waits.admitted == ("a",), "the slice of a ends in 300 s, and b's turn could end d's stay"
    assert admit(rr(), waits.state, tree.contenders(), tree.fits, waits.wake_at).admitted == ("b", "d")


def test_one_that_cannot_be_served_is_promised_nothing_and_stops_nobody():
    tree = one_circuit(3, 1)
    tree.min_a = {"e00": 10.0}
    answers = list(run(tree, rr(), 120))
    assert all("e00" not in answer.admitted for _, answer in answers)
    assert answers[0][1].waiting["e00"].promised_by is None
    assert {e for _, answer in answers for e in answer.admitted} == {"e01", "e02"}


def test_a_pinned_member_keeps_its_place_and_is_neither_admitted_nor_waiting():
    tree = one_circuit(3, 1)
    state = admit(rr(), RotationState(), tree.contenders(), tree.fits, T0).state
    members = [tree.contender("e00", pinned=True), tree.contender("e01"), tree.contender("e02")]
    answer = admit(rr(), state, members, lambda _: False, T0 + timedelta(seconds=60))
    assert answer.admitted == ()
    assert "e00" not in answer.waiting
    assert answer.state.order[0] == "e00"
    assert answer.state.turns["e00"].used_s == 60.0


def test_the_same_instant_twice_gives_the_same_answer():
    tree = one_circuit(7, 3)
    first = admit(rr(), RotationState(), tree.contenders(), tree.fits, T0)
    at = T0 + timedelta(seconds=1234)
    second = admit(rr(), first.state, tree.contenders(), tree.fits, at)
    third = admit(rr(), second.state, tree.contenders(), tree.fits, at)
    assert third == second


@given(trees, st.sampled_from([300.0, 600.0]))
@settings(max_examples=60, deadline=None)
def test_contactors_stay_closed_for_the_minimum_on_time_at_constant_capacity(tree, minimum):
    since = {}
    for now, answer in run(tree, rr(1800.0, minimum), 150, 120):
        for evse in list(since):
            if evse not in answer.admitted:
                assert (now - since.pop(evse)).total_seconds() >= minimum - 1e-3
        for evse in answer.admitted:
            since.setdefault(evse, now)


def test_fcfs_serves_by_time_of_asking_and_never_takes_turns():
    tree = one_circuit(3, 1)
    members = [tree.contender(f"e0{i}", since=T0 - timedelta(minutes=i)) for i in range(3)]
    answer = admit(rr(kind="fcfs"), RotationState(), members, tree.fits, T0)
    assert answer.admitted == ("e02",)
    later = admit(rr(kind="fcfs"), answer.state, members, tree.fits, T0 + timedelta(hours=9))
    assert later.admitted == ("e02",)
    assert later.waiting["e01"].promised_by is None


def test_edf_and_llf_differ_where_the_later_departure_needs_more():
    tree = one_circuit(2, 1)
    soon = tree.contender("e00", departure_at=T0 + timedelta(hours=2), remaining_wh=1000.0, max_w=7000.0)
    tight = tree.contender("e01", departure_at=T0 + timedelta(hours=3), remaining_wh=20000.0, max_w=7000.0)
    assert admit(rr(kind="edf"), RotationState(), [soon, tight], tree.fits, T0).admitted == ("e00",)
    assert admit(rr(kind="llf"), RotationState(), [soon, tight], tree.fits, T0).admitted == ("e01",)


def test_edf_keeps_the_minimum_on_time_and_then_changes():
    tree = one_circuit(2, 1)
    late = tree.contender("e00", departure_at=T0 + timedelta(hours=8))
    first = admit(rr(kind="edf"), RotationState(), [late], tree.fits, T0)
    early = tree.contender("e01", departure_at=T0 + timedelta(hours=1))
    held = admit(rr(kind="edf"), first.state, [late, early], tree.fits, T0 + timedelta(seconds=100))
    assert held.admitted == ("e00",)
    assert held.wake_at == T0 + timedelta(seconds=600)
    assert admit(rr(kind="edf"), held.state, [late, early], tree.fits, held.wake_at).admitted == ("e01",)


def test_regular_calls_nobody_at_night_but_takes_one_who_comes():
    tree = one_circuit(3, 1)
    config = rr(kind="regular")
    evening = admit(config, RotationState(), tree.contenders(["e00", "e01"]), tree.fits, T0)
    assert evening.admitted == ("e00",)
    night = T0.replace(hour=2) + timedelta(days=1)
    gone = admit(config, evening.state, tree.contenders(["e01"]), tree.fits, night)
    assert gone.admitted == ()
    comes = admit(config, gone.state, tree.contenders(["e01", "e02"]), tree.fits, night)
    assert comes.admitted == ("e02",)
    morning = admit(config, gone.state, tree.contenders(["e01"]), tree.fits, night.replace(hour=7))
    assert morning.admitted == ("e01",)


def test_regular_does_not_give_a_taken_spot_to_an_earlier_request():
    tree = one_circuit(2, 1)
    config = rr(kind="regular")
    state = admit(config, RotationState(), [tree.contender("e01")], tree.fits, T0).state
    earlier = tree.contender("e00", since=T0 - timedelta(hours=1))
    assert admit(config, state, [earlier, tree.contender("e01")], tree.fits, T0).admitted == ("e01",)


def test_none_admits_everyone():
    tree = one_circuit(5, 1)
    assert len(admit(rr(kind="none"), RotationState(), tree.contenders(), tree.fits, T0).admitted) == 5
