"""`headroom outages`: what outages of a CSMS left for a person to look at."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from domain.errors import HeadroomError


def outages(
    spool: Annotated[Path, typer.Option(help="the service's spool file")] = Path("headroom.spool.db"),
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """List the starts that a CSMS may hold twice or not at all, and what waits for it or could not be brought to it.

    Example: headroom outages --spool headroom.spool.db
    """
    from rich.table import Table

    from headroom.console import out, print_json
    from proxy.spool import opened

    try:
        with opened(spool) as book:
            doubts, waiting, aside = book.doubts(), book.waiting(), book.aside()
    except OSError as error:
        raise HeadroomError(f"{error}. --spool names the file; it is beside the database.") from None
    if json:
        print_json(
            {
                "starts_in_doubt": [msgspec.to_builtins(doubt) for doubt in doubts],
                "waiting": waiting,
                "set_aside": [_document(charger, stored.entry) for charger, stored in aside],
            }
        )
        return
    table = Table("charger", "connector", "tag", "started at", "CSMS's transaction", title="starts in doubt")
    for doubt in doubts:
        told = [doubt.connector, doubt.id_tag, doubt.started_at, "none" if doubt.real is None else doubt.real]
        table.add_row(doubt.charger, *("" if value is None else str(value) for value in told))
    out.print(table)
    for charger, count in waiting.items():
        out.print(f"{charger}: {count} messages wait for the CSMS")
    for charger, stored in aside:
        out.print(f"{charger}: set aside, {stored.entry.action} {stored.entry.payload.decode(errors='replace')}")


def _document(charger: str, entry: Any) -> dict[str, object]:
    payload = entry.payload.decode(errors="replace")
    return {"charger": charger, "action": entry.action, "payload": payload, "at": entry.at.isoformat()}
