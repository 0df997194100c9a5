"""What people may change: limits, wishes, strategy. Each is durable, decided on, audited, and done once for a key."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from api_world import House, a_house

from domain.ids import EvseId
from headroom import whatif
from headroom.bootstrap import build
from headroom.switching import as_switched
from inventory.records import OverrideRecord, RestoredState
from inventory.repository import load_state
from inventory.store import InlineStore

LIMIT = {"feeder": "main", "limit_a": 9.0, "reason": "grid operator: maintenance"}


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


async def post(house: House, path: str, body: object, **headers: str) -> Any:
    return await house.client.post(f"/api/v1{path}", json=body, headers=headers)


async def until(house: House, fits: Any) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while not fits(found := await house.get("/evses/P1-01")):
            await asyncio.sleep(0.05)
    return found


async def test_a_limit_lowers_the_loads_below_it_and_is_lifted(house: House) -> None:
    before = (await house.get("/evses/P1-01"))["setpoint_a"]
    answer = await post(house, "/sites/demo/limits", LIMIT)
    assert answer.status_code == 201
    made = answer.json()
    assert made["in_force"] is True
    assert answer.headers["location"] == f"/api/v1/sites/demo/limits/{made['id']}"
    lowered = await until(house, lambda evse: evse["setpoint_a"] < before)
    assert lowered["setpoint_a"] <= 9.0
    assert [one["id"] for one in (await house.get("/sites/demo/limits"))["items"]] == [made["id"]]
    assert (await house.client.delete(f"/api/v1/sites/demo/limits/{made['id']}")).status_code == 204
    assert (await house.get("/sites/demo/limits"))["items"] == []
    assert (await house.client.delete(f"/api/v1/sites/demo/limits/{made['id']}")).status_code == 404


async def test_what_is_answered_is_durable() -> None:
    """The store writes by itself once a minute here: what is there was written for the answer."""
    async with a_house(store=InlineStore(interval_s=60.0)) as house:

        async def there() -> RestoredState:
            return await house.service.store._transact(lambda conn: load_state(conn, house.site), kind="DEFERRED")

        made = (await post(house, "/sites/demo/limits", LIMIT)).json()
        assert [one.id for one in (await there()).limits] == [made["id"]]
        session = (await house.get("/evses/P1-01"))["session"]["id"]
        await house.client.patch(f"/api/v1/sites/demo/sessions/{session}", json={"priority": 1.25})
        assert (await there()).sessions[EvseId("P1-01")].priority == 1.25
        await post(house, "/sites/demo/strategy", {"strategy": "equal"})
        assert (await there()).override == OverrideRecord(house.site.id, "equal", None)
        await house.client.delete(f"/api/v1/sites/demo/limits/{made['id']}")
        assert (await there()).limits == ()


async def test_a_preview_says_what_the_limit_then_does_and_changes_nothing(house: House) -> None:
    answer = await post(house, "/sites/demo/limits/preview", LIMIT)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (await house.get("/sites/demo/limits"))["items"] == []
    effects = {one["evse"]: one for one in told["evses"]}
    assert effects["P1-01"]["after_a"] < effects["P1-01"]["before_a"]
    assert told["after"]["A"] < told["before"]["A"]
    await post(house, "/sites/demo/limits", LIMIT)
    await until(house, lambda evse: evse["target_a"] == effects["P1-01"]["after_a"])


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"feeder": "nowhere"}, 404, "nowhere"),
        ({"limit_a": -1}, 422, "limit_a"),
        ({"until": "2020-01-01T00:00:00Z"}, 422, "until"),
        ({"until": "tomorrow"}, 422, "until"),
        ({"from": "2020-01-01T00:00:00"}, 422, "from"),
        ({"reason": ""}, 422, "reason"),
        ({"untill": None}, 422, "untill"),
    ],
)
async def test_a_limit_that_cannot_be_is_refused(house: House, change: dict[str, Any], status: int, told: str) -> None:
    for path in ("/sites/demo/limits", "/sites/demo/limits/preview"):
        answer = await post(house, path, LIMIT | change)
        assert answer.status_code == status
        assert told in answer.json()["detail"]
    assert (await house.get("/sites/demo/limits"))["items"] == []


async def test_a_wish_is_kept_and_decided_on(house: House) -> None:
    session = (await house.get("/evses/P1-01"))["session"]["id"]
    leaves = (house.service.clock.now() + timedelta(hours=9)).isoformat()
    url = f"/api/v1/sites/demo/sessions/{session}"
    answer = await house.client.patch(url, json={"departure_at": leaves, "energy_wanted_kwh": 24, "priority": 1.5})
    assert answer.status_code == 200, answer.text
    await house.decided()
    kept = house.controller.picture.live.view(EvseId("P1-01"), house.service.clock.now()).session
    assert (kept.energy_wanted_wh, kept.priority) == (24_000.0, 1.5)
    assert (await house.client.patch(url, json={"priority": None})).json()["priority"] is None
    assert (await house.client.patch(url, json={})).json()["energy_wanted_kwh"] == 24.0, "what is left out stays"
    past = (house.service.clock.now() - timedelta(hours=1)).isoformat()
    for bad in ({"departure_at": past}, {"energy_wanted_kwh": -1}, {"priority": 9}, {"energy": 1}):
        assert (await house.client.patch(url, json=bad)).status_code == 422
    assert (await house.client.patch(f"{url}x", json={})).status_code == 404


async def test_strategy_and_scheduler_are_switched_live_and_kept(house: House) -> None:
    answer = await post(house, "/sites/demo/strategy", {"strategy": "equal", "scheduler": "fcfs"})
    assert (answer.status_code, answer.json()["strategy"], answer.json()["scheduler"]) == (200, "equal", "fcfs")
    await house.decided()
    assert house.controller.latest.strategy == "equal"
    assert house.controller.latest.rung == "strategy"
    restored = await house.service.store.query(lambda conn: load_state(conn, house.site))
    assert restored.override == OverrideRecord(house.site.id, "equal", "fcfs")
    assert (await post(house, "/sites/demo/strategy", {"strategy": None})).json()["strategy"] == house.site.strategy
    assert (await house.get("/sites/demo"))["scheduler"] == "fcfs"
    assert (await post(house, "/sites/demo/strategy", {"strategy": "magic"})).status_code == 422


def test_a_switch_that_this_version_does_not_know_is_left_out(demo_site_of_two: Any) -> None:
    site = demo_site_of_two
    assert as_switched(site, OverrideRecord(site.id, "magic", "later")) == site


@pytest.fixture
def demo_site_of_two() -> Any:
    from inventory.site_file import parse_site
    from simulators.demo_site import demo_site

    return parse_site(demo_site(2), "demo")


async def test_a_restart_takes_up_the_switch(house: House) -> None:
    from headroom.bootstrap import Outside
    from headroom.clock import monotonic_s
    from headroom.decider import InlineDecider
    from simulators.network import MemoryNetwork

    await post(house, "/sites/demo/strategy", {"strategy": "fcfs"})
    outside = Outside(house.service.clock, MemoryNetwork(), house.service.store, monotonic_s, lambda: "id")
    again = await build([house.site], {house.site.id: InlineDecider(house.site)}, outside)
    assert again.controllers[house.site.id].site.strategy == "fcfs"


async def test_a_stored_decision_recomputed_with_its_own_strategy_is_the_same(house: House) -> None:
    """The oracle of the alternatives: what is kept of the inputs is enough to decide again."""
    await post(house, "/sites/demo/limits", LIMIT | {"limit_a": 30.0})
    await house.decided()
    for summary in (await house.get("/sites/demo/decisions?limit=4"))["items"]:
        record = await house.service.history.decision(house.site.id, summary["id"])
        rotation = await house.service.history.rotation_before(record)
        strategy = house.site.strategy
        ((_, again),) = await whatif.alternatives(house.site, record, rotation, [strategy])
        assert whatif.targets(again) == whatif.targets(record.decision)


async def test_alternatives_say_what_it_would_have_been(house: House) -> None:
    await house.decided()
    newest = (await house.get("/sites/demo/decisions?limit=1"))["items"][0]["id"]
    whole = await house.get(f"/sites/demo/decisions/{newest}")
    assert "P1-01" in whole["inputs"]["evses"]
    found = await house.get(f"/sites/demo/decisions/{newest}/alternatives?strategy=equal&strategy=fcfs")
    assert [one["strategy"] for one in found] == ["equal", "fcfs"]  # type: ignore[index]
    for one in found:
        for point in one["setpoints"]:  # type: ignore[index]
            assert point["target_a"] != point["instead_of_a"]
            assert point["text"].startswith("With ")


async def test_a_write_with_a_key_is_done_once(house: House) -> None:
    first = await post(house, "/sites/demo/limits", LIMIT, **{"Idempotency-Key": "k-1"})
    again = await post(house, "/sites/demo/limits", LIMIT, **{"Idempotency-Key": "k-1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert len((await house.get("/sites/demo/limits"))["items"]) == 1
    other = await post(house, "/sites/demo/limits", LIMIT | {"limit_a": 8}, **{"Idempotency-Key": "k-1"})
    assert other.status_code == 422
    both = [post(house, "/sites/demo/limits", LIMIT, **{"Idempotency-Key": "k-2"}) for _ in range(2)]
    assert sorted(one.status_code for one in await asyncio.gather(*both)) in ([201, 201], [201, 409])
    assert len((await house.get("/sites/demo/limits"))["items"]) == 2
    assert (await post(house, "/sites/demo/limits", LIMIT, **{"Idempotency-Key": "with space"})).status_code == 400


async def test_every_write_has_its_line_in_the_audit_trail_without_secrets(house: House) -> None:
    await post(house, "/sites/demo/limits", LIMIT)
    await post(house, "/sites/demo/limits", LIMIT | {"limit_a": -5})
    made = (await post(house, "/tokens", {"name": "gateway", "role": "meter"})).json()
    await post(house, "/login", {"token": made["token"]})
    lines = (await house.get("/audit"))["items"]
    assert [(one["method"], one["path"], one["status"]) for one in lines] == [
        ("POST", "/api/v1/login", 200),
        ("POST", "/api/v1/tokens", 201),
        ("POST", "/api/v1/sites/demo/limits", 422),
        ("POST", "/api/v1/sites/demo/limits", 201),
    ]
    assert lines[-1]["body"]["limit_a"] == 9.0
    assert lines[-1]["site_id"] == "demo"
    assert made["token"] not in str(lines)
    assert lines[0]["caller"] == f"token:{made['id']}", "a login is the deed of whoever logs in"
    two = await house.get("/audit?limit=2")
    rest = await house.get(f"/audit?limit=9&cursor={two['next']}")
    assert [one["id"] for one in (*two["items"], *rest["items"])] == [one["id"] for one in lines]
