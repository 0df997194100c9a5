"""Where a decision is computed: inline in virtual time, in a process of its own in live service.

A solver that hangs or dies costs one rung of the ladder, never a decision: the inline fall-back starts below it.
"""

import asyncio
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from domain.ids import DecisionId, EvseId, FeederId
from domain.rotation import RotationState
from domain.setpoint import Decision, Rung
from domain.site import Site
from domain.snapshot import EvseView, FeederView, SiteSnapshot, TemporaryLimit
from ems.decide import Plan, compile_plan, decide
from ems.problem import Outlook

log = structlog.get_logger()

_START_LIMIT_S = 60.0
_START_PAUSE_S = 5.0
"""Between two attempts to start a child that dies at once."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be decided, and why now. `outlook`: the newest plan's word, for strategies that look ahead."""

    snapshot: SiteSnapshot
    trigger: str
    decision: DecisionId
    outlook: Outlook | None = None


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
        return _ask(question, self._plan, Rung.STRATEGY)

    async def switch(self, site: Site) -> None:
        """Decide for another version of the same site."""
        self._plan = compile_plan(site)


class ProcessDecider:
    """Decides in a child process, within the site's time budget; below it, water-filling inline.

    The child is replaced after it hung or died. `lost` counts how often that happened.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._plan = compile_plan(site)
        self._pool: ProcessPoolExecutor | None = None
        self._warming: asyncio.Future[int] | None = None
        self._warmed_s = -math.inf
        self.lost = 0

    @property
    def pid(self) -> int | None:
        """The child's process id, once it can answer."""
        warming = self._warming
        if warming is None or not warming.done() or warming.cancelled() or warming.exception() is not None:
            return None
        return warming.result()

    async def start(self) -> None:
        """Start the child, if none is starting, and wait until it can answer."""
        warming = self._warming or self._warm()
        await asyncio.wait_for(asyncio.shield(warming), _START_LIMIT_S)

    async def decide(self, question: Question) -> Decision:
        """The decision for the question's snapshot, in time."""
        if self.pid is None or self._pool is None:
            self._see_to_start()
            return _ask(question, self._plan, Rung.WATER_FILLING, "the solver's process is starting")
        pool = self._pool
        try:
            call = asyncio.get_running_loop().run_in_executor(pool, _answer, _pack(question))
            return await asyncio.wait_for(call, self._site.control.time_budget_ms / 1000)
        except TimeoutError:
            why = f"the solver did not answer within {self._site.control.time_budget_ms:.0f} ms"
        except BrokenProcessPool:
            why = "the solver's process died"
        except Exception as error:
            return _ask(question, self._plan, Rung.WATER_FILLING, f"solver: {type(error).__name__}: {error}")
        if pool is self._pool:
            self._replace()
        return _ask(question, self._plan, Rung.WATER_FILLING, why)

    async def switch(self, site: Site) -> None:
        """Decide for another version of the same site; the child that knows it is ready when this returns.

        Until then the old child decides. `TimeoutError`, `OSError` or `BrokenProcessPool` if no child can be started:
        then nothing is switched.
        """
        if self._pool is None:
            self._site, self._plan = site, compile_plan(site)
            return
        fresh = ProcessDecider(site)
        try:
            await fresh.start()
        except BaseException:
            fresh.close()
            raise
        retired = self._pool
        self._site, self._plan = site, fresh._plan
        self._pool, self._warming, self._warmed_s = fresh._pool, fresh._warming, fresh._warmed_s
        retired.shutdown(wait=False)  # after what it is still asked

    def close(self) -> None:
        """End the child at once."""
        self._stop()

    def _see_to_start(self) -> None:
        """A child that died or hung while it started is replaced too, after a pause."""
        failed = self._warming is None or self._warming.done()
        limit_s = _START_PAUSE_S if failed else _START_LIMIT_S
        if self._pool is not None and asyncio.get_running_loop().time() - self._warmed_s >= limit_s:
            self._replace()

    def _replace(self) -> None:
        self.lost += 1
        self._stop()
        try:
            self._warm()
        except OSError as error:  # no process to be had: the next decision tries again after the pause
            log.warning("solver_not_started", error=str(error))

    def _warm(self) -> "asyncio.Future[int]":
        loop = asyncio.get_running_loop()
        self._warmed_s = loop.time()
        self._pool = ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(self._site,),
        )
        self._warming = loop.run_in_executor(self._pool, os.getpid)
        self._warming.add_done_callback(_ignore_failure)
        return self._warming

    def _stop(self) -> None:
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):  # no public way to end a hung worker
                process.kill()
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._warming = None


def _ignore_failure(future: "asyncio.Future[int]") -> None:
    if not future.cancelled():
        future.exception()


def _ask(question: Question, plan: Plan, rung: Rung, why: str = "") -> Decision:
    snapshot = question.snapshot
    return decide(
        snapshot,
        plan,
        snapshot.at,
        trigger=question.trigger,
        decision_id=question.decision,
        from_rung=rung,
        from_rung_why=why,
        outlook=question.outlook,
    )


# Everything of a snapshot but the site, which the child has.
_Packed = tuple[
    datetime,
    Mapping[EvseId, EvseView],
    Mapping[FeederId, FeederView],
    RotationState,
    tuple[TemporaryLimit, ...],
    str,
    DecisionId,
    Outlook | None,
]


def _pack(question: Question) -> _Packed:
    snapshot = question.snapshot
    return (
        snapshot.at,
        snapshot.evses,
        snapshot.feeders,
        snapshot.rotation,
        snapshot.limits,
        question.trigger,
        question.decision,
        question.outlook,
    )


_child: tuple[Site, Plan] | None = None


def _begin(site: Site) -> None:
    global _child  # noqa: PLW0603 - the one state of the child process
    begin_child()
    _child = (site, compile_plan(site))


def begin_child() -> None:
    """In a child process: Ctrl-C is the parent's to handle, and the child does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, args=(os._exit,), daemon=True).start()


def _leave_with_parent(leave: Callable[[int], object]) -> None:
    """A parent that was killed cannot end its child: the child watches for it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        leave(0)


def _answer(packed: _Packed) -> Decision:
    if _child is None:
        raise RuntimeError("the solver's process was not initialised")
    site, plan = _child
    at, evses, feeders, rotation, limits, trigger, decision, outlook = packed
    snapshot = SiteSnapshot(site=site, at=at, evses=evses, feeders=feeders, rotation=rotation, limits=limits)
    return _ask(Question(snapshot, trigger, decision, outlook), plan, Rung.STRATEGY)
