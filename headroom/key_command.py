"""`headroom key`: the hash of a charger's password, for the site file."""

import secrets
import sys
from getpass import getpass
from typing import Annotated

import typer

from domain.errors import HeadroomError
from domain.password import PasswordHash
from headroom.console import print_json

_SALT_BYTES = 16
_KEY_BYTES = 20
"""The longest that OCPP 1.6 knows, as 40 hexadecimal digits; as text it is the longest of 2.0.1 [A00.FR.205]."""


def key(
    new: Annotated[bool, typer.Option("--new", help="make a password, and print it with its hash")] = False,
    json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Hash a charger's password (1.6: AuthorizationKey) for `security: chargers: ...: key` of a site file.

    The password is asked for, or read from standard input; hexadecimal digits count as the bytes that they stand for.

    Example: headroom key --new
    """
    password = secrets.token_hex(_KEY_BYTES) if new else _read()
    text = PasswordHash.of(password.encode(), secrets.token_bytes(_SALT_BYTES)).text
    made = {"password": password} if new else {}
    if json:
        print_json({**made, "key": text})
        return
    if new:
        print(f"password: {password}")
    print(f"key: {text}")


def _read() -> str:
    password = getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise HeadroomError("no password was given: type it, pipe it in, or let --new make one")
    return password
