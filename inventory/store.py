"""The store: records go in without waiting, are written in batches, and are durable when `flush` returns.

Two adapters with one behaviour: `AsyncStore` for the live service (SQLite or PostgreSQL), `InlineStore` for virtual
time (SQLite in memory, no thread and no socket, so that the clock cannot run away meanwhile).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from itertools import chain
from typing import Protocol, TypeVar

import structlog
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.pool import StaticPool

from domain.errors import LeaseLostError, StorageError
from inventory import repository
from inventory.engines import database_url, open_transactions, prepare_sqlite, trouble_in_words, why
from inventory.fencing import Fence, hold
from inventory.migrations import migrate, upgrade
from inventory.pending import Pending, StoreCounts
from inventory.records import Record
from inventory.spelling import dump_json
from inventory.transactions import Kind, Transactions

T = TypeVar("T")

MAX_RETRY_S = 30.0
PATIENCE_S = 30.0

_log = structlog.get_logger(__name__)


class Store(Protocol):
    """Where records go, and where questions about the past are answered."""

    @property
    def counts(self) -> StoreCounts:
        """What was done since the start."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why the newest batch was not taken; None where it was."""
        ...

    def put(self, *records: Record) -> None:
        """Takes records to be written soon; never waits, never fails."""
        ...

    async def flush(self, about: Collection[type] | None = None) -> None:
        """Returns when everything that was put before is durable; `StorageError` if it could not be made so.

        `about`: only if records of these kinds wait.
        """
        ...

    async def run(self) -> None:
        """Writes what is put, for ever; a database that fails is tried again."""
        ...

    async def query(self, question: Callable[[Connection], T], about: Collection[type] | None = None) -> T:
        """Answers a question about the past; sees what was put before it. `StorageError` if it cannot be answered.

        `about`: the kinds of records that the answer is made of (none: of what `transact` wrote); it waits for no
        others.
        """
        ...

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Does work that writes (`save_site`, `prune`), after all that was put before it, in one transaction."""
        ...

    def fenced(self, fence: Fence) -> "Store":
        """A store of the same database for the controller of one site: whatever it writes is refused once a newer
        lease of the site is recorded (`inventory.fencing.take_over`).

        From then on `flush` and `transact` raise `LeaseLostError`, what waits is given up (it is the successor's to
        know), `put` takes nothing and `run` ends. It has a queue of its own, and wants its own `run`.
        """
        ...

    async def close(self) -> None:
        """Writes what waits and lets the database go."""
        ...


class _BatchedStore(ABC):
    """What both adapters share: the queue, one writer at a time, and patience."""

    def __init__(self, capacity: int, interval_s: float, fence: Fence | None = None) -> None:
        self.counts = StoreCounts()
        self.trouble: str | None = None
        self._fence = fence
        self._lost: LeaseLostError | None = None
        self._capacity = capacity
        self._pending = Pending(capacity, self.counts)
        self._interval_s = interval_s
        self._wake = asyncio.Event()
        self._writer = asyncio.Lock()
        self._in_hand: list[Record] = []

    def put(self, *records: Record) -> None:
        """See `Store`."""
        if self._lost is not None:
            return
        for record in records:
            self._pending.add(record)
        if records:
            self._wake.set()

    async def flush(self, about: Collection[type] | None = None) -> None:
        """See `Store`."""
        if about is not None and not self._waits_for(about):
            return
        # What comes meanwhile is the next one's: it would have no end. Those who wait together need one write, not each
        # its own.
        asked = self._pending.mark()
        async with self._writer:
            self._refuse_if_lost()
            while self._pending.holds(asked):
                await self._write_some()

    async def run(self) -> None:
        """See `Store`. The pause between batches is real time: it spares the disk, not the clock of the site."""
        pause_s = self._interval_s
        while True:
            await self._wake.wait()
            await asyncio.sleep(pause_s)
            self._wake.clear()
            try:
                await self.flush()
                pause_s = self._interval_s
            except LeaseLostError as error:
                _log.warning("lease_lost", error=str(error))
                return
            except StorageError as error:
                self._wake.set()
                pause_s = min(max(1.0, 2 * pause_s), MAX_RETRY_S)
                _log.error("store_write_failed", error=str(error), waiting=len(self._pending), retry_s=pause_s)

    async def query(self, question: Callable[[Connection], T], about: Collection[type] | None = None) -> T:
        """See `Store`. A question is answered from what is there even if the newest could not be written."""
        try:
            await self.flush(about)
        except StorageError as error:
            _log.warning("store_answers_from_old_state", error=str(error))
        try:
            return await self._transact(question, kind="DEFERRED")
        except SQLAlchemyError as error:
            raise StorageError(f"the database did not answer: {why(error)}") from error

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """See `Store`."""
        await self.flush()
        async with self._writer:
            self._refuse_if_lost()
            try:
                return await self._change(work)
            except SQLAlchemyError as error:
                raise StorageError(f"the database did not do the work: {why(error)}") from error

    async def close(self) -> None:
        """See `Store`."""
        try:
            if self._lost is None:
                await self.flush()
        finally:
            await self._dispose()

    def _waits_for(self, kinds: Collection[type]) -> bool:
        return any(type(record) in kinds for record in chain(self._in_hand, self._pending.waiting()))

    def _refuse_if_lost(self) -> None:
        if self._lost is not None:
            raise LeaseLostError(str(self._lost))

    async def _change(self, work: Callable[[Connection], T]) -> T:
        """Runs work that writes; under the fence, where there is one."""
        fence = self._fence
        if fence is None:
            return await self._transact(work)

        def fenced(conn: Connection) -> T:
            hold(conn, fence)
            return work(conn)

        try:
            return await self._transact(fenced)
        except LeaseLostError as error:
            self._lost, self.trouble = error, str(error)
            self._pending = Pending(self._capacity, self.counts)
            self._wake.set()
            raise

    async def _write_some(self) -> None:
        """One batch in one transaction. Whatever happens, cancellation included, nothing is lost: writing it twice
        leaves one row.
        """
        batch = self._in_hand = self._pending.take()
        try:
            await self._write(batch)
        except LeaseLostError:
            raise
        except SQLAlchemyError as error:
            self._pending.give_back(batch)
            self.counts.failures += 1
            self.trouble = reason = why(error)
            raise StorageError(f"the database did not take {len(batch)} records: {reason}") from error
        except BaseException:
            self._pending.give_back(batch)
            raise
        finally:
            self._in_hand = []
        self.trouble = None
        self.counts.batches += 1

    async def _write(self, batch: list[Record]) -> None:
        """A batch that the database refuses is written one by one, and the culprits are left out."""
        try:
            await self._change(lambda conn: repository.write(conn, batch))
            self.counts.written += len(batch)
        except Exception as error:
            if not _is_refusal(error):
                raise
            refused = await self._change(lambda conn: _write_singly(conn, batch))
            self.counts.rejected += len(refused)
            self.counts.written += len(batch) - len(refused)
            for record, reason in refused[:10]:
                _log.error("store_record_rejected", kind=type(record).__name__, error=reason)

    @abstractmethod
    async def _transact(self, work: Callable[[Connection], T], kind: Kind = "IMMEDIATE") -> T:
        """Runs `work` in a transaction; one that only reads waits for no writer, and sees one state throughout."""

    @abstractmethod
    async def _dispose(self) -> None:
        """Lets the database go."""


def _is_refusal(error: Exception) -> bool:
    """Whether a record itself is to blame; everything else is the database's fault and worth another try."""
    if isinstance(error, DBAPIError):
        return isinstance(error, IntegrityError | DataError)
    return isinstance(error, StatementError | ValueError | TypeError | OverflowError)


