"""The proxy as a charger meets it: let in with the CSMS's consent, then relayed."""

import asyncio
import ssl as tls
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import structlog
from websockets.http11 import Request, Response

from domain.commands import ApplySetpoint
from domain.events import Event, OcppVersion
from domain.ids import ChargerId
from domain.ports import Clock
from domain.site import Charger
from proxy import holding
from proxy.addresses import MAX_IDENTITY, Caller, caller
from proxy.afterthoughts import Afterthoughts
from proxy.answers import passed_on, refusal
from proxy.charger_leg import ChargerLeg
from proxy.csms_leg import CsmsLeg
from proxy.deskwork import refused
from proxy.door import Door
from proxy.fan_out import FanOut
from proxy.hold_office import HoldOffice
from proxy.holding import Absent, Held
from proxy.legs import OpenLegs
from proxy.link import Link
from proxy.network import Listener, Network
from proxy.places import ChargerPlace as ChargerPlace
from proxy.protocol.desks import Desk
from proxy.protocol.relay import Relay
from proxy.protocol.turns import OwnIds
from proxy.recording import Recording
from proxy.settings import ASSUMED_VERSION, Counters, LinkStatus, ProxySettings
from proxy.spool import Spool
from proxy.surroundings import Surroundings
from proxy.upstream import Refused, Unreachable, Upstream
from proxy.upstream import Request as Asked

_log = structlog.get_logger()

GOING_AWAY, PROTOCOL_ERROR, SERVICE_RESTART = 1001, 1002, 1012


DeskFactory = Callable[[Charger, OcppVersion], Desk]


@dataclass(slots=True)
class _Known:
    """What outlives a charger's sockets."""

    charger: Charger
    version: OcppVersion
    desk: Desk
    own_ids: OwnIds
    own_ids_up: OwnIds


