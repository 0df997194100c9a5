"""A strategy is switched while decisions go on: the old child answers until the new one can."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import DecisionId
from domain.setpoint import Rung
from domain.site import Site
from domain.snapshot import SiteSnapshot
from headroom import solver_process as module
from headroom.decider import ProcessDecider
from headroom.feed import Feed
from headroom.question import Question
from inventory.inputs import snapshot_of
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

NOW = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)


def building() -> Site:
    site = parse_site(demo_site(4), "demo")
    return replace(site, control=replace(site.control, time_budget_ms=5000))


def question(site: Site) -> Question:
    from domain.rotation import RotationState

    snapshot: SiteSnapshot = snapshot_of(site, {"at": NOW.isoformat()}, RotationState())
    return Question(snapshot, "test", DecisionId("d1"))


@pytest_asyncio.fixture
async def decider() -> AsyncIterator[ProcessDecider]:
    made = ProcessDecider(building())
    await made.start()
    yield made
    made.close()


async def test_the_next_decision_is_made_by_the_new_strategy_and_none_is_missed(decider: ProcessDecider) -> None:
    site, before = building(), decider.child.pid
    switched = replace(site, strategy="equal")
    switching = asyncio.get_running_loop().create_task(decider.switch(switched))
    asked = 0
    while not switching.done():
        decision = await decider.decide(question(site))
        assert (decision.strategy, decision.rung) == ("milp", Rung.STRATEGY)
        asked += 1
        await asyncio.sleep(0.05)
    await switching
    assert asked > 0
    decision = await decider.decide(question(switched))
    assert (decision.strategy, decision.rung) == ("equal", Rung.STRATEGY)
    assert decider.child.pid != before
    assert decider.child.lost == 0


async def test_a_child_that_cannot_be_started_switches_nothing(
    decider: ProcessDecider, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = decider.child.pid
    monkeypatch.setattr(module, "_START_LIMIT_S", 0.0)
    with pytest.raises(TimeoutError):
        await decider.switch(replace(building(), strategy="equal"))
    decision = await decider.decide(question(building()))
    assert (decision.strategy, decision.rung, decider.child.pid) == ("milp", Rung.STRATEGY, before)


@given(st.integers(0, 30), st.integers(-3, 40), st.integers(1, 8))
def test_who_resumes_gets_all_that_was_missed_or_is_told_to_look_anew(published: int, after: int, kept: int) -> None:
    feed = Feed(first_id=10)
    feed._remembered = deque(maxlen=kept)
    for number in range(published):
        feed.publish("cedar", "evse", {"n": number})
    ids = list(range(10, 10 + published))

    async def resume() -> list[tuple[int, str]]:
        found = []
        watch = feed.watch("cedar", after)
        while True:
            try:
                notice = await asyncio.wait_for(anext(watch), 0.001)
            except TimeoutError:
                return found
            found.append((notice.id, notice.kind))

    got = asyncio.run(resume())
    told = [number for number, kind in got if kind == "evse"]
    missed = [number for number in ids if number > after]
    everything = ids[-1] if ids else 9
    if any(kind == "reset" for _, kind in got):
        assert got[0][1] == "reset"
        assert len(missed) > kept or after > everything or after < 9
    else:
        assert told == missed
        assert after <= everything
