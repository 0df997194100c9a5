"""Alembic migrations, run by the program itself: nobody has to remember a command before an upgrade.

They are applied while older processes still run, so from 0007 on each only expands: new tables, new columns that may be
null or have a server default, indexes built concurrently. What an older process reads or writes is taken away no
earlier than one release after the last program that used it; `WORKS_WITH_FROM` says which that is.
"""

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from domain.errors import StorageError

WORKS_WITH_FROM = "0006"
"""The oldest program, by its newest migration, that can work with the schema as it is now."""

BUSY_MS = 2_000
"""How long a SQLite database that somebody else has locked is waited for."""

_ATTEMPTS = 30
"""How often a step is tried that did not get its lock within two seconds, a second apart."""

_ASKS_AGAIN_S = 0.2

_LOCK = 0x4845_4144  # any number that is ours alone in this database


def migrate(connection: Connection) -> None:
    """Brings the schema up to date, in transactions of its own. Any number of processes may start at once.

    Raises:
        StorageError: the database was made by a newer program that this one cannot work with.
    """
    if connection.dialect.name == "sqlite":
        with connection.execution_options(begin="DEFERRED").begin():
            if _current(connection) == newest():
                return
        _wait_for_others(connection, 60_000)
        with connection.execution_options(begin="IMMEDIATE").begin():
            _upgrade_unless_newer(connection)
        _wait_for_others(connection, BUSY_MS)
        return
    if _current(connection) == newest():
        return
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(text(f"set {setting} = 0"))
    _queue_up(connection)
    connection.execute(text("set lock_timeout = '2s'"))
    connection.commit()
    try:
        _patiently(connection)
    finally:
        connection.rollback()
        connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
        connection.execute(text("reset all"))
        connection.commit()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Brings the schema to `revision`. On PostgreSQL the connection must not be in a transaction: a step that needs
    several has them. On SQLite it may be, and the caller commits.

    Safe to run on a database that is already there.
    """
    command.upgrade(_config(connection), revision)
    if revision != "head":
        return
    connection.execute(text("delete from schema_floor"))
    connection.execute(text("insert into schema_floor values (1, :revision)"), {"revision": WORKS_WITH_FROM})
    if connection.dialect.name == "postgresql":
        connection.commit()


def downgrade(connection: Connection, revision: str) -> None:
    """Takes the schema back to `revision` ("base" drops everything)."""
    command.downgrade(_config(connection), revision)


def newest() -> str:
    """The newest revision that this program knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "the migrations are part of the package"
    return head


def revision_of(connection: Connection) -> str | None:
    """The schema of a database; None where it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade_unless_newer(connection: Connection) -> None:
    current = _current(connection)
    if current is None or current < newest():
        upgrade(connection)
        return
    if current == newest():
        return
    floor = connection.execute(text("select revision from schema_floor")).scalar()
    if floor is None or floor > newest():
        raise StorageError(
            f"the database has schema {current}, made by a newer Headroom, and this one knows {newest()}: "
            "start the newer one, or restore a backup of this one's"
        )


def _wait_for_others(connection: Connection, longest_ms: int) -> None:
    """How long SQLite waits for another process; set outside of a transaction, which it would be too late for."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={longest_ms}")
    cursor.close()


def _queue_up(connection: Connection) -> None:
    """Wait for who migrates already, by asking again: a statement that waited would be waited for itself, by an index
    that is built concurrently.
    """
    while not connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar():
        connection.commit()
        time.sleep(_ASKS_AGAIN_S)


def _patiently(connection: Connection) -> None:
    """A lock that is not free at once is not waited for in front of everybody else: given up, and tried again."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _upgrade_unless_newer(connection)
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03" or attempt == _ATTEMPTS:
                raise
            connection.rollback()
            connection.execute(text("select pg_sleep(1)"))
            connection.rollback()


def _current(connection: Connection) -> str | None:
    current = revision_of(connection)
    if connection.dialect.name == "postgresql":
        connection.rollback()
    return current


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
