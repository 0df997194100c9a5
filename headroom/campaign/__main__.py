"""`make soak`: fault campaigns for as long as they are given."""

from pathlib import Path
from typing import Annotated

import typer

from headroom.campaign import soak
from headroom.console import err, out, print_json

app = typer.Typer(add_completion=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(help="start no more runs after this many seconds", min=1)] = 600.0,
    seed: Annotated[int | None, typer.Option(help="first seed; without it the one after the ledger's last")] = None,
    days: Annotated[float, typer.Option(help="length of each run in building-days", min=0.05)] = 1.0,
    workers: Annotated[int | None, typer.Option(help="processes; without it one per core", min=1)] = None,
    ledger: Annotated[Path | None, typer.Option(help="CSV file to which every run is added")] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Run a building of 20 EVSEs in virtual time while links, meters, chargers, CSMS, service and disk fail.

    The last line is the tally; exit code 1 if a breaker tripped, a transaction was lost or told twice, a frame was
    altered, a promised wait was broken, or a phase was overloaded without a fault. A seed's run can be played again:
    python -m headroom.campaign --seconds 1 --seed 17 --workers 1. Example: python -m headroom.campaign --seconds 600
    """
    known = soak.seeds_in(ledger) if ledger is not None else set()
    first = seed if seed is not None else max(known, default=0) + 1
    tally, runs = soak.Tally(), []
    for day in soak.campaign(seconds, first, days=days, workers=workers):
        tally.add(day)
        runs.append(day)
        if ledger is not None:
            soak.note(ledger, day)
        loading = f"highest loading {day.verdict.max_loading:.2f}"
        err.print(f"seed {day.seed}: {day.verdict.faults} faults, {len(day.verdict.violations)} violations, {loading}")
        for violation in day.verdict.violations:
            err.print(f"  {violation}")
    kinds = soak.kinds_of(runs)
    if json:
        violations = {str(day.seed): day.verdict.violations for day in runs if day.verdict.violations}
        totals = {"building_days": tally.days, "faults": tally.faults, "violations": tally.violations}
        print_json({**totals, "by_kind": dict(kinds), "by_seed": violations})
    else:
        for kind, number in sorted(kinds.items()):
            out.print(f"{kind}: {number}")
        if ledger is not None:
            out.print(f"with all that is in {ledger}: {soak.total_of(ledger)}", soft_wrap=True)
        out.print(str(tally))
    raise typer.Exit(1 if tally.violations else 0)


if __name__ == "__main__":
    app()
