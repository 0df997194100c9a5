"""How transactions reach the database without holding up the loop: SQLite's on threads, PostgreSQL's on the loop."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, Literal, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")
Kind = Literal["IMMEDIATE", "DEFERRED"]
"""A transaction that writes, or one that only reads (in SQLite's words)."""

_MOST_THREADS: Final = 8


class Transactions(Protocol):
    """Does work on one database, each piece in a transaction of its own. `SQLAlchemyError` where it cannot be done."""

    async def carry_out(self, work: Callable[[Connection], T], kind: Kind) -> T:
        """Returns when the work is committed. Nothing is, where the caller was cancelled before."""
        ...

    async def migrate(self, steps: Callable[[Connection], None]) -> None:
        """Does work that has transactions of its own."""
        ...

    async def dispose(self) -> None:
        """Lets the database go."""
        ...


class OnThreads:
    """SQLite's. Each is one visit to a thread, from BEGIN to COMMIT: the loop is needed once, not for every statement,
    of which each would wait for its turn behind all that chargers say. A thread that hangs on its disk keeps neither
    the caller that is cancelled nor the process.
    """

    def __init__(self, engine: Engine, threads: int = _MOST_THREADS) -> None:
        """`threads`: at most so many; they are started when they are needed."""
        self._engine = engine
        self._visits: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._most = threads
        self._threads = self._busy = 0
        self._counting = threading.Lock()

    async def carry_out(self, work: Callable[[Connection], T], kind: Kind) -> T:
        """See `Transactions`."""

        def visit(given_up: Callable[[], bool]) -> T:
            with self._engine.connect().execution_options(begin=kind) as conn, conn.begin():
                # Looked at while the lock is held: what is given up never comes after what took its place.
                _go_on_unless(given_up())
                found = work(conn)
                _go_on_unless(given_up())
                return found

        return await self._on_thread(visit)

    async def migrate(self, steps: Callable[[Connection], None]) -> None:
        """See `Transactions`."""

        def visit(_given_up: Callable[[], bool]) -> None:
            with self._engine.connect() as conn:
                steps(conn)

        await self._on_thread(visit)

    async def dispose(self) -> None:
        """See `Transactions`."""
        await self._on_thread(lambda _given_up: self._engine.dispose())
        for _ in range(self._threads):
            self._visits.put(None)
        self._threads = 0

    async def _on_thread(self, visit: Callable[[Callable[[], bool]], T]) -> T:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def carry_out() -> None:
            found, error = None, None
            try:
                found = visit(done.cancelled)
            except BaseException as raised:  # the caller's to see
                error = raised
            try:
                loop.call_soon_threadsafe(_tell, done, found, error)
            except RuntimeError:  # the loop has ended: nobody is left to be told
                return

        with self._counting:
            self._busy += 1
            is_short = self._busy > self._threads
        if is_short and self._threads < self._most:
            self._threads += 1
            threading.Thread(target=self._work, name="sqlite", daemon=True).start()
        self._visits.put(carry_out)
        return await done

    def _work(self) -> None:
        while (visit := self._visits.get()) is not None:
            visit()
            with self._counting:  # a thread that hangs counts, though nobody waits for it any more
                self._busy -= 1


def _go_on_unless(given_up: bool) -> None:
    if given_up:
        raise asyncio.CancelledError


def _tell(done: "asyncio.Future[Any]", found: object, error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(found)
    else:
        done.set_exception(error)


class OnLoop:
    """PostgreSQL's. A server that does not answer a transaction within `patience_s` counts as gone."""

    def __init__(self, engine: AsyncEngine, patience_s: float | None) -> None:
        self._engine, self.patience_s = engine, patience_s
        self.reading = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    async def carry_out(self, work: Callable[[Connection], T], kind: Kind) -> T:
        """See `Transactions`."""
        engine = self._engine if kind == "IMMEDIATE" else self.reading
        try:
            async with asyncio.timeout(self.patience_s), engine.begin() as conn:
                return await conn.run_sync(work)
        except TimeoutError as error:
            late = TimeoutError(f"no answer within {self.patience_s:g} s")
            raise OperationalError("a transaction", None, late) from error

    async def migrate(self, steps: Callable[[Connection], None]) -> None:
        """See `Transactions`."""
        async with self._engine.connect() as conn:
            await conn.run_sync(steps)

    async def dispose(self) -> None:
        """See `Transactions`."""
        await self._engine.dispose()
