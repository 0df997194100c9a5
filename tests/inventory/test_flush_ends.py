"""A flush writes what waited when it was asked for, and ends, however fast more comes."""

from collections.abc import Callable
from typing import Any

from inventory_world import T0, granted, reading, site
from sqlalchemy import Connection

from domain.ids import EvseId
from inventory.records import LedgerRecord, ReadingRecord
from inventory.repository import save_site
from inventory.store import InlineStore
from inventory.transactions import Kind

SITE = site()


class _Busy(InlineStore):
    """With every batch that is written as much comes again."""

    comes = True
    batches = 0

    async def _transact(self, work: Callable[[Connection], Any], kind: Kind = "IMMEDIATE") -> Any:
        done = await super()._transact(work, kind)
        self.batches += 1
        if self.batches > 20:
            raise AssertionError("it goes on for ever")
        if self.comes:
            self.put(ReadingRecord(reading(self.batches)), LedgerRecord(EvseId("E1"), granted(self.batches, 6.0)))
        return done


async def test_a_flush_ends_though_more_comes_all_the_time() -> None:
    made = _Busy()
    await made.transact(lambda conn: save_site(conn, SITE, T0))
    await made.flush()
    assert made.batches == 2
    made.comes = False
    await made.close()
