"""`headroom serve`: the service."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from headroom.settings import DEFAULT_DATABASE, Settings


def serve(
    site: Annotated[list[Path], typer.Option(help="site file (YAML); may be given several times")],
    csms: Annotated[str | None, typer.Option(help="CSMS URL instead of the site files' own")] = None,
    ocpp_host: Annotated[str, typer.Option(help="address that chargers connect to")] = "127.0.0.1",
    ocpp_port: Annotated[int, typer.Option(help="port that chargers connect to; 0 takes any", min=0, max=65535)] = 9000,
    api_host: Annotated[str, typer.Option(help="address of the REST API")] = "127.0.0.1",
    api_port: Annotated[int, typer.Option(help="port of the REST API; 0 takes any", min=0, max=65535)] = 8080,
    database: Annotated[str, typer.Option(help="SQLAlchemy URL of the database")] = DEFAULT_DATABASE,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document with the ports when ready")] = False,
) -> None:
    """Run the proxy, the energy management and the REST API for one or several buildings.

    Example: headroom serve --site building.yaml --csms wss://csms.example/ocpp --ocpp-host 0.0.0.0
    """
    # Imported here so that other commands, and a refusal, do not wait for the whole service to be loaded.
    from ems.failsafe import render
    from headroom import logs
    from headroom.site_input import proofs, read_sites

    settings = Settings.from_environment()
    clock = settings.clock()
    logs.configure(settings.log_level, clock)
    sites = read_sites(site, csms)
    for one, proof in proofs(sites):
        if not proof.holds:
            print(
                f"headroom: the fail-safe proof of site '{one.id}' does not hold; nothing is started.", file=sys.stderr
            )
            print(render(proof), file=sys.stderr)
            raise typer.Exit(1)
    import uvloop

    from headroom.serving import Listening, run_service

    listening = Listening(ocpp_host, ocpp_port, api_host, api_port)
    uvloop.run(run_service(sites, settings, database, listening, as_json=json))
