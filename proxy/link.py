"""One charger's pair of sockets around its relay: forward first, then think."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from domain.commands import ApplySetpoint
from domain.events import ChargerConnected, ChargerDisconnected, Event, OcppVersion, SetpointRefused
from domain.ids import ChargerId
from domain.ports import Clock
from proxy.afterthoughts import Afterthoughts
from proxy.legs import Ending, Leg
from proxy.protocol.desks import Desk
from proxy.protocol.effects import Asked, AskedReply, Counted, Effect, Instant, ToCharger, ToCsms
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome
from proxy.protocol.interception import Order, Release, Verdict, WakeUp
from proxy.protocol.relay import Relay
from proxy.settings import Counters
from proxy.waking import Alarm

_log = structlog.get_logger()

Thought = Call | Exchange | OwnOutcome
_MOST_ORDERS = 256
"""How many orders one occasion may bring forth: a desk that answers every outcome with a new CALL ends here."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every link of a server shares. `mono` reads the clock of latencies."""

    clock: Clock
    mono: Callable[[], float]
    publish: Callable[[Event], None]
    counters: Counters
    on_over: "Callable[[Link], None]"
    afterthoughts: Afterthoughts


class Link:
    """Two legs, bound to each other: where one ends the other is closed [OCPP 2.0.1 part 4, 6.3]."""

    def __init__(
        self,
        charger: ChargerId,
        version: OcppVersion,
        legs: tuple[Leg, Leg],
        relay: Relay,
        desk: Desk,
        around: Surroundings,
    ) -> None:
        self.charger, self.version = charger, version
        self.since = around.clock.now()
        self._to_charger, self._to_csms = legs
        self._relay, self._desk, self._around = relay, desk, around
        self._counters = around.counters
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = Alarm(around.clock, self._alarmed)
        self._thoughts: deque[Thought] = deque()
        self._pressing = False
        self._csms_paused = False
        self._replaced = False
        self._over = False

    # What the server calls.

    def start(self) -> None:
        """Both sides have agreed: tell it, let the desk speak, and relay what has already come."""
        self._around.afterthoughts.run()  # an older link of this charger may have left some for its desk
        self._publish(ChargerConnected(self.charger, self.since, self.version))
        orders: Sequence[Order] = ()
        try:
            orders = self._desk.connected(self.since)
        except Exception:
            self._desk_failed("connected")
        self._obey(orders)
        self._catch_up()
        for leg in (self._to_csms, self._to_charger):
            leg.bind(self)

    @property
    def silent_s(self) -> float:
        """How long the charger has said nothing."""
        return self._loop.time() - self._to_charger.heard_s

    def apply(self, command: ApplySetpoint) -> None:
        """Bring a limit to the charger when it is its turn."""
        self._catch_up()
        orders: Sequence[Order] = ()
        try:
            orders = self._desk.apply(command)
        except Exception as error:
            self._desk_failed("apply")
            self._publish(refused(command, self._around.clock, f"{type(error).__name__}: {error}"))
        self._obey(orders)
        self._catch_up()

    def close(self, code: int, reason: str, *, replaced: bool = False) -> None:
        """Close both legs. A link that was replaced by a newer one says nothing of its end."""
        self._replaced = self._replaced or replaced
        for leg in (self._to_charger, self._to_csms):
            leg.close(code, reason)

    def check_life(self, ping_s: float, dead_s: float) -> None:
        """Ping a silent peer; give one up that used to answer pings. Any byte is a sign of life."""
        now_s = self._loop.time()
        for leg in (self._to_charger, self._to_csms):
            silent_s = now_s - leg.heard_s
            if silent_s < ping_s or (self._csms_paused and leg is self._to_csms):
                continue
            if silent_s >= dead_s and leg.answers_pings:
                leg.give_up(f"nothing was heard for {silent_s:.0f} s")
            else:
                leg.ping()

    # What the legs call.

    def leg_said(self, leg: Leg, messages: list[bytes]) -> None:
        """Relay messages; think about them later, unless our own CALLs are concerned."""
        if self._over:
            return
        around = self._around
        begun_s = around.mono()
        now = Instant(around.clock.now(), self._loop.time(), begun_s)
        relay = self._relay.from_charger if leg is self._to_charger else self._relay.from_csms
        put_off = bool(self._thoughts)
        for raw in messages:
            self._carry_out(relay(raw, now))
        self._counters.relay_latency.took(around.mono() - begun_s)
        self._settle()
        if self._pressing:
            self._catch_up()
        elif self._thoughts and not put_off:
            around.afterthoughts.add(self._catch_up)

    def leg_ended(self, leg: Leg, ending: Ending) -> None:
        """One side is gone: so is the pair."""
        if self._over:
            return
        self._over = True
        charger_left = leg is self._to_charger
        (self._to_csms if charger_left else self._to_charger).close(ending.code, ending.reason)
        if self._timer is not None:
            self._timer.cancel()
        self._alarm.cancel()
        gone = self._relay.charger_gone if charger_left else self._relay.csms_gone
        self._carry_out(gone(self._now()))
        self._catch_up()
        side = "charger" if charger_left else "CSMS"
        why = f"{side}: {ending.reason or f'closed with {ending.code}'}"
        if not self._replaced:
            self._publish(ChargerDisconnected(self.charger, self._around.clock.now(), why))
        _log.info("charger_disconnected", charger=self.charger, why=why, replaced=self._replaced)
        self._around.on_over(self)

    def leg_full(self, leg: Leg, full: bool) -> None:
        """A charger that takes no more makes the CSMS wait. The charger is read always: replies to our own CALLs come
        from there, whatever the CSMS does.
        """
        if leg is not self._to_charger or self._over:
            return
        self._csms_paused = full
        if full:
            self._to_csms.pause_reading()
        else:
            self._to_csms.resume_reading()

    # Inside.

    def _now(self) -> Instant:
        return Instant(self._around.clock.now(), self._loop.time(), self._around.mono())

    def _carry_out(self, effects: list[Effect]) -> None:
        """Write what is to be written; keep for later what is to be thought about; ask the desk where it intercepts."""
        counters = self._counters
        for effect in effects:  # grows where the desk is asked
            if type(effect) is ToCsms:
                if not self._to_csms.send(effect.raw):
                    counters.dropped += 1
                elif effect.ours:
                    counters.injected_up += 1
                else:
                    counters.to_csms += 1
            elif type(effect) is ToCharger:
                if not self._to_charger.send(effect.raw):
                    counters.dropped += 1
                elif effect.ours:
                    counters.injected += 1
                else:
                    counters.to_charger += 1
            elif type(effect) is Counted:
                counters.add(effect.kind)
            elif isinstance(effect, Asked | AskedReply):
                place = next(place for place, other in enumerate(effects, 1) if other is effect)
                effects[place:place] = self._intercept(effect)
            else:
                assert isinstance(effect, Call | Exchange | OwnOutcome)
                self._thoughts.append(effect)
                self._pressing |= type(effect) is OwnOutcome

    def _settle(self) -> None:
        """Hand what was written to the sockets, and wake when time is to do something."""
        self._to_csms.flush_messages()
        self._to_charger.flush_messages()
        due_s = self._relay.next_deadline_s
        if due_s is not None:
            self._wake_at(due_s)

    def _wake_at(self, due_s: float) -> None:
        """Wake at the relay's next deadline. A timer that comes too early finds nothing to do and sets the next."""
        if self._over or (self._timer is not None and self._timer.when() <= due_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._catch_up()
        self._carry_out(self._relay.tick(self._now()))
        self._settle()
        self._catch_up()

    def _alarmed(self) -> None:
        """An instant that the desk has asked for."""
        if self._over:
            return
        self._catch_up()
        said: Sequence[Event | Order] = ()
        try:
            said = self._desk.tick(self._around.clock.now())
        except Exception:
            self._desk_failed("tick")
        self._obey(self._tell(said))
        self._catch_up()

    def _intercept(self, effect: Asked | AskedReply) -> list[Effect]:
        """Ask the desk, which has to know all that came before."""
        self._catch_up()
        call = effect.call
        if isinstance(effect, AskedReply):
            instead = None
            try:
                instead = self._desk.on_reply(call, effect.ok, effect.payload)
            except Exception:
                self._desk_failed("on_reply")
            return self._relay.pass_reply(effect, instead, self._now())
        verdict: Verdict | None = None
        orders: Sequence[Order] = ()
        try:
            verdict, orders = self._desk.on_intercepted(call)
        except Exception:
            self._desk_failed("on_intercepted")
        self._obey(orders)
        return self._relay.decide(call.origin, call.call_id, verdict, self._now())

    def _obey(self, orders: Sequence[Order]) -> None:
        """Carry out what the desk wants; what that tells is to be thought about by the caller."""
        if not orders or self._over:
            return
        for order in orders:
            if isinstance(order, OwnCall):
                self._carry_out(self._relay.inject(order, self._now()))
            elif isinstance(order, Release):
                self._carry_out(self._relay.decide(order.side, order.call_id, order.verdict, self._now()))
            else:
                self._alarm.set(order.at)
        self._settle()

    def _catch_up(self) -> None:
        """Tell the desk what has already been relayed; what it wants to send may bring more to tell."""
        done = 0
        thoughts = self._thoughts
        while thoughts:  # grows on the way
            orders = self._think(thoughts.popleft())
            done += len(orders)
            if done > _MOST_ORDERS:
                self._desk_failed("endless")
            else:
                self._obey(orders)
        self._pressing = False

    def _think(self, thought: Thought) -> Sequence[Order]:
        """Publish what the desk makes of a thought, and return what it wants."""
        orders: Sequence[Order] = ()
        said: Sequence[Event | Order] = ()
        try:
            if type(thought) is Call:
                said = self._desk.on_call(thought)
            elif type(thought) is Exchange:
                said = self._desk.on_exchange(thought)
            else:
                assert isinstance(thought, OwnOutcome)
                if thought.kind == "sent":
                    thought = replace(thought, mono_s=self._around.mono())
                said, orders = self._desk.on_outcome(thought)
        except Exception:
            self._desk_failed(type(thought).__name__)
        return [*self._tell(said), *orders] if said else orders

    def _tell(self, said: Sequence[Event | Order]) -> list[Order]:
        """Publish the events and return the orders."""
        orders: list[Order] = []
        for item in said:
            if isinstance(item, OwnCall | Release | WakeUp):
                orders.append(item)
            else:
                self._publish(item)
        return orders

    def _desk_failed(self, occasion: str) -> None:
        """The desk's faults are its own: counted and logged, and the relay goes on."""
        self._counters.desk_errors += 1
        _log.exception("desk_failed", charger=self.charger, occasion=occasion)

    def _publish(self, event: Event) -> None:
        try:
            self._around.publish(event)
        except Exception:
            self._desk_failed(f"publishing {type(event).__name__}")


def refused(command: ApplySetpoint, clock: Clock, why: str) -> SetpointRefused:
    """A limit that did not even get on its way."""
    return SetpointRefused(command.evse, clock.now(), command.limit_a, command.decision, why)