def _write_singly(conn: Connection, batch: list[Record]) -> list[tuple[Record, str]]:
    refused: list[tuple[Record, str]] = []
    for record in batch:
        try:
            with conn.begin_nested():
                repository.write(conn, [record])
        except Exception as error:
            if not _is_refusal(error):
                raise
            refused.append((record, why(error)))
    return refused


class AsyncStore(_BatchedStore):
    """The live store. Make one with `AsyncStore.open`."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        capacity: int = 50_000,
        interval_s: float = 0.2,
        fence: Fence | None = None,
    ) -> None:
        super().__init__(capacity, interval_s, fence)
        self._transactions = transactions

    @classmethod
    async def open(
        cls, url: str, *, capacity: int = 50_000, interval_s: float = 0.2, patience_s: float | None = PATIENCE_S
    ) -> "AsyncStore":
        """Opens (and, for SQLite, makes) a database and brings its schema up to date. A server that does not answer a
        transaction within `patience_s` counts as gone (None: it may take as long as it likes).

        Raises:
            StorageError: it cannot be opened or migrated; says what to do, and no password.
        """
        address = database_url(url)
        try:
            transactions = open_transactions(address, patience_s)
        except ImportError as error:
            raise StorageError(trouble_in_words(address, error)) from error
        try:
            await transactions.migrate(migrate)
        except BaseException as error:
            await transactions.dispose()
            if isinstance(error, SQLAlchemyError):
                raise StorageError(trouble_in_words(address, error)) from error
            raise
        return cls(transactions, capacity=capacity, interval_s=interval_s)

    def fenced(self, fence: Fence) -> "AsyncStore":
        """See `Store`; the connections are shared, and let go by this store alone."""
        return AsyncStore(self._transactions, capacity=self._capacity, interval_s=self._interval_s, fence=fence)

    async def _transact(self, work: Callable[[Connection], T], kind: Kind = "IMMEDIATE") -> T:
        return await self._transactions.carry_out(work, kind)

    async def _dispose(self) -> None:
        if self._fence is None:
            await self._transactions.dispose()


class InlineStore(_BatchedStore):
    """The twin's store: one connection, no waiting, nothing left when the process ends unless `url` names a file.

    A store that takes the `engine` of another finds what that one made durable, and nothing of what it had not written.
    """

    def __init__(
        self,
        url: str = "sqlite://",
        *,
        engine: Engine | None = None,
        capacity: int = 50_000,
        interval_s: float = 10.0,
        fence: Fence | None = None,
    ) -> None:
        super().__init__(capacity, interval_s, fence)
        self.engine = engine or create_engine(url, poolclass=StaticPool, json_serializer=dump_json)
        if engine is None:
            prepare_sqlite(self.engine)
        with self.engine.begin() as conn:
            upgrade(conn)
        # Kept: to take one from the pool costs more than to write a batch.
        self._writing = self.engine.connect().execution_options(begin="IMMEDIATE")
        self._reading = self.engine.connect().execution_options(begin="DEFERRED")

    def fenced(self, fence: Fence) -> "InlineStore":
        """See `Store`."""
        return InlineStore(engine=self.engine, capacity=self._capacity, interval_s=self._interval_s, fence=fence)

    async def _transact(self, work: Callable[[Connection], T], kind: Kind = "IMMEDIATE") -> T:
        conn = self._writing if kind == "IMMEDIATE" else self._reading
        with conn.begin():
            return work(conn)

    async def _dispose(self) -> None:
        if self._fence is None:
            self.engine.dispose()
