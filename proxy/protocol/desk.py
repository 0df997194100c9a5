"""One charger's meaning: its messages become events, set-points become calls, outcomes become events again."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.commands import ApplySetpoint
from domain.events import CsmsCommandWithheld, Event, EvseMetered, OcppVersion
from domain.quirks import Quirks
from domain.site import Charger
from proxy.protocol.capability import Capability
from proxy.protocol.charger_clock import ChargerClock
from proxy.protocol.cut_off import CutOffGuard, describe
from proxy.protocol.exchange import Call, Exchange, OwnOutcome, Side
from proxy.protocol.interception import Answered, Heard, Order, Verdict, WakeUp
from proxy.protocol.policy import INTERCEPTED
from proxy.protocol.smart_charging import TELLING, SmartCharging
from proxy.protocol.transactions import Transactions
from proxy.protocol.translate16 import Translator16
from proxy.protocol.translate201 import Translator201

Wants = list[Event | Order]


class ChargerDesk:
    """The glue of translator and smart charging for one charger, across its reconnects (a `Desk`).

    `new_token` gives unique tokens for own calls. `transactions` are the sessions known to run, per connector;
    `capability` what earlier runs learnt; `csms_profiles` the CSMS's profiles as an earlier run told them.
    `line_to_line_v` is the supply's nominal voltage; `notify_limits`: the CSMS wants to hear of our limits (2.x).
    """

    def __init__(
        self,
        charger: Charger,
        version: OcppVersion,
        new_token: Callable[[], str],
        *,
        transactions: Mapping[int, str] | None = None,
        line_to_line_v: float = 208.0,
        capability: Capability | None = None,
        csms_profiles: Sequence[Mapping[str, Any]] = (),
        notify_limits: bool = False,
    ) -> None:
        self.charger, self.version = charger, version
        self.counts: Counter[str] = Counter()
        self.clock = ChargerClock()
        self.guard = CutOffGuard(version)
        self._transactions = Transactions(transactions)
        translator = Translator16 if version == "ocpp1.6" else Translator201
        self._translator = translator(charger, line_to_line_v, self._transactions, self.clock, self.counts)
        self.charging = SmartCharging(
            charger,
            version,
            new_token,
            self.clock,
            self._transactions,
            line_to_line_v=line_to_line_v,
            capability=capability or Capability(),
            stored=csms_profiles,
            notify_limits=notify_limits,
        )
        self._intercepted = _intercepted(version, self.guard, self.charging)
        self.heard = Heard(frozenset(self._translator.at_call) | TELLING, frozenset(self._translator.at_exchange))
        self._withheld: list[Event] = []
        self._wakes_at: datetime | None = None

    @property
    def capability(self) -> Capability:
        """What the charger turned out to accept of charging profiles: to be kept for the next run."""
        return self.charging.profiles.capability

    @capability.setter
    def capability(self, known: Capability) -> None:
        self.charging.profiles.capability = known

    def knows(self, quirks: Quirks) -> None:
        """How many profiles and periods the charger keeps, where it has not been told here.

        In 2.x the number that a station is asked for is how many it has, not how many it keeps.
        """
        self.charging.features.known(quirks.max_profiles if self.version == "ocpp1.6" else None, quirks.max_periods)

    @property
    def running(self) -> Mapping[int, str]:
        """The transactions that run, per connector: what `transactions` takes at the next start."""
        found = {evse.connector: self._transactions.at(evse.connector) for evse in self.charger.evses}
        return {connector: running.transaction_id for connector, running in found.items() if running is not None}

    # Before frames go.

    def intercepts(self, side: Side, action: str) -> bool:
        """Whether CALLs of this action, or the replies to them, may have to be changed."""
        return (side, action) in self._intercepted

    def on_intercepted(self, call: Call) -> tuple[Verdict | None, Sequence[Order]]:
        """What becomes of a CALL of an intercepted action."""
        if self.guard.intercepts(call.origin, call.action):
            ruling = self.guard.rule(call)
            if ruling is None:
                return None, ()
            self._withheld += [
                CsmsCommandWithheld(self.charger.id, call.at, call.action, why) for why in describe(ruling.refusals)
            ]
            return ruling.verdict, ()
        verdict, orders = self.charging.on_intercepted(call)
        return verdict, [*orders, *self._wake()]

    def on_reply(self, call: Call, ok: bool, payload: bytes) -> Answered | None:
        """What is answered instead of what the peer did."""
        if self.guard.intercepts(call.origin, call.action):
            return self.guard.on_reply(call, ok, payload)
        return self.charging.on_reply(call, ok, payload)

    # After they went.

    def connected(self, now: datetime) -> Sequence[Order]:  # noqa: ARG002 (the `Desk` protocol's; a fall-back needs no clock)
        """A new socket is relayed: first the fall-backs, so that no EVSE is without a limit."""
        self._translator.connected()
        self._wakes_at = None
        return [*self.charging.connected(), *self._wake()]

    def on_call(self, call: Call) -> Sequence[Event | Order]:
        """What a charger's message tells by itself; nothing for what is not read."""
        reader = self._translator.at_call.get(call.action) if call.origin is Side.CHARGER else None
        if reader is not None and not self._withheld:
            return self._follow(reader(call), call.at)
        wants, self._withheld = [*self._withheld], []
        if reader is None:
            heard = self.charging.on_charger(call) if call.origin is Side.CHARGER else []
            return [*wants, *heard, *self._wake()]
        return [*wants, *self._follow(reader(call), call.at)]

    def on_exchange(self, exchange: Exchange) -> Sequence[Event | Order]:
        """What a message and its reply tell together; nothing for what is not read."""
        call = exchange.call
        if call.origin is Side.CSMS:
            self.guard.observe(exchange)
            return [*self.charging.on_exchange(exchange), *self._wake()]
        reader = self._translator.at_exchange.get(call.action)
        return [] if reader is None else self._follow(reader(exchange), exchange.at)

    def apply(self, command: ApplySetpoint) -> Sequence[Order]:
        """The calls for a set-point, in sending order; `UnknownIdError` for an EVSE of another charger."""
        return [*self.charging.profiles.apply(command), *self._wake()]

    def on_outcome(self, outcome: OwnOutcome) -> tuple[Sequence[Event], Sequence[Order]]:
        """An injected call was sent, answered or given up: what that means, and what to do next."""
        wants = self.charging.on_outcome(outcome)
        events = [want for want in wants if not isinstance(want, Order)]
        return events, [*(want for want in wants if isinstance(want, Order)), *self._wake()]

    def tick(self, now: datetime) -> Sequence[Event | Order]:
        """The instant of a `WakeUp` has come."""
        self._wakes_at = None
        return [*self.charging.tick(now), *self._wake()]

    def _follow(self, events: list[Event] | None, at: datetime) -> Wants:
        """What other parts of the desk make of the events, and limits of the CSMS that lead from now on."""
        if events is None:
            self.counts["unreadable"] += 1
            return []
        is_common = not events or (len(events) == 1 and type(events[0]) is EvseMetered)
        if is_common and not self.charging.has_news(at):
            return [*events]  # what chargers say most often changes nothing else
        return [*events, *self.charging.follow(events, at), *self._wake()]

    def _wake(self) -> list[WakeUp]:
        """To be woken, where nobody was asked to do so early enough."""
        due_at = self.charging.due_at
        if due_at is None or (self._wakes_at is not None and self._wakes_at <= due_at):
            return []
        self._wakes_at = due_at
        return [WakeUp(due_at)]


_Frames = frozenset[tuple[Side, str]]
_of_version: dict[OcppVersion, _Frames] = {}


def _intercepted(version: OcppVersion, guard: CutOffGuard, charging: SmartCharging) -> _Frames:
    """The sides and actions that are intercepted: the same for all chargers of a version."""
    found = _of_version.get(version)
    if found is None:
        found = _of_version[version] = frozenset(
            (side, action)
            for side in Side
            for action in INTERCEPTED
            if guard.intercepts(side, action) or charging.intercepts(side, action)
        )
    return found
