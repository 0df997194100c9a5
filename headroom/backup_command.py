"""`headroom backup` and `headroom restore`: all that the service knows, in one file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headroom.database_work import Database
from headroom.settings import DEFAULT_DATABASE, Settings

if TYPE_CHECKING:
    from headroom.backup_file import Manifest
    from inventory.copying import Progress

_Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


def backup(
    out: Annotated[Path, typer.Option(help="file to write; it holds secrets and is readable by you alone")],
    database: Database = DEFAULT_DATABASE,
    spool: Annotated[
        list[Path] | None,
        typer.Option(help="spool file of a service; once for each; where it is usually, without it"),
    ] = None,
    json: _Json = False,
) -> None:
    """Write everything into one file, in one consistent state; the service may run meanwhile.

    Example: headroom backup --database postgresql://headroom@db/headroom --out headroom-monday.zip
    """
    from headroom.backup import back_up

    settings = Settings.from_environment()
    manifest = back_up(database, _spools(database, spool), out, settings.clock().now(), _progress(json))
    _tell("written", out, manifest, json)


def restore(
    file: Annotated[Path, typer.Argument(help="what `headroom backup` wrote")],
    database: Database = DEFAULT_DATABASE,
    spool: Annotated[
        list[Path] | None,
        typer.Option(help="spool file to write; once for each in the backup, in its order"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="overwrite a database or spool that is not empty")] = False,
    json: _Json = False,
) -> None:
    """Put a backup into a database, SQLite or PostgreSQL, whichever it came from; stop the service before.

    Example: headroom restore headroom-monday.zip --database postgresql://headroom@db/headroom
    """
    from headroom.backup import restore as put_back
    from headroom.spooling import spool_path

    settings = Settings.from_environment()
    usual = spool_path(database, settings.spool)
    manifest = put_back(file, database, spool, usual, settings.clock().now(), _progress(json), replace=replace)
    _tell("restored", file, manifest, json)


def _spools(database: str, given: list[Path] | None) -> list[Path]:
    from headroom.spooling import spool_path

    usual = spool_path(database, Settings.from_environment().spool)
    return given if given is not None else [usual] if usual.is_file() else []


def _progress(quiet: bool) -> "Progress":
    """A line for each table, and for each hundred thousand rows of a long one."""
    from headroom.console import err

    def told(table: str, rows: int) -> None:
        if not quiet and rows % 100_000 == 0:
            err.print(f"{table}: {rows} rows")

    return told


def _tell(done: str, file: Path, manifest: "Manifest", json: bool) -> None:
    from headroom.console import out, print_json

    document = {
        "file": str(file),
        "bytes": file.stat().st_size,
        "made_at": manifest.made_at,
        "schema": manifest.schema,
        "source": manifest.source,
        "rows": manifest.rows,
        "spools": len(manifest.spools),
    }
    if json:
        print_json(document)
        return
    rows = sum(manifest.rows.values())
    out.print(f"{done}: {file}, {document['bytes']} bytes, {rows} rows, {document['spools']} spool files", markup=False)
