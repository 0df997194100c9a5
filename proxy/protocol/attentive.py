"""A desk around another that gets to know the charger: asks what it says of itself, and whether it holds its limits.

Everything goes to the inner desk unchanged. What is added: own questions (never urgent, one at a time, some seconds
after a connection has calmed down), the verdict of the charger's composite schedule on each acknowledged set-point,
measurements where the charger reports too few (`metering_asks`), and `QuirksLearned` whenever the charger has shown
something new. What is known from earlier, from other chargers of the
model or from a person is put into the inner desk's ladder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from domain.commands import ApplySetpoint
from domain.events import (
    ChargerBooted,
    Event,
    EvseMetered,
    OcppVersion,
    QuirksLearned,
    SessionEnded,
    SessionStarted,
    SetpointAccepted,
)
from domain.quirks import UNKNOWN, Feedback, KnownQuirks, Model, Phases, Quirks
from domain.site import Charger
from proxy.protocol.capability import Capability
from proxy.protocol.desks import Desk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side
from proxy.protocol.interception import Answered, Order, Release, Rewritten, Verdict, Waits, WakeUp
from proxy.protocol.metering_asks import Ask, MeteringAsks, quirks_of, view_of
from proxy.protocol.probe import Probe
from proxy.protocol.verification import Verification

CALM_S = 10.0
"""How long a charger is left in peace after it has connected or booted."""


class LadderDesk(Desk, Protocol):
    """A desk that brings limits to a charger, on a rung that can be read and set."""

    capability: Capability

    def knows(self, quirks: Quirks) -> None:
        """Told of what is known besides the rung."""
        ...

    @property
    def running(self) -> Mapping[int, str]:
        """The transactions that run, per connector."""
        ...


class AttentiveDesk:
    """One charger's (a `Desk`). `known` is where its record is looked up; `new_token` gives tokens of own questions."""

    def __init__(
        self,
        inner: LadderDesk,
        charger: Charger,
        version: OcppVersion,
        new_token: Callable[[], str],
        known: KnownQuirks,
        line_to_line_v: float = 208.0,
        ask: Ask = "auto",
    ) -> None:
        self.inner, self.charger, self._known = inner, charger, known
        self.heard = inner.heard
        self._model: Model | None = known.model_of(charger.id)
        self._quirks: Quirks = known.of_charger(charger.id)
        self._shown: Quirks = UNKNOWN
        self._probe = Probe(version, new_token)
        self._probe_at: datetime | None = None
        self._verification = Verification(charger, version, new_token, line_to_line_v)
        self._verification.verdict = self._quirks.schedule
        self._view = view_of(version, self._quirks)
        self._asks = MeteringAsks(charger, version, new_token, self._view, ask)
        self._woken_at: datetime | None = None
        self._adopt(self._quirks)
        self._looked_at: tuple[Capability, Feedback | None, Quirks] | None
        self._looked_at = (inner.capability, self._quirks.schedule, UNKNOWN)

    # What the link calls.

    def connected(self, now: datetime) -> Sequence[Order]:
        """A new socket: the inner desk's limits first, questions when it has calmed down."""
        self._adopt_news()
        self._woken_at = None
        self._verification.connected()
        self._asks.connected(now)
        for connector in self.inner.running:
            self._asks.session(connector, now, runs=True)
        if self._quirks.probed_at is None:
            self._probe_at = now + timedelta(seconds=CALM_S)
        return [*self.inner.connected(now), *self._asks.give_back(), *self._wake()]

    def on_call(self, call: Call) -> Sequence[Event | Order]:
        """See `Desk`."""
        return self._attend(self.inner.on_call(call), call.at)

    def on_exchange(self, exchange: Exchange) -> Sequence[Event | Order]:
        """See `Desk`."""
        if self._view.differs or exchange.call.action == "TriggerMessage":
            self._view.on_exchange(exchange)
            return self._attend(self.inner.on_exchange(exchange), exchange.at)
        told = self.inner.on_exchange(exchange)
        return self._attend(told, exchange.at) if told else told

    def apply(self, command: ApplySetpoint) -> Sequence[Order]:
        """See `Desk`; what a person has written meanwhile counts from now on."""
        self._adopt_news()
        return self.inner.apply(command)

    def on_outcome(self, outcome: OwnOutcome) -> tuple[Sequence[Event], Sequence[Order]]:
        """See `Desk`."""
        events, orders = self.inner.on_outcome(outcome)
        questions = [*self._probe.on_outcome(outcome), *self._asks.on_outcome(outcome)]
        self._take_probe(outcome.at)
        verdicts = self._verification.on_outcome(outcome)
        both = self._attend([*events, *verdicts, *orders, *questions], outcome.at)
        return (
            [one for one in both if not isinstance(one, OwnCall | Release | WakeUp)],
            [one for one in both if isinstance(one, OwnCall | Release | WakeUp)],
        )

    def tick(self, now: datetime) -> Sequence[Event | Order]:
        """See `Desk`; the time for questions may have come."""
        self._woken_at = None
        own = [*self._verification.pass_time(now), *self._asks.pass_time(now)]
        found: list[Event | Order] = [*self.inner.tick(now), *own]
        if self._probe_at is not None and now >= self._probe_at:
            self._probe_at = None
            found += self._probe.begin()
        return self._attend(found, now)

    def intercepts(self, side: Side, action: str) -> bool:
        """See `Interceptor`."""
        return self._view.intercepts(side, action) or self.inner.intercepts(side, action)

    def on_intercepted(self, call: Call) -> tuple[Verdict | None, Sequence[Order]]:
        """See `Interceptor`; the inner desk's word first."""
        verdict: Verdict | None = None
        orders: Sequence[Order] = ()
        if self.inner.intercepts(call.origin, call.action):
            verdict, orders = self.inner.on_intercepted(call)
        if not self._view.intercepts(call.origin, call.action) or isinstance(verdict, Answered | Waits):
            return verdict, orders
        if call.action == "MeterValues":
            return self._view.on_meter_values(call) or verdict, orders
        payload = verdict.payload if isinstance(verdict, Rewritten) else call.payload
        return self._view.on_write(payload) or verdict, orders

    def on_reply(self, call: Call, ok: bool, payload: bytes) -> Answered | None:
        """See `Interceptor`; the inner desk's word first."""
        answered = None
        if self.inner.intercepts(call.origin, call.action):
            answered = self.inner.on_reply(call, ok, payload)
        if call.action not in ("GetConfiguration", "GetVariables") or not self._view.differs:
            return answered
        if not (ok if answered is None else answered.ok):
            return answered
        own = self._view.on_read(payload if answered is None else answered.payload)
        return answered if own is None else Answered(own)

    # Inside.

    def _attend(self, told: Sequence[Event | Order], now: datetime) -> Sequence[Event | Order]:
        """What the inner desk told, and what that leads to."""
        if len(told) == 1 and type(told[0]) is EvseMetered:
            return self._measured(told, told[0], now)
        found = [*told]
        for one in told:
            if isinstance(one, SetpointAccepted):
                found += self._verification.accepted(one)
            elif isinstance(one, EvseMetered):
                self._see_phases(one)
                self._asks.metered(one)
            elif isinstance(one, SessionStarted | SessionEnded) and one.connector is not None:
                self._asks.session(one.connector, now, runs=isinstance(one, SessionStarted))
            elif isinstance(one, ChargerBooted) and one.accepted:
                self._met(Model(*map(_printable, (one.vendor, one.model, one.firmware or ""))), now)
        return [*found, *self._news(now), *self._wake()]

    def _measured(self, told: Sequence[Event | Order], event: EvseMetered, now: datetime) -> Sequence[Event | Order]:
        """What chargers say most often. It only puts off when we ask, so that a wake-up that is ordered is in time."""
        self._see_phases(event)
        self._asks.metered(event)
        news = self._news(now)
        return told if not news and self._woken_at is not None else [*told, *news, *self._wake()]

    def _met(self, model: Model, now: datetime) -> None:
        """It booted. As another model or firmware than before, it is a stranger with that model's record."""
        if model == self._model:
            return
        if self._model is not None:
            self._shown = UNKNOWN
        self._model, self._looked_at = model, None
        self._quirks = self._known.as_model(self.charger.id, model)
        if not self.inner.capability.proven:
            self._adopt(self._quirks)
        self._verification.renewed()
        self._verification.verdict = self._quirks.schedule
        self._probe_at = now + timedelta(seconds=CALM_S)

    def _adopt_news(self) -> None:
        """A person, or another charger of the model, has said something meanwhile."""
        quirks = self._known.of_charger(self.charger.id)
        if quirks is not self._quirks and self._known.model_of(self.charger.id) == self._model:
            self._quirks = quirks
            self._adopt(quirks)

    def _adopt(self, quirks: Quirks) -> None:
        capability = self.inner.capability.adopting(quirks)
        if capability.mode == "cap" and len(self.charger.evses) > 1:
            capability = replace(capability, mode="tx")  # several EVSEs need limits of their own
        self.inner.capability = capability
        self.inner.knows(quirks)
        self._verification.unit = capability.unit

    def _take_probe(self, now: datetime) -> None:
        """The charger has said all that it says."""
        found = self._probe.found
        if not self._probe.done or not found:
            return
        self._shown = replace(self._shown, **found, probed_at=now)
        self._probe.found = {}
        self.inner.knows(self._shown)
        capability = self.inner.capability
        if not capability.proven:
            told = Quirks(rate_units=self._shown.rate_units)
            self._adopt(replace(told, unit=self._quirks.unit))
        if self._shown.max_level is not None:
            self.inner.capability = self.inner.capability.told_max_level(self._shown.max_level)

    def _see_phases(self, metered: EvseMetered) -> None:
        sample, known = metered.sample, self._shown.phases
        if sample.line_a:
            told: Phases = "lines"
        else:
            told = known if known in ("lines", "overall") else "none" if sample.current_a is None else "overall"
        if told != known:
            self._shown = replace(self._shown, phases=told)

    def _news(self, now: datetime) -> list[Event]:
        """What the charger has shown since the last time. A rung counts once something was accepted on it."""
        capability, verdict, shown = self.inner.capability, self._verification.verdict, self._shown
        if self._view.differs or self._quirks.csms_interval_s is not None:
            shown = self._with_view(shown)
        before = self._looked_at
        if before is not None and capability is before[0] and verdict == before[1] and shown is before[2]:
            return []
        if capability.proven:
            shown = replace(shown, **capability.shown())
        if verdict is not None:
            shown = replace(shown, schedule=verdict)
        is_news = before is None or shown != before[2]
        self._shown, self._looked_at = shown, (capability, verdict, shown)
        return [QuirksLearned(self.charger.id, now, shown, self._model)] if is_news else []

    def _with_view(self, shown: Quirks) -> Quirks:
        """With what a restart must know of the charger's settings."""
        told = quirks_of(self._view)
        if all(getattr(shown, name) == value for name, value in told.items()):
            return shown
        self._shown = replace(shown, **told)
        return self._shown

    def _wake(self) -> list[Order]:
        due = [at for at in (self._probe_at, self._verification.due_at, self._asks.due_at) if at is not None]
        at = min(due, default=None)
        if at is None or (self._woken_at is not None and self._woken_at <= at):
            return []
        self._woken_at = at
        return [WakeUp(at)]


def _printable(text: str) -> str:
    """A peer's text as it can be kept and shown."""
    return "".join(sign for sign in text if sign.isprintable())
