"""A charger's link: dial, shake hands, boot where that is due, come back after a loss."""

import asyncio
import random
import ssl as tls
from dataclasses import dataclass
from typing import Protocol

from domain.ports import Clock
from simulators.behaviour import Behaviour
from simulators.frame_judge import FrameJudge
from simulators.frame_schemas import Version
from simulators.network import Network
from simulators.ocpp_line import LOST, Done, FrameWatch, IncomingCall, LineSettings, MessageIds, OcppLine, Payload
from simulators.wire import HandshakeRefusedError, WebSocketEnd, open_websocket

RETRY_REPEATS = 4
"""RetryBackOffRepeatTimes: how often the pause is doubled."""
MAX_WAITING = 20
"""CALLs that may wait for their turn; a charger drops statuses and samples before it runs out of memory."""
BOOT_RETRY_S = 60.0


class LinkUser(Protocol):
    """The charger behind the link."""

    def boot_payload(self) -> Payload:
        """Of BootNotification."""
        ...

    def booted(self, reply: Payload, *, accepted: bool) -> None:
        """The CSMS's answer to it."""
        ...

    def came_online(self, line: OcppLine) -> None:
        """The CSMS can be reached."""
        ...

    def went_offline(self) -> None:
        """It cannot any more."""
        ...

    def take_call(self, call: IncomingCall) -> None:
        """A CALL has come."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Where to and how; see `SimulatedChargePoint` for the meaning of each."""

    identity: str
    version: Version
    url: str
    network: Network
    clock: Clock
    behaviour: Behaviour
    authorization: str | None
    ssl: tls.SSLContext | None
    judge: FrameJudge | None
    retry_wait_s: float


class ChargerLink:
    """At most one connection at a time.

    Attributes:
        line: the conversation on the present connection, None without one.
        ready: whether the CSMS has accepted the charger on it.
        accepted: whether BootNotification has been accepted since power-up.
        connects: successful handshakes.
        refusals: HTTP status of every refused handshake, in order; 0 where the link failed.
    """

    def __init__(
        self, settings: LinkSettings, user: LinkUser, ids: MessageIds, watch: FrameWatch, rng: random.Random
    ) -> None:
        self.line: OcppLine | None = None
        self.ready = False
        self.accepted = False
        self.connects = 0
        self.refusals: list[int] = []
        self._settings, self._user, self._rng = settings, user, rng
        quirks = settings.behaviour
        self._line_settings = LineSettings(
            identity=settings.identity,
            side="charger",
            ids=ids,
            watch=watch,
            judge=settings.judge,
            pipelined=quirks.pipelines_calls,
            spaced_json=quirks.spaced_json,
            malformed_every=quirks.malformed_every,
            answers_unreadable=settings.version != "ocpp1.6",
        )
        self._cable = asyncio.Event()
        self._cable.set()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures = 0
        while True:
            await self._cable.wait()
            try:
                await self._connect_once()
                failures = 0
            except HandshakeRefusedError as refusal:
                self.refusals.append(refusal.status)
                failures += 1
            except OSError:
                self.refusals.append(0)
                failures += 1
            wait_s = self._settings.retry_wait_s
            pause_s = wait_s * 2 ** min(max(0, failures - 1), RETRY_REPEATS) + self._rng.uniform(0, wait_s)
            await self._settings.clock.sleep(pause_s)

    def pull_cable(self) -> None:
        """The link is lost, and none is made until `put_cable`."""
        self._cable.clear()
        if self.line is not None:
            self.line.end.abort()

    def put_cable(self) -> None:
        """Links can be made again."""
        self._cable.set()

    def close(self, reason: str) -> None:
        """Close in good order."""
        if self.line is not None:
            self.line.end.close(1001, reason)

    def power_off(self) -> None:
        """Drop the link and forget that the charger was accepted."""
        self.accepted = False
        line = self.line
        if line is not None:
            self._forget(line)
            line.end.abort()

    def send(self, action: str, payload: Payload, done: Done | None = None) -> None:
        """Send a CALL that may be lost: dropped without a link, or when too many wait already."""
        if self.line is None or not self.ready or self.line.waiting >= MAX_WAITING:
            if done is not None:
                done(LOST)
            return
        self.line.call(action, payload, done)

    async def _connect_once(self) -> None:
        settings = self._settings
        closed = asyncio.Event()
        lines: list[OcppLine] = []
        end = await open_websocket(
            settings.network,
            settings.url,
            subprotocols=() if settings.behaviour.offers_no_subprotocol else (settings.version,),
            authorization=settings.authorization,
            ssl=settings.ssl,
            on_open=lambda end: self._opened(end, lines, closed),
        )
        if not lines:
            raise ConnectionAbortedError("the server knows none of the charger's OCPP versions")
        try:
            if await self._greet(lines[0]):
                async with asyncio.timeout(settings.behaviour.reconnects_every_s):
                    await closed.wait()
        except TimeoutError:
            end.close(1000)
        finally:
            end.close(1001, "going away")
            end.transport.close()
            self._lost(lines[0], closed)

    def _opened(self, end: WebSocketEnd, lines: list[OcppLine], closed: asyncio.Event) -> None:
        if end.subprotocol is None:
            end.close(1002, "no common subprotocol")
            return
        line = OcppLine(end, self._line_settings, self._user.take_call)
        lines.append(line)
        end.on_text = line.receive
        end.on_closed = lambda _code, _reason: self._lost(line, closed)
        self.line = line
        self.connects += 1
        self._tell_judge()

    async def _greet(self, line: OcppLine) -> bool:
        """BootNotification until it is accepted, where one is due; False when the link is lost meanwhile."""
        while not self.accepted or self._settings.behaviour.boots_each_connect:
            reply = await line.ask("BootNotification", self._user.boot_payload())
            if reply.kind == "lost":
                return False
            self.accepted = reply.payload.get("status") == "Accepted"
            self._user.booted(reply.payload, accepted=self.accepted)
            if self.accepted:
                break
            interval = reply.payload.get("interval")
            await self._settings.clock.sleep(interval if isinstance(interval, int) and interval > 0 else BOOT_RETRY_S)
        if self.line is not line:
            return False
        self.ready = True
        self._user.came_online(line)
        return True

    def _lost(self, line: OcppLine, closed: asyncio.Event) -> None:
        if closed.is_set():
            return
        closed.set()
        self._tell_judge()
        self._forget(line)
        line.closed()

    def _forget(self, line: OcppLine) -> None:
        if self.line is line:
            self.line = None
            self.ready = False
            self._user.went_offline()

    def _tell_judge(self) -> None:
        if self._settings.judge is not None:
            self._settings.judge.link_changed(self._settings.identity)
