"""The store: records go in without waiting, are written in batches, and are durable when `flush` returns.

Two adapters with one behaviour: `AsyncStore` for the live service (aiosqlite, later PostgreSQL), `InlineStore` for
virtual time (SQLite in memory, no thread and no socket, so that the clock cannot run away meanwhile).
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from domain.errors import StorageError
from inventory import repository
from inventory.migrations import upgrade
from inventory.records import ReadingRecord, Record, SampleRecord, record_key
from inventory.rows import dump_json

T = TypeVar("T")

DEFAULT_URL = "sqlite+aiosqlite:///headroom.db"
SAMPLES = (SampleRecord, ReadingRecord)
MAX_BATCH = 5_000
MAX_RETRY_S = 30.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class StoreCounts:
    """What the store has done, for the metrics.

    `dropped_samples` and `dropped_history` were given up because the database did not keep up; `rejected` are records
    that it refuses for good.
    """

    written: int = 0
    batches: int = 0
    failures: int = 0
    rejected: int = 0
    dropped_samples: int = 0
    dropped_history: int = 0


class Store(Protocol):
    """Where records go, and where questions about the past are answered."""

    counts: StoreCounts
    trouble: str | None
    """Why the newest batch was not taken; None where it was."""

    def put(self, *records: Record) -> None:
        """Takes records to be written soon; never waits, never fails."""
        ...

    async def flush(self) -> None:
        """Returns when everything that was put before is durable; `StorageError` if it could not be made so."""
        ...

    async def run(self) -> None:
        """Writes what is put, for ever; a database that fails is tried again."""
        ...

    async def query(self, question: Callable[[Connection], T]) -> T:
        """Answers a question about the past; sees what was put before it. `StorageError` if it cannot be answered."""
        ...

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Does work that writes (`save_site`, `prune`), after all that was put before it, in one transaction."""
        ...

    async def close(self) -> None:
        """Writes what waits and lets the database go."""
        ...


class Pending:
    """Records that wait. Facts replace one another, history queues up: only samples are dropped lightly.

    Guarantee: sessions, limits and all else that a restart needs is never dropped; there are only as many as there are
    things. Samples and readings beyond `capacity` push out the oldest of their kind, and so do decisions and steps of
    set-points, of which `capacity` is hours.
    """

    def __init__(self, capacity: int, counts: StoreCounts) -> None:
        self._counts = counts
        self._capacity = capacity
        self._facts: dict[Hashable, Record] = {}
        self._history: deque[Record] = deque()
        self._samples: deque[Record] = deque()

    def __len__(self) -> int:
        return len(self._facts) + len(self._history) + len(self._samples)

    def add(self, record: Record) -> None:
        """Takes one record."""
        key = record_key(record)
        if key is not None:
            self._facts[key] = record
        elif isinstance(record, SAMPLES):
            self._samples.append(record)
        else:
            self._history.append(record)
        self._drop()

    def take(self) -> list[Record]:
        """All facts and the oldest of the rest, to be written together."""
        batch = list(self._facts.values())
        self._facts = {}
        for queue in (self._history, self._samples):
            while queue and len(batch) < MAX_BATCH:
                batch.append(queue.popleft())
        return batch

    def give_back(self, batch: list[Record]) -> None:
        """Returns a batch that was not written: in its old place, and only where nothing newer has come."""
        facts: dict[Hashable, Record] = {}
        for record in reversed(batch):
            key = record_key(record)
            if key is not None:
                facts[key] = record
            elif isinstance(record, SAMPLES):
                self._samples.appendleft(record)
            else:
                self._history.appendleft(record)
        self._facts = facts | self._facts
        self._drop()

    def _drop(self) -> None:
        while len(self._samples) > self._capacity:
            self._samples.popleft()
            self._counts.dropped_samples += 1
        while len(self._history) > self._capacity:
            self._history.popleft()
            self._counts.dropped_history += 1


