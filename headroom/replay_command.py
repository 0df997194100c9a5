"""`headroom replay`: shadow mode, a recorded building through any controller."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from domain.errors import HeadroomError
from domain.site import Strategy
from headroom.console import out, print_json

if TYPE_CHECKING:
    from headroom.replay.run import Replayed

_err = Console(stderr=True)


Logs = Annotated[
    list[Path],
    typer.Option(
        "--log",
        help="recording; may be repeated: message log (.jsonl), the service's database (.db), sessions, meter "
        "history or "
        "load (.csv, .csv.gz)",
    ),
]
SiteFile = Annotated[Path, typer.Option(help="site file (YAML)")]
ByStrategy = Annotated[Strategy | None, typer.Option(help="instead of the site file's own")]
Prices = Annotated[str | None, typer.Option(help="FILE[:COLUMN] of hourly prices; default: Ontario's time of use")]
Price = Annotated[float | None, typer.Option(help="one price per kWh instead", min=0.0)]
Days = Annotated[float | None, typer.Option(help="days from the beginning of the recording", min=0.05)]
StepMinutes = Annotated[int | None, typer.Option(help="default: 5 up to a week, else 15", min=1, max=60)]
MostAdded = Annotated[
    int | None, typer.Option(help="chargers to try at most; default: four times those there, 24 at least", min=0)
]
Seed = Annotated[int, typer.Option(help="of typical cars, where the recording has none", min=0)]
Out = Annotated[Path | None, typer.Option("--out", help="folder for the report (HTML) and its figures")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


def replay(
    log: Logs,
    site: SiteFile,
    strategy: ByStrategy = None,
    prices: Prices = None,
    price: Price = None,
    days: Days = None,
    step_minutes: StepMinutes = None,
    most_added: MostAdded = None,
    seed: Seed = 0,
    out_folder: Out = None,
    as_json: AsJson = False,
) -> None:
    """Would anything have tripped, and how many more chargers fit? docs/replay.md says what a recording may be.

    Exit code 1 if the controller would have overloaded a panel. Example:
    headroom replay --log sessions.csv --log meters.csv --site building.yaml --out replay/
    """
    from headroom.replay.run import Wish, replay_files, write_replay

    wish = Wish(
        strategy=strategy,
        prices=prices,
        flat_price=price,
        days=days,
        step=None if step_minutes is None else timedelta(minutes=step_minutes),
        most_added=most_added,
        seed=seed,
    )
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=_err, transient=True)
    try:
        with bar:
            bar.disable = not _err.is_terminal
            task = bar.add_task("replay", total=1.0)
            found = replay_files(log, site, wish, lambda done, what: bar.update(task, completed=done, description=what))
        files = write_replay(found, out_folder) if out_folder else ()
    except HeadroomError as problem:
        print(f"headroom replay: {problem}", file=sys.stderr)
        raise typer.Exit(2) from problem
    if as_json:
        print_json(found.document)
    else:
        _print(found, files)
    raise typer.Exit(1 if found.story.run.overload_minutes > 0.0 else 0)


def _print(found: "Replayed", files: Sequence[Path]) -> None:
    from headroom.replay.verdict import called

    for sentence in found.answer:
        out.print(sentence, markup=False)
    table = Table("", "no control", called(found.story.run.strategy))
    for row in found.rows:
        table.add_row(*row)
    out.print(table)
    for note in found.story.notes:
        out.print(f"assumed: {note}", markup=False)
    for file in files:
        out.print(f"written: {file}", markup=False)
