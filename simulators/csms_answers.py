"""What a CSMS answers to every CALL of either version; the ledger and the tags decide the few that are not empty."""

import itertools
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from ocpp.v16.enums import AuthorizationStatus
from ocpp.v16.enums import DataTransferStatus as DataTransferStatus16
from ocpp.v16.enums import GenericStatus as GenericStatus16
from ocpp.v201.enums import (
    AuthorizationStatusEnumType,
    DataTransferStatusEnumType,
    GenericStatusEnumType,
    GetCertificateStatusEnumType,
    Iso15118EVCertificateStatusEnumType,
    NotifyEVChargingNeedsStatusEnumType,
)

from simulators.csms_ledger import Ledger
from simulators.dialect import stamp

Answer = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""(identity, the CALL's payload) -> the result's payload."""

_SILENT_16 = (
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "SecurityEventNotification",
    "SignedFirmwareStatusNotification",
    "StatusNotification",
)
_SILENT_201 = (
    "ClearedChargingLimit",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "MeterValues",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "PublishFirmwareStatusNotification",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
    "SecurityEventNotification",
    "StatusNotification",
)
"""Answered with nothing in it."""


class Registrar:
    """What the answers depend on; may be changed while it runs.

    Attributes:
        ledger: the books.
        refused_tags: these are Invalid, every other is Accepted.
        boot_status: Accepted, Pending or Rejected.
        heartbeat_s: the interval that BootNotification is answered with.
    """

    def __init__(self, now: Callable[[], datetime], heartbeat_s: int, refused_tags: Collection[str]) -> None:
        self.ledger = Ledger()
        self.refused_tags = frozenset(refused_tags)
        self.boot_status = "Accepted"
        self.heartbeat_s = heartbeat_s
        self._now = now
        self._remote_starts = itertools.count(1)

    def next_remote_start(self) -> int:
        """A new remoteStartId."""
        return next(self._remote_starts)

    def boot(self, identity: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002 (an `Answer`)
        """BootNotification of both versions."""
        return {"currentTime": stamp(self._now()), "interval": self.heartbeat_s, "status": self.boot_status}

    def heartbeat(self, identity: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002 (an `Answer`)
        """Heartbeat of both versions."""
        return {"currentTime": stamp(self._now())}

    def tag_info(self, id_tag: str) -> Mapping[str, str]:
        """What is known of a tag; the words are the same in both versions."""
        statuses = AuthorizationStatusEnumType
        return {"status": statuses.invalid if id_tag in self.refused_tags else statuses.accepted}


def answers_16(registrar: Registrar) -> Mapping[str, Answer]:
    """OCPP 1.6, security extensions included."""
    ledger = registrar.ledger

    def start(identity: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        number = ledger.started_16(identity, payload)
        return {"transactionId": number, "idTagInfo": registrar.tag_info(payload["idTag"])}

    def stop(identity: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ledger.stopped_16(identity, payload)
        return {"idTagInfo": {"status": AuthorizationStatus.accepted}} if "idTag" in payload else {}

    def meter(identity: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        ledger.metered_16(identity, payload)
        return {}

    return {
        **dict.fromkeys(_SILENT_16, _nothing),
        "Authorize": lambda _, payload: {"idTagInfo": registrar.tag_info(payload["idTag"])},
        "BootNotification": registrar.boot,
        "DataTransfer": lambda _, payload: {"status": DataTransferStatus16.accepted, **_echo(payload)},
        "Heartbeat": registrar.heartbeat,
        "MeterValues": meter,
        "SignCertificate": lambda _, __: {"status": GenericStatus16.rejected},
        "StartTransaction": start,
        "StopTransaction": stop,
    }


def answers_201(registrar: Registrar) -> Mapping[str, Answer]:
    """OCPP 2.0.1."""

    def event(identity: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        registrar.ledger.event_201(identity, payload)
        token = payload.get("idToken")
        return {} if token is None else {"idTokenInfo": registrar.tag_info(token["idToken"])}

    no_certificate = {"status": GetCertificateStatusEnumType.failed}
    no_contract = {"status": Iso15118EVCertificateStatusEnumType.failed, "exiResponse": ""}
    return {
        **dict.fromkeys(_SILENT_201, _nothing),
        "Authorize": lambda _, payload: {"idTokenInfo": registrar.tag_info(payload["idToken"]["idToken"])},
        "BootNotification": registrar.boot,
        "DataTransfer": lambda _, payload: {"status": DataTransferStatusEnumType.accepted, **_echo(payload)},
        "Get15118EVCertificate": lambda _, __: no_contract,
        "GetCertificateStatus": lambda _, __: no_certificate,
        "Heartbeat": registrar.heartbeat,
        "NotifyEVChargingNeeds": lambda _, __: {"status": NotifyEVChargingNeedsStatusEnumType.rejected},
        "NotifyEVChargingSchedule": lambda _, __: {"status": GenericStatusEnumType.accepted},
        "SignCertificate": lambda _, __: {"status": GenericStatusEnumType.rejected},
        "TransactionEvent": event,
    }


def _nothing(_: str, __: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


def _echo(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"data": payload["data"]} if "data" in payload else {}
