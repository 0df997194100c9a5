"""`headroom quirks`: what was found out about chargers, and a person's word on it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from headroom.database_work import Database, with_database
from headroom.settings import DEFAULT_DATABASE

app = typer.Typer(help="The quirk record of chargers: list, show, export, set.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command(name="list")
def list_chargers(database: Database = DEFAULT_DATABASE, json: Json = False) -> None:
    """List the chargers with their models and how their limits are written.

    Example: headroom quirks list --json
    """
    from rich.table import Table

    from headroom.console import out, print_json
    from headroom.quirk_report import charger_document
    from inventory.quirk_queries import quirk_book

    book = with_database(database, quirk_book)
    documents = [charger_document(book, charger) for charger in book.chargers]
    if json:
        print_json({"items": documents})
        return
    table = Table("charger", "vendor", "model", "firmware", "mode", "level", "unit", "schedule", "after 0 A", "obeys")
    for one in documents:
        model, quirks = one["model"] or {}, one["quirks"]
        told = [model.get(name) for name in ("vendor", "model", "firmware")]
        told += [quirks.get(name) for name in ("mode", "level", "unit", "schedule", "after_zero", "obeys")]
        table.add_row(one["charger"], *("" if value is None else str(value) for value in told))
    out.print(table)


@app.command()
def show(
    charger: Annotated[str, typer.Argument(help="the charger's identity")],
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show all that is known of one charger, and from where.

    Example: headroom quirks show CP001
    """
    from domain.errors import UnknownIdError
    from domain.ids import ChargerId
    from headroom.console import out, print_json
    from headroom.quirk_report import charger_document
    from inventory.quirk_queries import quirk_book

    book = with_database(database, quirk_book)
    if charger not in book.chargers:
        raise UnknownIdError("charger", charger)
    document = charger_document(book, ChargerId(charger))
    if json:
        print_json(document)
        return
    for name, value in document["quirks"].items():
        source = next((s for s in ("written", "written_of_model", "learned") if name in document[s]), "its model")
        out.print(f"{name}: {value}  ({source.replace('_', ' ')})", markup=False)


@app.command()
def export(
    form: Annotated[Literal["markdown", "csv"], typer.Option("--format", help="markdown or csv")] = "markdown",
    to: Annotated[Path | None, typer.Option("--out", help="file; stdout without it")] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Write the whole record as a report.

    Example: headroom quirks export --format csv --out chargers.csv
    """
    from headroom.console import print_json
    from headroom.quirk_report import as_csv, as_markdown, charger_document
    from inventory.quirk_queries import quirk_book

    book = with_database(database, quirk_book)
    if json:
        print_json({"items": [charger_document(book, charger) for charger in book.chargers]})
        return
    text = as_csv(book) if form == "csv" else as_markdown(book)
    if to is None:
        print(text, end="")
    else:
        to.write_text(text, encoding="utf-8")


@app.command(name="set")
def set_quirks(
    words: Annotated[list[str], typer.Argument(help="QUIRK=VALUE ...; VALUE as JSON or a word, empty takes it back")],
    charger: Annotated[str | None, typer.Option(help="of this charger")] = None,
    model: Annotated[str | None, typer.Option(help="of all chargers of this VENDOR/MODEL/FIRMWARE")] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Write what you know of a charger or a model; it stands above what was found out.

    A running service reads it at its next start; to change it at once use PUT /api/v1/chargers/CHARGER/quirks.
    Example: headroom quirks set --charger CP001 write_budget_per_day=25 after_zero=stays_paused
    """
    from domain.errors import HeadroomError
    from domain.ids import ChargerId
    from headroom.console import print_json
    from inventory import quirk_queries

    if (charger is None) == (model is None):
        raise HeadroomError("--charger or --model: name one of them")
    changes = dict(map(_change, words))
    if charger is not None:
        name = ChargerId(charger)
        with_database(database, lambda conn: quirk_queries.edit_charger(conn, name, changes))
    else:
        kind = _model(model or "")
        with_database(database, lambda conn: quirk_queries.edit_model(conn, kind, changes))
    if json:
        print_json({"charger": charger, "model": model, "changed": changes})
    else:
        print(f"written of {charger or model}: {', '.join(changes)}")


def _change(word: str) -> tuple[str, Any]:
    from domain.errors import HeadroomError

    name, equals, text = word.partition("=")
    if not equals:
        raise HeadroomError(f"'{word}' is not QUIRK=VALUE")
    if not text:
        return name, None
    try:
        return name, msgspec.json.decode(text)
    except msgspec.DecodeError:
        return name, text


def _model(text: str) -> Any:
    from domain.errors import HeadroomError
    from domain.quirks import Model

    parts = text.split("/", 2)
    if len(parts) != len(("vendor", "model", "firmware")):
        raise HeadroomError(f"--model: '{text}' is not VENDOR/MODEL/FIRMWARE (an empty firmware ends with /)")
    return Model(*parts)
