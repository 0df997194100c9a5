"""Where a decision is computed: inline in virtual time, in a process of its own in live service.

A solver that hangs or dies costs one rung of the ladder, never a decision: the fall-back in this process starts below.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

from domain.ids import SiteId
from domain.setpoint import Decision, Rung
from domain.site import Site
from ems.decide import compile_plan
from headroom.question import Question, answer
from headroom.solver_process import SolverError, SolverProcess


class Decider(Protocol):
    """Answers every question, whatever happens to the solver."""

    async def decide(self, question: Question) -> Decision:
        """The decision for the question's snapshot."""
        ...

    async def switch(self, site: Site) -> None:
        """Decide for another version of the same site (strategy, scheduler) when this returns."""
        ...


class InlineDecider:
    """Decides in the caller's own task: for virtual time and tests."""

    def __init__(self, site: Site) -> None:
        self._plan = compile_plan(site)

    async def decide(self, question: Question) -> Decision:
        """The decision for the question's snapshot."""
        return answer(question, self._plan, Rung.STRATEGY)

    async def switch(self, site: Site) -> None:
        """Decide for another version of the same site."""
        self._plan = compile_plan(site)


class ProcessDecider:
    """Decides in a child process, within the site's time budget; below it, water-filling in this one.

    The child may serve several sites (`shared`). It is replaced after it hung or died. Water-filling has a thread of
    its own: a solver is late where the machine is busy, others are to have their turn meanwhile, and the loop's common
    threads may all be held by names that are not resolved.
    """

    def __init__(self, site: Site, child: SolverProcess | None = None) -> None:
        self._site = site
        self._plan = compile_plan(site)
        self.child = SolverProcess([site]) if child is None else child
        self._beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="water-filling")

    async def start(self) -> None:
        """Start the child, if none is starting, and wait until it can answer."""
        await self.child.start()

    async def decide(self, question: Question) -> Decision:
        """The decision for the question's snapshot, in time."""
        try:
            return await self.child.ask(self._site.id, question, self._site.control.time_budget_ms / 1000)
        except SolverError as error:
            work = partial(answer, question, self._plan, Rung.WATER_FILLING, str(error))
            return await asyncio.get_running_loop().run_in_executor(self._beside, work)

    async def switch(self, site: Site) -> None:
        """Decide for another version of the same site; the child that knows it is ready when this returns.

        Until then the old child decides. `TimeoutError`, `OSError` or `BrokenProcessPool` if no child can be started:
        then nothing is switched.
        """
        plan = compile_plan(site)
        await self.child.switch(site)
        self._site, self._plan = site, plan

    def close(self) -> None:
        """End the child at once."""
        self.child.close()


def shared(sites: Sequence[Site], processes: int) -> Mapping[SiteId, ProcessDecider]:
    """A decider for each site. Together they have at most so many child processes, each with its share of the sites."""
    count = max(1, min(processes, len(sites)))
    children = [SolverProcess(sites[number::count]) for number in range(count)]
    return {site.id: ProcessDecider(site, children[number % count]) for number, site in enumerate(sites)}
