"""REST over a whole service, with a simulated charger at its other end; in memory, in real time."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from api_world import House, a_house

from domain.ids import EvseId
from domain.site import Phase
from ems.phase_mapping import PhaseMapping, Verdict
from headroom.api.models import EvseDocument


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


async def test_the_tree_the_evse_its_reason_and_the_history(house: House) -> None:
    site = await house.get("/sites/demo")
    main = next(f for f in site["feeders"] if f["id"] == "main")  # type: ignore[attr-defined]
    phase = main["phases"]["A"]
    assert phase["headroom_a"] == pytest.approx(phase["usable_a"] - phase["base_load_a"] - phase["ev_a"], abs=0.02)
    capacity = site["capacity"]
    assert capacity["phasor_kw"] >= capacity["arithmetic_kw"] > 0  # type: ignore[index]
    first = await house.get("/evses/P1-01")
    assert first["linked"] is True
    assert float(str(first["setpoint_a"])) >= 6
    assert str(first["reason"]).startswith("P1-01: ")
    assert first["version"] == "ocpp1.6"
    listed = await house.get("/sites/demo/evses")
    assert [evse["id"] for evse in listed["items"]] == ["P1-01", "P2-01"]  # type: ignore[attr-defined]
    sessions = await house.get("/sites/demo/sessions")
    assert len(sessions["items"]) == 1  # type: ignore[arg-type]
    decisions = await house.get("/sites/demo/decisions?limit=1")
    newest = decisions["items"][0]  # type: ignore[index]
    whole = await house.get(f"/sites/demo/decisions/{newest['id']}")
    assert {point["evse"] for point in whole["setpoints"]} == {"P1-01", "P2-01"}  # type: ignore[attr-defined]
    older = await house.get(f"/sites/demo/decisions?limit=500&cursor={decisions['next']}")
    assert newest["id"] not in [one["id"] for one in older["items"]]  # type: ignore[attr-defined]


async def test_what_the_wiring_test_found_stands_with_the_evse(house: House) -> None:
    assert (await house.get("/evses/P1-01"))["wiring"] is None
    evse, now = house.site.evse(EvseId("P1-01")), house.service.clock.now()
    mapping = PhaseMapping(evse.id, evse.feeder, now, Verdict.WRONG, evse.phases, (Phase.C,), {Phase.C: 1.0}, 0.995, 6)
    house.service.controllers[house.site.id].wiring.found[evse.id] = mapping
    wiring = (await house.get("/evses/P1-01"))["wiring"]
    assert wiring["verdict"] == "wrong"  # type: ignore[index]
    assert wiring["found"] == ["C"]  # type: ignore[index]
    assert "C follow it" in wiring["text"]  # type: ignore[index]


async def test_the_list_of_evses_is_written_as_its_documents_are(house: House) -> None:
    evse, now = house.site.evse(EvseId("P1-01")), house.service.clock.now()
    mapping = PhaseMapping(
        evse.id, evse.feeder, now, Verdict.AS_WRITTEN, evse.phases, (Phase.A,), {Phase.A: 1.0}, 0.995, 6
    )
    house.service.controllers[house.site.id].wiring.found[evse.id] = mapping
    answer = await house.client.get("/api/v1/sites/demo/evses")
    items = answer.json()["items"]
    assert answer.headers["content-type"] == "application/json"
    assert items[0]["session"] is not None
    assert items[0]["wiring"] is not None
    assert [EvseDocument.model_validate(item).model_dump(mode="json") for item in items] == items
    assert set(items[1]) == set(EvseDocument.model_fields)


async def test_a_reading_moves_the_tree(house: House) -> None:
    body = {"at": house.service.clock.now().isoformat(), "current_a": {"A": 40.0, "B": 41.0, "C": 42.0}}
    answer = await house.client.post("/api/v1/meters/m-main/readings", json=body)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    async with asyncio.timeout(5):
        while True:
            site = await house.get("/sites/demo")
            main = next(f for f in site["feeders"] if f["id"] == "main")  # type: ignore[attr-defined]
            if main["phases"]["C"]["base_load_a"] > 20:
                break
            await asyncio.sleep(0.02)
    assert main["source"] == "measured"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"current_a": {"A": 1, "B": 1, "C": 1}}, "at"),
        ({"at": "2026-03-01T17:00:00", "current_a": {"A": 1, "B": 1, "C": 1}}, "at"),
        ({"at": "NOW", "current_a": {"A": 1, "B": 1}}, "phase C"),
        ({"at": "NOW", "current_a": {"A": 1, "B": 1, "X": 1}}, "current_a"),
        ({"at": "NOW", "current_a": {"A": 1, "B": 1, "C": 1e9}}, "current_a.C"),
        ({"at": "NOW", "current_a": {"A": 1, "B": 1, "C": -5}}, "current_a.C"),
        ({"at": "LATER", "current_a": {"A": 1, "B": 1, "C": 1}}, "clock"),
        ("nonsense", "body"),
    ],
)
async def test_a_reading_that_cannot_be_right_is_refused_whole(house: House, body: object, told: str) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - the fixture's own clock
    text = json.dumps(body).replace("NOW", now.isoformat()).replace("LATER", (now + timedelta(hours=1)).isoformat())
    good = {"at": now.isoformat(), "current_a": {"A": 99.0, "B": 99.0, "C": 99.0}}
    before = len(house.service.controllers[house.site.id].picture.live.readings(house.site.meters[0].id))
    answer = await house.client.post("/api/v1/meters/m-main/readings", json=[good, json.loads(text)])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.json()["detail"]
    assert len(house.service.controllers[house.site.id].picture.live.readings(house.site.meters[0].id)) == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/sites/nowhere", 404),
        ("/api/v1/evses/nothing", 404),
        ("/api/v1/sites/demo/decisions/none", 404),
        ("/api/v1/sites/demo/decisions?cursor=xyz", 400),
        ("/api/v1/sites/demo/sessions?limit=0", 422),
        ("/api/v1/nothing/here", 404),
    ],
)
async def test_what_does_not_exist_is_a_problem_document(house: House, path: str, status: int) -> None:
    answer = await house.client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


async def test_health_readiness_page_and_schemas_need_nothing(house: House) -> None:
    assert (await house.client.get("/healthz")).json() == {"status": "ok"}
    assert (await house.client.get("/readyz")).json() == {"status": "ready", "missing": []}
    assert "<title>" in (await house.client.get("/")).text
    assert "/api/v1/meters/{meter}/readings" in (await house.client.get("/openapi.json")).json()["paths"]
    assert (await house.get("/schema/site"))["title"]
    del house.service.ports["ocpp_port"]
    assert (await house.client.get("/readyz")).status_code == 503


async def test_what_changes_is_told_as_server_sent_events_and_resumed(house: House) -> None:
    from headroom.api.events import as_server_sent_events

    async def first(after: int | None, kind: str) -> tuple[int, dict[str, object]]:
        async with asyncio.timeout(5):
            async for text in as_server_sent_events(house.service.feed, house.service.clock, "demo", after):
                for event in text.split("\n\n"):
                    lines = dict(line.partition(": ")[::2] for line in event.splitlines() if line)
                    if lines.get("event") == kind:
                        return int(lines["id"]), json.loads(lines["data"])
        raise AssertionError("the stream ended")

    number, feeder = await first(0, "feeder")
    assert feeder["id"] in {"main", "p1", "p2"}
    later, decision = await first(number, "decision")
    assert later > number
    assert decision["changed"]
