"""The quirk record as documents and tables: what was found out about each kind of charger, and by whom."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from domain.ids import ChargerId
from domain.quirks import Model
from inventory.quirk_book import FIELDS, QuirkBook
from inventory.spelling import plain

_OF_THE_MOMENT = ("probed_at", "proven")
NO_MODEL = "chargers that have not said what they are"


def known(quirks: object) -> dict[str, Any]:
    """The fields that are known, as JSON values."""
    return {name: value for name, value in plain(quirks).items() if value is not None}


def charger_document(book: QuirkBook, charger: ChargerId) -> dict[str, Any]:
    """One charger: what counts, what it showed itself, what a person wrote of it and of its model."""
    record = book.chargers[charger]
    of_model = book.models.get(record.model) if record.model is not None else None
    return {
        "charger": charger,
        "model": None if record.model is None else plain(record.model),
        "quirks": known(book.of_charger(charger)),
        "learned": known(record.learned),
        "written": dict(record.edits),
        "written_of_model": {} if of_model is None else dict(of_model.edits),
    }


def as_csv(book: QuirkBook) -> str:
    """One row per charger, one column per quirk; lists are separated by blanks, what is not known is empty."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["charger", "vendor", "model", "firmware", *FIELDS])
    for charger, record in sorted(book.chargers.items()):
        model = record.model or Model("", "", "")
        quirks = known(book.of_charger(charger))
        cells = [_cell(quirks.get(name)) for name in FIELDS]
        table.writerow([_guarded(text) for text in (charger, model.vendor, model.model, model.firmware, *cells)])
    return out.getvalue()


def as_markdown(book: QuirkBook) -> str:
    """A section per model and firmware: its record, who said so, and the chargers that differ."""
    by_model: dict[Model | None, list[ChargerId]] = {}
    for charger, record in sorted(book.chargers.items()):
        by_model.setdefault(record.model, []).append(charger)
    sections = [
        _section(book, model, chargers)
        for model, chargers in sorted(by_model.items(), key=lambda item: (item[0] is None, str(item[0])))
    ]
    return "# Chargers and what was found out about them\n\n" + "\n".join(sections)


def _section(book: QuirkBook, model: Model | None, chargers: list[ChargerId]) -> str:
    title = NO_MODEL if model is None else " ".join(_plain(one) for one in (model.vendor, model.model, model.firmware))
    lines = [f"## {title.strip()}", "", f"Chargers: {', '.join(map(_plain, chargers))}", ""]
    found = _common(known(book.of_charger(charger)) for charger in chargers)
    of_model = book.models.get(model) if model is not None else None
    written = set() if of_model is None else set(of_model.edits)
    if found:
        lines += ["| quirk | value | from |", "| --- | --- | --- |"]
        lines += [
            f"| {name} | {_plain(_cell(value))} | {'a person' if name in written else 'found out'} |"
            for name, value in found.items()
        ]
        lines.append("")
    for charger in chargers:
        own = known(book.of_charger(charger))
        differs = {name: value for name, value in own.items() if name not in found and name not in _OF_THE_MOMENT}
        if differs:
            told = ", ".join(f"{name} {_plain(_cell(value))}" for name, value in differs.items())
            lines += [f"- {_plain(charger)}: {told}"]
    return "\n".join(lines).rstrip() + "\n"


def _common(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What all of them have in common, in the order of the fields."""
    all_of_them = list(records)
    return {
        name: all_of_them[0][name]
        for name in FIELDS
        if name not in _OF_THE_MOMENT
        and all(name in one and one[name] == all_of_them[0].get(name) for one in all_of_them)
    }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _plain(text: str) -> str:
    """A peer's text without what would be markup in a table."""
    return text.replace("\\", "/").replace("|", "/").replace("`", "'").replace("\n", " ").replace("<", "(")


def _guarded(text: str) -> str:
    """A cell that a spreadsheet takes for text: a charger names itself, and could name itself a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
