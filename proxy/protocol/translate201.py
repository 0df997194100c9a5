"""OCPP 2.0.1 and 2.1 -> events: only what the EMS reads, tolerant, remembering what a transaction tells only once.

2.1's messages that are read here are supersets of 2.0.1's. A TransactionEvent is read twice: what the charger reports
at the CALL, and at the completed exchange whether the CSMS lets the session begin.
"""

from collections import Counter

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
from proxy.protocol.messages import (
    CURRENT_TIME,
    MAX_CONNECTOR,
    METER_VALUES_201,
    TRANSACTION_EVENT,
    TRANSACTION_NAMED,
    CurrentTime,
    Entries201,
    MeterValues201,
    TransactionEvent,
    TransactionInfo,
    TransactionNamed,
    newest_201,
)
from proxy.protocol.metering import energy_wh, read_sample
from proxy.protocol.reading import OfCall, OfExchange, of_call, of_exchange, of_reply
from proxy.protocol.tolerant import Json, as_instant, as_int, as_object, as_text, read_object
from proxy.protocol.transactions import Running, Transactions

MAX_PLUGS = 16

CHARGING_STATES = {
    "charging": EvseState.CHARGING,
    "evconnected": EvseState.PREPARING,
    "suspendedev": EvseState.SUSPENDED_EV,
    "suspendedevse": EvseState.SUSPENDED_EVSE,
    "idle": EvseState.AVAILABLE,
}
_PLUG_STATES = ("occupied", "reserved", "available", "unavailable", "faulted")
"""Connector states, the one first that decides for an EVSE of several plugs."""
_AT_THE_CAR = (EvseState.PREPARING, EvseState.CHARGING, EvseState.SUSPENDED_EV, EvseState.SUSPENDED_EVSE)


