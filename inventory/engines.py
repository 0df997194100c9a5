"""How a database is reached: URLs, connections that keep the promises, and errors that say what to do."""

from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from domain.errors import StorageError
from inventory.migrations import BUSY_MS
from inventory.spelling import dump_json
from inventory.transactions import OnLoop, OnThreads, Transactions

_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
_SQLITE = ("sqlite", "sqlite+aiosqlite")
"""The longer name is what earlier versions asked for."""

_SESSION = {
    "timezone": "UTC",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
}
"""A statement that hangs gives its connection back, and a process that stands still in the middle of a transaction
loses it, and with it the locks that others wait for."""

_CONNECTING: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""A server that is gone without a word is noticed after 15 s, not after the kernel's quarter of an hour."""

_POOL: dict[str, Any] = {
    "pool_size": 5,
    "max_overflow": 5,
    "pool_timeout": 10,
    "pool_pre_ping": True,
    "hide_parameters": True,
}


def database_url(text: str) -> URL:
    """The URL as SQLAlchemy takes it: SQLite by Python's own driver, PostgreSQL through psycopg.

    Raises:
        StorageError: it is no URL, or of another database.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StorageError(
            "--database cannot be opened: it is no URL. Write sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from None
    if url.drivername in _SQLITE:
        return url.set(drivername="sqlite")
    if url.drivername in _POSTGRESQL:
        return url.set(drivername="postgresql+psycopg")
    raise StorageError(
        f"--database cannot be opened: '{url.drivername}' is not known. Write sqlite:///FILE or "
        "postgresql://USER@HOST/NAME"
    )


def open_transactions(url: URL, patience_s: float | None) -> Transactions:
    """The way of a running service to its database; `patience_s` is for a server. Nothing is connected yet."""
    if url.get_backend_name() != "sqlite":
        engine = create_async_engine(url, json_serializer=dump_json, connect_args=_connect_args(url), **_POOL)
        return OnLoop(engine, patience_s)
    if url.database not in {None, "", ":memory:"}:
        return OnThreads(open_sync(url))
    one = create_engine(
        url,
        json_serializer=dump_json,
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
        hide_parameters=True,
    )  # each connection would have a memory of its own
    prepare_sqlite(one)
    return OnThreads(one, threads=1)


def open_sync(url: URL) -> Engine:
    """An engine for one command that has nothing else to do. Nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, json_serializer=dump_json, hide_parameters=True)
        prepare_sqlite(engine)
        return engine
    return create_engine(url, json_serializer=dump_json, connect_args=_connect_args(url), **_POOL)


def _connect_args(url: URL) -> dict[str, Any]:
    """What the URL says itself goes first."""
    asked = {name: value for name, value in _CONNECTING.items() if name not in url.query}
    ours = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    theirs = url.query.get("options", "")
    asked["options"] = f"{ours} {theirs}".strip()
    if "application_name" not in url.query:
        asked["application_name"] = "headroom"
    return asked


def prepare_sqlite(engine: Engine) -> None:
    """WAL, every commit on the disk, foreign keys enforced, and transactions that begin where SQLAlchemy says.

    `synchronous=FULL`: a limit that was sent must be there after a power cut, not only after a crash. A database that
    somebody else has locked is waited for briefly: a write is tried again anyhow, and an orderly end takes two of them.
    """

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(conn: Connection) -> None:
        conn.exec_driver_sql(f"BEGIN {conn.get_execution_options().get('begin', 'IMMEDIATE')}")


def shown(url: URL) -> str:
    """A URL as it may be printed: no password, and nothing of its query, where secrets may stand too."""
    return url.set(query={}).render_as_string(hide_password=True)


def why(error: BaseException) -> str:
    """The database's own words in one line: no SQL, no values, no secrets."""
    words = str(getattr(error, "orig", None) or error).strip()
    return words.partition("\n")[0] or type(error).__name__


def trouble_in_words(url: URL, error: BaseException) -> str:
    """Why a database cannot be opened, and what to do about it."""
    words, what = why(error), "see that the folder is there and may be written"
    if isinstance(error, ImportError):
        what = "install the driver again: `make setup`"
    elif url.get_backend_name() == "postgresql":
        what = _what_to_do(url, str(getattr(getattr(error, "orig", None), "sqlstate", None)), words)
    return f"the database '{shown(url)}' cannot be opened: {words}. To mend it: {what}"


def _what_to_do(url: URL, state: str, words: str) -> str:
    """By SQLSTATE, or by libpq's words where it gives none: what fails before a session stands has no state."""
    user, name = url.username or "the user", url.database or url.username or "headroom"
    for states, said, advice in _ADVICE:
        if state in states or any(all(part in words for part in parts) for parts in said):
            return advice.format(user=user, name=name)
    return "see that PostgreSQL runs there, that the address is right, and that no firewall is between"


_ADVICE = (
    (
        {"28P01"},
        (("password",), ("authentication",), ("pg_hba",)),
        "give {user}'s password in ~/.pgpass or PGPASSWORD, and let {user} in by the server's pg_hba.conf",
    ),
    ({"3D000"}, (("database", "does not exist"),), "`createdb {name}` on the server, or name another database"),
    ({"28000"}, (("role", "does not exist"),), "`createuser {user}` on the server, or name another user"),
    ((), (("denied for table",),), "go in as the user that made the tables, or make {user} their owner"),
    (
        {"42501", "3F000"},
        (("permission denied",),),
        "`GRANT ALL ON SCHEMA public TO {user}` in database {name}: Headroom makes its own tables",
    ),
    (
        {"53300"},
        (("too many clients",),),
        "raise max_connections of the server: each process of Headroom takes up to ten",
    ),
)
"""SQLSTATEs, words that stand for them, and what to do."""
