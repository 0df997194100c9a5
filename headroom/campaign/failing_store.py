"""A store, and a spool of outages, on a disk that can be full, slow or locked."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from inventory.fencing import Fence
from inventory.store import InlineStore
from inventory.transactions import Kind
from proxy.spool import InlineSpool
from proxy.spool_book import SpoolBook

T = TypeVar("T")

BUSY_S = 5.0
"""How long a write waits for a lock (SQLite's busy_timeout, PostgreSQL's lock_timeout)."""


@dataclass(slots=True)
class Disk:
    """What is wrong with it now: `full` fails every write, `slow_s` is how long each transaction takes.

    `locked`: somebody else holds the database's lock, and a write fails after `BUSY_S`. `late_writes` counts what a
    life of the service wrote after a newer one had begun.
    """

    full: bool = False
    slow_s: float = 0.0
    locked: bool = False
    lives: int = 0
    late_writes: int = 0


class FailingStore(InlineStore):
    """The twin's store on such a disk. Incarnations of a service share the engine, and with it what is durable."""

    def __init__(self, disk: Disk, life: int, engine: Engine | None = None, fence: Fence | None = None) -> None:
        super().__init__(engine=engine, fence=fence)
        self._disk, self._life = disk, life

    async def _transact(self, work: Callable[[Connection], T], kind: Kind = "IMMEDIATE") -> T:
        if self._disk.slow_s > 0:
            await asyncio.sleep(self._disk.slow_s)
        if self._disk.full and kind == "IMMEDIATE":
            raise OperationalError("write", None, sqlite3.OperationalError("database or disk is full"))
        if self._disk.locked and kind == "IMMEDIATE":
            await asyncio.sleep(BUSY_S)
            if self._disk.locked:
                raise OperationalError("write", None, sqlite3.OperationalError("database is locked"))
        done = await super()._transact(work, kind)
        if kind == "IMMEDIATE" and self._life < self._disk.lives:
            self._disk.late_writes += 1
        return done


class FailingSpool(InlineSpool):
    """The twin's spool of outages on such a disk."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk

    def do(self, work: Callable[[SpoolBook], T], done: Callable[[T | Exception], object]) -> None:
        """See `Spool.do`; what fails is told as a disk's own errors are."""
        loop = asyncio.get_running_loop()
        if self._disk.full:
            loop.call_soon(done, sqlite3.OperationalError("database or disk is full"))
        elif self._disk.slow_s > 0:
            loop.call_later(self._disk.slow_s, super().do, work, done)
        else:
            super().do(work, done)
