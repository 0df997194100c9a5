"""Tables for a spreadsheet: CSV in UTF-8, times in RFC 3339, and nothing that a spreadsheet would run."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from fastapi import Response

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

CSV_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"description": "a table", "content": {"text/csv": {"schema": {"type": "string"}}}}
}
"""For `responses` of a route that answers with `csv_response`."""


def csv_response(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A download named `name`.csv; a text that a spreadsheet would take for a formula gets a quote before it."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(head)
    table.writerows([_cell(value) for value in row] for row in rows)
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
