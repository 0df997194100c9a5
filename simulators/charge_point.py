"""A charger as the proxy meets it: one identity, one link, its EVSEs, and everything that goes over the wire."""

import asyncio
import random
import ssl as tls
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from domain.ports import Clock
from simulators.behaviour import STANDARD, Behaviour
from simulators.charge_point_16 import Dialect16
from simulators.charge_point_201 import Dialect201
from simulators.charger_link import ChargerLink, LinkSettings
from simulators.configuration import number
from simulators.dialect import Dialect, StopReason
from simulators.evse import EvseSpec, PlugState, SimulatedEvse, Transaction
from simulators.frame_judge import FrameJudge
from simulators.frame_schemas import Version
from simulators.limiter import Limiter
from simulators.network import Network
from simulators.ocpp_line import (
    Done,
    FrameWatch,
    IncomingCall,
    MessageIds,
    OcppLine,
    Payload,
    Reply,
)
from simulators.outbox import TransactionOutbox
from simulators.profile_store import ProfileStore
from simulators.wire import basic_authorization

RETRY_WAIT_S = 5.0
"""RetryBackOffWaitMinimum and the range of its random part, s."""
IDLE_S = 60.0
"""How often a task looks again at a setting that is 0."""


class SimulatedChargePoint:
    """One charger. Run it with `run()` in a task group; it connects, boots, and lives until it is cancelled.

    Drivers come and go through `evses[n].plug(vehicle, id_tag)` and `.unplug()`; somebody must call
    `evse.step(now, dt_s)` about once a second.

    Args:
        identity: the charger's, percent-encoded into the URL.
        version: of OCPP.
        url: where the chargers of this site connect to; the identity becomes its last segment.
        network: where to dial.
        clock: the true time.
        evses: how the EVSEs are built.
        behaviour: what is peculiar about it.
        seed: of ids, back-off and the phase of its samples; with the identity.
        password: of Basic authentication; its user is the identity.
        ssl: for wss.
        judge: is told of every message.
        validate: share of outgoing frames that is checked against the schemas; True checks all.
        meter_interval_s: between two samples in a transaction.
        retry_wait_s: back-off after the first failure; doubled four times, plus up to as much at random.

    Attributes:
        evses: by connector.
        profiles: what is installed; outlives links and reboots.
        settings: configuration keys or variables.
        link: the connection and its history.
        outbox: transaction messages that are not answered yet.
        watch: what the schema check found.
        transactions: all that ever began here, in order.
    """

    def __init__(
        self,
        identity: str,
        version: Version,
        url: str,
        *,
        network: Network,
        clock: Clock,
        evses: Sequence[EvseSpec] = (EvseSpec(),),
        behaviour: Behaviour = STANDARD,
        seed: int = 0,
        password: str | bytes | None = None,
        ssl: tls.SSLContext | None = None,
        judge: FrameJudge | None = None,
        validate: bool | float = 0.0,
        meter_interval_s: int = 60,
        retry_wait_s: float = RETRY_WAIT_S,
    ) -> None:
        self.identity, self.version, self.behaviour = identity, version, behaviour
        self.specs = tuple(evses)
        self.evses = {spec.connector: SimulatedEvse(spec, behaviour, self) for spec in self.specs}
        connectors = frozenset(self.evses)
        self.profiles = ProfileStore(behaviour, connectors, ocpp16=version == "ocpp1.6")
        # Deviating frames are the point of these two; the check would only count them.
        deviates = behaviour.vendor_measurand
        self.watch = FrameWatch(version, 0.0 if deviates else validate, f"{seed}/{identity}/watch")
        self.outbox = TransactionOutbox(timeouts_count=version != "ocpp1.6")
        self.transactions: list[Transaction] = []
        self.rng = random.Random(f"{seed}/{identity}")
        self._clock = clock
        self._met = asyncio.Event()
        self._ids = MessageIds(f"{seed}/{identity}/ids")
        self._limiter = Limiter(self.profiles, behaviour, tuple(self.evses.values()))
        self._skew = timedelta(seconds=behaviour.clock_skew_s)
        link = LinkSettings(
            identity=identity,
            version=version,
            url=f"{url.rstrip('/')}/{quote(identity, safe='')}",
            network=network,
            clock=clock,
            behaviour=behaviour,
            authorization=None if password is None else basic_authorization(identity, password),
            ssl=ssl,
            judge=judge,
            retry_wait_s=retry_wait_s,
        )
        self.link = ChargerLink(link, self, self._ids, self.watch, self.rng)
        self.dialect: Dialect = Dialect16(self) if version == "ocpp1.6" else Dialect201(self)
        self.settings = self.dialect.settings(meter_interval_s)

    # What others ask

    @property
    def online(self) -> bool:
        """Whether the link is up and the CSMS has accepted the charger."""
        return self.link.ready

    @property
    def profile_writes(self) -> int:
        """Accepted profile writes so far."""
        return self.profiles.writes

    def now(self) -> datetime:
        """The true time."""
        return self._clock.now()

    def own_now(self) -> datetime:
        """The time by the charger's own clock, to the millisecond that its frames show."""
        own = self._clock.now() + self._skew
        return own.replace(microsecond=own.microsecond // 1000 * 1000)

    def allowed_a(self, connector: int, now: datetime) -> float:
        """What the profiles allow the EVSE at true time `now`, A; evaluated by the charger's own clock."""
        return self._limiter.allowed_a(connector, now + self._skew)

    def schedule(self, connector: int, duration_s: int) -> list[tuple[int, float]]:
        """The composite schedule from now: (seconds, A) steps."""
        return self._limiter.schedule(connector, self.own_now(), duration_s)

    # The link

    async def run(self) -> None:
        """Live until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.link.run())
            group.create_task(self._beat())
            group.create_task(self._sample())

    def go_offline(self) -> None:
        """Pull the network cable: the link is lost and none is made until `go_online`."""
        self.link.pull_cable()

    def go_online(self) -> None:
        """Put the network cable back."""
        self.link.put_cable()

    def boot_payload(self) -> Payload:
        """Of BootNotification."""
        return self.dialect.boot()

    def booted(self, reply: Payload, *, accepted: bool) -> None:
        """The CSMS has answered BootNotification."""
        self.synchronise(reply)
        if accepted:
            self._met.set()
        interval = reply.get("interval")
        if accepted and isinstance(interval, int) and interval > 0:
            self.settings[self.dialect.heartbeat_key].value = str(interval)

    def came_online(self, line: OcppLine) -> None:
        """The CSMS can be reached: tell it what it does not know."""
        self._limiter.touch()
        self.dialect.online()
        self.outbox.attach(line)

    def went_offline(self) -> None:
        """It cannot be reached any more."""
        self.outbox.detach()

    # What goes wrong

    def change(self, **flags: Any) -> None:
        """Behave differently from now on, in the named flags of `Behaviour` (those of limits and answers)."""
        self.behaviour = replace(self.behaviour, **flags)
        for evse in self.evses.values():
            evse.change(self.behaviour)

    def step_clock(self, seconds: float) -> None:
        """The charger's own clock jumps ahead (back, if negative)."""
        self._skew += timedelta(seconds=seconds)
        self._limiter.touch()

    # Messages

    def send(self, action: str, payload: Payload, done: Done | None = None) -> None:
        """Send a CALL that may be lost: dropped without a link, or when too many wait already."""
        self.link.send(action, payload, done)

    def boot_again(self) -> None:
        """Send BootNotification because it was asked for."""
        self.send("BootNotification", self.dialect.boot(), lambda reply: self.synchronise(reply.payload))

    def heartbeat(self) -> None:
        """Send a Heartbeat."""
        self.send("Heartbeat", {}, lambda reply: self.synchronise(reply.payload))

    def synchronise(self, payload: Payload) -> None:
        """Take over the CSMS's time, if this charger does such things."""
        told = payload.get("currentTime")
        if not self.behaviour.syncs_clock or not isinstance(told, str):
            return
        try:
            instant = datetime.fromisoformat(told)
        except ValueError:
            return
        if instant.tzinfo is not None:
            self._skew = instant.astimezone(UTC) - self._clock.now()
            self._limiter.touch()

    def take_call(self, call: IncomingCall) -> None:
        """A CALL has come: answer it in this charger's way."""
        if self.behaviour.never_answers:
            return
        if self.behaviour.answers_late_s > 0:
            asyncio.get_running_loop().call_later(self.behaviour.answers_late_s, self._answer, call)
        else:
            self._answer(call)

    def _answer(self, call: IncomingCall) -> None:
        try:
            self.dialect.answer(call)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            code = "FormationViolation" if self.version == "ocpp1.6" else "FormatViolation"
            call.refuse(code, f"{type(error).__name__}: {error}"[:255])

    async def _beat(self) -> None:
        await self._met.wait()
        while True:
            await self._clock.sleep(max(1, number(self.settings, self.dialect.heartbeat_key) or IDLE_S))
            self.heartbeat()

    async def _sample(self) -> None:
        await self._clock.sleep(self.rng.uniform(0, number(self.settings, self.dialect.sample_key)))
        while True:
            interval = number(self.settings, self.dialect.sample_key)
            await self._clock.sleep(interval or IDLE_S)
            for evse in self.evses.values():
                if interval and evse.transaction is not None:
                    self.dialect.sampled(evse, evse.transaction)

    # Drivers, authorisation, transactions

    def on_plugged(self, evse: SimulatedEvse, id_tag: str | None) -> None:
        """A cable was plugged in."""
        if self.dialect.plugged(evse):
            return
        if id_tag is not None:
            self.authorize(id_tag, lambda: self.begin(evse, id_tag))

    def on_unplugged(self, evse: SimulatedEvse) -> None:
        """The cable was pulled."""
        if evse.transaction is not None:
            self.end(evse, StopReason.EV_DISCONNECTED)

    def on_state(self, evse: SimulatedEvse, before: PlugState) -> None:
        """The state has changed."""
        self.dialect.state_changed(evse, before)

    def authorize(self, id_tag: str, accepted: Callable[[], None]) -> None:
        """Ask the CSMS about a tag; without a link or an answer the charger decides by itself."""

        def answered(reply: Reply) -> None:
            alone = reply.kind in ("lost", "timeout") and self.behaviour.offline_start
            if alone or (reply.kind == "result" and self.dialect.is_authorized(reply.payload)):
                accepted()

        self.send("Authorize", self.dialect.authorize(id_tag), answered)

    def begin(self, evse: SimulatedEvse, id_tag: str | None, *, remote_start_id: int | None = None) -> None:
        """Start a transaction, or name the driver of one that began with the cable; nothing happens without a car.

        The contactor closes once there is a driver.
        """
        running = evse.transaction
        if running is not None and running.id_tag is None and id_tag is not None:
            running.id_tag, running.remote_start_id = id_tag, remote_start_id
            self.dialect.identified(evse, running)
            evse.refresh(self.now())
        if evse.vehicle is None or running is not None:
            return
        transaction = Transaction(
            connector=evse.connector,
            local_id=self._ids(),
            id_tag=id_tag,
            started_at=self.own_now(),
            meter_start_wh=evse.register_wh,
            remote_start_id=remote_start_id,
        )
        self.transactions.append(transaction)
        evse.begin(transaction)
        self._limiter.touch()
        self.dialect.started(evse, transaction)
        evse.refresh(self.now())

    def touch(self) -> None:
        """A transaction got its id from the CSMS, or a profile its transaction."""
        self._limiter.touch()

    def end(self, evse: SimulatedEvse, reason: StopReason) -> None:
        """End the transaction: open the contactor and tell the CSMS."""
        transaction = evse.transaction
        if transaction is None:
            return
        transaction.meter_stop_wh = evse.register_wh
        evse.end()
        self.profiles.end_transaction(evse.connector)
        self._limiter.touch()
        self.dialect.ended(evse, transaction, reason)
        if evse.state is not PlugState.UNAVAILABLE:
            evse.enter(PlugState.FINISHING)

    def reboot(self, reason: StopReason) -> None:
        """End transactions, drop the link, forget what is not stored, and boot anew."""
        for evse in self.evses.values():
            self.end(evse, reason)
        self.profiles.boot()
        self._skew = timedelta(seconds=self.behaviour.clock_skew_s)
        self._limiter.touch()
        self.link.accepted = self.link.ready = False
        self.link.close("reboot")

    def power_cycle(self) -> None:
        """Power fails and returns: nobody is told before, the transactions are ended afterwards."""
        self.link.power_off()
        self.reboot(StopReason.POWER_LOSS)

    def find_transaction(self, transaction_id: str) -> SimulatedEvse | None:
        """The EVSE on which this transaction runs."""
        return next((evse for evse in self.evses.values() if evse.transaction_id == transaction_id), None)
