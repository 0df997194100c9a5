"""What the API tells of the past: loads step by step, marks of decisions, sessions in an order, months, outages."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
import pytest_asyncio
from api_world import House, a_house

from domain.ids import DecisionId, EvseId, FeederId, SiteId
from domain.rotation import RotationState
from domain.session import Session
from domain.setpoint import Decision, Rung
from domain.site import Phase
from headroom.history import History
from headroom.monthly import last_months
from inventory.load_book import FeederMinute, Shortfall
from inventory.records import DecisionRecord, SessionRecord, session_id
from inventory.store import Store
from proxy.hold_office import HoldOffice
from proxy.protocol.held import Doubt, Entry, Kind
from proxy.settings import Counters, HoldSettings
from proxy.spool import InlineSpool

DAY = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
DEMO = SiteId("demo")
QUERY = {"since": DAY.isoformat(), "until": (DAY + timedelta(hours=2)).isoformat()}


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


def minute(number: int, base_a: float, ev_a: float, *, seconds: float = 60.0, limit_a: float = 80.0) -> FeederMinute:
    base, evs = dict.fromkeys(Phase, base_a), dict.fromkeys(Phase, ev_a)
    total = dict.fromkeys(Phase, base_a + ev_a)
    at = DAY + timedelta(minutes=number)
    return FeederMinute(DEMO, FeederId("main"), at, seconds, base, base, evs, total, limit_a, 600.0, 1.0)


async def test_a_feeder_s_load_is_told_in_steps_weighted_by_time(house: House) -> None:
    house.service.store.put(
        minute(0, 10.0, 0.0), minute(1, 20.0, 6.0, seconds=20.0, limit_a=40.0), minute(70, 30.0, 1.0)
    )
    answer = await house.client.get("/api/v1/sites/demo/load", params={"feeder": "main", **QUERY, "points": 3})
    found = answer.json()
    assert found["step_s"] == 3600
    assert [datetime.fromisoformat(at) for at in found["at"]] == [DAY, DAY + timedelta(hours=1)]
    assert found["limit_a"] == [40.0, 80.0]
    phase = found["phases"]["A"]
    assert phase["base_a"] == [pytest.approx((60 * 10 + 20 * 20) / 80), 30.0]
    assert phase["ev_a"] == [1.5, 1.0]
    assert phase["largest_a"] == [26.0, 31.0]
    fine = (await house.client.get("/api/v1/sites/demo/load", params={"feeder": "main", **QUERY, "points": 500})).json()
    assert fine["step_s"] == 60
    assert len(fine["at"]) == 3


async def test_what_is_decided_now_is_told_at_once(house: House) -> None:
    house.read_meters(60.0)
    await house.decided()
    now = house.service.clock.now()
    found = await house.get("/sites/demo/load?feeder=main")
    assert found["at"]
    assert datetime.fromisoformat(found["at"][-1]) <= now
    phase = found["phases"]["A"]
    assert phase["largest_a"][-1] == 60.0, "what the meter read"
    assert 5.0 <= phase["base_a"][-1] + phase["ev_a"][-1] <= 60.0, "the mean"
    assert (await house.client.get("/api/v1/sites/demo/load?feeder=none")).status_code == 404


async def test_the_present_minute_is_stored_by_its_controller_alone(house: House) -> None:
    """In a fleet the controller's store is fenced; what another one wrote would come after a successor's."""

    class Asked:
        query = house.service.store.query

    await house.decided()
    now = house.service.clock.now()
    history = History(cast(Store, Asked()), house.service.controllers)
    steps = await history.loads(DEMO, FeederId("main"), now - timedelta(minutes=5), now + timedelta(minutes=1), 60)
    assert steps


@pytest.mark.parametrize(
    "query",
    [
        {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"since": "2025-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"since": "9999-12-31T23:59:59Z"},
        {"until": "0001-01-01T00:00:00Z"},
        {"points": 501},
    ],
)
@pytest.mark.parametrize("path", ["/load?feeder=main", "/decisions/marks?"])
async def test_a_stretch_that_is_none_is_refused_in_words(house: House, path: str, query: dict[str, str]) -> None:
    more = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await house.client.get(f"/api/v1/sites/demo{path}&{more}")
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def decided(number: int, trigger: str, rung: Rung = Rung.STRATEGY) -> DecisionRecord:
    at = DAY + timedelta(seconds=15 * number)
    decision = Decision(DecisionId(f"d{number:03}"), at, trigger, (), rung, "", "milp", RotationState())
    return DecisionRecord(DEMO, decision)


async def test_a_mark_is_the_last_decision_of_its_step_and_says_what_it_stands_for(house: House) -> None:
    house.service.store.put(
        decided(0, "interval"), decided(1, "StartTransaction at P1-01"), decided(2, "interval", Rung.FALLBACK)
    )
    house.service.store.put(decided(300, "interval"))
    answer = await house.client.get("/api/v1/sites/demo/decisions/marks", params={**QUERY, "points": 3})
    first, second = answer.json()
    assert (first["id"], first["decisions"], first["prompted"], first["fell"]) == ("d002", 3, 1, 1)
    assert (second["id"], second["decisions"], second["prompted"], second["fell"]) == ("d300", 1, 0, 0)
    before = (DAY + timedelta(seconds=31)).isoformat()
    query = {"until": before, "limit": 1, "since": DAY.isoformat()}
    (newest,) = (await house.client.get("/api/v1/sites/demo/decisions", params=query)).json()["items"]
    assert newest["id"] == "d002"


def a_session(number: int, energy_wh: float, *, reason: str | None = None) -> SessionRecord:
    began = DAY + timedelta(hours=number)
    stay = Session(EvseId("P1-01"), f"t{number}", began, began + timedelta(minutes=30), energy_wh=energy_wh)
    return SessionRecord(DEMO, stay, reason)


async def test_sessions_are_ordered_by_the_service_page_by_page(house: House) -> None:
    house.service.store.put(*(a_session(n, 1000.0 * (n % 3)) for n in range(7)))
    span = {"since": DAY.isoformat(), "until": (DAY + timedelta(hours=6)).isoformat(), "limit": "2"}
    for order, key, turned in (
        ("newest", "started_at", True),
        ("oldest", "started_at", False),
        ("most_energy", "energy_kwh", True),
        ("least_energy", "energy_kwh", False),
    ):
        found: list[dict[str, object]] = []
        cursor: str | None = None
        while cursor is not None or not found:
            query = {**span, "order": order, **({} if cursor is None else {"cursor": cursor})}
            page = (await house.client.get("/api/v1/sites/demo/sessions", params=query)).json()
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        values = [one[key] for one in found]
        assert values == sorted(values, reverse=turned), order  # type: ignore[type-var]
        assert len({one["id"] for one in found}) == len(found) == 6


async def test_a_cursor_of_another_order_is_refused(house: House) -> None:
    house.service.store.put(*(a_session(n, 1000.0) for n in range(3)))
    page = await house.get("/sites/demo/sessions?order=most_energy&limit=1")
    answer = await house.client.get(f"/api/v1/sites/demo/sessions?order=newest&limit=1&cursor={page['next']}")
    assert answer.status_code == 400


async def test_sessions_as_a_table_hold_no_formula(house: House) -> None:
    house.service.store.put(a_session(1, 1500.0, reason='=HYPERLINK("http://x")'))
    answer = await house.client.get("/api/v1/sites/demo/sessions.csv", params={"since": DAY.isoformat()})
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="demo-sessions.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    mine = next(row for row in rows if row["transaction_id"] == "t1")
    assert (mine["energy_kwh"], mine["charger"], mine["end_reason"]) == ("1.5", "CP001", '\'=HYPERLINK("http://x")')
    assert len(rows) == 2, "the one that runs as well"


async def test_a_month_s_figures(house: House) -> None:
    (month,) = last_months("America/Vancouver", DAY, 1)
    assert (month.since, month.until) == (datetime(2026, 1, 1, 8, tzinfo=UTC), datetime(2026, 2, 1, 8, tzinfo=UTC))
    served, lacking = a_session(1, 9000.0), a_session(2, 3000.0)
    lack = session_id(lacking.session)
    house.service.store.put(minute(0, 10.0, 6.0), minute(1, 10.0, 30.0), served, lacking)
    house.service.store.put(Shortfall(lack, DAY, 600.0, 600.0, 2000.0))
    house.service.store.put(Shortfall(lack, DAY + timedelta(hours=1), 300.0, 300.0, 1000.0))
    (found,) = await house.service.history.months(DEMO, [month])
    assert (found.sessions, found.energy_wh, found.waited) == (2, 12000.0, 1)
    assert (found.mean_wait_s, found.longest_wait_s) == (900.0, 600.0)
    assert found.curtailed_wh == pytest.approx(600.0 * 120 / 3600)
    shares = (1.0, 0.5)
    assert found.jain_index == pytest.approx(sum(shares) ** 2 / (2 * sum(one**2 for one in shares)))
    (main,) = found.feeders
    feeder = house.site.feeder(FeederId("main"))
    assert main.mean_frac == pytest.approx(28.0 / feeder.usable_a)
    assert main.peak_frac == pytest.approx(40.0 / feeder.rating_a)


async def test_the_analysis_has_as_many_months_as_asked_the_present_one_last(house: House) -> None:
    await house.decided()
    found = await house.get("/sites/demo/analysis?months=14")
    names = [month["month"] for month in found["months"]]
    assert len(names) == 14 == len(set(names))
    assert names == sorted(names)
    assert found["months"][-1]["sessions"] == 1
    assert found["capacity"]["evses"] == 2
    assert found["capacity_now"]["phasor_kw"] > found["capacity"]["phasor_kw"], (
        "5 A are metered, far less than designed for"
    )
    rows = list(csv.DictReader(io.StringIO((await house.client.get("/api/v1/sites/demo/analysis.csv")).text)))
    assert {row["feeder"] for row in rows} == {feeder.id for feeder in house.site.feeders}


async def test_what_an_outage_left_is_told_of_the_site_s_chargers_alone(house: House) -> None:
    assert (await house.get("/sites/demo/outages"))["starts_in_doubt"] == []
    spool = InlineSpool()
    house.service.proxy.office = HoldOffice(spool, house.service.clock, HoldSettings(), Counters())
    for charger in ("CP001", "CP999"):
        for key in ("a", "b"):
            entry = Entry(Kind.START, "StartTransaction", b"{}", key + charger, DAY)
            spool.do(lambda book, charger=charger, entry=entry: book.keep(charger, entry), lambda _: None)
    for seq, charger in ((1, "CP001"), (3, "CP999")):
        doubt = Doubt(charger, 1, "TAG", DAY.isoformat(), 2_000_000_001, None, 2, DAY)
        spool.do(lambda book, seq=seq, doubt=doubt: book.set_aside(seq, doubt), lambda _: None)
    found = await house.get("/sites/demo/outages")
    assert [(one["charger"], one["id_tag"]) for one in found["starts_in_doubt"]] == [("CP001", "TAG")]
    assert found["waiting"] == {"CP001": 1}
    assert [one["action"] for one in found["set_aside"]] == ["StartTransaction"]
