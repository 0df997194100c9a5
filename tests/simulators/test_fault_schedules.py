"""Fault schedules: the same from the same seed, shrunk to the bone."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.site_file import parse_site
from simulators.demo_site import demo_site
from simulators.faults import KINDS, Drawing, Fault, FaultKind, drawn, targets_of
from simulators.shrinking import shrunk

SITE = parse_site(demo_site(6), "site.yaml")


@given(seed=st.integers(0, 10_000), days=st.sampled_from([0.3, 1.0, 2.0]))
@settings(max_examples=40)
def test_one_fault_at_a_time_with_calm_between_and_at_the_end(seed: int, days: float) -> None:
    faults = drawn(SITE, days, seed)
    assert faults == drawn(SITE, days, seed)
    for before, after in pairwise(faults):
        assert after.at_s >= before.ends_s + Drawing().calm_s
    assert all(fault.ends_s <= days * 86400 - Drawing().calm_s for fault in faults)
    for fault in faults:
        shortest, longest = KINDS[fault.kind].for_s
        assert shortest <= fault.for_s <= longest
        assert fault.target in (targets_of(SITE, KINDS[fault.kind].victim) or [""])


def test_every_kind_is_drawn_sooner_or_later() -> None:
    assert {fault.kind for seed in range(60) for fault in drawn(SITE, 1.0, seed)} == set(FaultKind)


def test_with_several_at_once_faults_meet() -> None:
    faults = drawn(SITE, 2.0, 1, Drawing(at_once=3))
    assert any(after.at_s < before.ends_s for before, after in pairwise(faults))


@given(
    culprits=st.sets(st.integers(0, 23), min_size=1, max_size=3),
    needed_s=st.floats(1.0, 400.0),
)
@settings(max_examples=60)
def test_shrinking_leaves_the_culprits_alone_and_as_short_as_may_be(culprits: set[int], needed_s: float) -> None:
    faults = [Fault(FaultKind.CSMS_GONE, 1000.0 * n, 512.0) for n in range(24)]
    wanted = {1000.0 * n for n in culprits}

    def fails(some: object) -> bool:
        long_enough = {fault.at_s for fault in some if fault.for_s >= min(needed_s, 512.0)}  # type: ignore[attr-defined]
        return wanted <= long_enough

    least = shrunk(faults, fails, most_runs=500)
    assert {fault.at_s for fault in least} == wanted
    assert all(fault.for_s / 2 < needed_s or fault.for_s <= 1.0 for fault in least)


def test_shrinking_stops_when_its_runs_are_spent() -> None:
    runs = 0

    def fails(some: object) -> bool:
        nonlocal runs
        runs += 1
        return True

    shrunk([Fault(FaultKind.CSMS_GONE, 10.0 * n, 64.0) for n in range(64)], fails, most_runs=5)
    assert runs == 5
