"""A solver that hangs or dies costs one rung of the ladder, never a decision."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from domain.ids import DecisionId, SiteId
from domain.setpoint import Rung
from domain.site import Site
from forecasting.persistence import Persistence
from headroom import solver_process
from headroom.decider import InlineDecider, ProcessDecider, shared
from headroom.question import Question
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

NOW = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)


def building(budget_ms: float) -> Site:
    site = parse_site(demo_site(4), "demo")
    return replace(site, control=replace(site.control, time_budget_ms=budget_ms))


def question(site: Site) -> Question:
    return Question(SitePicture(LiveState(site), Persistence(), NOW).snapshot(NOW), "test", DecisionId("d1"))


@pytest_asyncio.fixture
async def decider() -> AsyncIterator[ProcessDecider]:
    made = ProcessDecider(building(budget_ms=2000))
    await made.start()
    yield made
    made.close()


async def test_the_process_answers_as_the_inline_decider_does(decider: ProcessDecider) -> None:
    asked = question(building(2000))
    assert await decider.decide(asked) == await InlineDecider(building(2000)).decide(asked)


async def pid_of(decider: ProcessDecider) -> int:
    assert decider.child.pid is not None
    return decider.child.pid


async def test_a_solver_that_dies_costs_a_rung_and_is_replaced(decider: ProcessDecider) -> None:
    asked = question(building(2000))
    os.kill(await pid_of(decider), signal.SIGKILL)
    decision = await decider.decide(asked)
    assert decision.rung is Rung.WATER_FILLING
    assert "died" in decision.rung_why
    assert len(decision.setpoints) == len(asked.snapshot.site.evses)
    assert decider.child.lost == 1
    await decider.start()
    assert (await decider.decide(asked)).rung is Rung.STRATEGY


async def test_a_solver_that_hangs_costs_a_rung_within_the_time_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver_process, "_HANGS_AFTER_S", 0.5)
    site = building(budget_ms=300)
    decider = ProcessDecider(site)
    try:
        await decider.start()
        hung = await pid_of(decider)
        os.kill(hung, signal.SIGSTOP)
        async with asyncio.timeout(30):
            decision = await decider.decide(question(site))
            assert decision.rung is Rung.WATER_FILLING
            assert "300 ms" in decision.rung_why
            assert decider.child.pid == hung
            while decider.child.pid == hung:
                assert (await decider.decide(question(site))).rung is Rung.WATER_FILLING
            assert decider.child.lost == 1
            await decider.start()
            while (await decider.decide(question(site))).rung is not Rung.STRATEGY:
                await asyncio.sleep(0.1)
    finally:
        decider.close()


async def test_a_solver_that_is_late_is_kept_and_its_late_answer_is_nobodys() -> None:
    site = building(budget_ms=300)
    decider = ProcessDecider(site)
    early = question(site)
    late = Question(early.snapshot, "test", DecisionId("late"))
    try:
        await decider.start()
        pid = await pid_of(decider)
        os.kill(pid, signal.SIGSTOP)
        assert (await decider.decide(late)).rung is Rung.WATER_FILLING
        assert (await decider.decide(late)).rung is Rung.WATER_FILLING
        os.kill(pid, signal.SIGCONT)
        async with asyncio.timeout(30):
            while (decision := await decider.decide(early)).rung is not Rung.STRATEGY:
                await asyncio.sleep(0.1)
        assert (decision.id, decider.child.pid, decider.child.lost) == ("d1", pid, 0)
    finally:
        decider.close()


async def test_while_the_process_starts_water_filling_answers() -> None:
    site = building(200)
    decision = await ProcessDecider(site).decide(question(site))
    assert decision.rung is Rung.WATER_FILLING
    assert "starting" in decision.rung_why


async def test_a_solver_that_died_while_nobody_asked_costs_a_rung_too(decider: ProcessDecider) -> None:
    os.kill(await pid_of(decider), signal.SIGKILL)
    await asyncio.sleep(0.5)  # the pool notices by itself, and refuses what it is given
    decision = await decider.decide(question(building(2000)))
    assert decision.rung is Rung.WATER_FILLING
    assert "died" in decision.rung_why


async def test_a_solver_that_dies_while_it_starts_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver_process, "_START_PAUSE_S", 0.5)
    site = building(2000)
    decider = ProcessDecider(site)
    try:
        starting = asyncio.get_running_loop().create_task(decider.start())
        await asyncio.sleep(0.1)
        assert decider.child._pool is not None
        for process in list(decider.child._pool._processes.values()):
            process.kill()
        await asyncio.gather(starting, return_exceptions=True)
        assert decider.child.pid is None
        await asyncio.sleep(0.5)
        assert (await decider.decide(question(site))).rung is Rung.WATER_FILLING
        await decider.start()
        assert (await decider.decide(question(site))).rung is Rung.STRATEGY
    finally:
        decider.close()


async def test_an_error_of_the_solver_costs_a_rung(decider: ProcessDecider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver_process, "pack", lambda _question: b"not a question")
    decision = await decider.decide(question(building(2000)))
    assert decision.rung is Rung.WATER_FILLING
    assert "ValidationError" in decision.rung_why
    assert decider.child.pid is not None


async def test_sites_share_children_and_each_gets_its_own_answer() -> None:
    sites = [replace(building(5000), id=SiteId(f"s{number}")) for number in range(5)]
    sites[3] = replace(sites[3], strategy="equal")
    deciders = shared(sites, 2)
    try:
        assert len({id(one.child) for one in deciders.values()}) == 2
        for one in deciders.values():
            await one.start()
        answers = await asyncio.gather(*(deciders[site.id].decide(question(site)) for site in sites))
        for site, answer in zip(sites, answers, strict=True):
            assert answer == await InlineDecider(site).decide(question(site))
        await deciders[sites[1].id].switch(replace(sites[1], strategy="equal"))
        told = [(await deciders[site.id].decide(question(site))).strategy for site in sites]
        assert told == ["milp", "equal", "milp", "equal", "milp"]
    finally:
        for one in deciders.values():
            one.close()


async def test_a_site_that_waits_for_another_costs_a_rung_and_not_the_child() -> None:
    slow, quick = building(budget_ms=3000), replace(building(budget_ms=200), id=SiteId("other"))
    deciders = shared([slow, quick], 1)
    child = deciders[slow.id].child
    try:
        await child.start()
        pid = child.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        held = asyncio.get_running_loop().create_task(deciders[slow.id].decide(question(slow)))
        await asyncio.sleep(0.05)
        waited = await deciders[quick.id].decide(question(quick))
        assert (waited.rung, child.lost, child.pid) == (Rung.WATER_FILLING, 0, pid)
        assert "busy with other sites" in waited.rung_why
        os.kill(pid, signal.SIGCONT)
        assert (await held).rung is Rung.STRATEGY
        assert (await deciders[quick.id].decide(question(quick))).rung is Rung.STRATEGY
    finally:
        child.close()


HALF_AN_ANSWER = """
import asyncio
from headroom.decider import ProcessDecider
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

async def main():
    decider = ProcessDecider(parse_site(demo_site(2), "demo"))
    await decider.start()
    decider.child._pool._result_queue._writer._send((4096).to_bytes(4, "big") + b"half of it")
    await asyncio.sleep(0.5)
    decider.close()

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_a_solver_killed_in_the_middle_of_its_answer_keeps_nobody_from_ending(tmp_path: Path) -> None:
    script = tmp_path / "half.py"
    script.write_text(HALF_AN_ANSWER)
    assert subprocess.run([sys.executable, script], timeout=120, check=False).returncode == 0
