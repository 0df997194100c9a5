"""Asking a desk, whose faults are its own: they are counted and logged, and the relay goes on."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from domain.commands import ApplySetpoint
from domain.events import Event, SetpointRefused
from domain.ids import ChargerId
from domain.ports import Clock
from proxy.protocol.desks import Desk
from proxy.protocol.effects import Asked, AskedReply
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome
from proxy.protocol.interception import Answered, Order, Release, Verdict, WakeUp
from proxy.settings import Counters

_log = structlog.get_logger()

Thought = Call | Exchange | OwnOutcome
_ORDERS = (OwnCall, Release, WakeUp)


class Deskwork:
    """One link's desk: events that it makes are published, and what it wants done is returned."""

    def __init__(
        self, charger: ChargerId, desk: Desk, clock: Clock, publish: Callable[[Event], None], counters: Counters
    ) -> None:
        self._charger, self._desk, self._clock = charger, desk, clock
        self._publish_it, self._counters = publish, counters

    def connected(self) -> Sequence[Order]:
        """A new socket is relayed."""
        try:
            return self._desk.connected(self._clock.now())
        except Exception:
            self.failed("connected")
            return ()

    def apply(self, command: ApplySetpoint) -> Sequence[Order]:
        """A limit is wanted; one that the desk fails on is refused."""
        try:
            return self._desk.apply(command)
        except Exception as error:
            self.failed("apply")
            self.publish(refused(command, self._clock, f"{type(error).__name__}: {error}"))
            return ()

    def tick(self) -> Sequence[Order]:
        """An instant that it has asked for."""
        said: Sequence[Event | Order] = ()
        try:
            said = self._desk.tick(self._clock.now())
        except Exception:
            self.failed("tick")
        return self._tell(said)

    def on_intercepted(self, asked: Asked) -> tuple[Verdict | None, Sequence[Order]]:
        """What becomes of a CALL."""
        try:
            return self._desk.on_intercepted(asked.call)
        except Exception:
            self.failed("on_intercepted")
            return None, ()

    def on_reply(self, asked: AskedReply) -> Answered | None:
        """What becomes of a reply."""
        try:
            return self._desk.on_reply(asked.call, asked.ok, asked.payload)
        except Exception:
            self.failed("on_reply")
            return None

    def think(self, thought: Thought, mono: Callable[[], float]) -> Sequence[Order]:
        """It is told what was relayed."""
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
                    thought = replace(thought, mono_s=mono())
                said, orders = self._desk.on_outcome(thought)
        except Exception:
            self.failed(type(thought).__name__)
        if not said:
            return orders
        told = self._tell(said)
        return [*told, *orders] if orders else told

    def failed(self, occasion: str) -> None:
        """Count and log a fault."""
        self._counters.desk_errors += 1
        _log.exception("desk_failed", charger=self._charger, occasion=occasion)

    def publish(self, event: Event) -> None:
        """Tell an event."""
        try:
            self._publish_it(event)
        except Exception:
            self.failed(f"publishing {type(event).__name__}")

    def _tell(self, said: Sequence[Event | Order]) -> list[Order]:
        """Publish the events and return the orders."""
        orders: list[Order] = []
        for item in said:
            if isinstance(item, _ORDERS):
                orders.append(item)
            else:
                self.publish(item)
        return orders


def refused(command: ApplySetpoint, clock: Clock, why: str) -> SetpointRefused:
    """A limit that did not even get on its way."""
    return SetpointRefused(command.evse, clock.now(), command.limit_a, command.decision, why)
