"""SQLite's transactions on threads: what is given up leaves nothing, and one that takes its time holds up no other."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from inventory_world import T0, site
from sqlalchemy import Connection, create_engine, text

from inventory.repository import save_site
from inventory.store import AsyncStore

SITE = site()


async def test_work_that_is_given_up_is_not_done_afterwards(tmp_path: Path) -> None:
    """What waits for the lock while its caller goes leaves nothing: something newer may stand there by then."""
    path = tmp_path / "headroom.db"
    made = await AsyncStore.open(f"sqlite:///{path}")
    await made.transact(lambda conn: save_site(conn, SITE, T0))
    engine = create_engine(f"sqlite:///{path}", isolation_level=None)
    begun = threading.Event()

    def late(conn: Connection) -> None:
        begun.set()
        conn.execute(text("update sites set strategy = 'late'"))

    with engine.connect() as other:
        other.execute(text("begin immediate"))
        waiting = asyncio.get_running_loop().create_task(made.transact(late))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        other.execute(text("update sites set strategy = 'newer'"))
        other.execute(text("commit"))
    engine.dispose()

    async def strategy() -> Any:
        await made.transact(lambda conn: conn.execute(text("update sites set scheduler = 'x'")))  # after it, in turn
        return await made.query(lambda conn: conn.execute(text("select strategy from sites")).scalar())

    assert await strategy() == "newer"
    assert not begun.is_set(), "it did not even begin"
    await made.close()


async def test_questions_are_answered_beside_each_other(tmp_path: Path) -> None:
    """One that takes its time keeps no other waiting."""
    made = await AsyncStore.open(f"sqlite:///{tmp_path / 'headroom.db'}")
    begun, go_on = threading.Event(), threading.Event()

    def slow(_conn: Connection) -> str:
        begun.set()
        return "slow" if go_on.wait(60) else "never"

    async with asyncio.TaskGroup() as group:
        first = group.create_task(made.query(slow))
        await asyncio.to_thread(begun.wait, 60)
        assert await made.query(lambda conn: conn.execute(text("select 1")).scalar()) == 1
        go_on.set()
    assert first.result() == "slow"
    await made.close()
