"""Roles, what each may do, and who is asking."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a caller is here for."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    GRID_OPERATOR = "grid_operator"
    METER = "meter"
    DRIVER = "driver"
    ADMIN = "admin"


class Permission(StrEnum):
    """What an endpoint asks for. `OPEN` needs no token, `SELF` any that is valid."""

    OPEN = "open"
    SELF = "self"
    SITE = "site"
    """The panel tree, its loads, limits and alarms: nothing about a single car."""
    READ = "read"
    EVSE = "evse"
    """One EVSE: everybody who may read, and a driver for the EVSEs of the token."""
    WISH = "wish"
    """A session's departure and energy: staff, and a driver for the EVSEs of the token."""
    LIMIT = "limit"
    OPERATE = "operate"
    METER = "meter"
    METRICS = "metrics"
    ADMIN = "admin"


_P = Permission
_SEES = {_P.SELF, _P.SITE, _P.READ, _P.EVSE, _P.METRICS}

GRANTS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset(_SEES),
    Role.OPERATOR: frozenset(_SEES | {_P.WISH, _P.LIMIT, _P.OPERATE}),
    Role.GRID_OPERATOR: frozenset({_P.SELF, _P.SITE, _P.LIMIT}),
    Role.METER: frozenset({_P.SELF, _P.METER}),
    Role.DRIVER: frozenset({_P.SELF, _P.EVSE, _P.WISH}),
    Role.ADMIN: frozenset(Permission),
}

STRENGTH = (Role.METER, Role.DRIVER, Role.VIEWER, Role.GRID_OPERATOR, Role.OPERATOR, Role.ADMIN)
"""Of several roles that a provider names, the last of these counts."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `sites` and `evses` are what the caller is confined to; None: not confined.

    `id` is unique and stable ("token:4f7k2m9q"), `name` is for people; `via` tells how the caller was known: token,
    oidc, page (a session cookie, of which `csrf` is the second half) or open.
    """

    id: str
    name: str
    role: Role | None
    via: str
    sites: frozenset[str] | None = None
    evses: frozenset[str] | None = None
    csrf: str | None = None

    @property
    def is_confined(self) -> bool:
        """Whether there may be things of this service that are none of the caller's business."""
        return self.sites is not None or self.evses is not None

    def may(self, permission: Permission) -> bool:
        """Whether the caller's role includes a permission."""
        return permission is Permission.OPEN or (self.role is not None and permission in GRANTS[self.role])

    def sees_site(self, site: str) -> bool:
        """Whether a site is within the caller's scope."""
        return self.sites is None or site in self.sites

    def sees_evse(self, evse: str) -> bool:
        """Whether an EVSE is within the caller's scope, its site aside."""
        return self.evses is None or evse in self.evses


NOBODY = Caller("nobody", "nobody", None, "none")
"""A caller without a token."""

ANYBODY_HERE = Caller("open", "anybody on this machine", Role.ADMIN, "open")
"""Every caller of a service that is open on loopback (`demo`)."""
