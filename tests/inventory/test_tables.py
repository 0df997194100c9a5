"""The schema: migrations and tables agree, times keep their zone, PostgreSQL would take it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, insert, inspect, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError
from sqlalchemy.schema import CreateIndex, CreateTable

from inventory import tables
from inventory.migrations import downgrade, upgrade
from inventory.repository import _upsert
from inventory.rows import ROWS


@pytest.fixture
def conn() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_migrations_make_the_tables_that_the_code_uses(conn: Connection) -> None:
    upgrade(conn)
    context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
    assert compare_metadata(context, tables.metadata) == []


def test_migrating_twice_changes_nothing_and_back_leaves_nothing(conn: Connection) -> None:
    upgrade(conn)
    conn.execute(
        insert(tables.sites).values(
            id="s", digest="", timezone="UTC", loaded_at=datetime(2026, 3, 1, tzinfo=UTC), salt=""
        )
    )
    upgrade(conn)
    assert conn.execute(select(tables.sites.c.id)).scalars().all() == ["s"]
    downgrade(conn, "base")
    assert inspect(conn).get_table_names() == ["alembic_version"]


def test_migrations_are_part_of_the_package() -> None:
    folder = files("inventory.migrations")
    for name in ("env.py", "script.py.mako", "versions/__init__.py", "versions/v0001_first.py"):
        assert folder.joinpath(name).is_file(), name


def test_a_constraint_has_a_name_by_which_it_can_be_changed() -> None:
    for table in tables.metadata.sorted_tables:
        assert table.primary_key.name == f"pk_{table.name}"
        assert all(key.name for key in table.foreign_key_constraints)
        assert all(len(str(index.name)) <= 63 for index in table.indexes), "PostgreSQL cuts names at 63"


@settings(deadline=None)
@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001 - the zone is added
    st.integers(-14 * 60, 14 * 60),
)
def test_times_come_back_as_the_same_instant_in_utc(naive: datetime, minutes: int) -> None:
    at = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    column: Any = tables.UtcDateTime()
    for dialect in (sqlite.dialect(), postgresql.dialect()):
        stored = column.process_bind_param(at, dialect)
        back = column.process_result_value(stored, dialect)
        assert back == at
        assert (stored.tzinfo is None) == (dialect.name == "sqlite")
        assert back.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(conn: Connection) -> None:
    with pytest.raises(StatementError, match="a time without a zone"):
        conn.execute(select(literal(datetime(2026, 1, 1), tables.UtcDateTime)))  # noqa: DTZ001 - that is the point


def test_order_in_time_is_order_in_the_database(conn: Connection) -> None:
    """SQLite compares texts: a whole second and its fractions must sort as they are."""
    upgrade(conn)
    base = datetime(2026, 3, 1, 17, tzinfo=UTC)
    times = [base + timedelta(microseconds=n) for n in (0, 1, 999_999, 1_000_000, 1_000_001)]
    rows = [{"meter_id": "m", "at": at} for at in reversed(times)]
    conn.execute(insert(tables.meter_readings), rows)
    t = tables.meter_readings
    assert conn.execute(select(t.c.at).order_by(t.c.at)).scalars().all() == times
    assert len(conn.execute(select(t.c.at).where(t.c.at > times[1])).all()) == 3


def test_postgresql_would_take_every_statement() -> None:
    dialect = postgresql.dialect()
    for table in tables.metadata.sorted_tables:
        text = str(CreateTable(table).compile(dialect=dialect))
        assert "DATETIME" not in text
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))
    for table, _ in ROWS.values():
        assert "ON CONFLICT" in str(_upsert(table, "postgresql").compile(dialect=dialect))
    assert "TIMESTAMP WITH TIME ZONE" in str(CreateTable(tables.sessions).compile(dialect=dialect))


def test_foreign_keys_are_never_to_history() -> None:
    """Partitions are dropped whole: nothing may point at them, nor do they point anywhere."""
    for table in (tables.meter_readings, tables.evse_samples, tables.setpoint_events):
        assert not table.foreign_keys
        assert any(column.primary_key for column in table.c if isinstance(column.type, tables.UtcDateTime))
