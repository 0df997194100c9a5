"""One charger's sockets around its relay: forward first, then think."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from domain.commands import ApplySetpoint
from domain.events import ChargerConnected, ChargerDisconnected, Event, OcppVersion
from domain.ids import ChargerId
from proxy.closing import Ending
from proxy.deskwork import Deskwork, Thought
from proxy.fan_out import FanOut
from proxy.hold import Hold
from proxy.legs import Leg
from proxy.protocol.desks import Desk
from proxy.protocol.effects import Asked, AskedReply, Counted, Effect, Instant, ToCharger, ToCsms
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side
from proxy.protocol.frames import is_reply
from proxy.protocol.interception import Answered, Order, Release
from proxy.protocol.relay import Relay
from proxy.protocol.replay import SLOT
from proxy.short_way import ShortWay
from proxy.surroundings import Surroundings
from proxy.waking import Alarm

_log = structlog.get_logger()

_THOUGHTS: Final = (Call, Exchange, OwnOutcome)
_DURABLE_S: Final = 10.0
"""So long an answer waits for the disk: the CSMS still hears it before its CALL is let pass unchanged."""
_NOT_DURABLE: Final = Answered(b'["InternalError","It could not be written to disk; send it again.",{}]', ok=False)
_MOST_ORDERS = 256
"""How many orders one occasion may bring forth: a desk that answers every outcome with a new CALL ends here."""


class Link:
    """Two legs, bound to each other: where one ends the other is closed [OCPP 2.0.1 part 4, 6.3]. With a `hold` the
    charger's stays while the CSMS's is gone (`HeldLink`).
    """

    def __init__(
        self,
        charger: ChargerId,
        version: OcppVersion,
        legs: tuple[Leg, Leg | None],
        relay: Relay,
        desk: Desk,
        around: Surroundings,
        hold: Hold | None = None,
        fan_out: FanOut | None = None,
    ) -> None:
        self.charger, self.version = charger, version
        self.since = around.clock.now()
        self._to_charger, self._to_csms = legs
        self._relay, self._around, self._hold, self._fan_out = relay, around, hold, fan_out
        self._stands_in = False
        self._desk = Deskwork(charger, desk, around.clock, around.publish, around.counters)
        self._heard = desk.heard
        self._is_plain = hold is None and fan_out is None
        self._counters, self._latency = around.counters, around.counters.relay_latency
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = Alarm(around.clock, self._alarmed)
        self._thoughts: deque[Thought] = deque()
        self._short = ShortWay(relay, desk.heard, self._counters, self._thoughts)
        self._saving: set[asyncio.Task[None]] = set()
        self._pressing = False
        self._csms_paused = False
        self._replaced = False
        self._over = False

    # What the server calls.

    def start(self) -> None:
        """Both sides have agreed: tell it, let the desk speak, and relay what has already come."""
        self._around.afterthoughts.run()  # an older link of this charger may have left some for its desk
        self._desk.publish(ChargerConnected(self.charger, self.since, self.version))
        self._obey(self._desk.connected())
        self._catch_up()
        if self._hold is not None:
            self._hold.start(self, self._to_csms)
        for leg in reversed(self._legs):
            leg.bind(self)

    @property
    def csms_away(self) -> bool:
        """Whether the charger goes on without its CSMS."""
        return self._to_csms is None

    @property
    def silent_s(self) -> float:
        """How long the charger has said nothing."""
        return self._loop.time() - self._to_charger.heard_s

    def apply(self, command: ApplySetpoint) -> None:
        """Bring a limit to the charger when it is its turn."""
        self._catch_up()
        self._obey(self._desk.apply(command))
        self._catch_up()

    def close(self, code: int, reason: str, *, replaced: bool = False) -> None:
        """Close both legs. A link that was replaced by a newer one says nothing of its end."""
        self._replaced = self._replaced or replaced
        for leg in self._legs:
            leg.close(code, reason)

    def check_life(self, ping_s: float, dead_s: float) -> None:
        """Ping a silent peer; give one up that used to answer pings. Any byte is a sign of life."""
        now_s = self._loop.time()
        for leg in self._legs:
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
        put_off = bool(self._thoughts)
        latency = self._latency
        latency.left -= 1
        if latency.left:
            self._relay_all(leg, messages)
        else:
            mono = self._around.mono
            begun_s = mono()
            self._relay_all(leg, messages)
            latency.took(mono() - begun_s)
        self._think_later(put_off)

    def _relay_all(self, leg: Leg, messages: list[bytes]) -> None:
        now = self._around.moments.now()
        if leg is self._to_charger:
            if len(messages) > 1 or not self._is_plain or not self._short.up(messages[0], now, self._to_csms):
                self._relay_each(self._relay.from_charger, messages, now)
        elif leg is self._to_csms:
            if self._hold is not None:
                messages = self._hold.down(messages)
            if len(messages) != 1 or not self._is_plain or not self._short.down(messages[0], now, self._to_charger):
                self._relay_each(self._relay.from_csms, messages, now)

    def _relay_each(self, relay: Callable[[bytes, Instant], list[Effect]], messages: list[bytes], now: Instant) -> None:
        for raw in messages:
            self._carry_out(relay(raw, now))
        self._settle()

    def _think_later(self, put_off: bool) -> None:
        """Tell the desk once all links have relayed what has come; `put_off`: that was ordered before."""
        if self._pressing:
            self._catch_up()
        elif self._thoughts and not put_off:
            self._around.afterthoughts.add(self._catch_up)

    def leg_ended(self, leg: Leg, ending: Ending) -> None:
        """One side is gone: so is the pair, unless it is the CSMS's and somebody stands in for that."""
        charger_left = leg is self._to_charger
        if self._over or (not charger_left and leg is not self._to_csms):
            return
        if not charger_left and self._hold is not None and not self._to_charger.has_ended:
            self._lose_csms(self._hold, ending)
            return
        self._over = True
        if self._hold is not None:
            self._hold.end()
        if self._fan_out is not None:
            self._fan_out.end()
        for other in self._legs:
            if other is not leg:
                other.close(ending.code, ending.reason)
        if self._timer is not None:
            self._timer.cancel()
        self._alarm.cancel()
        gone = self._relay.charger_gone if charger_left else self._relay.csms_gone
        self._carry_out(gone(self._now()))
        self._catch_up()
        side = "charger" if charger_left else "CSMS"
        why = f"{side}: {ending.reason or f'closed with {ending.code}'}"
        if not self._replaced:
            self._desk.publish(ChargerDisconnected(self.charger, self._around.clock.now(), why))
        _log.info("charger_disconnected", charger=self.charger, why=why, replaced=self._replaced)
        self._around.on_over(self)

    def leg_full(self, leg: Leg, full: bool) -> None:
        """A charger that takes no more makes the CSMS wait. The charger is read always: replies to our own CALLs come
        from there, whatever the CSMS does.
        """
        if leg is not self._to_charger or self._over:
            return
        self._csms_paused = full
        if self._to_csms is None:
            return
        if full:
            self._to_csms.pause_reading()
        else:
            self._to_csms.resume_reading()

    # What the hold calls.

    def csms_says(self, messages: list[bytes]) -> None:
        """Relay answers that were given in the CSMS's place."""
        if not self._over:
            put_off = bool(self._thoughts)
            self._stands_in = True
            self._relay_each(self._relay.from_csms, messages, self._around.moments.now())
            self._stands_in = False
            self._think_later(put_off)

    def inject(self, call: OwnCall) -> None:
        """Send a CALL of ours when it is its turn."""
        self._obey((call,))
        self._catch_up()

    def attach(self, leg: Leg) -> None:
        """The CSMS is back on this leg."""
        if self._to_charger.recording is not None:
            leg.record(self._to_charger.recording)
        self._to_csms = leg
        if self._csms_paused:
            leg.pause_reading()
        leg.bind(self)

    def drop_csms(self, why: str) -> None:
        """The CSMS is of no use: as if its socket were gone."""
        if self._to_csms is not None:
            self._to_csms.give_up(why)

    def publish(self, event: Event) -> None:
        """Tell an event."""
        self._desk.publish(event)

    def _lose_csms(self, hold: Hold, ending: Ending) -> None:
        self._to_csms = None
        self._carry_out(self._relay.csms_away(self._now()))
        hold.csms_lost(ending.reason or f"closed with {ending.code}")
        self._settle()
        self._catch_up()

    # Inside.

    @property
    def _legs(self) -> tuple[Leg, ...]:
        return (self._to_charger,) if self._to_csms is None else (self._to_charger, self._to_csms)

    def _now(self) -> Instant:
        return self._around.moments.now()

    def _carry_out(self, effects: list[Effect]) -> None:
        """Write what is to be written; keep for later what is to be thought about; ask the desk where it intercepts."""
        counters = self._counters
        for effect in effects:  # grows where the desk is asked
            if type(effect) is ToCsms:
                self._send_up(effect)
            elif type(effect) is ToCharger:
                if not self._to_charger.send(effect.raw):
                    counters.dropped += 1
                elif effect.ours:
                    counters.injected += 1
                else:
                    counters.to_charger += 1
                    if self._fan_out is not None:
                        self._copy_reply(self._fan_out, effect.raw)
            elif isinstance(effect, _THOUGHTS):
                self._note(effect)
            elif type(effect) is Counted:
                counters.add(effect.kind)
            else:
                assert isinstance(effect, Asked | AskedReply)
                place = next(place for place, other in enumerate(effects, 1) if other is effect)
                effects[place:place] = self._intercept(effect)

    def _note(self, thought: Thought) -> None:
        """To be thought about, soon where it is about a CALL of ours."""
        if self._heard.takes(thought):
            self._thoughts.append(thought)
        if type(thought) is OwnOutcome:
            self._pressing = True
        elif self._hold is not None and type(thought) is Exchange and thought.call.origin is Side.CHARGER:
            self._hold.replied(thought)

    def _copy_reply(self, fan_out: FanOut, raw: bytes) -> None:
        """The second reader sees the CSMS's replies, not its CALLs, and not what was said in its place."""
        if not self._stands_in and is_reply(raw):
            fan_out.copy(raw)

    def _send_up(self, effect: ToCsms) -> None:
        raw, ours = effect.raw, effect.ours
        if self._fan_out is not None and not ours:
            self._fan_out.copy(raw)
        if self._hold is not None:
            sent = self._hold.up(raw, ours)
        else:
            sent = self._to_csms is not None and self._to_csms.send(raw)
        if not sent:
            self._counters.dropped += 1
        elif ours:
            self._counters.injected_up += 1
        else:
            self._counters.to_csms += 1

    def _settle(self) -> None:
        """Hand what was written to the sockets, and wake when time is to do something."""
        if self._to_csms is not None:
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
        self._obey(self._desk.tick())
        self._catch_up()

    def _intercept(self, effect: Asked | AskedReply) -> list[Effect]:
        """Ask the desk, which has to know all that came before."""
        self._catch_up()
        if isinstance(effect, AskedReply):
            return self._relay.pass_reply(effect, self._desk.on_reply(effect), self._now())
        verdict, orders = self._desk.on_intercepted(effect)
        self._obey(orders)
        return self._relay.decide(effect.call.origin, effect.call.call_id, verdict, self._now())

    def _obey(self, orders: Sequence[Order]) -> None:
        """Carry out what the desk wants; what that tells is to be thought about by the caller."""
        if not orders or self._over:
            return
        for order in orders:
            if isinstance(order, OwnCall):
                if order.towards is Side.CSMS and self._to_csms is None:
                    self._thoughts.append(OwnOutcome(order, "lost", self._around.clock.now()))
                    continue
                self._carry_out(self._relay.inject(order, self._now()))
            elif isinstance(order, Release) and order.durable and self._around.durable is not None:
                task = self._loop.create_task(self._once_durable(order, self._around.durable), name="answer to a CSMS")
                self._saving.add(task)
                task.add_done_callback(self._saving.discard)
            elif isinstance(order, Release):
                self._carry_out(self._relay.decide(order.side, order.call_id, order.verdict, self._now()))
            else:
                self._alarm.set(order.at)
        self._settle()

    async def _once_durable(self, order: Release, durable: Callable[[], Awaitable[None]]) -> None:
        """Let a CALL go when what is said of it would survive a crash; else it is answered with an error."""
        try:
            async with asyncio.timeout(_DURABLE_S):
                await durable()
        except Exception as error:  # whatever went wrong, it is not durable
            _log.error("answer_withheld", charger=self.charger, why="it could not be made durable", error=str(error))
            order = replace(order, verdict=_NOT_DURABLE)
        self._obey((replace(order, durable=False),))
        self._catch_up()

    def _catch_up(self) -> None:
        """Tell the desk what has already been relayed; what it wants to send may bring more to tell."""
        done = 0
        thoughts = self._thoughts
        while thoughts:  # grows on the way
            if orders := self._think(thoughts.popleft()):
                done += len(orders)
                if done > _MOST_ORDERS:
                    self._desk.failed("endless")
                else:
                    self._obey(orders)
        self._pressing = False

    def _think(self, thought: Thought) -> Sequence[Order]:
        if self._hold is not None and type(thought) is OwnOutcome and thought.call.slot == SLOT:
            self._hold.on_outcome(thought)
            return ()
        return self._desk.think(thought, self._around.mono)
