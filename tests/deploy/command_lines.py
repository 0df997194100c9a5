"""Command lines in files of `deploy/`, read by the commands themselves without being run."""

from collections.abc import Sequence

import click
import typer

from headroom import cli


def refused(arguments: Sequence[str]) -> str | None:
    """Why the command line is refused; None where it is taken. Paths are not looked at."""
    command: click.Command = typer.main.get_command(cli.build(list(arguments)))
    rest = list(arguments)
    while isinstance(command, click.Group):
        found = command.commands.get(rest[0])
        if found is None:
            return f"no command {rest[0]}"
        command, rest = found, rest[1:]
    try:
        command.make_context(command.name, rest)
    except click.ClickException as error:
        return error.format_message()
    return None
