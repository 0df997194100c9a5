"""Dialling the CSMS: its own yes or no, or an outage."""

import asyncio
import ssl as tls
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from websockets.http11 import Response
from websockets.uri import WebSocketURI

from proxy.csms_leg import CsmsLeg
from proxy.network import Network

_COME_BACK: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Refused:
    """The CSMS does not want this charger: 401, 403, 404 or another 4xx."""

    answer: Response


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The CSMS cannot be asked now: no connection, no answer, a 5xx, or an answer that makes no sense."""

    why: str


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
