"""`headroom token`: API tokens and their roles."""

from datetime import timedelta
from typing import Annotated

import typer

from headroom.access.roles import Role
from headroom.database_work import Database, with_database
from headroom.settings import DEFAULT_DATABASE, Settings

app = typer.Typer(help="API tokens: make, revoke, list.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="one JSON document on stdout")]


@app.command()
def create(
    role: Annotated[Role, typer.Option(help="what its holder may do")],
    name: Annotated[str, typer.Option(help="whose it is, for the list and the audit trail")] = "",
    site: Annotated[list[str] | None, typer.Option(help="this site only; may be given several times")] = None,
    evse: Annotated[list[str] | None, typer.Option(help="for drivers: this EVSE; may be given several times")] = None,
    days: Annotated[float | None, typer.Option(help="how long it holds", min=0.01, max=3650)] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Make a token. Its text is printed once and kept nowhere.

    Example: headroom token create --role meter --name "gateway in the basement"
    """
    from domain.errors import HeadroomError
    from headroom.access.tokens import new_token
    from headroom.console import print_json
    from inventory import access

    if role is Role.DRIVER and not evse:
        raise HeadroomError("--evse: a driver's token names the EVSEs that it is for")
    if evse and role is not Role.DRIVER:
        raise HeadroomError(f"--evse: is for drivers; a {role} sees whole sites: name those with --site")
    now = Settings.from_environment().clock().now()
    lives = None if days is None else timedelta(days=days)
    text, row = new_token(role, name or role.value, now, sites=site or None, evses=evse or None, lives=lives)
    with_database(database, lambda conn: access.add_token(conn, row))
    if json:
        print_json({"id": row.id, "token": text})
    else:
        print(text)


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(help="the id of `headroom token list`")],
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """End a token; a running service notices within 5 s. Exit code 1 where there is none that still stands.

    Example: headroom token revoke 4f7k2m9q
    """
    from headroom.console import print_json
    from inventory import access

    now = Settings.from_environment().clock().now()
    done = with_database(database, lambda conn: access.revoke_token(conn, token, now))
    if json:
        print_json({"id": token, "revoked": done})
    else:
        print(f"revoked {token}" if done else f"no token '{token}' stands: see `headroom token list`")
    raise typer.Exit(0 if done else 1)


@app.command(name="list")
def list_tokens(database: Database = DEFAULT_DATABASE, json: Json = False) -> None:
    """List tokens: id, role, name, scope, and until when they hold.

    Example: headroom token list --json
    """
    from rich.table import Table

    from headroom.console import out, print_json
    from inventory import access

    rows = with_database(database, access.tokens)
    if json:
        names = ("id", "name", "role", "sites", "evses", "created_at", "expires_at", "revoked_at")
        print_json({"tokens": [{name: getattr(row, name) for name in names} for row in rows]})
        return
    table = Table("id", "role", "name", "sites", "EVSEs", "until")
    for row in rows:
        until = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else f"{row.expires_at or 'revoked'}"
        table.add_row(row.id, row.role, row.name, ", ".join(row.sites or ("all",)), ", ".join(row.evses or ()), until)
    out.print(table)
