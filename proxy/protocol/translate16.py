"""OCPP 1.6 -> events: only what the EMS reads, at the moment where it is known, never raising on nonsense.

Which message is read when is in the two tables of `Translator16`: what a charger merely reports is read at the CALL;
what needs the CSMS's word (a transaction's id, an accepted boot, the time) at the completed exchange.
"""

from collections import Counter
from datetime import datetime

from domain.events import (
    ChargerBooted,
    Event,
    EvseMetered,
    EvseStatusChanged,
    SessionEnded,
    SessionStarted,
)
from domain.session import EvseState
from domain.site import Charger
from proxy.protocol.charger_clock import ChargerClock
from proxy.protocol.dialects import as_transaction_id
from proxy.protocol.exchange import Call, Exchange
from proxy.protocol.messages import CURRENT_TIME, MAX_CONNECTOR, METER_VALUES_16, CurrentTime, MeterValues16
from proxy.protocol.metering import MeterValue, newest, read_sample
from proxy.protocol.reading import OfCall, OfExchange, of_call, of_exchange, of_reply
from proxy.protocol.tolerant import Json, as_instant, as_int, as_number, as_object, as_text, read_object
from proxy.protocol.transactions import Running, Transactions

STATES = {
    "available": EvseState.AVAILABLE,
    "preparing": EvseState.PREPARING,
    "occupied": EvseState.PREPARING,
    "charging": EvseState.CHARGING,
    "suspendedev": EvseState.SUSPENDED_EV,
    "suspendedevse": EvseState.SUSPENDED_EVSE,
    "finishing": EvseState.FINISHING,
    "reserved": EvseState.RESERVED,
    "unavailable": EvseState.UNAVAILABLE,
    "faulted": EvseState.FAULTED,
}