class ProxyServer:
    """Listens for chargers, dials the CSMS for each, and keeps the link of each identity's newest socket.

    Args:
        network: makes the sockets.
        clock: stamps events. Time-outs run on the loop's clock, so that both may be virtual.
        directory: where a charger belongs, by identity; None for one that nobody knows. Asked at each handshake.
        publish: told every event, on the loop, after the frame that it comes from was written.
        desk: makes what thinks about a charger, once for each charger and version.
        settings: bounds and time-outs.
        new_id: makes ids of our own CALLs; they must be unique for ever (UUID4).
        mono: the clock of `*_mono_s`; the loop's without it.
        spool: the disk of sites that hold; without it they close.
        durable: returns when every event that was published would survive a crash; see `Surroundings`.
    """

    def __init__(
        self,
        *,
        network: Network,
        clock: Clock,
        directory: Callable[[ChargerId], ChargerPlace | None],
        publish: Callable[[Event], None],
        desk: DeskFactory,
        settings: ProxySettings,
        new_id: Callable[[], str],
        mono: Callable[[], float] | None = None,
        spool: Spool | None = None,
        durable: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.counters = Counters()
        self.door = Door(settings.door, lambda: asyncio.get_running_loop().time())
        self._network, self._clock, self._directory, self._publish = network, clock, directory, publish
        self._make_desk, self._settings, self._new_id, self._mono = desk, settings, new_id, mono
        self.office: HoldOffice | None = None
        self._spool, self._durable = spool, durable
        self._links: dict[ChargerId, Link] = {}
        self._entries: dict[ChargerId, int] = {}
        self._known: dict[ChargerId, _Known] = {}
        self._admissions: set[asyncio.Task[None]] = set()
        self._entry = 0
        self._listeners: list[Listener] = []
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._around: Surroundings
        self._legs: OpenLegs
        self._upstream: Upstream

    async def listen(self, host: str, port: int, *, ssl: tls.SSLContext | None = None) -> int:
        """Open a port for chargers; may be called for several. Returns the port that is bound. `OSError` if taken."""
        loop = asyncio.get_running_loop()
        if not self._listeners:
            self._legs = OpenLegs()
            self._upstream = Upstream(self._network, self._settings, self._legs)
            if self._spool is not None:
                self.office = HoldOffice(self._spool, self._clock, self._settings.hold, self.counters)
            mono = self._mono or loop.time
            self._around = Surroundings(
                self._clock, mono, self._publish, self.counters, self._link_over, Afterthoughts(), self._durable
            )
        listener = await self._network.listen(self._make_leg, host, port, ssl=ssl)
        self._listeners.append(listener)
        if self._sweep_timer is None:
            self._sweep_timer = loop.call_later(self._settings.ping_s, self._sweep)
        return listener.port

    @property
    def links(self) -> Mapping[ChargerId, LinkStatus]:
        """The chargers that are let in now."""
        return MappingProxyType(
            {
                name: LinkStatus(link.version, link.since, link.silent_s, link.csms_away)
                for name, link in self._links.items()
            }
        )

    def apply(self, command: ApplySetpoint) -> None:
        """Bring a limit to its charger. What becomes of it is published; without a link that is a refusal at once."""
        link = self._links.get(command.charger)
        if link is None:
            self._publish(refused(command, self._clock, "no link"))
        else:
            link.apply(command)

    def forget(self, charger: ChargerId) -> None:
        """What is known of a charger was learnt elsewhere meanwhile: its next socket gets a new desk."""
        self._known.pop(charger, None)

    def cut(self, charger: ChargerId) -> None:
        """The charger has a newer connection elsewhere: close its link without a word about its end."""
        link = self._links.get(charger)
        if link is not None:
            self.counters.replaced += 1
            link.close(GOING_AWAY, "replaced by a newer connection", replaced=True)
            self.forget(charger)

    async def drain(self, within_s: float) -> None:
        """Accept no more, and ask the chargers one after the other to connect again, elsewhere."""
        self._accept_no_more()
        waiting = tuple(self._links.values())
        for link in waiting:
            link.close(SERVICE_RESTART, "the service restarts")
            await asyncio.sleep(within_s / len(waiting))

    def _accept_no_more(self) -> None:
        self._closing = True
        for listener in self._listeners:
            listener.close()

    async def close(self, timeout_s: float) -> None:
        """Accept no more, close every socket, and drop after `timeout_s` what has not closed."""
        self._accept_no_more()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for admission in self._admissions:
            admission.cancel()
        if self._admissions:
            await asyncio.wait(self._admissions)
        for link in tuple(self._links.values()):
            link.close(SERVICE_RESTART, "the service restarts")
        if self._listeners:
            await self._legs.closed(SERVICE_RESTART, "the service restarts", timeout_s)

    # Letting a charger in.

    def _make_leg(self) -> ChargerLeg:
        return ChargerLeg(self._settings.charger_leg, self._requested, self._legs, self._settings.handshake_s)

    def _requested(self, leg: ChargerLeg, request: Request, answer: Response) -> None:
        """A charger asks; `answer` is the 101 that it gets in the end."""
        if self._closing:
            leg.answer(refusal(503, "The service restarts; try again.", retry_after_s=self._settings.retry_after_s))
            return
        who = caller(request.path)
        place = self._directory(who.identity) if who is not None else None
        if who is None or place is None:
            self.counters.unknown_identity += 1
            self.door.stranger(leg)
            leg.answer(refusal(404, _unknown(request.path, who)))
            return
        if self.door.turns_away(leg, who.identity, place.entry):
            return
        offered = tuple(name for name in leg.offered if name in self._settings.versions)
        if leg.offered and not offered:
            # OCPP-J 1.6, 3.2: complete the handshake without the header, then close.
            self.counters.no_common_version += 1
            leg.answer(answer)
            leg.close(PROTOCOL_ERROR, f"none of your subprotocols is among {', '.join(self._settings.versions)}")
            return
        self._entry += 1
        admission = self._admit(leg, request, answer, who, place, offered, self._entry)
        task = asyncio.get_running_loop().create_task(admission, name=f"admission of {who.identity}")
        self._admissions.add(task)  # kept until it is done, and cancelled by close()
        task.add_done_callback(lambda task: self._admitted(task, leg))

    def _admitted(self, task: asyncio.Task[None], leg: ChargerLeg) -> None:
        """An admission is over; one that failed by our own fault leaves no charger waiting."""
        self._admissions.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("admission_failed", admission=task.get_name(), exc_info=fault)
            leg.give_up("its admission failed")

    async def _admit(
        self,
        leg: ChargerLeg,
        request: Request,
        answer: Response,
        who: Caller,
        place: ChargerPlace,
        offered: tuple[str, ...],
        entry: int,
    ) -> None:
        """Wait for the charger's turn, and let it in if the CSMS has no objection."""
        async with self.door.passage(leg, who.identity, place.entry) as may_ask:
            if may_ask:
                await self._ask_csms(leg, request, answer, who, place, offered, entry)

    async def _ask_csms(
        self,
        leg: ChargerLeg,
        request: Request,
        answer: Response,
        who: Caller,
        place: ChargerPlace,
        offered: tuple[str, ...],
        entry: int,
    ) -> None:
        """Ask the CSMS in the charger's name, and give the charger its word."""
        authorization = tuple(request.headers.get_all("Authorization"))
        asked = Asked(place.csms_url, who, offered, authorization, place.csms_tls)
        outcome: CsmsLeg | Refused | Unreachable | Absent
        held: Held | None = None
        if place.outage == "hold" and self.office is not None:
            outcome, held = await holding.ask(asked, place, self.office, self._upstream)
        else:
            outcome = await self._upstream.ask(asked)
        if place.prepare is not None and isinstance(outcome, CsmsLeg | Absent):
            await place.prepare()
        if isinstance(outcome, Unreachable):
            self.counters.csms_unreachable += 1
            _log.warning("csms_unreachable", charger=who.identity, why=outcome.why)
            sentence = "The CSMS cannot be reached; try again. Limits in force hold."
            leg.answer(refusal(503, sentence, retry_after_s=self._settings.retry_after_s))
        elif isinstance(outcome, Refused):
            self.counters.refused_by_csms += 1
            self.door.refused_by_csms(leg, who.identity, outcome.answer.status_code)
            _log.warning("csms_refused_charger", charger=who.identity, status=outcome.answer.status_code)
            leg.answer(passed_on(outcome.answer))
        elif leg.has_ended:
            if isinstance(outcome, CsmsLeg):
                outcome.close(GOING_AWAY, "the charger is gone")
        elif self._entries.get(who.identity, 0) > entry:
            if isinstance(outcome, CsmsLeg):
                outcome.close(GOING_AWAY, "the charger has a newer connection")
            leg.answer(refusal(503, "A newer connection of this charger was let in meanwhile."))
        else:
            self._establish(leg, outcome, answer, asked, place, entry, held)

    def _establish(
        self,
        leg: ChargerLeg,
        csms: CsmsLeg | Absent,
        answer: Response,
        asked: Asked,
        place: ChargerPlace,
        entry: int,
        held: Held | None,
    ) -> None:
        """Both sides agree: echo the CSMS's choice, and let this socket take the place of an older one."""
        charger = place.charger
        if csms.subprotocol is not None:
            answer.headers["Sec-WebSocket-Protocol"] = csms.subprotocol
        version = self._version(csms.subprotocol, asked.offered)
        known = self._known.get(charger.id)
        if known is None or known.version != version or known.charger != charger:
            ids = (known.own_ids, known.own_ids_up) if known is not None else (OwnIds(), OwnIds())
            known = _Known(charger, version, self._make_desk(charger, version), *ids)
            self._known[charger.id] = known
        older = self._links.pop(charger.id, None)
        if older is not None:
            self.counters.replaced += 1
            older.close(GOING_AWAY, "replaced by a newer connection", replaced=True)
        self.door.let_in(leg, charger.id, place.messages)
        if place.let_in is not None:
            place.let_in(leg.visitor)
        leg.answer(answer)
        relay = Relay(self._new_id, self._settings.relay, known.own_ids, known.own_ids_up, known.desk.intercepts)
        hold = held.make(version, csms.subprotocol, self._clock.now()) if held is not None else None
        legs = (leg, csms if isinstance(csms, CsmsLeg) else None)
        if place.recorder is not None:
            recording = Recording(place.recorder, self._clock.now)
            for one in legs:
                if one is not None:
                    one.record(recording)
        fan_out = self._fan_out(asked, place, csms.subprotocol)
        link = Link(charger.id, version, legs, relay, known.desk, self._around, hold, fan_out)
        self._links[charger.id] = link
        self._entries[charger.id] = entry
        self.counters.connected += 1
        _log.info("charger_connected", charger=charger.id, version=version)
        link.start()
        leg.read_what_was_held()

    def _fan_out(self, asked: Asked, place: ChargerPlace, subprotocol: str | None) -> FanOut | None:
        """The site's second reader of this charger. It is not told the charger's password."""
        if place.fan_out_url is None:
            return None
        offered = () if subprotocol is None else (subprotocol,)
        second = Asked(place.fan_out_url, asked.who, offered, ())
        return FanOut(asked.who.identity, lambda: self._upstream.ask(second), self._settings.hold, self.counters)

    def _version(self, chosen: str | None, offered: tuple[str, ...]) -> OcppVersion:
        """The CSMS's choice. Where it made none and goes on all the same, the charger's first wish."""
        wanted = chosen or next(iter(offered), None)
        return next((version for version in self._settings.versions if version == wanted), ASSUMED_VERSION)

    # While they are in.

    def _link_over(self, link: Link) -> None:
        """A link has ended. One that was replaced has no place to clear: it belongs to the newer one."""
        if self._links.get(link.charger) is link:
            del self._links[link.charger]

    def _sweep(self) -> None:
        """One timer for all: pings, and peers that are gone without a word."""
        self._sweep_timer = asyncio.get_running_loop().call_later(self._settings.ping_s, self._sweep)
        for link in tuple(self._links.values()):
            link.check_life(self._settings.ping_s, self._settings.dead_s)


def _unknown(target: str, who: Caller | None) -> str:
    if who is None:
        return (
            f"{target!a} names no charger: the last part of the path has to be its identity, "
            f"1 to {MAX_IDENTITY} printable characters, percent-encoded UTF-8."
        )
    return (
        f"No charger {who.identity!a} is known here: add it to 'chargers' in the site file, "
        "or correct the identity in the charger's own settings."
    )
