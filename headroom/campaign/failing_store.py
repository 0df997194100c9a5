"""A store whose disk can be full or slow."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from inventory.store import InlineStore, Kind

T = TypeVar("T")


@dataclass(slots=True)
class Disk:
    """What is wrong with it now: `full` fails every write, `slow_s` is how long each transaction takes."""

    full: bool = False
    slow_s: float = 0.0


class FailingStore(InlineStore):
    """The twin's store on such a disk. Incarnations of a service share the engine, and with it what is durable."""

    def __init__(self, disk: Disk, engine: Engine | None = None) -> None:
        super().__init__(engine=engine, interval_s=1.0)
        self._disk = disk

    async def _transact(self, work: Callable[[Connection], T], kind: Kind = "IMMEDIATE") -> T:
        if self._disk.slow_s > 0:
            await asyncio.sleep(self._disk.slow_s)
        if self._disk.full and kind == "IMMEDIATE":
            raise OperationalError("write", None, sqlite3.OperationalError("database or disk is full"))
        return await super()._transact(work, kind)
