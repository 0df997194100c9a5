"""Databases for tests that run against SQLite and PostgreSQL: each on its own, so that tests may run side by side."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import needs
import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.engine import URL

from inventory import access_tables, base_load_hours, fencing, message_tables  # noqa: F401 - their tables are emptied too
from inventory.engines import database_url, open_sync
from inventory.migrations import migrate
from inventory.tables import metadata

KINDS = ("sqlite", "postgresql")

_ICU = "locale_provider icu icu_locale 'en-US'"
"""Sorts as people do and not as bytes do: what depends on the order of texts shows itself."""


@contextmanager
def new_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database of its own, gone afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / f'{uuid4().hex}.db'}"
        return
    server = needs.postgresql()
    name = f"headroom_test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        version = admin.info.server_version
        admin.execute(f"create database {name} template template0 {_ICU if version >= 150000 else ''}".encode())
    try:
        yield _text(make_url(server).set(database=name))
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)".encode())


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def migrated_engine(url: str) -> Engine:
    """An engine on a database with the newest schema."""
    made = open_sync(database_url(url))
    with made.connect() as conn:
        migrate(conn)
    return made


def emptied(url: str) -> None:
    """Takes all rows out of a database on PostgreSQL."""
    made = open_sync(database_url(url))
    names = ", ".join(table.name for table in metadata.sorted_tables if table.name != "schema_floor")
    with made.begin() as conn:
        conn.execute(text(f"truncate {names}"))
    made.dispose()


def database_of(request: pytest.FixtureRequest, kind: str, folder: Path) -> str:
    """The URL of a database without rows; on PostgreSQL it is the worker's (`server_database`), and has the schema."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'headroom.db'}"
    url: str = request.getfixturevalue("server_database")
    emptied(url)
    return url
