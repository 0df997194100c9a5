"""The command line: `headroom COMMAND --help` explains each, with an example."""

import sys
from collections.abc import Sequence

import typer

from domain.errors import HeadroomError
from headroom import (
    backup_command,
    check_command,
    demo_command,
    key_command,
    outages_command,
    replay_command,
    serve_command,
    simulate_command,
    study_command,
)

_QUICK = {"demo", "serve", "check", "simulate", "study", "replay", "key", "outages", "backup", "restore"}


def build(arguments: Sequence[str]) -> typer.Typer:
    """All commands; the groups whose modules take a second to load only where `arguments` may mean one of them."""
    app = typer.Typer(
        name="headroom",
        help="An OCPP proxy with an energy management system: more EV chargers behind the panel a building has.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.command("demo")(demo_command.demo)
    app.command("serve")(serve_command.serve)
    app.command("check")(check_command.check)
    app.command("simulate")(simulate_command.simulate)
    app.command("study")(study_command.study)
    app.command("replay")(replay_command.replay)
    app.command("key")(key_command.key)
    app.command("outages")(outages_command.outages)
    app.command("backup")(backup_command.backup)
    app.command("restore")(backup_command.restore)
    if not arguments or arguments[0] not in _QUICK:
        from headroom import (
            commission_command,
            forecast_command,
            meters_command,
            plan_command,
            quirks_command,
            token_command,
        )

        app.add_typer(plan_command.app, name="plan")
        app.add_typer(forecast_command.app, name="forecast")
        app.add_typer(meters_command.app, name="meters")
        app.add_typer(token_command.app, name="token")
        app.add_typer(quirks_command.app, name="quirks")
        app.add_typer(commission_command.app, name="commission")
    return app


def main() -> None:
    """Run one command: exit 0 for success, 1 for 'the answer is no', 2 for bad input."""
    try:
        build(sys.argv[1:])()
    except HeadroomError as error:
        print(f"headroom: {error}", file=sys.stderr)
        sys.exit(2)
