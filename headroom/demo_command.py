"""`headroom demo`: a whole building on this machine, with the real service in a process of its own."""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

DemoStrategy = Literal["milp", "dro", "stackelberg"]


def demo(
    seconds: Annotated[float | None, typer.Option(help="stop after so many real seconds and report", min=1)] = None,
    speed: Annotated[float, typer.Option(help="how many times faster than real time", min=1, max=600)] = 60.0,
    chargers: Annotated[int, typer.Option(help="how many chargers", min=1, max=500)] = 12,
    strategy: Annotated[DemoStrategy, typer.Option(help="strategy of the site")] = "milp",
    api_port: Annotated[int, typer.Option(help="port of the REST API; 0 takes any", min=0, max=65535)] = 8080,
    ocpp_port: Annotated[int, typer.Option(help="port of the proxy; 0 takes any", min=0, max=65535)] = 9000,
    json: Annotated[bool, typer.Option("--json", help="one JSON document on stdout at the end")] = False,
) -> None:
    """Run a building: real homes' load, real charging sessions, simulated chargers and cars, the real service.

    Ends after --seconds or with Ctrl-C, with a table. Exit code 1 if a phase was overloaded with EV load, a breaker
    tripped or a frame was altered. Example: headroom demo --seconds 60 --speed 60
    """
    # Imported here so that other commands do not wait for the whole twin to be loaded.
    from headroom import logs
    from headroom.clock import WallClock
    from headroom.demo_run import DemoOptions, run_demo
    from headroom.report import told
    from headroom.settings import Settings

    logs.configure(Settings.from_environment().log_level, WallClock())
    options = DemoOptions(seconds, speed, chargers, strategy, api_port, ocpp_port, quiet=json)
    with tempfile.TemporaryDirectory(prefix="headroom-demo-") as folder:
        report = asyncio.run(run_demo(options, Path(folder)))
    raise typer.Exit(told(report, as_json=json))
