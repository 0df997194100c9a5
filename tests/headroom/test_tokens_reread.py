"""While tokens are read again, who is known already does not wait for the database."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import Connection

from headroom.access.roles import Role
from headroom.access.tokens import REMEMBERED_S, TokenBook, new_token
from headroom.clock import WallClock
from inventory import access
from inventory.store import InlineStore


class _Slow(InlineStore):
    """Answers no question before `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()

    async def query(self, question: Callable[[Connection], Any], about: Collection[type] | None = None) -> Any:
        self.asked.set()
        await self.go_on.wait()
        return await super().query(question, about)


async def test_one_waits_for_the_database_and_not_all() -> None:
    store, seconds = _Slow(), 0.0
    book = TokenBook(store, WallClock(), lambda: seconds)
    text, row = new_token(Role.VIEWER, "one", WallClock().now())
    await store.transact(lambda conn: access.add_token(conn, row))
    assert await book.caller_with_token(text) is not None
    seconds += REMEMBERED_S
    store.go_on.clear()
    store.asked.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(book.caller_with_token(text))
        await store.asked.wait()
        async with asyncio.timeout(30):
            assert await book.caller_with_token(text) is not None
        assert not first.done()
        await book.change(lambda conn: access.revoke_token(conn, row.id, WallClock().now()))
        after = group.create_task(book.caller_with_token(text))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not after.done(), "after a change here everybody waits for it"
        store.go_on.set()
    await store.close()
