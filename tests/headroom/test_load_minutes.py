"""What is kept of loads and shortfalls: time between decisions is added up, whatever the decisions' rhythm."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import DecisionId, EvseId, FeederId
from domain.ledger import LedgerEntry
from domain.rotation import RotationState
from domain.session import EvseState, Session
from domain.setpoint import Decision, Reason, ReasonKind, Rung, Setpoint
from domain.site import Phase, PhaseAmps
from domain.snapshot import EvseView, FeederView, LoadSource, SiteSnapshot, TemporaryLimit
from headroom.load_minutes import LoadMinutes
from inventory.load_book import FeederMinute, Shortfall
from inventory.records import Record, record_key, session_id
from inventory.site_file import parse_site

T0 = datetime(2026, 3, 1, 17, 0, 12, tzinfo=UTC)
SITE = parse_site(
    """\
site: court
timezone: America/Vancouver
csms: {url: "ws://127.0.0.1:9100/ocpp"}
electrical: {line_to_line_v: 208, model: phasor}
feeders:
  - {id: main, rating_a: 100, meter: m-main, base_load_max_a: {A: 30, B: 30, C: 30}}
  - {id: p1, parent: main, rating_a: 60}
chargers:
  - id: CP1
    evses:
      - {id: E1, connector: 1, feeder: p1, phases: [A, B]}
      - {id: E2, connector: 2, feeder: p1, phases: [C, A]}
