"""Composite limits against a table of the specification's rules, and against time itself."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocol.composite import (
    ChargingProfile,
    Kind,
    Period,
    Purpose,
    RateUnit,
    TransactionNow,
    cap_a,
    in_amperes,
    lowest,
    period_at,
    transaction_a,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def profile(limit: float = 10.0, **more) -> ChargingProfile:
    given_ = {
        "id": 1,
        "connector": 1,
        "level": 0,
        "purpose": Purpose.DEFAULT,
        "kind": Kind.ABSOLUTE,
        "unit": RateUnit.A,
        "periods": (Period(0, limit),),
        "start": T0,
    }
    return ChargingProfile(**(given_ | more))


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


STEPS = (Period(0, 10.0), Period(60, 20.0), Period(120, 6.0))


@pytest.mark.parametrize(
    ("made", "at_s", "limit"),
    [
        (profile(periods=STEPS), -1, None),
        (profile(periods=STEPS), 0, 10.0),
        (profile(periods=STEPS), 59.9, 10.0),
        (profile(periods=STEPS), 60, 20.0),
        (profile(periods=STEPS), 1e6, 6.0),
        (profile(periods=STEPS, duration_s=130), 129, 6.0),
        (profile(periods=STEPS, duration_s=130), 130, None),
        (profile(periods=(Period(30, 9.0),)), 10, None),
        (profile(periods=STEPS, start=None, received_at=after(60)), 60, 10.0),
        (profile(periods=STEPS, valid_from=after(10)), 9, None),
        (profile(periods=STEPS, valid_to=after(10)), 9, 10.0),
        (profile(periods=STEPS, valid_to=after(10)), 10, None),
        (profile(periods=STEPS, kind=Kind.RECURRING, recurrence=timedelta(days=1)), 86400 * 3 + 60, 20.0),
        (profile(periods=STEPS, kind=Kind.RECURRING, recurrence=timedelta(days=7)), 86400 * 8, 6.0),
        (profile(periods=STEPS, kind=Kind.RECURRING, recurrence=timedelta(days=1), duration_s=90), 86400 + 91, None),
        (profile(periods=STEPS, kind=Kind.RECURRING, recurrence=timedelta(days=1)), -60, None),
    ],
)
def test_the_period_that_is_defined(made, at_s, limit):
    found = period_at(made, after(at_s))
    assert (found.limit if found is not None else None) == limit


def test_a_relative_schedule_counts_from_the_transaction_and_is_at_its_lowest_without_one():
    made = profile(periods=STEPS, kind=Kind.RELATIVE, start=None)
    assert period_at(made, after(100), after(30)).limit == 20.0
    assert period_at(made, after(100)).limit == 6.0


def test_the_highest_level_with_a_period_now_leads():
    low, high = profile(6.0, level=0), profile(20.0, level=5, duration_s=60)
    assert transaction_a([low, high], 1, after(59), None, 1, 208.0) == 20.0
    assert transaction_a([low, high], 1, after(60), None, 1, 208.0) == 6.0


def test_a_tx_profile_replaces_the_default_and_does_not_join_it():
    tx = profile(20.0, purpose=Purpose.TX, transaction_id="7")
    default, elsewhere = profile(10.0), profile(3.0, connector=2)
    profiles = [tx, default, elsewhere]
    assert transaction_a(profiles, 1, T0, TransactionNow("7"), 1, 208.0) == 20.0
    assert transaction_a(profiles, 1, T0, TransactionNow("8"), 1, 208.0) == 10.0
    assert transaction_a(profiles, 1, T0, None, 1, 208.0) == 10.0
    assert transaction_a([profile(9.0, connector=0)], 1, T0, None, 1, 208.0) == 9.0
    assert transaction_a([], 1, T0, None, 1, 208.0) is None


def test_caps_are_apart_and_ties_take_the_lower():
    caps = [profile(30.0, purpose=Purpose.CAP, connector=0), profile(25.0, purpose=Purpose.CAP, connector=0, id=2)]
    assert cap_a([*caps, profile(1.0)], T0, 1, 208.0) == 25.0
    assert transaction_a(caps, 1, T0, None, 1, 208.0) is None
    assert (lowest(None, 3.0, 2.0), lowest(None, None)) == (2.0, None)


@pytest.mark.parametrize(
    ("watts", "conductors", "number_phases", "amps"),
    [(1200.0, 1, None, 9.993), (3328.0, 2, None, 16.0), (3328.0, 2, 3, 16.0), (6000.0, 3, None, 16.654)],
)
def test_watts_become_amperes_at_nominal_voltage(watts, conductors, number_phases, amps):
    found = in_amperes(Period(0, watts, number_phases), RateUnit.W, conductors, 208.0)
    assert found == pytest.approx(amps, abs=1e-3)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 80), st.integers(0, 200)), min_size=1, max_size=6),
    st.integers(0, 300),
)
def test_a_leading_limit_is_one_of_the_limits_of_the_highest_defined_level(rows, at_s):
    profiles = [profile(limit, level=level, duration_s=hold, id=n) for n, (level, limit, hold) in enumerate(rows)]
    defined = [(level, limit) for level, limit, hold in rows if at_s < hold]
    found = transaction_a(profiles, 1, after(at_s), None, 1, 208.0)
    if not defined:
        assert found is None
    else:
        top = max(level for level, _ in defined)
        assert found == min(limit for level, limit in defined if level == top)
