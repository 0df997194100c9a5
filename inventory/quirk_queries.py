"""The quirk record in the database, for commands that run beside the service or without it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from domain.errors import UnknownIdError
from domain.ids import ChargerId
from domain.quirks import Model
from inventory import rows, tables
from inventory.quirk_book import QuirkBook
from inventory.repository import write


def quirk_book(conn: Connection) -> QuirkBook:
    """The record of every charger of the database, retired ones left out; write budgets of site files are not in it."""
    chargers = select(tables.chargers.c.id).where(tables.chargers.c.retired_at.is_(None)).order_by(tables.chargers.c.id)
    return QuirkBook(
        {ChargerId(charger): None for charger in conn.execute(chargers).scalars()},
        map(rows.charger_quirks_from, conn.execute(select(tables.charger_quirks))),
        map(rows.model_quirks_from, conn.execute(select(tables.model_quirks))),
    )


def edit_charger(conn: Connection, charger: ChargerId, changes: Mapping[str, Any]) -> None:
    """Changes what is written of a charger; null takes a field back. `UnknownIdError`, `QuirkError`."""
    book = quirk_book(conn)
    if charger not in book.chargers:
        raise UnknownIdError("charger", charger)
    write(conn, [book.edit_charger(charger, {**book.chargers[charger].edits, **changes})])


def edit_model(conn: Connection, model: Model, changes: Mapping[str, Any]) -> None:
    """Changes what is written of a model; null takes a field back. `UnknownIdError`, `QuirkError`."""
    book = quirk_book(conn)
    if model not in book.models:
        raise UnknownIdError("model", model_text(model))
    write(conn, [book.edit_model(model, {**book.models[model].edits, **changes})])


def model_text(model: Model) -> str:
    """A model as people write it: vendor/model/firmware."""
    return f"{model.vendor}/{model.model}/{model.firmware}"
