"""The disk of an outage: steps are done in order, off the loop, and told of once they are durable."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Protocol, TypeVar

import structlog

from proxy.spool_book import SpoolBook

T = TypeVar("T")
Work = Callable[[SpoolBook], T]
Done = Callable[[T | Exception], object]

_log = structlog.get_logger()
_MOST_AT_ONCE: Final = 500


class Spool(Protocol):
    """Where steps on a `SpoolBook` are done, in the order in which they were given."""

    def do(self, work: Work[T], done: Done[T]) -> None:
        """Do `work`; then, on the loop and once it would survive the loss of power, tell `done` its result or the
        exception that it raised (then nothing of it was written).
        """
        ...

    def close(self) -> None:
        """Do what was given, and no more."""
        ...


class FileSpool:
    """A SQLite file in WAL mode, synced at every commit by a thread of its own: what comes meanwhile is one commit.

    Raises:
        OSError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._steps: SimpleQueue[tuple[Work[Any], Done[Any]] | None] = SimpleQueue()
        try:
            path.touch(mode=0o600)  # id tags are nobody else's business
            self._connection = _open(str(path))
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._book = SpoolBook(self._connection)
        except sqlite3.Error as error:
            raise OSError(f"{path}: cannot be used as the spool of outages: {error}") from error
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def do(self, work: Work[T], done: Done[T]) -> None:
        """See `Spool.do`."""
        self._steps.put((work, done))

    def close(self) -> None:
        """See `Spool.close`; waits for the disk."""
        self._steps.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while (first := self._steps.get()) is not None:
            steps = [first]
            last = False
            while not self._steps.empty() and len(steps) < _MOST_AT_ONCE and not last:
                following = self._steps.get()
                if following is None:
                    last = True
                else:
                    steps.append(following)
            results = _commit(self._connection, self._book, [work for work, _ in steps])
            told = [(done, result) for (_, done), result in zip(steps, results, strict=True)]
            try:
                self._loop.call_soon_threadsafe(_tell, told)
            except RuntimeError:  # the loop has ended: nobody is left to be told
                return
            if last:
                return


@contextmanager
def opened(path: Path) -> Iterator[SpoolBook]:
    """The book of a spool file, to look into it from another process; the service may be running.

    Raises:
        OSError: there is no such file, or it is no spool.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such spool file")
    connection = _open(str(path))
    try:
        yield SpoolBook(connection)
    except sqlite3.Error as error:
        raise OSError(f"{path}: cannot be read as the spool of outages: {error}") from error
    finally:
        connection.close()


class InlineSpool:
    """The same in memory and in the loop's own thread, for virtual time. What was done survives whoever asked."""

    def __init__(self) -> None:
        self._connection = _open(":memory:")
        self._book = SpoolBook(self._connection)

    def do(self, work: Work[T], done: Done[T]) -> None:
        """See `Spool.do`."""
        results = _commit(self._connection, self._book, [work])
        asyncio.get_running_loop().call_soon(_tell, [(done, results[0])])

    def close(self) -> None:
        """See `Spool.close`; the memory stays."""


def _open(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)


def _commit(connection: sqlite3.Connection, book: SpoolBook, works: list[Work[Any]]) -> list[Any]:
    """Do several steps in one transaction; one that fails takes no other with it."""
    results: list[Any] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for work in works:
            connection.execute("SAVEPOINT step")
            try:
                results.append(work(book))
            except Exception as error:
                results.append(error)
                connection.execute("ROLLBACK TO step")
            connection.execute("RELEASE step")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return [error] * len(works)
    return results


def _tell(told: list[tuple[Done[Any], Any]]) -> None:
    for done, result in told:
        try:
            done(result)
        except Exception:
            _log.exception("spool_listener_failed")