class Translator16:
    """Reads one 1.6 charger's messages. `counts` is told what could not be read; `transactions` and `clock` are fed."""

    def __init__(
        self,
        charger: Charger,
        line_to_line_v: float,
        transactions: Transactions,
        clock: ChargerClock,
        counts: Counter[str],
    ) -> None:
        self._charger, self._line_to_line_v = charger, line_to_line_v
        self._transactions, self._clock, self._counts = transactions, clock, counts
        self._evses = {evse.connector: evse for evse in charger.evses}
        self._only = charger.evses[0].connector if len(charger.evses) == 1 else None
        self.at_call: dict[str, OfCall] = {
            "MeterValues": of_call(METER_VALUES_16, self._meter_values),
            "StatusNotification": of_call(read_object, self._status),
            "StopTransaction": of_call(read_object, self._stop),
        }
        self.at_exchange: dict[str, OfExchange] = {
            "BootNotification": of_exchange(read_object, self._boot),
            "Heartbeat": of_reply(CURRENT_TIME, self._heartbeat),
            "StartTransaction": of_exchange(read_object, self._start),
        }

    def connected(self) -> None:
        """A new socket: nothing that was heard before is void in 1.6."""

    def _meter_values(self, call: Call, message: MeterValues16) -> list[Event]:
        stamp, values = newest(message.meter_value)
        transaction_id = as_transaction_id(message.transaction_id)
        if stamp is not None and not self._clock.stamped(stamp, call.at):
            self._counts["historic"] += 1
            return []
        running = self._transactions.get(transaction_id) if transaction_id is not None else None
        connector = message.connector_id or self._only
        if running is not None:
            connector = running.connector or connector
        if connector is None:
            return []
        events: list[Event] = []
        if running is None and transaction_id is not None:
            events = self._discover(transaction_id, connector, call.at)
        evse = self._evses.get(connector)
        if evse is None:
            return events
        sample, dropped = read_sample(MeterValue(stamp, values), evse, self._line_to_line_v, call.at)
        if dropped:
            self._counts["dropped_values"] += dropped
        if sample is not None:
            events.append(EvseMetered(self._charger.id, connector, call.at, sample, transaction_id))
        return events

    def _discover(self, transaction_id: str, connector: int, at: datetime) -> list[Event]:
        """A transaction whose start nobody saw: it ran before the proxy did."""
        late = self._transactions.has_ended(transaction_id) or self._transactions.at(connector) is not None
        if late or as_int(transaction_id, 1, 2**63) is None:
            return []
        self._transactions.begin(Running(transaction_id, connector, announced=True))
        return [SessionStarted(self._charger.id, connector, at, transaction_id)]

    def _status(self, call: Call, payload: Json) -> list[Event]:
        stamp = as_instant(payload.get("timestamp"))
        if stamp is not None:
            self._clock.stamped(stamp, call.at)
        connector = as_int(payload.get("connectorId"), 0, MAX_CONNECTOR)
        status = as_text(payload.get("status"))
        if connector is None or status is None:
            self._counts["unreadable"] += 1
            return []
        state = STATES.get(status.strip().lower(), EvseState.UNKNOWN)
        return [EvseStatusChanged(self._charger.id, connector, call.at, state)]

    def _stop(self, call: Call, payload: Json) -> list[Event]:
        transaction_id = as_transaction_id(payload.get("transactionId"))
        if transaction_id is None:
            self._counts["unreadable"] += 1
            return []
        running = self._transactions.end(transaction_id)
        return [
            SessionEnded(
                self._charger.id,
                running.connector if running is not None else self._only,
                call.at,
                transaction_id,
                _register_wh(payload.get("meterStop")),
                as_text(payload.get("reason")),
            )
        ]

    def _boot(self, exchange: Exchange, payload: Json, reply: Json) -> list[Event]:
        self._set_clock(exchange, reply.get("currentTime"))
        return [
            ChargerBooted(
                self._charger.id,
                exchange.at,
                as_text(payload.get("chargePointVendor")) or "",
                as_text(payload.get("chargePointModel")) or "",
                as_text(payload.get("firmwareVersion")),
                exchange.ok and reply.get("status") == "Accepted",
            )
        ]

    def _heartbeat(self, exchange: Exchange, reply: CurrentTime) -> list[Event]:
        self._set_clock(exchange, reply.current_time)
        return []

    def _set_clock(self, exchange: Exchange, told: object) -> None:
        current_time = as_instant(told)
        if exchange.ok and current_time is not None:
            self._clock.was_set(current_time, exchange.at)

    def _start(self, exchange: Exchange, payload: Json, reply: Json) -> list[Event]:
        transaction_id = as_transaction_id(reply.get("transactionId"))
        connector = as_int(payload.get("connectorId"), 1, MAX_CONNECTOR) or self._only
        if not exchange.ok or transaction_id is None or connector is None:
            self._counts["unreadable"] += exchange.ok
            return []
        if self._transactions.get(transaction_id) is not None:
            return []  # a repeated StartTransaction, answered with the same id
        # Without a word about the tag the charger goes on; a refused one it stops itself (StopTransactionOnInvalidId).
        status = as_object(reply.get("idTagInfo")).get("status")
        refused = status is not None and status != "Accepted"
        events: list[Event] = []
        before = self._transactions.at(connector)
        if before is not None:
            self._transactions.end(before.transaction_id)
            if before.announced:
                events.append(
                    SessionEnded(
                        self._charger.id, connector, exchange.at, before.transaction_id, reason="a newer one began"
                    )
                )
        running = Running(
            transaction_id,
            connector,
            exchange.at,
            as_text(payload.get("idTag")),
            _register_wh(payload.get("meterStart")),
            announced=not refused,
            refused=refused,
        )
        self._transactions.begin(running)
        if not refused:
            events.append(
                SessionStarted(
                    self._charger.id,
                    connector,
                    exchange.at,
                    transaction_id,
                    running.id_tag,
                    running.meter_start_wh,
                    exchange.relayed_mono_s,
                )
            )
        return events


def _register_wh(value: object) -> float | None:
    number = as_number(value)
    return number if number is not None and 0.0 <= number <= 1e12 else None
