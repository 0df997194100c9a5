"""A backup holds everything, in one state, and comes back into either database; what cannot be right is refused."""

import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import KINDS, migrated_engine, new_database
from sqlalchemy import JSON, Boolean, Connection, Engine, Float, Integer, Table, inspect, select
from sqlalchemy.types import TypeDecorator

from domain.errors import HeadroomError, StorageError
from domain.ids import ChargerId
from headroom.backup import back_up, restore
from headroom.backup_file import MANIFEST
from inventory import tables
from inventory.copying import copied_tables
from inventory.engines import database_url, open_sync
from inventory.migrations import newest, upgrade
from inventory.tables import UtcDateTime
from proxy.protocol.held import Entry, Kind
from proxy.spool import opened

NOW = datetime(2026, 11, 3, 7, 30, tzinfo=UTC)
ROWS = 3


def quiet(_table: str, _rows: int) -> None:
    pass


def value(column: Any, number: int) -> Any:
    kind = column.type
    if isinstance(kind, UtcDateTime):
        return datetime(2026, 1 + 3 * number, 1 + number, 23, 59, 59, 999_999 - number, tzinfo=UTC)
    kind = kind.impl_instance if isinstance(kind, TypeDecorator) else kind
    if isinstance(kind, JSON):
        return {"é☃\0": [number, 2**60, 1 / 3, None, {"": True}]}
    if isinstance(kind, Boolean):
        return number % 2 == 0
    if isinstance(kind, Integer):
        return 2**31 - 1 - number
    if isinstance(kind, Float):
        return (number + 1) / 3
    return f"{number}é☃{column.name}"[: kind.length]


def fill(conn: Connection) -> None:
    """Rows in every table, of every type, as wide as they may be."""
    for table in copied_tables():
        conn.execute(table.insert(), [{c.name: value(c, n) for c in table.c} | keys(table, n) for n in range(ROWS)])


def keys(table: Table, number: int) -> dict[str, Any]:
    """What points at another table's rows."""
    return {key.parent.name: value(key.column, number) for key in table.foreign_keys}


