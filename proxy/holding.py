"""Letting chargers in at a site that holds: with the CSMS's word, or, in an outage, on the strength of its last one."""

from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from domain.events import OcppVersion
from proxy.csms_leg import CsmsLeg
from proxy.hold import Hold, Way
from proxy.hold_office import HoldOffice
from proxy.legs import Leg
from proxy.places import ChargerPlace
from proxy.protocol.held import Remembered, TagInfo
from proxy.upstream import Refused, Request, Unreachable, Upstream

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Absent:
    """The CSMS cannot be reached; it let this charger in before, and chose this subprotocol then."""

    subprotocol: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Held:
    """What makes a `Hold` once the charger's version is known."""

    request: Request
    office: HoldOffice
    upstream: Upstream
    known: tuple[Remembered, dict[str, TagInfo]]
    recognises_repeats: bool

    def make(self, version: OcppVersion, subprotocol: str | None, since: datetime) -> Hold:
        """The hold of one charger's socket. Later dials offer what was agreed on."""
        request = replace(self.request, offered=() if subprotocol is None else (subprotocol,))

        async def dial() -> Leg | Refused | Unreachable:
            outcome = await self.upstream.ask(request)
            self.office.reached(request.url, not isinstance(outcome, Unreachable))
            if isinstance(outcome, Refused):
                self.office.refused(request.who.identity, request.authorization)
            if isinstance(outcome, CsmsLeg) and outcome.subprotocol != subprotocol:
                outcome.close(1002, "another version was agreed on before")
                return Unreachable(f"the CSMS chose {outcome.subprotocol} instead of {subprotocol}")
            return outcome

        who = (request.who.identity, version)
        return Hold(who, Way(request.url, dial, self.recognises_repeats), self.office, self.known, since)


Answer = tuple[CsmsLeg | Refused | Unreachable | Absent, Held | None]


async def ask(request: Request, place: ChargerPlace, office: HoldOffice, upstream: Upstream) -> Answer:
    """The CSMS's word, and what its silence comes to. Without a disk that works the site does not hold."""
    if office.seems_away(request.url):
        answer = await _settled(request, place, office, upstream, Unreachable("it could not be reached a moment ago"))
        if answer[1] is not None:
            return answer
    word = await upstream.ask(request)
    office.reached(request.url, not isinstance(word, Unreachable))
    return await _settled(request, place, office, upstream, word)


async def _settled(
    request: Request, place: ChargerPlace, office: HoldOffice, upstream: Upstream, word: CsmsLeg | Refused | Unreachable
) -> Answer:
    charger = request.who.identity
    if isinstance(word, Refused):
        office.refused(charger, request.authorization)
        return word, None
    try:
        outcome: CsmsLeg | Unreachable | Absent = word
        if isinstance(word, Unreachable):
            admitted, subprotocol = await office.admits(charger, request.authorization)
            agreed = subprotocol in request.offered if request.offered else subprotocol is None
            if not admitted or not agreed:
                return word, None
            office.counters.admitted_without_csms += 1
            outcome = Absent(subprotocol, word.why)
        else:
            office.let_in(charger, request.authorization, word.subprotocol)
        known = (await office.load(charger), await office.tags(request.url))
    except OSError as error:
        office.failed(error)
        return word, None
    return outcome, Held(request, office, upstream, known, place.recognises_repeats)
