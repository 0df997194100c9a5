"""The plan over the coming hours beside the control loop: used while it is young, and never in anybody's way."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from domain.events import SessionEnded, SessionStarted
from domain.setpoint import Decision, Rung
from domain.site import Site
from ems.dro import NO_OUTLOOK
from ems.panel import compile_panel
from ems.problem import Infeasible, Outlook
from forecasting.live import LiveForecast
from headroom import simulation
from headroom.decider import InlineDecider
from headroom.lookahead import Lookahead
from headroom.planner import InlinePlanner, Pace, PlanLostError, PlanQuestion, ProcessPlanner
from headroom.question import Question
from headroom.simulation import Simulation, run
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.repository import save_site
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators import virtual_time
from simulators.demo_site import demo_site

START = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SITE = replace(parse_site(demo_site(4), "demo"), strategy="dro")
SAID = Outlook(np.array([6.0, 0.0, 0.0, 0.0]))
EVERY_S, REST_S = 300.0, 30.0


@dataclass
class Scripted:
    """A planner that says the same each time, fails, or never answers; notes when it was asked, and what."""

    fault: Exception | None = None
    hangs: bool = False
    asked: list[PlanQuestion] = field(default_factory=list)
    pace: Pace = field(default_factory=lambda: Pace(EVERY_S, REST_S, 10_000))

    async def plan(self, question: PlanQuestion) -> Outlook | Infeasible:
        self.asked.append(question)
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        return SAID


@dataclass
class Watched:
    """A site whose meters have all been heard."""

    planner: Scripted
    site: Site = SITE
    store: InlineStore = field(default_factory=InlineStore)

    def __post_init__(self) -> None:
        self.clock = virtual_time.VirtualClock()
        forecast = LiveForecast(self.site.timezone)
        self.live = LiveState(self.site)
        self.picture = SitePicture(self.live, forecast, START)
        for feeder in self.site.feeders:
            if feeder.meter is not None:
                forecast.observe(feeder.id, START, dict.fromkeys(feeder.phases, 20.0))
        self.ahead = Lookahead(self.picture, self.planner, self.store, self.clock)

    def happens(self, event: SessionStarted | SessionEnded) -> None:
        self.store.put(*self.picture.apply(event, event.at).records)
        self.ahead.handle(event)


def started(at: datetime, transaction: str = "7") -> SessionStarted:
    charger = SITE.chargers[0].id
    return SessionStarted(charger, 1, at, transaction)


def play(planner: Scripted, script: Callable[[Watched], Awaitable[None]], site: Site = SITE) -> Watched:
    async def main() -> Watched:
        world = Watched(planner, site)
        await world.store.transact(lambda conn: save_site(conn, site, START))
        task = asyncio.get_running_loop().create_task(world.ahead.run())
        await script(world)
        assert not task.done(), "whatever fails, it goes on"
        world.ahead.stop()
        await asyncio.wait([task])
        return world

    return virtual_time.run(main, start=START)


def test_it_plans_at_intervals_and_when_a_car_comes_or_goes() -> None:
    async def script(world: Watched) -> None:
        await world.clock.sleep(100.0)
        assert world.ahead.outlook(world.clock.now()) is SAID
        world.happens(started(world.clock.now()))
        await world.clock.sleep(1.0)
        world.happens(SessionEnded(SITE.chargers[0].id, 1, world.clock.now(), "7"))
        await world.clock.sleep(600.0)

    planner = Scripted()
    play(planner, script)
    at_s = [(one.snapshot.at - START).total_seconds() for one in planner.asked]
    assert at_s == [0.0, 100.0, 130.0, 430.0]
    running, ended = planner.asked[1].stays[0], planner.asked[2].stays[0]
    assert running.ended_at is None
    assert ended.ended_at == START + timedelta(seconds=101)
    assert planner.asked[0].load_a.shape[0] >= 20


def test_stays_of_earlier_runs_are_remembered() -> None:
    async def script(world: Watched) -> None:
        for day in range(3, 0, -1):
            at = START - timedelta(days=day)
            world.happens(started(at, f"t{day}"))
            world.happens(SessionEnded(SITE.chargers[0].id, 1, at + timedelta(hours=5), f"t{day}"))
        await world.store.flush()
        again = Lookahead(world.picture, world.planner, world.store, world.clock)
        task = asyncio.get_running_loop().create_task(again.run())
        await world.clock.sleep(1.0)
        again.stop()
        await asyncio.wait([task])

    planner = Scripted()
    play(planner, script)
    remembered = planner.asked[-1]
    assert {stay.ended_at - stay.started_at for stay in remembered.stays if stay.ended_at} == {timedelta(hours=5)}
    assert len(remembered.stays) == 3
    assert remembered.since == START - timedelta(days=3)


def test_a_plan_that_has_grown_old_is_not_used() -> None:
    async def script(world: Watched) -> None:
        await world.clock.sleep(1.0)
        world.planner.fault = ZeroDivisionError("a fault of ours")
        await world.clock.sleep(3 * EVERY_S - 2.0)
        assert world.ahead.outlook(world.clock.now()) is SAID
        await world.clock.sleep(2.0)
        assert world.ahead.outlook(world.clock.now()) is None
        world.planner.fault = None
        await world.clock.sleep(EVERY_S)
        assert world.ahead.outlook(world.clock.now()) is SAID

    play(Scripted(), script)


@pytest.mark.parametrize("strategy", ["milp", "stackelberg", "equal", "fcfs", "none"])
def test_strategies_that_do_not_look_ahead_cost_nothing_until_switched(strategy: str) -> None:
    async def script(world: Watched) -> None:
        world.happens(started(world.clock.now()))
        await world.clock.sleep(2 * EVERY_S)
        assert not world.planner.asked
        world.picture.site = world.live.site = SITE
        world.ahead.look()
        await world.clock.sleep(1.0)
        assert world.ahead.outlook(world.clock.now()) is SAID
        world.picture.site = world.live.site = replace(SITE, strategy="milp")
        assert world.ahead.outlook(world.clock.now()) is None

    play(Scripted(), script, replace(SITE, strategy=strategy))  # type: ignore[arg-type]


def test_a_meter_that_was_never_heard_leaves_no_plan() -> None:
    async def script(world: Watched) -> None:
        await world.clock.sleep(EVERY_S)

    planner = Scripted()

    async def main() -> None:
        world = Watched(planner)
        silent = SitePicture(world.live, LiveForecast(), START)
        task = asyncio.get_running_loop().create_task(Lookahead(silent, planner, world.store, world.clock).run())
        await script(world)
        assert not task.done()
        task.cancel()

    virtual_time.run(main, start=START)
    assert not planner.asked


class Noting(InlineDecider):
    """Notes what it was asked and what it said."""

    made: list[tuple[Question, Decision]]

    async def decide(self, question: Question) -> Decision:
        decision = await super().decide(question)
        self.made.append((question, decision))
        return decision


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Question, Decision]]:
    Noting.made = []
    monkeypatch.setattr(simulation, "InlineDecider", Noting)
    return Noting.made


def test_a_building_decided_by_plans_is_never_overloaded(made: list[tuple[Question, Decision]]) -> None:
    report = run(Simulation(SITE, days=0.14, seed=3))
    assert report["overload_seconds"] == report["breaker_trips"] == report["desk_errors"] == 0
    assert report["setpoints_accepted"]
    planned = [(question, decision) for question, decision in made if question.outlook is not None]
    assert len(planned) > 0.9 * len(made)
    assert all(decision.rung_why == "" for _, decision in planned)
    assert any(question.outlook.planned_a.max() >= 6.0 for question, _ in planned if question.outlook is not None)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_planner_that_fails_or_hangs_leaves_decisions_going(
    hangs: bool, made: list[tuple[Question, Decision]], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Scripted(ZeroDivisionError("a fault of ours"), hangs=hangs)
    monkeypatch.setattr(InlinePlanner, "plan", lambda _self, question: broken.plan(question))
    report = run(Simulation(SITE, days=0.02, seed=3))
    assert broken.asked
    assert len(made) > 20
    assert {decision.rung for _, decision in made} == {Rung.STRATEGY}
    assert {decision.rung_why for _, decision in made} == {NO_OUTLOOK}
    assert report["overload_seconds"] == 0


def some_question() -> PlanQuestion:
    snapshot = SitePicture(LiveState(SITE), LiveForecast(), START).snapshot(START)
    rows = len(compile_panel(SITE).rows)
    return PlanQuestion(snapshot, (), START, np.full((20, 1, 4), 5.0), np.zeros((rows, 1)))


async def test_the_process_that_plans_is_replaced_when_it_dies_or_hangs() -> None:
    asked = some_question()
    planner = ProcessPlanner(limit_s=60.0)
    try:
        said = await planner.plan(asked)
        assert isinstance(said, Outlook)
        here = await InlinePlanner().plan(asked)
        assert isinstance(here, Outlook)
        np.testing.assert_allclose(said.planned_a, here.planned_a)
        assert planner._pool is not None
        for process in list(planner._pool._processes.values()):
            process.kill()
            process.join()
        with pytest.raises(PlanLostError, match="died"):
            await planner.plan(asked)
        planner._limit_s = 0.0  # nobody answers in no time
        with pytest.raises(PlanLostError, match="within 0 s"):
            await planner.plan(asked)
        planner._limit_s = 60.0
        assert isinstance(await planner.plan(asked), Outlook)
        assert planner.lost == 2
    finally:
        planner.close()


@pytest.mark.parametrize(("entries", "extent"), [(16, (24, 100)), (216, (24, 100)), (800, (24, 27)), (9_000, (4, 20))])
def test_large_panels_are_planned_with_fewer_scenarios_and_then_fewer_hours(
    entries: int, extent: tuple[int, int]
) -> None:
    assert Pace(300.0, 30.0, 520_000).extent(entries) == extent
