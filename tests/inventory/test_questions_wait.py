"""A question waits for the records that its answer is made of, and for no others."""

import asyncio
from collections.abc import Callable
from typing import Any

from inventory_world import limit, reading, site
from sqlalchemy import Connection

from inventory import queries
from inventory.live import LiveState
from inventory.records import LimitRecord, ReadingRecord
from inventory.repository import save_site
from inventory.store import InlineStore
from inventory.transactions import Kind

SITE = site()


class _Stuck(InlineStore):
    """Writes wait until they may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def _transact(self, work: Callable[[Connection], Any], kind: Kind = "IMMEDIATE") -> Any:
        if kind == "IMMEDIATE":
            await self.go_on.wait()
        return await super()._transact(work, kind)


def limits(conn: Connection) -> list[Any]:
    return list(queries.limits(conn, SITE.id).items)


async def test_a_question_waits_for_what_it_is_about_and_for_nothing_else() -> None:
    store = _Stuck()
    await store.transact(lambda conn: save_site(conn, SITE, limit().starts_at))
    store.go_on.clear()
    store.put(ReadingRecord(reading(1)))
    async with asyncio.timeout(5):
        assert await store.query(limits, (LimitRecord,)) == []
        assert await store.query(limits, ()) == []
    store.put(*LiveState(SITE).put_limit(limit()))
    asked = asyncio.get_running_loop().create_task(store.query(limits, (LimitRecord,)))
    await asyncio.sleep(0)
    assert not asked.done()
    # Now the limit is in the hand of whoever writes, and waits no more: it is not in the database either.
    again = asyncio.get_running_loop().create_task(store.query(limits, (LimitRecord,)))
    await asyncio.sleep(0.01)
    assert not again.done()
    store.go_on.set()
    assert await asked == await again == [limit()]
    await store.close()
