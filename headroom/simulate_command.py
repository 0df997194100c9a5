"""`headroom simulate`: a site in virtual time, driven by the code that runs live."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from domain.errors import HeadroomError
from domain.site import Strategy

SchedulerKind = Literal["round_robin", "fcfs", "regular", "edf", "llf", "none"]


def simulate(
    site: Annotated[Path, typer.Option(help="site file (YAML)")],
    days: Annotated[
        float | None, typer.Option(help="days of the building's time [default: 1]", min=0.01, max=400)
    ] = None,
    strategy: Annotated[
        Strategy | None, typer.Option(help="strategy instead of the site file's own; none: no limits")
    ] = None,
    scheduler: Annotated[SchedulerKind | None, typer.Option(help="scheduler instead of the site file's own")] = None,
    faults: Annotated[Path | None, typer.Option(help="file of what goes wrong (YAML or JSON, docs/trust.md)")] = None,
    shrink: Annotated[Path | None, typer.Option(help="where the smallest schedule that still fails is written")] = None,
    seed: Annotated[
        int | None, typer.Option(help="of cars, load and ids: the same seed gives the same run [default: 0]", min=0)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout")] = False,
) -> None:
    """Run a building in virtual time: the live relay, control loop and decisions, simulated chargers and cars.

    Exit code 1 if a phase was overloaded with EV load, a breaker tripped or a frame was altered. Example:
    headroom simulate --site building.yaml --days 7 --strategy equal

    With --faults links, meters, chargers, CSMS, the service and its disk fail as the file says, and judges who know
    nothing of the service say whether a promise was broken (exit code 1). Example:
    headroom simulate --site building.yaml --faults faults.yaml --seed 7 --shrink smallest.yaml
    """
    # Imported here so that other commands, and a refusal, do not wait for the whole service to be loaded.
    from rich.progress import Progress

    from headroom.report import told
    from headroom.simulation import Simulation, run
    from headroom.site_input import read_sites

    (one,) = read_sites([site])
    one = replace(
        one,
        strategy=strategy or one.strategy,
        scheduler=replace(one.scheduler, kind=scheduler or one.scheduler.kind),
    )
    if faults is not None:
        from headroom.campaign.command import under_faults

        raise typer.Exit(under_faults(one, faults, shrink, seed=seed, days=days, as_json=json))
    if shrink is not None:
        raise HeadroomError("--shrink: there is no schedule to shrink; name its file with --faults")
    days = days or 1.0
    with Progress(transient=True, disable=json) as progress:
        bar = progress.add_task("simulating", total=days)
        report = run(Simulation(one, days, seed or 0), lambda done: progress.update(bar, completed=done))
    raise typer.Exit(told(report, as_json=json))
