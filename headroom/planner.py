"""Where a plan over the coming hours is computed: inline in virtual time, in a process of its own in live service.

A planner that hangs or dies costs the plan, never a decision: no decision waits for it.
"""

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from domain.errors import HeadroomError
from domain.ids import SiteId
from domain.snapshot import SiteSnapshot
from ems.dro import Models
from ems.habits import Stay, habits
from ems.horizon import Ahead, outlook_of
from ems.panel import compile_panel
from ems.problem import Infeasible, Outlook
from ems.scenarios import Array
from ems.situation import Layout
from headroom.solver_process import begin_child, end

_NICER = 10
_FEWEST, _MOST = 20, 100
_SHORTEST_H, _LONGEST_H = 4, 24


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to plan, and how much. `every_s`: at the latest; `rest_s`: at the earliest, when a car comes or goes.
    `coefficients`: bounds what a plan takes, by scenarios first and then by hours.
    """

    every_s: float
    rest_s: float
    coefficients: int

    def extent(self, entries: int) -> tuple[int, int]:
        """Hours and scenarios for a panel with so many coefficients."""
        entries = max(1, entries)
        count = min(max(self.coefficients // (entries * _LONGEST_H), _FEWEST), _MOST)
        return min(max(self.coefficients // (entries * count), _SHORTEST_H), _LONGEST_H), count


LIVE = Pace(every_s=300.0, rest_s=30.0, coefficients=320_000)
"""A plan for 54 EVSEs takes some ten seconds of another core."""
QUICK = Pace(every_s=1800.0, rest_s=60.0, coefficients=10_000)
"""For virtual time, where everything else waits for the plan."""


@dataclass(frozen=True)
class PlanQuestion:
    """The site now, the stays since `since`, and samples of the load (`ems.scenarios.HorizonProblem`)."""

    snapshot: SiteSnapshot
    stays: tuple[Stay, ...]
    since: datetime
    load_a: Array
    carries: Array


class Planner(Protocol):
    """Plans; raises whatever goes wrong."""

    @property
    def pace(self) -> Pace:
        """How often it may be asked, and for how much."""
        ...

    async def plan(self, question: PlanQuestion) -> Outlook | Infeasible:
        """What the plan says of the present step."""
        ...


class InlinePlanner:
    """Plans in the caller's own task: for virtual time and tests."""

    pace = QUICK

    def __init__(self) -> None:
        self._bench = _Bench()

    async def plan(self, question: PlanQuestion) -> Outlook | Infeasible:
        """What the plan says of the present step."""
        return self._bench.plan(question)


class PlanLostError(HeadroomError):
    """The planner's process hung or died."""


class ProcessPlanner:
    """Plans in one child process for all sites, one plan at a time. The child starts with the first question, and is
    replaced after it hung or died; `lost` counts how often that happened.
    """

    pace = LIVE

    def __init__(self, limit_s: float = 120.0) -> None:
        self._limit_s = limit_s
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()
        self.lost = 0

    async def plan(self, question: PlanQuestion) -> Outlook | Infeasible:
        """What the plan says of the present step; `PlanLostError`, `OSError` or what the plan itself raised."""
        async with self._turn:
            pool = self._pool = self._pool or self._fresh()
            try:
                call = asyncio.get_running_loop().run_in_executor(pool, _answer, question)
                return await asyncio.wait_for(call, self._limit_s)
            except TimeoutError:
                why = f"the planner did not answer within {self._limit_s:g} s"
            except BrokenProcessPool:
                why = "the planner's process died"
            self.lost += 1
            self.close()
            raise PlanLostError(why)

    def _fresh(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(max_workers=1, mp_context=spawn, initializer=_begin)

    def close(self) -> None:
        """End the child at once."""
        if self._pool is not None:
            end(self._pool)
        self._pool = None


class _Bench:
    """What is kept of each site between plans: its layout, and programs laid out for it."""

    def __init__(self) -> None:
        self._kept: dict[SiteId, tuple[Layout, Models]] = {}

    def plan(self, question: PlanQuestion) -> Outlook | Infeasible:
        snapshot = question.snapshot
        site = snapshot.site
        layout, models = self._kept.get(site.id, (None, Models()))
        if layout is None or layout.site != site:
            layout = Layout.of(site, compile_panel(site))
            self._kept[site.id] = layout, models
        timezone = ZoneInfo(site.timezone)
        known = habits(question.stays, layout.panel.evses, question.since, snapshot.at, timezone)
        return outlook_of(layout, snapshot, Ahead(question.load_a, question.carries, known), timezone, models)


_child: _Bench | None = None


def _begin() -> None:
    global _child  # noqa: PLW0603 - the one state of the child process
    begin_child()
    os.nice(_NICER)  # decisions come first
    _child = _Bench()


def _answer(question: PlanQuestion) -> Outlook | Infeasible:
    if _child is None:
        raise RuntimeError("the planner's process was not initialised")
    return _child.plan(question)
