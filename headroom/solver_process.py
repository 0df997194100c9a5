"""A child process that decides, for one site or for several: started, asked one question at a time, replaced.

A child that serves several sites compiles all of them as it starts. While it thinks about one, the others wait their
turn; a wait is no fault of the child's, and it is not ended for it. Nor is one that is late: a new one would start with
seconds of work, on a machine that is short of processors already. It is ended when it has not answered for long.
"""

import asyncio
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import structlog

from domain.ids import SiteId
from domain.setpoint import Decision, Rung
from domain.site import Site
from ems.decide import Plan, compile_plan
from headroom.question import Question, answer, pack, pack_answer, unpack, unpack_answer

log = structlog.get_logger()

_START_LIMIT_S = 60.0
_START_PAUSE_S = 5.0
"""Between two attempts to start a child that dies at once."""
_HANGS_AFTER_S = 5.0
"""A child that has been at one question for so long is not late: it hangs."""


class SolverError(Exception):
    """No answer from the child; the text says why."""


class SolverProcess:
    """One child for `sites`. It is replaced after it hung or died; `lost` counts how often that happened."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self._sites = {site.id: site for site in sites}
        self._turn = asyncio.Lock()
        self._switching = asyncio.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._warming: asyncio.Future[int] | None = None
        self._warmed_s = -math.inf
        self._at: tuple[asyncio.Future[bytes], float] | None = None
        """The question that the child was asked last, and when."""
        self.lost = 0

    @property
    def started(self) -> bool:
        """Whether it was ever asked to start, and not closed since."""
        return self._pool is not None

    @property
    def pid(self) -> int | None:
        """The child's process id, once it can answer."""
        warming = self._warming
        if warming is None or not warming.done() or warming.cancelled() or warming.exception() is not None:
            return None
        return warming.result()

    async def start(self) -> None:
        """Start the child, if none is starting, and wait until it can answer.

        Raises:
            TimeoutError, OSError, BrokenProcessPool: no child can be started.
        """
        warming = self._warming or self._warm()
        await asyncio.wait_for(asyncio.shield(warming), _START_LIMIT_S)

    async def ask(self, site: SiteId, question: Question, budget_s: float) -> Decision:
        """The decision for a site, within the budget; it waits for its turn as long again at the most.

        Raises:
            SolverError: there is no answer in time, or none at all.
        """
        try:
            async with asyncio.timeout(budget_s):
                await self._turn.acquire()
        except TimeoutError:
            raise SolverError(f"the solver was busy with other sites for {1000 * budget_s:.0f} ms") from None
        try:
            return await self._ask(site, question, budget_s)
        finally:
            self._turn.release()

    async def _ask(self, site: SiteId, question: Question, budget_s: float) -> Decision:
        pool = self._pool
        if self.pid is None or pool is None:
            self._see_to_start()
            raise SolverError("the solver's process is starting")
        try:
            return await self._answer_of(pool, site, question, budget_s)
        except TimeoutError:
            why = f"the solver did not answer within {1000 * budget_s:.0f} ms"
            if not self._hangs():
                raise SolverError(why) from None
        except BrokenProcessPool:
            why = "the solver's process died"
        except Exception as error:
            raise SolverError(f"solver: {type(error).__name__}: {error}") from error
        if pool is self._pool:
            self._replace()
        raise SolverError(why)

    async def _answer_of(
        self, pool: ProcessPoolExecutor, site: SiteId, question: Question, budget_s: float
    ) -> Decision:
        """Raises `TimeoutError` where it is late; a late answer to an earlier question is waited for, and left."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(budget_s):
            if self._at is not None:
                await asyncio.wait({self._at[0]})
            call = loop.run_in_executor(pool, _answer, site, pack(question))
            call.add_done_callback(_ignore_failure)
            self._at = call, loop.time()
            return unpack_answer(await asyncio.shield(call))

    def _hangs(self) -> bool:
        """Whether the child has been at its question for longer than one can take."""
        if self._at is None or self._at[0].done():
            return False
        return asyncio.get_running_loop().time() - self._at[1] >= _HANGS_AFTER_S

    async def switch(self, site: Site) -> None:
        """Decide for another version of a site; the child that knows it is ready when this returns.

        Until then the old child decides, for all its sites.

        Raises:
            TimeoutError, OSError, BrokenProcessPool: no child can be started; nothing is switched.
        """
        async with self._switching:
            sites = {**self._sites, site.id: site}
            if self._pool is None:
                self._sites = sites
                return
            fresh = SolverProcess(sites.values())
            try:
                await fresh.start()
            except BaseException:
                fresh.close()
                raise
            retired = self._pool
            self._sites, self._at = sites, None
            self._pool, self._warming, self._warmed_s = fresh._pool, fresh._warming, fresh._warmed_s
            retired.shutdown(wait=False)  # after what it is still asked

    def close(self) -> None:
        """End the child at once."""
        if self._pool is not None:
            end(self._pool)
        self._pool = self._warming = self._at = None

    def _see_to_start(self) -> None:
        """A child that died or hung while it started is replaced too, after a pause."""
        failed = self._warming is None or self._warming.done()
        limit_s = _START_PAUSE_S if failed else _START_LIMIT_S
        if self._pool is not None and asyncio.get_running_loop().time() - self._warmed_s >= limit_s:
            self._replace()

    def _replace(self) -> None:
        self.lost += 1
        self.close()
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
            initargs=(tuple(self._sites.values()),),
        )
        self._warming = loop.run_in_executor(self._pool, os.getpid)
        self._warming.add_done_callback(_ignore_failure)
        return self._warming


def _ignore_failure(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()


_compiled: dict[SiteId, tuple[Site, Plan]] = {}
"""The one state of the child process."""


def _begin(sites: tuple[Site, ...]) -> None:
    begin_child()
    _compiled.update({site.id: (site, compile_plan(site)) for site in sites})


def end(pool: ProcessPoolExecutor) -> None:
    """End a pool and its children at once, whatever they are at."""
    for process in list((pool._processes or {}).values()):  # no public way to end a hung worker
        process.kill()
    # One that was killed in the middle of its answer left the pool's thread waiting for the rest, and the interpreter
    # for that thread: it ends once nobody can write any more.
    pool._result_queue._writer.close()  # type: ignore[attr-defined]
    pool.shutdown(wait=False, cancel_futures=True)


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


def _answer(site_id: SiteId, packed: bytes) -> bytes:
    site, plan = _compiled[site_id]
    return pack_answer(answer(unpack(packed, site), plan, Rung.STRATEGY))
