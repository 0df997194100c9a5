"""The schema changes while older processes write: nobody waits long, nothing is lost, and many may begin at once."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from databases import KINDS, new_database
from sqlalchemy import Engine, func, insert, select, text

from domain.errors import StorageError
from inventory import migrations, tables
from inventory.engines import database_url, open_sync
from inventory.migrations import downgrade, migrate, newest, revision_of, upgrade
from inventory.partitions import make_partitions

BEFORE = "0006"
"""The last schema that was not made to be changed under a running service."""


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with new_database(request.param, tmp_path) as url:
        made = open_sync(database_url(url))
        yield made
        made.dispose()


def at_revision(engine: Engine, revision: str) -> None:
    if engine.dialect.name == "sqlite":
        with engine.begin() as conn:
            upgrade(conn, revision)
    else:
        with engine.connect() as conn:
            upgrade(conn, revision)


def readings(engine: Engine, since: datetime, count: int) -> None:
    rows = [{"meter_id": "m", "at": since + timedelta(seconds=n), "phase_a_a": float(n)} for n in range(count)]
    with engine.begin() as conn:
        conn.execute(insert(tables.meter_readings), rows)


def count(engine: Engine) -> int:
    with engine.begin() as conn:
        return conn.execute(select(func.count()).select_from(tables.meter_readings)).scalar_one()


def test_an_old_process_goes_on_writing_while_the_schema_changes(engine: Engine) -> None:
    """It waits for a lock no longer than a second at a time, or its statement fails: on PostgreSQL none may."""
    at_revision(engine, BEFORE)
    readings(engine, datetime(2026, 1, 1, tzinfo=UTC), 20_000)
    done, ready, written, failed = threading.Event(), threading.Event(), 0, []
    began = datetime(2026, 10, 1, tzinfo=UTC)

    def write() -> None:
        nonlocal written
        while not done.is_set():
            try:
                with engine.begin() as conn:
                    if engine.dialect.name == "postgresql":
                        conn.execute(text("set local lock_timeout = '1s'"))
                    row = {"meter_id": "m", "at": began + timedelta(seconds=written), "phase_a_a": 1.0}
                    conn.execute(insert(tables.meter_readings), row)
            except Exception as error:
                failed.append(error)
            else:
                written += 1
                ready.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert ready.wait(20)
        with engine.connect() as conn:
            migrate(conn)
        with engine.begin() as conn:
            make_partitions(conn, began)
    finally:
        done.set()
        thread.join()
    if engine.dialect.name == "postgresql":
        assert failed == []
    assert count(engine) == 20_000 + written
    with engine.begin() as conn:
        assert revision_of(conn) == newest()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_transaction_that_takes_its_time_only_delays_the_change(engine: Engine) -> None:
    """The change does not queue up in front of everybody else behind one slow reader: it steps back and comes again.

    SQLite has one writer at a time, and readers are never waited for.
    """
    at_revision(engine, "0008")
    readings(engine, datetime(2026, 1, 1, tzinfo=UTC), 10)
    slow = engine.connect()
    slow.execute(text("set local idle_in_transaction_session_timeout = 0"))
    slow.execute(select(func.count()).select_from(tables.meter_readings))
    changed = threading.Event()

    def change() -> None:
        with engine.connect() as conn:
            migrate(conn)
        changed.set()

    thread = threading.Thread(target=change)
    thread.start()
    for number in range(4):
        readings(engine, datetime(2026, 2, 1 + number, tzinfo=UTC), 10)
        assert not changed.wait(1)
    slow.rollback()
    slow.close()
    thread.join(30)
    assert changed.is_set()
    assert count(engine) == 50


OPENS = """
import asyncio, sys
from inventory.store import AsyncStore

async def main():
    await (await AsyncStore.open(sys.argv[1])).close()

asyncio.run(main())
"""


def test_many_processes_may_begin_at_once(engine: Engine) -> None:
    command = [sys.executable, "-c", OPENS, engine.url.render_as_string(hide_password=False)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    started = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(3)]
    for process in started:
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said.decode()[-2000:]
    with engine.begin() as conn:
        assert revision_of(conn) == newest()


def test_migrations_make_the_tables_that_the_code_uses(engine: Engine) -> None:
    with engine.connect() as conn:
        migrate(conn)
    with engine.begin() as conn:
        make_partitions(conn, datetime(2026, 12, 31, tzinfo=UTC))
        parts = set(_partitions(conn)) if engine.dialect.name == "postgresql" else set()

        def ours(thing: object, name: str | None, kind: str, *_rest: object) -> bool:
            return (name if kind == "table" else thing.table.name) not in parts  # type: ignore[attr-defined]

        options = {"compare_type": True, "compare_server_default": True, "include_object": ours}
        assert compare_metadata(MigrationContext.configure(conn, opts=options), tables.metadata) == []


def _partitions(conn: object) -> list[str]:
    found = conn.execute(text("select inhrelid::regclass::text from pg_inherits"))  # type: ignore[attr-defined]
    return list(found.scalars())


def test_what_lay_in_a_plain_table_stays_and_back_again(engine: Engine) -> None:
    at_revision(engine, "0008")
    readings(engine, datetime(2025, 12, 31, 23, 59, tzinfo=UTC), 100)
    with engine.connect() as conn:
        migrate(conn)
    readings(engine, datetime(2031, 5, 1, tzinfo=UTC), 10)
    assert count(engine) == 110
    if engine.dialect.name == "sqlite":
        with engine.begin() as conn:
            downgrade(conn, "0008")
    else:
        with engine.connect() as conn:
            downgrade(conn, "0008")
    assert count(engine) == 110


def test_an_older_program_works_with_a_newer_schema_that_still_holds_what_it_needs(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed in the middle of a rolling upgrade must come back; one that is too old must not."""
    with engine.connect() as conn:
        migrate(conn)
    monkeypatch.setattr(migrations, "newest", lambda: "0006")
    with engine.connect() as conn:
        migrate(conn)
    with engine.begin() as conn:
        assert revision_of(conn) != "0006", "nothing was taken back"
    monkeypatch.setattr(migrations, "newest", lambda: "0005")
    with engine.connect() as conn, pytest.raises(StorageError, match="made by a newer Headroom"):
        migrate(conn)


def test_no_migration_takes_away_what_older_processes_use() -> None:
    """Each from 0007 on only expands. A contraction is made one release after the last use; it is named here then."""
    folder = Path(migrations.__file__).parent / "versions"
    for file in sorted(folder.glob("v0*.py")):
        if file.name[:5] <= f"v{BEFORE}":
            continue
        body = file.read_text().partition("def downgrade")[0]
        for word in ("drop_column", "drop_table", "alter_column", "rename_table", "batch_alter_table"):
            assert word not in body, f"{file.name}: {word} breaks the processes that run meanwhile"
