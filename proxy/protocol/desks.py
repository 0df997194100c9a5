"""What thinks about a charger, as its link sees it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.commands import ApplySetpoint
from domain.events import Event
from proxy.protocol.exchange import Call, Exchange, OwnOutcome
from proxy.protocol.interception import Heard, Interceptor, Order


class Desk(Interceptor, Protocol):
    """What thinks about one charger, across its reconnects: told of everything after it was relayed, and asked before
    where it intercepts.

    Pure and synchronous. Whatever it raises is counted by the link and never touches a relayed frame; the events and
    orders of that one step are then lost. Events are published before the orders of the same step are carried out.
    """

    @property
    def heard(self) -> Heard:
        """What of the charger's it wants to be told of; the same for as long as it lives. The rest costs nothing."""
        ...

    def connected(self, now: datetime) -> Sequence[Order]:
        """A new socket is relayed: what to inject first. What was in flight on an older socket is lost."""
        ...

    def on_call(self, call: Call) -> Sequence[Event | Order]:
        """A CALL or SEND was forwarded, in either direction, or answered by us."""
        ...

    def on_exchange(self, exchange: Exchange) -> Sequence[Event | Order]:
        """A CALL's reply was forwarded, or given by us."""
        ...

    def apply(self, command: ApplySetpoint) -> Sequence[Order]:
        """Turn a wanted limit into what to inject."""
        ...

    def on_outcome(self, outcome: OwnOutcome) -> tuple[Sequence[Event], Sequence[Order]]:
        """An injected CALL was sent, answered or given up: what that means, and what to do next."""
        ...

    def tick(self, now: datetime) -> Sequence[Event | Order]:
        """The instant of a `WakeUp` has come, or just passed."""
        ...
