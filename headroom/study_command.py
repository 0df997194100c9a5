"""`headroom study`: the case studies of the source, run by the live code, with the source's numbers beside ours."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from domain.errors import HeadroomError
from headroom.console import out, print_json

_err = Console(stderr=True)


def study(
    name: Annotated[str, typer.Argument(help="a study, or `list`")],
    out_folder: Annotated[Path | None, typer.Option("--out", help="folder for report, figures and tables")] = None,
    seed: Annotated[int, typer.Option(help="of everything drawn: the same seed gives the same numbers", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Reproduce a case study: figures, tables, and each number of the source beside ours.

    Example: headroom study drr-fairness --out studies/drr-fairness
    """
    from headroom.studies.catalogue import TITLES, run_study
    from headroom.studies.report import write

    if name == "list":
        _list(TITLES, as_json)
        return
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=_err, transient=True)
    try:
        with bar:
            bar.disable = not _err.is_terminal
            task = bar.add_task(name, total=1.0)
            found = run_study(name, seed, lambda done, what: bar.update(task, completed=done, description=what))
        files = write(found, out_folder) if out_folder else ()
    except HeadroomError as problem:
        print(f"headroom study: {problem}", file=sys.stderr)
        raise typer.Exit(2) from problem
    if as_json:
        print_json(found.as_json())
        return
    out.print(f"[bold]{found.title}[/bold]")
    numbers = Table("quantity", "in the source", "source", "ours")
    for one in found.beside:
        numbers.add_row(one.what, one.where, one.source, one.ours)
    out.print(numbers)
    for claim in found.claims:
        out.print(f"{claim.verdict}: {claim.text} ({claim.evidence})", markup=False)
    for file in files:
        out.print(f"written: {file}", markup=False)


def _list(titles: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json({"studies": [{"name": name, "title": title} for name, title in titles.items()]})
        return
    table = Table("name", "what it reproduces")
    for name, title in titles.items():
        table.add_row(name, title)
    out.print(table)