""",
    "court.yaml",
)
E1, P1, MAIN = EvseId("E1"), FeederId("p1"), FeederId("main")
CAR = Session(E1, "7", T0)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def told(
    book: LoadMinutes,
    seconds: float,
    *,
    base_a: float = 10.0,
    drawn_a: float = 16.0,
    limit_a: float = 16.0,
    kind: ReasonKind = ReasonKind.FEEDER_FULL,
    limits: tuple[TemporaryLimit, ...] = (),
    car: Session | None = CAR,
    metered: PhaseAmps | None = None,
) -> tuple[FeederMinute | Shortfall, ...]:
    """A decision at E1 with a car; both EVSEs draw `drawn_a`, of which the other has no car."""
    entry = LedgerEntry(limit_a, limit_a, measured_a=drawn_a, measured_at=at(seconds))
    views = {one.id: EvseView(one.id, EvseState.CHARGING, True, None, entry) for one in SITE.evses}
    views[E1] = replace(views[E1], session=car)
    amps = dict.fromkeys(Phase, base_a)
    feeders = {
        MAIN: FeederView(MAIN, amps, amps, dict.fromkeys(Phase, base_a + 5.0)),
        P1: FeederView(P1),
    }
    if metered is not None:
        feeders[MAIN] = replace(feeders[MAIN], metered_a=metered, source=LoadSource.MEASURED)
    snapshot = SiteSnapshot(SITE, at(seconds), views, feeders, limits=limits)
    points = (
        Setpoint(E1, limit_a, limit_a, Reason(kind)),
        Setpoint(EvseId("E2"), 0.0, 0.0, Reason(ReasonKind.NO_SESSION)),
    )
    decision = Decision(DecisionId("d"), at(seconds), "test", points, Rung.STRATEGY, "", "milp", RotationState())
    return book.decided(snapshot, decision)


def kept(*records: Record) -> dict[object, Record]:
    """As the database has them in the end."""
    return {record_key(one): one for one in records}


def minutes(records: dict[object, Record], feeder: FeederId) -> list[FeederMinute]:
    found = [one for one in records.values() if isinstance(one, FeederMinute) and one.feeder == feeder]
    return sorted(found, key=lambda one: one.at)


def test_line_to_line_loads_add_up_as_phasors_and_lie_on_the_base_load() -> None:
    (minute,) = minutes(kept(*told(LoadMinutes(SITE), 0)), MAIN)
    assert minute.ev_a[Phase.A] == pytest.approx(16.0 * 3**0.5)
    assert minute.ev_a[Phase.B] == pytest.approx(16.0)
    assert minute.base_a == dict.fromkeys(Phase, 10.0)
    assert minute.upper_a == dict.fromkeys(Phase, 15.0)
    assert minute.largest_a[Phase.A] == pytest.approx(10.0 + 16.0 * 3**0.5)
    assert minute.limit_a == 80.0


def test_a_meter_that_is_heard_says_what_both_are_together() -> None:
    """Samples of EVSEs are older than the meter: added to its base load they would show peaks that never were."""
    metered = dict.fromkeys(Phase, 30.0)
    (minute,) = minutes(kept(*told(LoadMinutes(SITE), 0, base_a=22.0, metered=metered)), MAIN)
    assert (minute.base_a[Phase.A], minute.ev_a[Phase.A], minute.largest_a[Phase.A]) == (22.0, 8.0, 30.0)
    (minute,) = minutes(kept(*told(LoadMinutes(SITE), 0, base_a=35.0, metered=metered)), MAIN)
    assert (minute.base_a[Phase.A], minute.ev_a[Phase.A], minute.largest_a[Phase.A]) == (30.0, 0.0, 30.0)


@given(st.lists(st.tuples(st.floats(0.5, 250.0), st.floats(0.0, 60.0)), min_size=1, max_size=12))
def test_every_second_between_decisions_is_counted_once_with_the_load_that_stood(
    steps: list[tuple[float, float]],
) -> None:
    book = LoadMinutes(SITE)
    records, clock_s, before_a, charge = [*told(book, 0, base_a=1.0)], 0.0, 1.0, 0.0
    for passed_s, base_a in steps:
        clock_s += passed_s
        charge += before_a * passed_s
        before_a = base_a
        records += told(book, clock_s, base_a=base_a)
    records += book.rest()
    rows = minutes(kept(*records), MAIN)
    # A minute of which nothing has passed yet is written as it stands, for a second.
    passed = [row for row in rows if row.at < at(clock_s) and not (row is rows[-1] and row.at == at(clock_s))]
    assert sum(row.seconds for row in passed) == pytest.approx(clock_s, abs=1.5)
    assert sum(row.seconds * row.base_a[Phase.A] for row in passed) == pytest.approx(charge, abs=61.0, rel=1e-6)
    assert all(row.at.second == 0 and 0 < row.seconds <= 60.0 + 1e-6 for row in rows)
    assert len({row.at for row in rows}) == len(rows)


def test_a_minute_that_is_written_again_has_the_whole_of_it_and_its_lowest_limit() -> None:
    book = LoadMinutes(SITE)
    until = at(30)
    half = TemporaryLimit("L", MAIN, 40.0, at(-5), until, "maintenance")
    records = [*told(book, 0, limits=(half,)), *told(book, 30, base_a=20.0, limits=(half,)), *told(book, 48)]
    first = minutes(kept(*records), MAIN)[0]
    assert first.seconds == pytest.approx(48.0)
    assert first.base_a[Phase.A] == pytest.approx((30 * 10 + 18 * 20) / 48)
    assert first.limit_a == 40.0
    assert first.largest_a[Phase.B] == pytest.approx(20.0 + 16.0)
    assert [one.limit_a for one in minutes(kept(*told(book, 60), *told(book, 61)), MAIN)][-1] == 80.0


def test_decisions_that_follow_each_other_closely_write_no_more_and_lose_nothing() -> None:
    book = LoadMinutes(SITE)
    often = [one for second in range(120) for one in told(book, second / 2, limit_a=0.0 if second < 100 else 12.0)]
    rows = [one for one in often if isinstance(one, FeederMinute) and one.feeder == MAIN]
    assert len(rows) <= 8, "every ten seconds and at the minute's end"
    assert len([one for one in often if isinstance(one, Shortfall)]) <= 6
    gone = told(book, 60, car=None)
    (lack,) = [one for one in gone if isinstance(one, Shortfall)]
    assert lack.waited_s == pytest.approx(50.0), "a session that is over is told of at once"
    book, seldom = LoadMinutes(SITE), []
    for second in (0, 50, 60):
        seldom += told(book, second, limit_a=0.0 if second < 50 else 12.0, car=CAR if second < 60 else None)
    assert (lack.waited_s, lack.curtailed_wh) == pytest.approx(
        [(one.waited_s, one.curtailed_wh) for one in seldom if isinstance(one, Shortfall)][-1]
    )


def test_a_service_that_stood_still_claims_nothing_for_that_time() -> None:
    book = LoadMinutes(SITE)
    records = [*told(book, 0), *told(book, 3600)]
    assert sum(one.seconds for one in minutes(kept(*records), MAIN)) == pytest.approx(2.0)
    back = told(book, 1800)
    assert [one.at for one in minutes(kept(*back), MAIN)] == [at(1800).replace(second=0)]


def test_what_a_session_waits_and_lacks_is_added_up_and_only_where_the_building_is_the_cause() -> None:
    book = LoadMinutes(SITE)
    records = list(told(book, 0, limit_a=0.0))
    records += told(book, 60, limit_a=0.0)
    records += told(book, 90, limit_a=12.0)
    records += told(book, 150, limit_a=0.0)
    records += told(book, 170, limit_a=0.0, kind=ReasonKind.CAR_FULL)
    records += told(book, 400, limit_a=0.0)
    (lack,) = [one for one in kept(*records).values() if isinstance(one, Shortfall)]
    assert lack.session == session_id(CAR)
    assert (lack.waited_s, lack.longest_wait_s) == (pytest.approx(110.0), pytest.approx(90.0))
    assert lack.curtailed_wh == pytest.approx((110 * 32 + 60 * 20) * 208 / 3600)
    by_minute: dict[FeederId, float] = defaultdict(float)
    for one in kept(*records).values():
        if isinstance(one, FeederMinute):
            by_minute[one.feeder] += one.curtailed_w * one.seconds / 3600
    # The present minute is written as it stands; all else is the same energy by feeder as by session.
    assert by_minute[P1] == pytest.approx(lack.curtailed_wh, abs=32 * 208 / 3600 + 1e-6)
    assert by_minute[MAIN] == 0.0


def test_a_car_that_leaves_is_forgotten_and_another_starts_anew() -> None:
    book = LoadMinutes(SITE)
    told(book, 0, limit_a=0.0)
    told(book, 100, car=None)
    other = replace(CAR, transaction_id="8", started_at=at(120))
    records = [*told(book, 120, limit_a=0.0, car=other), *told(book, 150, limit_a=0.0, car=other)]
    lacks = [one for one in kept(*records).values() if isinstance(one, Shortfall)]
    assert [(one.session, one.since, one.waited_s) for one in lacks] == [(session_id(other), at(120), 30.0)]
    back = [*told(book, 160, limit_a=0.0), *told(book, 170, limit_a=0.0)]
    (again,) = [one for one in kept(*back).values() if isinstance(one, Shortfall) and one.session == session_id(CAR)]
    assert (again.since, again.waited_s) == (at(160), 10.0), "what was counted before it left stands in its own row"