class Translator201:
    """Reads one 2.x charger's messages. `counts` is told what could not be read; `transactions` and `clock` are fed."""

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
        self._plugs: dict[tuple[int, int], str] = {}
        self._states: dict[int, EvseState] = {}
        self.at_call: dict[str, OfCall] = {
            "MeterValues": of_call(METER_VALUES_201, self._meter_values),
            "StatusNotification": of_call(read_object, self._status),
            "TransactionEvent": of_call(TRANSACTION_EVENT, self._transaction_event),
        }
        self.at_exchange: dict[str, OfExchange] = {
            "BootNotification": of_exchange(read_object, self._boot),
            "Heartbeat": of_reply(CURRENT_TIME, self._heartbeat),
            "TransactionEvent": of_exchange(TRANSACTION_NAMED, self._transaction_answered),
        }

    def connected(self) -> None:
        """A new socket: states are told anew."""
        self._states.clear()

    def _meter_values(self, call: Call, message: MeterValues201) -> list[Event]:
        return self._metered(call, message.meter_value, message.evse_id or self._only, None)

    def _metered(self, call: Call, entries: Entries201, connector: int | None, running: Running | None) -> list[Event]:
        evse = self._evses.get(connector) if connector is not None else None
        if evse is None or not entries:
            return []
        meter_value = newest_201(entries)
        if meter_value.stamp is not None and not self._clock.stamped(meter_value.stamp, call.at):
            self._counts["historic"] += 1
            return []
        present = running or self._transactions.at(evse.connector)
        phases = present.phases_used if present is not None else None
        sample, dropped = read_sample(meter_value, evse, self._line_to_line_v, call.at, phases)
        if dropped:
            self._counts["dropped_values"] += dropped
        if sample is None:
            return []
        transaction_id = present.transaction_id if present is not None else None
        return [EvseMetered(self._charger.id, evse.connector, call.at, sample, transaction_id)]

    def _status(self, call: Call, payload: Json) -> list[Event]:
        stamp = as_instant(payload.get("timestamp"))
        if stamp is not None:
            self._clock.stamped(stamp, call.at)
        connector = as_int(payload.get("evseId"), 0, MAX_CONNECTOR)
        status = as_text(payload.get("connectorStatus"))
        if connector is None or status is None:
            self._counts["unreadable"] += 1
            return []
        word = status.strip().lower()
        plug = as_int(payload.get("connectorId"), 0, MAX_PLUGS) or 0
        if connector in self._evses or connector == 0:
            self._plugs[(connector, plug)] = word
            told = {state for (evse, _), state in self._plugs.items() if evse == connector}
            word = next((state for state in _PLUG_STATES if state in told), word)
        return self._plug_state(call, connector, word)

    def _plug_state(self, call: Call, connector: int, word: str) -> list[Event]:
        now = self._states.get(connector)
        charging = self._transactions.at(connector) is not None
        if word == "occupied":
            # "Occupied" says less than a charging state does: it only tells that a car is there.
            if now in _AT_THE_CAR or now is EvseState.FINISHING:
                return []
            state = EvseState.PREPARING
        elif word == "available" and charging and now in _AT_THE_CAR:
            return []
        else:
            state = {
                "available": EvseState.AVAILABLE,
                "reserved": EvseState.RESERVED,
                "unavailable": EvseState.UNAVAILABLE,
                "faulted": EvseState.FAULTED,
            }.get(word, EvseState.UNKNOWN)
        self._states[connector] = state
        return [EvseStatusChanged(self._charger.id, connector, call.at, state)]

    def _transaction_event(self, call: Call, event: TransactionEvent) -> list[Event]:
        transaction_id = as_transaction_id(event.transaction_info.transaction_id)
        kind = event.event_type
        if transaction_id is None or kind not in ("Started", "Updated", "Ended"):
            self._counts["unreadable"] += 1
            return []
        offline = event.offline is True
        stamp = as_instant(event.timestamp)
        if stamp is not None and not offline:
            self._clock.stamped(stamp, call.at)
        if kind == "Ended":
            return self._ended(call, event, transaction_id)
        running = self._remember(call, event, transaction_id, kind == "Started", offline)
        if running is None or running.connector is None or offline:
            return []
        state = self._charging_state(call, running.connector, event.transaction_info)
        return [*state, *self._metered(call, event.meter_value, running.connector, running)]

    def _remember(
        self, call: Call, event: TransactionEvent, transaction_id: str, began: bool, offline: bool
    ) -> Running | None:
        """What this event adds to what is known of its transaction; None for history that revives nothing."""
        running = self._transactions.get(transaction_id)
        if running is None:
            if self._transactions.has_ended(transaction_id) or (offline and not began):
                return None
            running = Running(transaction_id, self._only, call.at if began else None)
            self._transactions.begin(running)
        running.connector = event.evse.id or running.connector
        running.id_tag = event.id_token.id_token or running.id_tag
        running.phases_used = event.number_of_phases_used or running.phases_used
        if began and running.meter_start_wh is None:
            running.meter_start_wh = energy_wh(newest_201(event.meter_value).values)
        return running

    def _charging_state(self, call: Call, connector: int, info: TransactionInfo) -> list[Event]:
        word = info.charging_state
        if word is None:
            return []
        state = CHARGING_STATES.get(word.strip().lower(), EvseState.UNKNOWN)
        if self._states.get(connector) is state:
            return []
        self._states[connector] = state
        return [EvseStatusChanged(self._charger.id, connector, call.at, state)]

    def _ended(self, call: Call, event: TransactionEvent, transaction_id: str) -> list[Event]:
        running = self._transactions.end(transaction_id)
        connector, info = event.evse.id, event.transaction_info
        if running is not None:
            connector = connector or running.connector
        events: list[Event] = []
        if running is None or running.announced:
            register_wh = energy_wh(newest_201(event.meter_value).values)
            where = connector or self._only
            events.append(
                SessionEnded(self._charger.id, where, call.at, transaction_id, register_wh, info.stopped_reason)
            )
        if connector is not None and event.offline is not True and self._states.get(connector) in _AT_THE_CAR:
            state = EvseState.AVAILABLE if info.charging_state == "Idle" else EvseState.FINISHING
            self._states[connector] = state
            events.append(EvseStatusChanged(self._charger.id, connector, call.at, state))
        return events

    def _transaction_answered(self, exchange: Exchange, event: TransactionNamed, reply: Json) -> list[Event]:
        transaction_id = as_transaction_id(event.transaction_info.transaction_id)
        running = self._transactions.get(transaction_id) if transaction_id is not None else None
        if running is None or not exchange.ok:
            return []
        status = as_object(reply.get("idTokenInfo")).get("status")
        if status is not None:
            running.refused = status != "Accepted"
        if running.announced or running.refused or running.connector is None:
            return []
        events: list[Event] = [
            SessionEnded(
                self._charger.id, other.connector, exchange.at, other.transaction_id, reason="a newer one began"
            )
            for other in self._replaced_by(running)
        ]
        running.announced = True
        events.append(
            SessionStarted(
                self._charger.id,
                running.connector,
                exchange.at,
                running.transaction_id,
                running.id_tag,
                running.meter_start_wh,
                exchange.relayed_mono_s,
            )
        )
        return events

    def _replaced_by(self, running: Running) -> list[Running]:
        """Announced transactions that cannot run any more, because another one began at their EVSE."""
        assert running.connector is not None
        replaced = []
        for other in self._transactions.others_at(running.connector, running.transaction_id):
            self._transactions.end(other.transaction_id)
            if other.announced:
                replaced.append(other)
        return replaced

    def _boot(self, exchange: Exchange, payload: Json, reply: Json) -> list[Event]:
        self._set_clock(exchange, reply.get("currentTime"))
        station = as_object(payload.get("chargingStation"))
        return [
            ChargerBooted(
                self._charger.id,
                exchange.at,
                as_text(station.get("vendorName")) or "",
                as_text(station.get("model")) or "",
                as_text(station.get("firmwareVersion")),
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