class _BatchedStore(ABC):
    """What both adapters share: the queue, one writer at a time, and patience."""

    def __init__(self, capacity: int, interval_s: float) -> None:
        self.counts = StoreCounts()
        self.trouble: str | None = None
        self._pending = Pending(capacity, self.counts)
        self._interval_s = interval_s
        self._wake = asyncio.Event()
        self._writer = asyncio.Lock()

    def put(self, *records: Record) -> None:
        """See `Store`."""
        for record in records:
            self._pending.add(record)
        if records:
            self._wake.set()

    async def flush(self) -> None:
        """See `Store`."""
        async with self._writer:
            while len(self._pending):
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
            except StorageError as error:
                self._wake.set()
                pause_s = min(max(1.0, 2 * pause_s), MAX_RETRY_S)
                _log.error("store_write_failed", error=str(error), waiting=len(self._pending), retry_s=pause_s)

    async def query(self, question: Callable[[Connection], T]) -> T:
        """See `Store`. A question is answered from what is there even if the newest could not be written."""
        try:
            await self.flush()
        except StorageError as error:
            _log.warning("store_answers_from_old_state", error=str(error))
        try:
            return await self._transact(question, begin="DEFERRED")
        except SQLAlchemyError as error:
            raise StorageError(f"the database did not answer: {error}") from error

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """See `Store`."""
        await self.flush()
        async with self._writer:
            try:
                return await self._transact(work)
            except SQLAlchemyError as error:
                raise StorageError(f"the database did not do the work: {error}") from error

    async def close(self) -> None:
        """See `Store`."""
        try:
            await self.flush()
        finally:
            await self._dispose()

    async def _write_some(self) -> None:
        """One batch in one transaction. Whatever happens, cancellation included, nothing is lost: writing it twice
        leaves one row.
        """
        batch = self._pending.take()
        try:
            await self._write(batch)
        except SQLAlchemyError as error:
            self._pending.give_back(batch)
            self.counts.failures += 1
            self.trouble = reason = str(getattr(error, "orig", None) or error)
            raise StorageError(f"the database did not take {len(batch)} records: {reason}") from error
        except BaseException:
            self._pending.give_back(batch)
            raise
        self.trouble = None
        self.counts.batches += 1

    async def _write(self, batch: list[Record]) -> None:
        """A batch that the database refuses is written one by one, and the culprits are left out."""
        try:
            await self._transact(lambda conn: repository.write(conn, batch))
            self.counts.written += len(batch)
        except Exception as error:
            if not _is_refusal(error):
                raise
            refused = await self._transact(lambda conn: _write_singly(conn, batch))
            self.counts.rejected += len(refused)
            self.counts.written += len(batch) - len(refused)
            for record, reason in refused[:10]:
                _log.error("store_record_rejected", kind=type(record).__name__, error=reason)

    @abstractmethod
    async def _transact(self, work: Callable[[Connection], T], begin: str = "IMMEDIATE") -> T:
        """Runs `work` in a transaction. `begin` is SQLite's: readers need not wait for writers."""

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
            refused.append((record, str(getattr(error, "orig", None) or error)))
    return refused


class AsyncStore(_BatchedStore):
    """The live store, over an `AsyncEngine`. Make one with `AsyncStore.open`."""

    def __init__(self, engine: AsyncEngine, *, capacity: int = 50_000, interval_s: float = 0.2) -> None:
        super().__init__(capacity, interval_s)
        self._engine = engine

    @classmethod
    async def open(cls, url: str = DEFAULT_URL, *, capacity: int = 50_000, interval_s: float = 0.2) -> "AsyncStore":
        """Opens (and, for SQLite, makes) a database and brings its schema up to date.

        Raises:
            StorageError: it cannot be opened or migrated.
        """
        try:
            engine = create_async_engine(async_url(url), json_serializer=dump_json)
            if engine.dialect.name == "sqlite":
                prepare_sqlite(engine.sync_engine)
            store = cls(engine, capacity=capacity, interval_s=interval_s)
            await store._transact(upgrade)
        except (SQLAlchemyError, ImportError) as error:
            raise StorageError(f"the database '{url}' cannot be opened: {error}") from error
        return store

    async def _transact(self, work: Callable[[Connection], T], begin: str = "IMMEDIATE") -> T:
        async with self._engine.execution_options(begin=begin).begin() as conn:
            return await conn.run_sync(work)

    async def _dispose(self) -> None:
        await self._engine.dispose()


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
    ) -> None:
        super().__init__(capacity, interval_s)
        self.engine = engine or create_engine(url, poolclass=StaticPool, json_serializer=dump_json)
        if engine is None:
            prepare_sqlite(self.engine)
        with self.engine.begin() as conn:
            upgrade(conn)

    async def _transact(self, work: Callable[[Connection], T], begin: str = "IMMEDIATE") -> T:
        with self.engine.execution_options(begin=begin).begin() as conn:
            return work(conn)

    async def _dispose(self) -> None:
        self.engine.dispose()


def async_url(url: str) -> str:
    """The URL with the asynchronous driver written out, where it is SQLite's."""
    return f"sqlite+aiosqlite:{url.removeprefix('sqlite:')}" if url.startswith("sqlite:") else url


def prepare_sqlite(engine: Engine) -> None:
    """WAL, every commit on the disk, foreign keys enforced, and transactions that begin where SQLAlchemy says.

    `synchronous=FULL`: a limit that was sent must be there after a power cut, not only after a crash. A database that
    somebody else has locked is waited for briefly: a write is tried again anyhow, and an orderly end takes two of them.
    """

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=2000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(conn: Connection) -> None:
        conn.exec_driver_sql(f"BEGIN {conn.get_execution_options().get('begin', 'IMMEDIATE')}")
