"""The composite schedule against an oracle that knows no rules but the specification's, second by second."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.behaviour import Behaviour
from simulators.charging_profiles import Kind, Period, Profile, ProfileError, Purpose, profile_16, profile_201
from simulators.composite import Charge, Supply, next_edge, period_at
from simulators.limiter import Limiter, shared
from simulators.profile_store import ProfileStore

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
HORIZON_S = 150
MAX_A = 32.0
SUPPLY = Supply(3, 230.0)


def at(second: float) -> datetime:
    return T0 + timedelta(seconds=second)


class Socket:
    """A plug with a transaction, or without."""

    def __init__(self, connector: int, charge: Charge | None, max_a: float = MAX_A, supply: Supply = SUPPLY) -> None:
        self.connector, self.charge, self.max_a, self.min_a, self.supply = connector, charge, max_a, 6.0, supply


# The oracle: every profile is painted second by second on a canvas, then the rules of precedence are read off.


def paint(profile: Profile, started_s: int | None) -> dict[int, float]:
    """Second of the horizon -> A, where the profile says something."""
    canvas: dict[int, float] = {}
    length = profile.duration_s if profile.duration_s is not None else 10**6
    starts: list[int] = []
    if profile.kind is Kind.RECURRING:
        assert profile.start_at is not None
        day = int(profile.recurrence.total_seconds())
        first = round((profile.start_at - T0).total_seconds())
        starts = [first + n * day for n in range(20)]
        length = min(length, day)
    elif profile.kind is Kind.ABSOLUTE and profile.start_at is not None:
        starts = [round((profile.start_at - T0).total_seconds())]
    elif profile.purpose is Purpose.STATION_MAX:
        starts = [round((profile.installed_at - T0).total_seconds())]
    elif started_s is not None:
        starts = [started_s]
    for start in starts:
        for index, period in enumerate(profile.periods):
            end = profile.periods[index + 1].start_s if index + 1 < len(profile.periods) else 10**6
            for second in range(max(0, start + period.start_s), min(HORIZON_S, start + min(end, length))):
                instant = at(second)
                too_early = profile.valid_from is not None and instant < profile.valid_from
                too_late = profile.valid_to is not None and instant >= profile.valid_to
                if not too_early and not too_late:
                    amps = period.limit
                    if profile.unit == "W":
                        amps = period.limit / 230.0 / (3 if period.number_phases is None else period.number_phases)
                    canvas[second] = amps
    return canvas


def oracle(profiles: list[Profile], connector: int, charge: Charge, started_s: int) -> list[float]:
    """A at each second of the horizon."""
    painted = [(profile, paint(profile, started_s)) for profile in profiles]

    def leader(second: int, wanted: Purpose) -> float | None:
        speaking = [
            (profile.stack_level, profile.connector > 0, canvas[second])
            for profile, canvas in painted
            if profile.purpose is wanted
            and second in canvas
            and (profile.connector == connector if wanted is Purpose.TX else profile.connector in (0, connector))
            and (wanted is not Purpose.TX or profile.transaction_id in (None, charge.transaction_id))
        ]
        return max(speaking)[2] if speaking else None

    limits = []
    for second in range(HORIZON_S):
        limit = leader(second, Purpose.TX)
        if limit is None:
            limit = leader(second, Purpose.TX_DEFAULT)
        cap = leader(second, Purpose.STATION_MAX)
        limits.append(min([MAX_A, *(one for one in (limit, cap) if one is not None)]))
    return limits


@st.composite
def profiles(draw: st.DrawFn, number: int) -> Profile:
    purpose = draw(st.sampled_from([Purpose.STATION_MAX, Purpose.TX_DEFAULT, Purpose.TX]))
    kind = draw(st.sampled_from(list(Kind)))
    if purpose is Purpose.STATION_MAX:
        connector = 0
    else:
        connector = draw(st.sampled_from([1, 2] if purpose is Purpose.TX else [0, 1, 2]))
    offsets = [0, *sorted(draw(st.sets(st.integers(1, 90), max_size=3)))]
    unit = draw(st.sampled_from(["A", "A", "W"]))
    periods = tuple(
        Period(
            start,
            draw(st.sampled_from([0.0, 6.0, 10.5, 16.0, 40.0])) * (500 if unit == "W" else 1),
            draw(st.sampled_from([None, 1, 3])),
        )
        for start in offsets
    )
    moment = st.one_of(st.none(), st.integers(-50, 110).map(at))
    recurrence = timedelta(seconds=draw(st.sampled_from([30, 70, 86400]))) if kind is Kind.RECURRING else None
    start_at = draw(moment if kind is Kind.ABSOLUTE else st.integers(-200, 90).map(at))
    return Profile(
        profile_id=number,
        connector=connector,
        stack_level=draw(st.integers(0, 3)),
        purpose=purpose,
        kind=kind,
        unit=unit,
        periods=periods,
        installed_at=at(draw(st.integers(-100, 0))),
        duration_s=draw(st.one_of(st.none(), st.integers(1, 120))),
        start_at=None if kind is Kind.RELATIVE else start_at,
        recurrence=recurrence,
        valid_from=draw(moment),
        valid_to=draw(moment),
        transaction_id=draw(st.sampled_from(["mine", None, "other"])) if purpose is Purpose.TX else None,
    )


@st.composite
def sets_of_profiles(draw: st.DrawFn) -> list[Profile]:
    drawn = [draw(profiles(number)) for number in range(draw(st.integers(0, 6)))]
    slots: dict[Any, Profile] = {}
    for one in drawn:  # a slot exists once; two of one transaction's levels can differ in their transaction only
        key = (one.purpose, one.stack_level, one.connector)
        slots[key] = one
    return list(slots.values())


def agree(one: list[float], other: list[float]) -> bool:
    return len(one) == len(other) and all(abs(a - b) < 1e-9 for a, b in zip(one, other, strict=True))


def stored(chosen: list[Profile]) -> ProfileStore:
    store = ProfileStore(Behaviour(max_profiles=99), {1, 2}, ocpp16=True)
    store._profiles.extend(chosen)
    store.version += 1
    return store


@settings(max_examples=150, deadline=None)
@given(chosen=sets_of_profiles(), started_s=st.integers(-80, 0))
def test_every_second_agrees_with_the_oracle(chosen: list[Profile], started_s: int) -> None:
    charge = Charge("mine", at(started_s))
    limiter = Limiter(stored(chosen), Behaviour(), [Socket(1, charge)])
    expected = oracle(chosen, 1, charge, started_s)
    actual = [limiter.allowed_a(1, at(second)) for second in range(HORIZON_S)]
    assert agree(actual, expected)


@settings(max_examples=80, deadline=None)
@given(chosen=sets_of_profiles(), started_s=st.integers(-80, 0))
def test_the_composite_schedule_is_the_same_function_of_time(chosen: list[Profile], started_s: int) -> None:
    charge = Charge("mine", at(started_s))
    limiter = Limiter(stored(chosen), Behaviour(), [Socket(1, charge)])
    steps = limiter.schedule(1, T0, HORIZON_S)
    assert steps[0][0] == 0
    assert all(later > earlier for (earlier, _), (later, _) in itertools.pairwise(steps))
    assert all(a != b for (_, a), (_, b) in itertools.pairwise(steps)), "equal neighbours are merged"
    expanded = [next(limit for start, limit in reversed(steps) if start <= second) for second in range(HORIZON_S)]
    assert agree(expanded, oracle(chosen, 1, charge, started_s))


@settings(max_examples=150, deadline=None)
@given(profile=profiles(1), second=st.floats(-200, 600))
def test_nothing_changes_before_the_next_edge(profile: Profile, second: float) -> None:
    now, started_at = at(second), at(-50)
    edge = next_edge(profile, now, started_at)
    here = period_at(profile, now, started_at)
    end = now + timedelta(days=40) if edge is None else edge - timedelta(microseconds=1)
    for part in (0.0, 0.3, 0.7, 1.0):
        between = now + (end - now) * part
        if between >= now:
            assert period_at(profile, between, started_at) == here


@given(
    cap=st.floats(0, 100),
    wanted=st.dictionaries(st.integers(1, 6), st.sampled_from([0.0, 6.0, 13.0, 32.0]), min_size=1),
)
def test_a_shared_cap_is_never_exceeded_and_nobody_is_offered_a_trickle(cap: float, wanted: dict[int, float]) -> None:
    shares = shared(cap, wanted, dict.fromkeys(wanted, 6.0))
    assert shares.keys() == wanted.keys()
    assert sum(shares.values()) <= cap + 1e-9
    for connector, share in shares.items():
        assert share == 0.0 or 6.0 <= share <= wanted[connector]
    # Where all fit, all are served; where one is not served, not even its 6 A would have fitted with the others'.
    hungry = [connector for connector, amps in wanted.items() if amps >= 6.0]
    assert sum(1 for connector in hungry if shares[connector]) == min(len(hungry), int(cap // 6.0))


def test_a_cap_for_the_sum_and_a_cap_for_each() -> None:
    cap = Profile(1, 0, 0, Purpose.STATION_MAX, Kind.ABSOLUTE, "A", (Period(0, 20.0),), T0, start_at=T0)
    sockets = [Socket(1, Charge("a", T0)), Socket(2, Charge("b", T0)), Socket(3, None)]
    together = Limiter(stored([cap]), Behaviour(), sockets)
    assert [together.allowed_a(socket.connector, at(1)) for socket in sockets] == [10.0, 10.0, 20.0]
    each = Limiter(stored([cap]), Behaviour(cap_applies_to="each"), sockets)
    assert [each.allowed_a(socket.connector, at(1)) for socket in sockets] == [20.0, 20.0, 20.0]
    assert together.schedule(0, T0, 10) == [(0, 20.0)]


@pytest.mark.parametrize(
    ("supply", "phases", "expected_a"),
    [
        (Supply(3, 230.0), None, 16.0),
        (Supply(3, 230.0), 3, 16.0),
        (Supply(3, 230.0), 1, 48.0),
        (Supply(1, 230.0), 1, 48.0),
        (Supply(1, 230.0), None, 16.0),  # absent means 3, even on one phase
        (Supply(1, 230.0, ignores_number_phases=True), None, 48.0),
        (Supply(3, 230.0, ignores_number_phases=True), 1, 16.0),
        (Supply(2, 208.0), 1, 11040 / 208),
    ],
)
def test_watts_become_amperes(supply: Supply, phases: int | None, expected_a: float) -> None:
    profile = Profile(1, 0, 0, Purpose.STATION_MAX, Kind.ABSOLUTE, "W", (Period(0, 11040.0, phases),), T0, start_at=T0)
    limiter = Limiter(stored([profile]), Behaviour(), [Socket(1, None, 99.0, supply)])
    assert limiter.allowed_a(1, T0) == pytest.approx(expected_a)


def wire(**more: Any) -> dict[str, Any]:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]}
    schedule |= more.pop("schedule", {})
    base = {"stackLevel": 1, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute"}
    return {"chargingProfileId": 1, "id": 1, **base, **more, "chargingSchedule": schedule}


@pytest.mark.parametrize(
    "bad",
    [
        wire(schedule={"chargingSchedulePeriod": []}),
        wire(schedule={"chargingSchedulePeriod": [{"startPeriod": 5, "limit": 1.0}]}),
        wire(
            schedule={"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1.0}, {"startPeriod": 10**15, "limit": 0}]}
        ),
        wire(schedule={"duration": 10**15}),
        wire(stackLevel=-1),
        wire(schedule={"startSchedule": "yesterday"}),
        wire(chargingProfilePurpose="Whatever"),
        wire(chargingProfileKind="Recurring", recurrencyKind="Daily"),
    ],
)
def test_nonsense_is_an_error_and_no_limit(bad: dict[str, Any]) -> None:
    with pytest.raises((ProfileError, ValueError, KeyError)):
        profile_201(1, bad | {"chargingSchedule": [bad["chargingSchedule"]]}, T0)


def test_both_versions_read_the_same_profile() -> None:
    told = wire(
        validFrom="2026-03-01T12:00:00Z",
        validTo="2026-03-01T14:00:00+01:00",
        schedule={"startSchedule": "2026-03-01T12:00:00", "duration": 60},
    )
    old = profile_16(1, told, T0)
    new = profile_201(1, told | {"chargingSchedule": [told["chargingSchedule"]]}, T0)
    assert old.valid_from == T0
    assert old.valid_to == at(3600)
    assert old.start_at == T0, "a stamp without a zone is UTC"
    assert (old.duration_s, old.periods, old.slot) == (new.duration_s, new.periods, new.slot)
