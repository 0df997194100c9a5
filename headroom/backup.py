"""Makes a backup of a database and its spools while the service runs, and puts one back."""

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import HeadroomError, StorageError
from headroom.backup_file import DATABASE, FORMAT, Manifest, digest_of, pack, spool_name, unpack
from inventory.copying import LIMITS_IN_FORCE, Progress, copy_rows, empty, is_empty, make_room, row_counts
from inventory.engines import database_url, open_sync, trouble_in_words
from inventory.locks import lock
from inventory.migrations import migrate, newest, revision_of
from proxy.spool import opened


def back_up(database: str, spools: Sequence[Path], out: Path, now: datetime, told: Progress) -> Manifest:
    """One consistent state of the database, and after it the spools: what the database knows of, they hold as well.

    Raises:
        HeadroomError: something cannot be read or written; then there is no file.
    """
    if out.exists():
        raise HeadroomError(f"--out {out}: is there already; a backup overwrites nothing. Take another name")
    url = database_url(database)
    with _workplace(out.parent) as folder:
        copy = folder / DATABASE
        if url.get_backend_name() == "sqlite":
            _copy_file(_file_of(url), copy)
        else:
            _copy_from_server(url, copy, told)
        with _connected(_local(copy)) as conn:
            schema, rows = revision_of(conn), (row_counts(conn) if revision_of(conn) == newest() else {})
        files = {DATABASE: copy}
        for number, spool in enumerate(spools, 1):
            files[spool_name(number)] = folder / spool_name(number)
            _copy_file(spool, files[spool_name(number)])
        digests = {name: digest_of(path) for name, path in files.items()}
        manifest = Manifest(
            FORMAT, now.isoformat(), version("headroom"), schema or "", url.get_backend_name(), rows, digests
        )
        pack(out, manifest, files)
    return manifest


def restore(
    backup: Path,
    database: str,
    spools: Sequence[Path] | None,
    usual_spool: Path,
    now: datetime,
    told: Progress,
    *,
    replace: bool,
) -> Manifest:
    """Puts a backup into a database and spool files, which a service must not be using meanwhile. All or nothing of the
    database is there afterwards.

    The limits that chargers had are not put back: since the backup they may have been allowed more, so each counts as
    full until it is told anew. A start that waits in a spool counts as sent once: the CSMS may have it by now.

    Raises:
        HeadroomError: the backup cannot be used; the target is in use, newer, or not empty without `replace`.
    """
    url = database_url(database)
    with _workplace(backup.parent) as folder:
        manifest = unpack(backup, folder)
        if manifest.schema > newest():
            raise HeadroomError(
                f"{backup}: has schema {manifest.schema}, of a newer Headroom, and this one knows {newest()}: "
                "restore it with the newer one"
            )
        if spools is None:
            spools = [usual_spool] if len(manifest.spools) == 1 else []
        _check_spools(manifest, spools, replace=replace)
        local = open_sync(_local(folder / DATABASE))
        with closing_engine(local), closing_engine(open_sync(url)) as target:
            with local.connect() as source:
                migrate(source)
            try:
                _put_back(local, target, now, told, replace=replace)
            except SQLAlchemyError as error:
                raise StorageError(trouble_in_words(url, error)) from error
        for name, path in zip(manifest.spools, spools, strict=True):
            _put_spool_back(folder / name, path)
    return manifest


def _put_back(local: Engine, target: Engine, now: datetime, told: Progress, *, replace: bool) -> None:
    with target.connect() as conn:
        migrate(conn)
    with local.connect() as source, target.begin() as conn:
        if conn.dialect.name == "postgresql":
            _no_limits_of_time(conn)
            _refuse_if_used(conn)
        lock(conn, "restore")
        if not replace and not is_empty(conn):
            raise HeadroomError(
                "--database is not empty, and a restore would overwrite it: say --replace if that is meant"
            )
        empty(conn)
        make_room(source, conn, now)
        copy_rows(source, conn, told, without=LIMITS_IN_FORCE)


def _refuse_if_used(conn: Connection) -> None:
    others = conn.execute(
        text(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and application_name = 'headroom' and pid <> pg_backend_pid()"
        )
    ).scalar_one()
    if others:
        raise HeadroomError("--database is in use by a running Headroom: stop its services first")


def _check_spools(manifest: Manifest, spools: Sequence[Path], *, replace: bool) -> None:
    if len(spools) != len(manifest.spools):
        raise HeadroomError(
            f"the backup holds {len(manifest.spools)} spool files: give --spool that many times, in its order"
        )
    for path in spools:
        if path.is_file() and not replace:
            with opened(path) as book:
                waiting = sum(book.waiting().values())
            if waiting:
                raise HeadroomError(
                    f"--spool {path}: {waiting} messages wait in it for the CSMS and would be lost: bring them to the "
                    "CSMS first, or say --replace"
                )


def _put_spool_back(packed: Path, path: Path) -> None:
    with opened(packed) as book:
        book.count_starts_as_sent()
    path.touch(mode=0o600)
    _copy_file(packed, path)


def _copy_from_server(url: URL, copy: Path, told: Progress) -> None:
    with closing_engine(open_sync(url)) as server, closing_engine(open_sync(_local(copy))) as local:
        snapshot = server.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        try:
            with snapshot.begin() as source:
                _no_limits_of_time(source)
                if (found := revision_of(source)) != newest():
                    raise HeadroomError(
                        f"--database has {'schema ' + found if found else 'no schema'} and this Headroom {newest()}: "
                        "take the backup with the Headroom that runs on it"
                    )
                with local.connect() as target:
                    migrate(target)
                with local.begin() as target:
                    copy_rows(source, target, told)
        except SQLAlchemyError as error:
            raise StorageError(trouble_in_words(url, error)) from error


def _no_limits_of_time(conn: Connection) -> None:
    for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
        conn.execute(text(f"set local {setting} = 0"))


def _copy_file(source: Path, target: Path) -> None:
    """By SQLite's own online backup: one state, whoever writes meanwhile, and nobody waits for it."""
    if not source.is_file():
        raise HeadroomError(f"{source}: there is no such file")
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=10.0)) as of,
            closing(sqlite3.connect(target, timeout=10.0)) as to,
        ):
            of.backup(to)
            to.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise StorageError(f"{source}: cannot be copied to {target}: {error}") from None


def _file_of(url: URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise HeadroomError("--database: a database in memory ends with its process; there is nothing to back up")
    return Path(url.database)


def _local(path: Path) -> URL:
    return make_url("sqlite://").set(database=str(path))


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    with closing_engine(open_sync(url)) as engine, engine.execution_options(begin="DEFERRED").begin() as conn:
        yield conn


@contextmanager
def closing_engine(engine: Engine) -> Iterator[Engine]:
    """The engine, whose connections are closed afterwards."""
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _workplace(beside: Path) -> Iterator[Path]:
    """A folder where there is room for a backup; nobody else may look into it."""
    try:
        with tempfile.TemporaryDirectory(prefix="headroom-backup-", dir=beside) as folder:
            yield Path(folder)
    except FileNotFoundError as error:
        raise HeadroomError(f"{beside}: there is no such folder ({error.strerror})") from None