def content(engine: Engine) -> dict[str, list[Any]]:
    with engine.execution_options(begin="DEFERRED").begin() as conn:
        return {
            table.name: sorted((tuple(row) for row in conn.execute(select(table))), key=repr)
            for table in copied_tables()
        }


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def database(stack: ExitStack, kind: str, folder: Path) -> tuple[str, Engine]:
    url = stack.enter_context(new_database(kind, folder))
    engine = migrated_engine(url)
    stack.callback(engine.dispose)
    return url, engine


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
def test_every_row_of_every_table_comes_back(source: str, target: str, stack: ExitStack, tmp_path: Path) -> None:
    url, engine = database(stack, source, tmp_path)
    with engine.begin() as conn:
        fill(conn)
    out = tmp_path / "all.zip"
    manifest = back_up(url, [], out, NOW, quiet)
    assert out.stat().st_mode & 0o077 == 0
    assert set(manifest.rows.values()) == {ROWS}
    other = stack.enter_context(new_database(target, tmp_path))
    restore(out, other, None, tmp_path / "s.db", NOW, quiet, replace=False)
    back = open_sync(database_url(other))
    stack.callback(back.dispose)
    expected = content(engine) | {"ledger": [], "setpoints": []}  # unknown since the backup: unknown means full
    assert content(back) == expected
    back.dispose()
    with pytest.raises(HeadroomError, match="--replace"):
        restore(out, other, None, tmp_path / "s.db", NOW, quiet, replace=False)
    restore(out, other, None, tmp_path / "s.db", NOW, quiet, replace=True)
    assert content(back) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_is_one_state_while_others_write(kind: str, stack: ExitStack, tmp_path: Path) -> None:
    """Each transaction writes the same number into two tables: a backup never has one without the other."""
    url, engine = database(stack, kind, tmp_path)
    with engine.begin() as conn:
        for table in (tables.sites, tables.chargers, tables.evses):
            conn.execute(table.insert(), {c.name: value(c, 0) for c in table.c} | keys(table, 0))
    ended = threading.Event()

    def write() -> None:
        for number in range(100_000):
            if ended.is_set():
                return
            at = NOW + timedelta(seconds=number)
            with engine.begin() as conn:
                for table in (tables.meter_readings, tables.decisions):
                    row = {c.name: value(c, 0) for c in table.c} | keys(table, 0) | {"at": at}
                    conn.execute(table.insert(), row | ({"id": str(number)} if "id" in table.c else {}))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(3):
            back_up(url, [], tmp_path / f"{number}.zip", NOW, quiet)
    finally:
        ended.set()
        thread.join()
    seen = []
    for number in range(3):
        other, back = database(stack, "sqlite", tmp_path)
        back.dispose()
        restore(tmp_path / f"{number}.zip", other, None, tmp_path / "s.db", NOW, quiet, replace=False)
        found = content(back)
        assert len(found["meter_readings"]) == len(found["decisions"])
        seen.append(len(found["decisions"]))
    assert seen[0] < seen[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_of_an_older_schema_is_brought_up_to_date(kind: str, stack: ExitStack, tmp_path: Path) -> None:
    url = stack.enter_context(new_database("sqlite", tmp_path))
    old = open_sync(database_url(url))
    with old.begin() as conn:
        upgrade(conn, "0006")
        conn.execute(tables.sites.insert(), {c.name: value(c, 0) for c in tables.sites.c})
    old.dispose()
    out = tmp_path / "old.zip"
    assert back_up(url, [], out, NOW, quiet).schema == "0006"
    other = stack.enter_context(new_database(kind, tmp_path))
    restore(out, other, None, tmp_path / "s.db", NOW, quiet, replace=False)
    back = open_sync(database_url(other))
    stack.callback(back.dispose)
    assert len(content(back)["sites"]) == 1


def repacked(source: Path, target: Path, **changes: Any) -> Path:
    """A backup whose manifest says something else."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == MANIFEST:
                text = json.dumps(json.loads(text) | changes).encode()
            new.writestr(name, text)
    return target


def test_what_cannot_be_right_is_refused(stack: ExitStack, tmp_path: Path) -> None:
    url, engine = database(stack, "sqlite", tmp_path)
    with engine.begin() as conn:
        fill(conn)
    out = tmp_path / "good.zip"
    back_up(url, [], out, NOW, quiet)
    target = f"sqlite:///{tmp_path / 'target.db'}"

    def refused(file: Path, words: str, **more: Any) -> None:
        with pytest.raises(HeadroomError, match=words):
            restore(file, target, more.get("spools"), tmp_path / "s.db", NOW, quiet, replace=True)
        assert not (tmp_path / "target.db").exists(), "nothing was touched"

    with pytest.raises(HeadroomError, match="overwrites nothing"):
        back_up(url, [], out, NOW, quiet)
    with pytest.raises(HeadroomError, match="no such file"):
        back_up(f"sqlite:///{tmp_path / 'none.db'}", [], tmp_path / "b.zip", NOW, quiet)
    with pytest.raises(HeadroomError, match="no such file"):
        back_up(url, [tmp_path / "none.spool"], tmp_path / "b.zip", NOW, quiet)
    assert not (tmp_path / "b.zip").exists()
    refused(tmp_path / "nothing.zip", "no such file")
    refused(repacked(out, tmp_path / "1.zip", schema="9999"), "newer Headroom")
    refused(repacked(out, tmp_path / "2.zip", format=2), "newer Headroom")
    refused(repacked(out, tmp_path / "3.zip", files={"headroom.db": "0" * 64}), "damaged")
    refused(repacked(out, tmp_path / "4.zip", files={"headroom.db": "", "../x": ""}), "is no backup")
    refused(repacked(out, tmp_path / "5.zip", rows=1), "manifest cannot be read")
    refused(out, "--spool that many times", spools=[tmp_path / "s.db"])
    (tmp_path / "6.zip").write_bytes(b"x" * 1000)
    refused(tmp_path / "6.zip", "is no backup")
    flipped = bytearray(out.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (tmp_path / "7.zip").write_bytes(flipped)
    refused(tmp_path / "7.zip", "damaged")
    (tmp_path / "8.zip").write_bytes(out.read_bytes()[:-500])
    refused(tmp_path / "8.zip", "is no backup")


def test_a_database_in_use_is_not_overwritten(stack: ExitStack, tmp_path: Path) -> None:
    url, engine = database(stack, "postgresql", tmp_path)
    out = tmp_path / "b.zip"
    back_up(url, [], out, NOW, quiet)
    with engine.connect() as running:
        running.execute(select(1))
        with pytest.raises(HeadroomError, match="stop its services"):
            restore(out, url, None, tmp_path / "s.db", NOW, quiet, replace=True)


def test_a_restore_that_fails_leaves_what_was_there(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in KINDS:
        url, engine = database(stack, kind, tmp_path)
        with engine.begin() as conn:
            fill(conn)
        before = content(engine)
        engine.dispose()
        out = tmp_path / f"{kind}.zip"
        back_up(url, [], out, NOW, quiet)

        def stops(table: str, _rows: int) -> None:
            if table == "sessions":
                raise StorageError("the plug was pulled")

        with pytest.raises(StorageError, match="plug"):
            restore(out, url, None, tmp_path / "s.db", NOW, stops, replace=True)
        assert content(engine) == before


def entry(kind: Kind, key: str) -> Entry:
    return Entry(kind, "StartTransaction", b"{}", key, NOW)


def test_spools_come_back_and_waiting_starts_count_as_sent(stack: ExitStack, tmp_path: Path) -> None:
    url, engine = database(stack, "sqlite", tmp_path)
    with engine.begin() as conn:
        fill(conn)
    charger, spools = ChargerId("CP1"), [tmp_path / "a.spool", tmp_path / "b.spool"]
    for number, spool in enumerate(spools):
        spool.touch()
        with opened(spool) as book:
            book.keep(charger, entry(Kind.START, "1"))
            for more in range(number):
                book.keep(charger, entry(Kind.IN_TRANSACTION, f"m{more}"))
    out = tmp_path / "b.zip"
    assert len(back_up(url, spools, out, NOW, quiet).spools) == 2
    target, back = f"sqlite:///{tmp_path / 't.db'}", [tmp_path / "c.spool", tmp_path / "d.spool"]
    restore(out, target, back, tmp_path / "s.db", NOW, quiet, replace=False)
    for number, spool in enumerate(back):
        with opened(spool) as book:
            assert [one.entry.sends for one in book.head(charger, 9)] == [1] + [0] * number
    with pytest.raises(HeadroomError, match="1 messages wait in it"):
        restore(out, f"sqlite:///{tmp_path / 'u.db'}", back, tmp_path / "s.db", NOW, quiet, replace=False)


def test_the_schema_of_a_backup_is_the_database_s(stack: ExitStack, tmp_path: Path) -> None:
    url, engine = database(stack, "sqlite", tmp_path)
    assert back_up(url, [], tmp_path / "x.zip", NOW, quiet).schema == newest()
    assert inspect(engine).has_table("site_leases")
