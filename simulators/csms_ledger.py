"""The CSMS's books: which transactions there were, what was metered, and what was told twice."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

ENERGY = "Energy.Active.Import.Register"


@dataclass(slots=True)
class LedgerEntry:
    """One transaction as the CSMS knows it.

    Attributes:
        transaction_id: on the wire (1.6: ours, as text).
        started_at: the charger's stamp; None when the start was never told.
        stopped_at: the charger's stamp; None while it runs.
        samples: meter values that belong to it.
        energy_wh: the register's newest reading, Wh.
        seq_nos: 2.x: the numbers of all its events.
        offline_events: 2.x: events that were marked as told later.
    """

    identity: str
    transaction_id: str
    connector: int | None = None
    id_tag: str | None = None
    started_at: str | None = None
    meter_start_wh: float | None = None
    stopped_at: str | None = None
    meter_stop_wh: float | None = None
    reason: str | None = None
    samples: int = 0
    energy_wh: float | None = None
    seq_nos: set[int] = field(default_factory=set)
    offline_events: int = 0

    @property
    def missing_seq_nos(self) -> tuple[int, ...]:
        """2.x: numbers below the highest that never came."""
        return tuple(sorted(set(range(max(self.seq_nos, default=-1) + 1)) - self.seq_nos))


class Ledger:
    """All transactions.

    Attributes:
        entries: by (identity, transaction id).
        repeats: messages that told again what was known: recognised by (connector, tag, meterStart, timestamp) in 1.6
            and by (transactionId, seqNo) in 2.x.
        orphans: stops and meter values of transactions that were never started here.
        recognises_repeats: False: a 1.6 start that is told again makes another transaction.
    """

    def __init__(self, first_id: int = 1) -> None:
        self.entries: dict[tuple[str, str], LedgerEntry] = {}
        self.repeats = 0
        self.orphans = 0
        self.recognises_repeats = True
        self._next_id = itertools.count(first_id)
        self._starts: dict[tuple[object, ...], str] = {}

    def of(self, identity: str) -> list[LedgerEntry]:
        """A charger's transactions in the order in which they became known."""
        return [entry for entry in self.entries.values() if entry.identity == identity]

    def running(self) -> list[LedgerEntry]:
        """What has started and not stopped."""
        return [entry for entry in self.entries.values() if entry.stopped_at is None]

    def started_16(self, identity: str, payload: Mapping[str, Any]) -> int:
        """StartTransaction; a repeated one gets the id that it had."""
        key = (identity, *(payload.get(name) for name in ("connectorId", "idTag", "meterStart", "timestamp")))
        if self.recognises_repeats and (known := self._starts.get(key)) is not None:
            self.repeats += 1
            return int(known)
        number = next(self._next_id)
        self._starts[key] = str(number)
        self.entries[identity, str(number)] = LedgerEntry(
            identity,
            str(number),
            connector=payload.get("connectorId"),
            id_tag=payload.get("idTag"),
            started_at=payload.get("timestamp"),
            meter_start_wh=payload.get("meterStart"),
            energy_wh=payload.get("meterStart"),
        )
        return number

    def stopped_16(self, identity: str, payload: Mapping[str, Any]) -> None:
        """StopTransaction."""
        entry = self.entries.get((identity, str(payload.get("transactionId"))))
        if entry is None:
            self.orphans += 1
        elif entry.stopped_at is not None:
            self.repeats += 1
        else:
            entry.stopped_at = payload.get("timestamp")
            entry.energy_wh = entry.meter_stop_wh = payload.get("meterStop")
            entry.reason = payload.get("reason", "Local")

    def metered_16(self, identity: str, payload: Mapping[str, Any]) -> None:
        """MeterValues; those outside of a transaction are not booked."""
        number = payload.get("transactionId")
        if number is None:
            return
        entry = self.entries.get((identity, str(number)))
        if entry is None:
            self.orphans += 1
        else:
            _book(entry, payload.get("meterValue", ()), "unit")

    def event_201(self, identity: str, payload: Mapping[str, Any]) -> None:
        """TransactionEvent. One without a start before it makes an entry all the same: the order may be lost."""
        number = str(payload["transactionInfo"]["transactionId"])
        entry = self.entries.setdefault((identity, number), LedgerEntry(identity, number))
        seq_no = payload["seqNo"]
        if seq_no in entry.seq_nos:
            self.repeats += 1
            return
        entry.seq_nos.add(seq_no)
        entry.offline_events += bool(payload.get("offline"))
        entry.connector = payload.get("evse", {}).get("id", entry.connector)
        entry.id_tag = payload.get("idToken", {}).get("idToken", entry.id_tag)
        _book(entry, payload.get("meterValue", ()), "unitOfMeasure")
        if payload["eventType"] == "Started":
            entry.started_at = payload["timestamp"]
            entry.meter_start_wh = entry.energy_wh
        elif payload["eventType"] == "Ended":
            entry.stopped_at = payload["timestamp"]
            entry.meter_stop_wh = entry.energy_wh
            entry.reason = payload["transactionInfo"].get("stoppedReason", "Local")


def _book(entry: LedgerEntry, meter_values: Iterable[Mapping[str, Any]], unit_field: str) -> None:
    for meter_value in meter_values:
        entry.samples += 1
        for sample in meter_value.get("sampledValue", ()):
            if sample.get("measurand", ENERGY) != ENERGY or sample.get("phase") is not None:
                continue
            unit = sample.get(unit_field, "Wh")
            unit = unit.get("unit", "Wh") if isinstance(unit, Mapping) else unit
            try:
                entry.energy_wh = float(sample["value"]) * (1000 if unit == "kWh" else 1)
            except (TypeError, ValueError):
                continue
