"""One charger's meaning: its messages become events, set-points become calls, outcomes become events again."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from domain.commands import ApplySetpoint
from domain.events import ChargerBooted, Event, OcppVersion, SessionEnded, SessionStarted
from domain.site import Charger
from proxy.protocol.capability import Capability
from proxy.protocol.charger_clock import ChargerClock
from proxy.protocol.csms_profiles import CsmsProfiles
from proxy.protocol.dialects import dialect_of
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side
from proxy.protocol.interception import PassesAll
from proxy.protocol.profiles import Profiles
from proxy.protocol.reading import OfExchange, of_exchange
from proxy.protocol.tolerant import Json, as_int, as_object, as_objects, read_object
from proxy.protocol.transactions import Transactions
from proxy.protocol.translate16 import Translator16
from proxy.protocol.translate201 import Translator201


class ChargerDesk(PassesAll):
    """The glue of translator, CSMS profiles and own profiles for one charger, across its reconnects (a `Desk`).

    `new_token` gives unique tokens for own calls. `transactions` are the sessions known to run, per connector;
    `capability` what earlier runs learnt. `line_to_line_v` is the supply's nominal voltage.
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
    ) -> None:
        self.charger, self.version = charger, version
        self.counts: Counter[str] = Counter()
        self.clock = ChargerClock()
        self._transactions = Transactions(transactions)
        self._dialect = dialect_of(version)
        translator = Translator16 if version == "ocpp1.6" else Translator201
        self._translator = translator(charger, line_to_line_v, self._transactions, self.clock, self.counts)
        self._csms = CsmsProfiles(charger, line_to_line_v, self._transactions, self.clock)
        self._profiles = Profiles(
            charger, self._dialect, new_token, self.clock, self._transactions, capability or Capability()
        )
        self._from_csms: dict[str, OfExchange] = {
            "SetChargingProfile": of_exchange(read_object, self._csms_set),
            "ClearChargingProfile": of_exchange(read_object, self._csms_cleared),
            self._dialect.remote_start: of_exchange(read_object, self._csms_remote_start),
            "GetConfiguration": of_exchange(read_object, self._csms_read_keys),
            "GetVariables": of_exchange(read_object, self._csms_read_variables),
        }

    @property
    def capability(self) -> Capability:
        """What the charger turned out to accept of charging profiles: to be kept for the next run."""
        return self._profiles.capability

    @property
    def running(self) -> Mapping[int, str]:
        """The transactions that run, per connector: what `transactions` takes at the next start."""
        found = {evse.connector: self._transactions.at(evse.connector) for evse in self.charger.evses}
        return {connector: running.transaction_id for connector, running in found.items() if running is not None}

    def connected(self, now: datetime) -> list[OwnCall]:  # noqa: ARG002 (the `Desk` protocol's; a fall-back needs no clock)
        """A new socket is relayed: first the fall-backs, so that no EVSE is without a limit."""
        self._translator.connected()
        return self._profiles.connected()

    def on_call(self, call: Call) -> list[Event]:
        """What a charger's message tells by itself; nothing for what is not read."""
        reader = self._translator.at_call.get(call.action) if call.origin is Side.CHARGER else None
        return [] if reader is None else self._follow(reader(call), call.at)

    def on_exchange(self, exchange: Exchange) -> list[Event]:
        """What a message and its reply tell together; nothing for what is not read."""
        call = exchange.call
        table = self._translator.at_exchange if call.origin is Side.CHARGER else self._from_csms
        reader = table.get(call.action)
        return [] if reader is None else self._follow(reader(exchange), exchange.at)

    def apply(self, command: ApplySetpoint) -> list[OwnCall]:
        """The calls for a set-point, in sending order; `UnknownIdError` for an EVSE of another charger."""
        return self._profiles.apply(command)

    def on_outcome(self, outcome: OwnOutcome) -> tuple[list[Event], list[OwnCall]]:
        """An injected call was sent, answered or given up: what that means, and what to inject next."""
        return self._profiles.on_outcome(outcome)

    def _follow(self, events: list[Event] | None, at: datetime) -> list[Event]:
        """What other parts of the desk make of the events, and limits of the CSMS that lead from now on."""
        if events is None:
            self.counts["unreadable"] += 1
            return []
        for event in events:
            if isinstance(event, SessionStarted):
                self._csms.started(event.connector, event.transaction_id)
            elif isinstance(event, SessionEnded):
                self._csms.ended(event.transaction_id)
            elif isinstance(event, ChargerBooted) and event.accepted:
                self._profiles.booted(event.firmware)
        changes = self._csms.changes(at)
        return [*events, *changes] if changes else events

    def _csms_set(self, exchange: Exchange, payload: Json, reply: Json) -> list[Event]:
        if reply.get("status") != "Accepted":
            return []
        profile = self._dialect.read_set(payload, exchange.at)
        if profile is None:
            self.counts["unreadable"] += 1
            return []
        self._csms.accepted(profile)
        return self._profiles.overridden(exchange.at, profile)

    def _csms_cleared(self, exchange: Exchange, payload: Json, reply: Json) -> list[Event]:
        if reply.get("status") != "Accepted":
            return []
        criteria = self._dialect.read_clear(payload)
        self._csms.cleared(criteria)
        return self._profiles.cleared(exchange.at, criteria)

    def _csms_remote_start(self, exchange: Exchange, payload: Json, reply: Json) -> list[Event]:
        if reply.get("status") != "Accepted" or not isinstance(payload.get("chargingProfile"), dict):
            return []
        if len(self.charger.evses) == 1:
            only = self.charger.evses[0].connector
            payload = {"connectorId": only, "evseId": only, **payload}
        return self._csms_set(exchange, self._dialect.as_set(payload), reply)

    def _csms_read_keys(self, exchange: Exchange, payload: Json, reply: Json) -> list[Event]:  # noqa: ARG002 (a table's row)
        for key in as_objects(reply.get("configurationKey"), 1000):
            if key.get("key") == "ChargeProfileMaxStackLevel":
                self._told_max_level(key.get("value"))
        return []

    def _csms_read_variables(self, exchange: Exchange, payload: Json, reply: Json) -> list[Event]:  # noqa: ARG002 (a table's row)
        for result in as_objects(reply.get("getVariableResult"), 1000):
            component, variable = as_object(result.get("component")), as_object(result.get("variable"))
            if (component.get("name"), variable.get("name")) == ("SmartChargingCtrlr", "ProfileStackLevel"):
                self._told_max_level(result.get("attributeValue"))
        return []

    def _told_max_level(self, value: object) -> None:
        level = as_int(value)
        if level is not None:
            self._profiles.capability = self._profiles.capability.told_max_level(level)
