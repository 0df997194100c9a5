"""OCPP 2.0.1: what a charging station says by itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from ocpp.v201.enums import (
    BootReasonEnumType,
    ChargingStateEnumType,
    ConnectorStatusEnumType,
    IdTokenEnumType,
    ReadingContextEnumType,
    ReasonEnumType,
    TransactionEventEnumType,
    TriggerReasonEnumType,
)

from simulators.answers_201 import Answers201
from simulators.configuration import Setting, flag, settings_201
from simulators.dialect import Station, StopReason, stamp
from simulators.evse import PlugState, SimulatedEvse, Transaction
from simulators.meter_samples import samples
from simulators.ocpp_line import IncomingCall, Payload, Reply

CHARGING_STATES: Mapping[PlugState, str] = {
    PlugState.AVAILABLE: ChargingStateEnumType.idle,
    PlugState.UNAVAILABLE: ChargingStateEnumType.idle,
    PlugState.PREPARING: ChargingStateEnumType.ev_connected,
    PlugState.FINISHING: ChargingStateEnumType.ev_connected,
    PlugState.CHARGING: ChargingStateEnumType.charging,
    PlugState.SUSPENDED_EV: ChargingStateEnumType.suspended_ev,
    PlugState.SUSPENDED_EVSE: ChargingStateEnumType.suspended_evse,
}
ENDINGS: Mapping[StopReason, tuple[str, str]] = {
    StopReason.EV_DISCONNECTED: (TriggerReasonEnumType.ev_communication_lost, ReasonEnumType.ev_disconnected),
    StopReason.REMOTE: (TriggerReasonEnumType.remote_stop, ReasonEnumType.remote),
    StopReason.LOCAL: (TriggerReasonEnumType.stop_authorized, ReasonEnumType.local),
    StopReason.DE_AUTHORIZED: (TriggerReasonEnumType.deauthorized, ReasonEnumType.de_authorized),
    StopReason.HARD_RESET: (TriggerReasonEnumType.reset_command, ReasonEnumType.immediate_reset),
    StopReason.SOFT_RESET: (TriggerReasonEnumType.reset_command, ReasonEnumType.reboot),
    StopReason.POWER_LOSS: (TriggerReasonEnumType.abnormal_condition, ReasonEnumType.power_loss),
}
"""Trigger reason and stopped reason of each ending."""


def id_token(id_tag: str) -> Mapping[str, str]:
    """A tag as 2.x writes it."""
    return {"idToken": id_tag, "type": IdTokenEnumType.iso14443}


class Dialect201:
    """See `simulators.dialect.Dialect`."""

    heartbeat_key = "OCPPCommCtrlr.HeartbeatInterval"
    sample_key = "SampledDataCtrlr.TxUpdatedInterval"

    def __init__(self, station: Station) -> None:
        self._station = station
        self._told: dict[int, str] = {}
        self._answers = Answers201(station, self)

    def settings(self, meter_interval_s: int) -> dict[str, Setting]:
        """See `Dialect`."""
        return settings_201(self._station.behaviour, self._station.specs, meter_interval_s)

    def boot(self) -> Payload:
        """See `Dialect`."""
        self._told.clear()
        station = {
            "vendorName": "Headroom",
            "model": "Simulated 2.0.1",
            "serialNumber": self._station.identity[:25],
            "firmwareVersion": "1.0",
        }
        return {"chargingStation": station, "reason": BootReasonEnumType.power_up}

    def online(self) -> None:
        """See `Dialect`."""
        for connector in self._station.evses:
            self.tell_status(connector)

    def tell_status(self, connector: int, *, again: bool = False) -> None:
        """StatusNotification, unless the CSMS knows the state already."""
        state = self._station.evses[connector].state
        statuses = ConnectorStatusEnumType
        plain = {PlugState.AVAILABLE: statuses.available, PlugState.UNAVAILABLE: statuses.unavailable}
        status = str(plain.get(state, statuses.occupied))
        if self._told.get(connector) == status and not again:
            return

        def told(reply: Reply) -> None:
            if reply.kind == "result":
                self._told[connector] = status

        payload = {
            "timestamp": stamp(self._station.own_now()),
            "connectorStatus": status,
            "evseId": connector,
            "connectorId": 1,
        }
        self._station.send("StatusNotification", payload, told)

    def authorize(self, id_tag: str) -> Payload:
        """See `Dialect`."""
        return {"idToken": id_token(id_tag)}

    def is_authorized(self, reply: Mapping[str, Any]) -> bool:
        """See `Dialect`. A TransactionEvent's reply without idTokenInfo has nothing against it."""
        return bool(reply.get("idTokenInfo", {"status": "Accepted"}).get("status") == "Accepted")

    def plugged(self, evse: SimulatedEvse) -> bool:
        """See `Dialect`."""
        if self._station.behaviour.starts_at_plug:
            self._station.begin(evse, None)
        return self._answers.remote.plugged(evse)

    def started(self, evse: SimulatedEvse, transaction: Transaction) -> None:
        """The first TransactionEvent: evse and, where known, the token appear here and never again."""
        if transaction.id_tag is None:
            trigger = TriggerReasonEnumType.cable_plugged_in
        elif transaction.remote_start_id is not None:
            trigger = TriggerReasonEnumType.remote_start
        else:
            trigger = TriggerReasonEnumType.authorized
        place = {"evse": {"id": evse.connector, "connectorId": 1}}
        self._event(
            evse,
            transaction,
            TransactionEventEnumType.started,
            trigger,
            {**place, **self._token(transaction)},
            context=ReadingContextEnumType.transaction_begin,
        )

    def identified(self, evse: SimulatedEvse, transaction: Transaction) -> None:
        """The token of a transaction that began with the cable."""
        remote = transaction.remote_start_id is not None
        trigger = TriggerReasonEnumType.remote_start if remote else TriggerReasonEnumType.authorized
        self._event(evse, transaction, TransactionEventEnumType.updated, trigger, self._token(transaction))

    def state_changed(self, evse: SimulatedEvse, before: PlugState) -> None:
        """See `Dialect`."""
        self.tell_status(evse.connector)
        if evse.transaction is not None and CHARGING_STATES[evse.state] != CHARGING_STATES[before]:
            trigger = TriggerReasonEnumType.charging_state_changed
            self._event(evse, evse.transaction, TransactionEventEnumType.updated, trigger)

    def sampled(self, evse: SimulatedEvse, transaction: Transaction) -> None:
        """A TransactionEvent with meter values; kept while there is no link."""
        self._event(
            evse,
            transaction,
            TransactionEventEnumType.updated,
            TriggerReasonEnumType.meter_value_periodic,
            context=ReadingContextEnumType.sample_periodic,
        )

    def tell_transaction(self, evse: SimulatedEvse) -> None:
        """A TransactionEvent because it was asked for."""
        if evse.transaction is not None:
            trigger, context = TriggerReasonEnumType.trigger, ReadingContextEnumType.trigger
            self._event(evse, evse.transaction, TransactionEventEnumType.updated, trigger, context=context)

    def tell_meter(self, evse: SimulatedEvse, context: str) -> None:
        """MeterValues of now, outside of any transaction: of the aligned measurands where any are set (F06.FR.06)."""
        aligned = self._station.settings["AlignedDataCtrlr.Measurands"].value
        values = self._meter_value(evse, context, aligned or None)
        if values:
            self._station.send("MeterValues", {"evseId": evse.connector, "meterValue": values})

    def ended(self, evse: SimulatedEvse, transaction: Transaction, reason: StopReason) -> None:
        """The last TransactionEvent."""
        trigger, stopped = ENDINGS[reason]
        gone = reason is StopReason.EV_DISCONNECTED
        state = ChargingStateEnumType.idle if gone else ChargingStateEnumType.ev_connected
        self._event(
            evse,
            transaction,
            TransactionEventEnumType.ended,
            trigger,
            info={"chargingState": state, "stoppedReason": stopped},
            context=ReadingContextEnumType.transaction_end,
        )

    def answer(self, call: IncomingCall) -> None:
        """See `Dialect`."""
        self._answers.answer(call)

    def _event(
        self,
        evse: SimulatedEvse,
        transaction: Transaction,
        kind: str,
        trigger: str,
        extra: Mapping[str, Any] | None = None,
        *,
        info: Mapping[str, Any] | None = None,
        context: str | None = None,
    ) -> None:
        """Queue one TransactionEvent; seqNo has no gap because none is ever skipped (P2 E 1.3.2)."""
        transaction_info: dict[str, Any] = {
            "transactionId": transaction.local_id,
            "chargingState": CHARGING_STATES[evse.state],
            **(info or {}),
        }
        if transaction.remote_start_id is not None and transaction.seq_no == 0:
            transaction_info["remoteStartId"] = transaction.remote_start_id
        payload: dict[str, Any] = {
            "eventType": kind,
            "timestamp": stamp(self._station.own_now()),
            "triggerReason": trigger,
            "seqNo": transaction.seq_no,
            "transactionInfo": transaction_info,
            **(extra or {}),
        }
        if not self._station.online:
            payload["offline"] = True
        if context is not None and (values := self._meter_value(evse, context)):
            payload["meterValue"] = values
        transaction.seq_no += 1

        def answered(reply: Reply) -> None:
            stops = flag(self._station.settings, "TxCtrlr.StopTxOnInvalidId")
            if stops and evse.transaction is transaction and not self.is_authorized(reply.payload):
                self._station.end(evse, StopReason.DE_AUTHORIZED)

        self._station.outbox.put("TransactionEvent", lambda: payload, answered)

    def _token(self, transaction: Transaction) -> Mapping[str, Any]:
        return {} if transaction.id_tag is None else {"idToken": id_token(transaction.id_tag)}

    def _meter_value(self, evse: SimulatedEvse, context: str, listed: str | None = None) -> list[Mapping[str, Any]]:
        measurands = listed or self._station.settings["SampledDataCtrlr.TxUpdatedMeasurands"].value
        values = list(self._sampled_values(evse, measurands.split(","), context))
        return [{"timestamp": stamp(self._station.own_now()), "sampledValue": values}] if values else []

    def _sampled_values(
        self, evse: SimulatedEvse, measurands: Iterable[str], context: str
    ) -> Iterable[Mapping[str, Any]]:
        for sample in samples(evse, self._station.behaviour, measurands):
            value = {
                "value": sample.value,
                "context": context,
                "measurand": sample.measurand,
                "unitOfMeasure": {"unit": sample.unit},
            }
            yield value if sample.phase is None else {**value, "phase": sample.phase}
