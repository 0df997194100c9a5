"""How the API is guarded, as the command line says it."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from sqlalchemy import Connection

from domain.errors import HeadroomError
from domain.ports import Clock
from headroom.access.oidc import OidcSettings, check_settings
from headroom.access.roles import Role
from headroom.access.tokens import new_token
from inventory import access
from inventory.locks import lock
from inventory.store import Store

Mode = Literal["token", "open"]


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """`mode` open: everybody on this machine is an administrator, and nobody else can connect."""

    mode: Mode = "token"
    oidc: OidcSettings | None = None


def access_options(
    mode: Mode, api_host: str, issuer: str | None, audience: str | None, roles_claim: str
) -> AccessOptions:
    """The options, or `HeadroomError` where they do not go together."""
    if mode == "open" and not _is_loopback(api_host):
        raise HeadroomError(f"--access open: only on loopback, and --api-host is {api_host}. Leave --access out.")
    if issuer is None:
        if audience is not None:
            raise HeadroomError("--oidc-audience: name the provider with --oidc-issuer")
        return AccessOptions(mode)
    return AccessOptions(mode, check_settings(OidcSettings(issuer, audience or "", roles_claim)))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def first_token(store: Store, clock: Clock) -> str | None:
    """An administrator's token where there has never been any; None otherwise. It is told once and kept nowhere."""
    text, row = new_token(Role.ADMIN, "first start", clock.now())

    def add_first(conn: Connection) -> bool:
        lock(conn, "first token")
        if access.tokens(conn):
            return False
        access.add_token(conn, row)
        return True

    return text if await store.transact(add_first) else None
