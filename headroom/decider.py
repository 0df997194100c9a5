"""Where a decision is computed: inline in virtual time, in a process of its own in live service.

A solver that hangs or dies costs one rung of the ladder, never a decision: the inline fall-back starts below it.
"""

import asyncio
from collections.abc import Mapping, Sequence
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
    """Decides in a child process, within the site's time budget; below it, water-filling inline.

    The child may serve several sites (`shared`). It is replaced after it hung or died.
    """

    def __init__(self, site: Site, child: SolverProcess | None = None) -> None:
        self._site = site
        self._plan = compile_plan(site)
        self.child = SolverProcess([site]) if child is None else child

    async def start(self) -> None:
        """Start the child, if none is starting, and wait until it can answer."""
        await self.child.start()

    async def decide(self, question: Question) -> Decision:
        """The decision for the question's snapshot, in time."""
        try:
            return await self.child.ask(self._site.id, question, self._site.control.time_budget_ms / 1000)
        except SolverError as error:
            # On a thread: the solver is late where the machine is busy, and others are to have their turn meanwhile.
            return await asyncio.to_thread(answer, question, self._plan, Rung.WATER_FILLING, str(error))

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
