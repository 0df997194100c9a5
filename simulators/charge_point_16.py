"""OCPP 1.6: what a charger says by itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus, ReadingContext, Reason

from simulators.answers_16 import Answers16
from simulators.configuration import Setting, flag, settings_16
from simulators.dialect import Station, StopReason, stamp
from simulators.evse import PlugState, SimulatedEvse, Transaction
from simulators.meter_samples import samples
from simulators.ocpp_line import IncomingCall, Payload, Reply

NO_TRANSACTION = -1
"""What chargers write when StartTransaction was never answered (errata 1.6 3.18 reserves it)."""


class Dialect16:
    """See `simulators.dialect.Dialect`."""

    heartbeat_key = "HeartbeatInterval"
    sample_key = "MeterValueSampleInterval"

    def __init__(self, station: Station) -> None:
        self._station = station
        self._told: dict[int, str] = {}
        self._answers = Answers16(station, self)
        for evse in station.evses.values():
            evse.number_by_csms()

    def settings(self, meter_interval_s: int) -> dict[str, Setting]:
        """See `Dialect`."""
        return settings_16(self._station.behaviour, self._station.specs, meter_interval_s)

    def boot(self) -> Payload:
        """See `Dialect`."""
        self._told.clear()
        return {
            "chargePointVendor": "Headroom",
            "chargePointModel": "Simulated 1.6",
            "chargePointSerialNumber": self._station.identity[:25],
            "firmwareVersion": "1.0",
        }

    def online(self) -> None:
        """See `Dialect`."""
        self.tell_status(0)
        for connector in self._station.evses:
            self.tell_status(connector)

    def tell_status(self, connector: int, *, again: bool = False) -> None:
        """StatusNotification, unless the CSMS knows the state already; connector 0 is the whole charger."""
        status = str(ChargePointStatus.available)
        if connector:
            status = str(ChargePointStatus(self._station.evses[connector].state))
        if self._told.get(connector) == status and not again:
            return

        def told(reply: Reply) -> None:
            if reply.kind == "result":
                self._told[connector] = status

        payload = {
            "connectorId": connector,
            "errorCode": ChargePointErrorCode.no_error,
            "status": status,
            "timestamp": stamp(self._station.own_now()),
        }
        self._station.send("StatusNotification", payload, told)

    def authorize(self, id_tag: str) -> Payload:
        """See `Dialect`."""
        return {"idTag": id_tag}

    def is_authorized(self, reply: Mapping[str, Any]) -> bool:
        """See `Dialect`."""
        return bool(reply.get("idTagInfo", {}).get("status") == "Accepted")

    def plugged(self, evse: SimulatedEvse) -> bool:
        """See `Dialect`."""
        return self._answers.remote.plugged(evse)

    def started(self, evse: SimulatedEvse, transaction: Transaction) -> None:
        """StartTransaction; the reply brings the transaction's id, or an end."""
        payload = {
            "connectorId": transaction.connector,
            "idTag": transaction.id_tag or "",
            "meterStart": round(transaction.meter_start_wh),
            "timestamp": stamp(transaction.started_at),
        }

        def answered(reply: Reply) -> None:
            if reply.kind != "result":
                return
            transaction.csms_id = reply.payload.get("transactionId")
            self._station.touch()
            stops = flag(self._station.settings, "StopTransactionOnInvalidId")
            if stops and evse.transaction is transaction and not self.is_authorized(reply.payload):
                self._station.end(evse, StopReason.DE_AUTHORIZED)

        self._station.outbox.put("StartTransaction", lambda: payload, answered)

    def identified(self, evse: SimulatedEvse, transaction: Transaction) -> None:
        """A 1.6 transaction always begins with its tag."""

    def state_changed(self, evse: SimulatedEvse, before: PlugState) -> None:  # noqa: ARG002 (the port's signature)
        """See `Dialect`."""
        self.tell_status(evse.connector)

    def sampled(self, evse: SimulatedEvse, transaction: Transaction) -> None:
        """MeterValues; not stored while there is no link, which 1.6 allows."""
        if transaction.csms_id is not None:
            self.tell_meter(evse, ReadingContext.sample_periodic)

    def tell_meter(self, evse: SimulatedEvse, context: str) -> None:
        """MeterValues of now."""
        measurands = self._station.settings["MeterValuesSampledData"].value.split(",")
        values = list(self._sampled_values(evse, measurands, context))
        if not values:
            return
        meter_value = {"timestamp": stamp(self._station.own_now()), "sampledValue": values}
        payload: dict[str, Any] = {"connectorId": evse.connector, "meterValue": [meter_value]}
        if evse.transaction is not None and evse.transaction.csms_id is not None:
            payload["transactionId"] = evse.transaction.csms_id
        self._station.send("MeterValues", payload)

    def ended(self, evse: SimulatedEvse, transaction: Transaction, reason: StopReason) -> None:
        """StopTransaction; its id is filled in when it is sent, since the start may still be queued before it."""
        payload = {
            "meterStop": round(evse.register_wh),
            "timestamp": stamp(self._station.own_now()),
            "reason": Reason(reason),
            **({"idTag": transaction.id_tag} if transaction.id_tag else {}),
        }

        def numbered() -> Payload:
            known = transaction.csms_id
            return {"transactionId": NO_TRANSACTION if known is None else known, **payload}

        self._station.outbox.put("StopTransaction", numbered, lambda _: None)

    def answer(self, call: IncomingCall) -> None:
        """See `Dialect`."""
        self._answers.answer(call)

    def _sampled_values(
        self, evse: SimulatedEvse, measurands: Iterable[str], context: str
    ) -> Iterable[Mapping[str, str]]:
        for sample in samples(evse, self._station.behaviour, measurands):
            value = {
                "value": str(sample.value),
                "context": context,
                "measurand": sample.measurand,
                "unit": sample.unit,
            }
            yield value if sample.phase is None else {**value, "phase": sample.phase}
