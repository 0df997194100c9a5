"""Dialling the CSMS in a charger's name: its own yes or no, or an outage."""

import asyncio
import ssl as tls
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from websockets.http11 import Response
from websockets.uri import WebSocketURI, parse_uri

from proxy.addresses import Caller, upstream_target
from proxy.certificates import CertificateError
from proxy.csms_leg import CsmsLeg
from proxy.legs import OpenLegs
from proxy.network import Network
from proxy.settings import ProxySettings

_COME_BACK: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Refused:
    """The CSMS does not want this charger: 401, 403, 404 or another 4xx."""

    answer: Response


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The CSMS cannot be asked now: no connection, no answer, a 5xx, or an answer that makes no sense."""

    why: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a charger asks its CSMS: the URL is the site's, everything else the charger's own."""

    url: str
    who: Caller
    offered: tuple[str, ...]
    authorization: tuple[str, ...]
    context: Callable[[], tls.SSLContext] | None = None


class Upstream:
    """Makes the legs to CSMSs."""

    def __init__(self, network: Network, settings: ProxySettings, open_legs: OpenLegs) -> None:
        self._network, self._settings, self._open_legs = network, settings, open_legs

    async def ask(self, request: Request) -> CsmsLeg | Refused | Unreachable:
        """Dial, and hear what the CSMS says; never raises for what network and files do."""
        uri = _parsed(request.url)

        def make() -> CsmsLeg:
            target = upstream_target(uri, request.who)
            authorization = list(request.authorization)
            return CsmsLeg(uri, target, request.offered, authorization, self._settings.csms_leg, self._open_legs)

        try:
            context = (request.context or _default_tls)() if uri.secure else None
        except CertificateError as error:
            return Unreachable(str(error))
        return await dial(self._network, uri, make, context, self._settings.dial_s)


async def dial(
    network: Network, uri: WebSocketURI, make: Callable[[], CsmsLeg], ssl: tls.SSLContext | None, timeout_s: float
) -> CsmsLeg | Refused | Unreachable:
    """Open the leg to the CSMS; never raises for what the network does. A leg that is not returned is gone."""
    made: list[CsmsLeg] = []

    def factory() -> CsmsLeg:
        made.append(make())
        return made[-1]

    answer: Response | str
    try:
        async with asyncio.timeout(timeout_s):
            await network.dial(factory, uri.host, uri.port, ssl=ssl, server_hostname=uri.host)
            answer = await made[-1].answered
        if not isinstance(answer, str) and answer.status_code == 101:
            return made.pop()
    except TimeoutError:
        answer = f"no answer within {timeout_s:g} s"
    except OSError as error:
        answer = str(error) or type(error).__name__
    finally:
        for leg in made:
            leg.give_up("its handshake failed")
    if isinstance(answer, str):
        return Unreachable(answer)
    if 400 <= answer.status_code < 500 and answer.status_code not in _COME_BACK:
        return Refused(answer)
    return Unreachable(f"the CSMS answered {answer.status_code} {answer.reason_phrase}")


@lru_cache(maxsize=256)
def _parsed(url: str) -> WebSocketURI:
    """A site's URL is the same for all its chargers."""
    return parse_uri(url)


@cache
def _default_tls() -> tls.SSLContext:
    return tls.create_default_context()
