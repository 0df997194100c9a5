"""`headroom meters`: what a meter measured before it was connected."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from domain.errors import HeadroomError
from headroom.database_work import Database, with_database
from headroom.settings import DEFAULT_DATABASE, Settings

if TYPE_CHECKING:
    from domain.metering import MeterReading
    from domain.site import Site
    from headroom.meters.importing import Imported

app = typer.Typer(help="Building meters: import what they measured before.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Building meters."""


@app.command("import")
def import_command(
    file: Annotated[str, typer.Option(help="csv, csv.gz or parquet; the first column is time")],
    meter: Annotated[str, typer.Option(help="the meter's id in the site file")],
    site: Annotated[Path, typer.Option(help="site file (YAML)")],
    column: Annotated[
        list[str] | None, typer.Option(help="PHASE=COLUMN or total=COLUMN; A=A, B=B, C=C without it")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="of times that are a wall clock: Europe/London")] = None,
    measures: Annotated[
        Literal["current", "power"], typer.Option(help="what a number times --scale is: A or W")
    ] = "current",
    scale: Annotated[float, typer.Option(help="0.001 for mA, 1000 for kW", min=1e-9, max=1e6)] = 1.0,
    unbalance: Annotated[
        float | None, typer.Option(help="of a total: how many times its even share a phase may carry", min=1, max=3)
    ] = None,
    database: Database = DEFAULT_DATABASE,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Import a meter's past, so that the forecast need not begin at nothing. The service may run meanwhile.

    Lines that cannot be right are left out and counted; exit code 1 where all of them are.
    Example: headroom meters import --file main.csv --meter m-main --site building.yaml --column A=l1_a --column B=l2_a
    """
    from domain.ids import MeterId
    from forecasting.files import read_columns
    from headroom.meters.importing import Imported, readings_of, sort_out
    from headroom.meters.values import Conversion, meters_of
    from headroom.site_input import read_sites

    [building] = read_sites([site])
    known = meters_of(building)
    if meter not in known:
        raise HeadroomError(f"--meter: {site} has no meter '{meter}'; it has {', '.join(known)}")
    base = Conversion.of(building, known[MeterId(meter)])
    conversion = Conversion(base.phases, base.line_to_neutral_v, measures, scale, unbalance)
    columns = _columns(column, [phase.value for phase in base.phases])
    now = Settings.from_environment().clock().now()
    frame = read_columns(file, list(columns.values()), timezone)
    readings, duplicates, refused, first = sort_out(
        readings_of(frame, columns, MeterId(meter), conversion), building, now
    )
    hours, charging = _kept(database, building, readings)
    _tell(Imported(len(readings), duplicates, refused, first, hours, charging), json)
    if not readings:
        raise typer.Exit(1)


def _tell(found: "Imported", json: bool) -> None:
    from headroom.console import out, print_json

    if json:
        print_json(asdict(found))
        return
    refused = f"{found.refused} refused {found.first_refusal}"
    out.print(f"{found.readings} readings, {found.duplicates} doubles, {refused}", markup=False)
    out.print(f"{found.hours} hours new to the forecast, {found.charging} left out: EVs charged then")


def _kept(database: str, building: "Site", readings: "list[MeterReading]") -> tuple[int, int]:
    from headroom.meters.importing import store

    return with_database(database, lambda conn: store(conn, building, readings))


def _columns(given: list[str] | None, phases: list[str]) -> dict[str, str]:
    if given is None:
        return dict(zip(phases, phases, strict=True))
    found = dict(one.partition("=")[::2] for one in given)
    if set(found) not in ({"total"}, set(phases)):
        raise HeadroomError(f"--column: must be given for each of {', '.join(phases)}, or as total=COLUMN")
    return found
