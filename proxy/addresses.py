"""Who a charger says it is, and where its CSMS is to be found."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from websockets.uri import WebSocketURI

from domain.ids import ChargerId

MAX_IDENTITY: Final = 48
"""Longest identity in characters [OCPP 2.0.1 part 4, 3.1.1]."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What a charger's request line says: `segment` and `query` exactly as written, `identity` decoded."""

    identity: ChargerId
    segment: str
    query: str


def caller(target: str) -> Caller | None:
    """Read a request target such as `/any/prefix/CP%20001?site=4`.

    The identity is the last path segment, percent-decoded; a slash behind it is forgiven. None where that is no
    identity: empty, longer than 48 characters, not UTF-8 or with control characters. Neither may the query hold any:
    it goes into a request line of ours.
    """
    path, _, query = target.partition("?")
    segment = path.rstrip("/").rpartition("/")[2]
    try:
        identity = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return None
    if not 0 < len(identity) <= MAX_IDENTITY or not identity.isprintable():
        return None
    if not query.isascii() or not query.isprintable():
        return None
    return Caller(ChargerId(identity), segment, query)


def upstream_target(csms: WebSocketURI, who: Caller) -> str:
    """The request target at the CSMS: its path, the charger's own segment and query [OCPP 2.0.1 part 4, 6.2]."""
    query = "&".join(part for part in (csms.query, who.query) if part)
    return f"{csms.path.rstrip('/')}/{who.segment}" + (f"?{query}" if query else "")
