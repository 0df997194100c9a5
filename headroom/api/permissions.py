"""The one table of what each endpoint asks for. A path that is not in it is not served."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from headroom.access.roles import Permission

_P = Permission
_V1 = "/api/v1"

REQUIRED: Mapping[tuple[str, str], Permission] = {
    ("GET", "/healthz"): _P.OPEN,
    ("GET", "/readyz"): _P.OPEN,
    ("GET", "/metrics"): _P.METRICS,
    ("GET", f"{_V1}/schema/site"): _P.OPEN,
    ("GET", f"{_V1}/sites"): _P.SITE,
    ("GET", f"{_V1}/sites/{{site}}"): _P.SITE,
    ("GET", f"{_V1}/sites/{{site}}/meters"): _P.SITE,
    ("GET", f"{_V1}/sites/{{site}}/forecast"): _P.SITE,
    ("GET", f"{_V1}/sites/{{site}}/load"): _P.SITE,
    ("GET", f"{_V1}/sites/{{site}}/limits"): _P.SITE,
    ("POST", f"{_V1}/sites/{{site}}/limits"): _P.LIMIT,
    ("POST", f"{_V1}/sites/{{site}}/limits/preview"): _P.LIMIT,
    ("DELETE", f"{_V1}/sites/{{site}}/limits/{{limit}}"): _P.LIMIT,
    ("GET", f"{_V1}/sites/{{site}}/alarms"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/chargers"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/quirks"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/quirks.csv"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/quirks.md"): _P.READ,
    ("GET", f"{_V1}/chargers/{{charger}}/messages"): _P.OPERATE,
    ("GET", f"{_V1}/chargers/{{charger}}/quirks"): _P.READ,
    ("PUT", f"{_V1}/chargers/{{charger}}/quirks"): _P.OPERATE,
    ("PUT", f"{_V1}/chargers/{{charger}}/quirks/model"): _P.ADMIN,
    ("GET", f"{_V1}/sites/{{site}}/commissioning"): _P.READ,
    ("POST", f"{_V1}/sites/{{site}}/seals"): _P.OPERATE,
    ("GET", f"{_V1}/seal-key"): _P.SELF,
    ("PUT", f"{_V1}/evses/{{evse}}/trial-limit"): _P.OPERATE,
    ("DELETE", f"{_V1}/evses/{{evse}}/trial-limit"): _P.OPERATE,
    ("GET", f"{_V1}/sites/{{site}}/evses"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/sessions"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/sessions.csv"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/sessions/{{session}}"): _P.READ,
    ("PATCH", f"{_V1}/sites/{{site}}/sessions/{{session}}"): _P.WISH,
    ("GET", f"{_V1}/sites/{{site}}/decisions"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/decisions/marks"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/decisions/{{decision}}"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/decisions/{{decision}}/alternatives"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/analysis"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/analysis.csv"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/outages"): _P.OPERATE,
    ("GET", f"{_V1}/sites/{{site}}/statistics"): _P.READ,
    ("GET", f"{_V1}/sites/{{site}}/events"): _P.READ,
    ("POST", f"{_V1}/sites/{{site}}/strategy"): _P.OPERATE,
    ("GET", f"{_V1}/evses/{{evse}}"): _P.EVSE,
    ("GET", f"{_V1}/evses/{{evse}}/samples"): _P.EVSE,
    ("GET", f"{_V1}/evses/{{evse}}/setpoints"): _P.EVSE,
    ("GET", f"{_V1}/evses/{{evse}}/driver-link"): _P.OPERATE,
    ("GET", f"{_V1}/evses/{{evse}}/driver-link.svg"): _P.OPERATE,
    ("DELETE", f"{_V1}/evses/{{evse}}/driver-link"): _P.OPERATE,
    ("GET", f"{_V1}/meters/{{meter}}/readings"): _P.SITE,
    ("POST", f"{_V1}/meters/{{meter}}/readings"): _P.METER,
    ("GET", f"{_V1}/driver/{{link}}"): _P.OPEN,
    ("PATCH", f"{_V1}/driver/{{link}}"): _P.OPEN,
    ("GET", f"{_V1}/me"): _P.SELF,
    ("POST", f"{_V1}/login"): _P.OPEN,
    ("POST", f"{_V1}/logout"): _P.SELF,
    ("GET", f"{_V1}/tokens"): _P.ADMIN,
    ("POST", f"{_V1}/tokens"): _P.ADMIN,
    ("DELETE", f"{_V1}/tokens/{{token}}"): _P.ADMIN,
    ("GET", f"{_V1}/audit"): _P.ADMIN,
}

UNAUDITED = frozenset({f"{_V1}/meters/{{meter}}/readings"})
"""Writes that are measurements: they are kept as such, and by the second."""

WITHOUT_KEYS = frozenset(
    {f"{_V1}/tokens", f"{_V1}/login", f"{_V1}/evses/{{evse}}/driver-link", f"{_V1}/driver/{{link}}"}
)
"""Writes whose path or answer carries a secret: nothing of them is kept for an idempotency key."""


@dataclass(frozen=True, slots=True)
class Match:
    """The endpoint that a request is for."""

    template: str
    permission: Permission
    params: Mapping[str, str]


class PermissionTable:
    """Finds the row of a request. A literal segment goes before a parameter."""

    def __init__(self, required: Mapping[tuple[str, str], Permission] = REQUIRED) -> None:
        templates = sorted({path for _, path in required}, key=lambda path: (path.count("{"), path))
        self._required = required
        self._patterns = [(path, re.compile(_pattern(path))) for path in templates]

    def find(self, method: str, path: str) -> Match | frozenset[str]:
        """The match, or the methods that the path knows (none: there is no such path)."""
        allowed: set[str] = set()
        for template, pattern in self._patterns:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            permission = self._required.get((method, template))
            if permission is not None:
                return Match(template, permission, found.groupdict())
            allowed |= {verb for verb, known in self._required if known == template}
        return frozenset(allowed)


def _pattern(template: str) -> str:
    return re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template))
