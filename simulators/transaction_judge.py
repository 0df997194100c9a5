"""Every transaction that a charger ran against the CSMS's books: none lost, none told twice, the energy right."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from simulators.charge_point import SimulatedChargePoint
from simulators.csms_ledger import Ledger, LedgerEntry
from simulators.dialect import stamp
from simulators.evse import Transaction

ROUNDING_WH = 1.0
"""1.6 tells whole Wh."""


@dataclass(frozen=True, slots=True)
class Books:
    """What was found. Each of the texts names a charger and a transaction; `transactions` is how many there were."""

    transactions: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether all is in order."""
        return not (self.lost or self.doubled or self.wrong)


def judged(chargers: Iterable[SimulatedChargePoint], ledger: Ledger) -> Books:
    """Compare the chargers' own history with the CSMS's books. To be asked when every charger has told all it had.

    A CSMS that recognises repeats is assumed (`simulators.csms_ledger`): a message told twice makes no second entry.
    """
    total, lost, doubled, wrong = 0, [], [], []
    for charger in chargers:
        known = ledger.of(charger.identity)
        found = Counter(_key_of_entry(charger, entry) for entry in known)
        entries = {_key_of_entry(charger, entry): entry for entry in known}
        for transaction in charger.transactions:
            total += 1
            key = _key(charger, transaction)
            name = f"{charger.identity}, transaction of {transaction.id_tag} begun {stamp(transaction.started_at)}"
            if found[key] > 1:
                doubled.append(f"{name}: {found[key]} entries")
            if (entry := entries.get(key)) is None:
                lost.append(f"{name}: never told")
            elif transaction.meter_stop_wh is not None and entry.stopped_at is None:
                lost.append(f"{name}: its end was never told")
            elif (text := _difference(transaction, entry)) is not None:
                wrong.append(f"{name}: {text}")
        if charger.outbox.discarded:
            lost.append(f"{charger.identity}: gave up {charger.outbox.discarded} transaction messages")
    if ledger.orphans:
        wrong.append(f"{ledger.orphans} stops or meter values of transactions that the CSMS does not know")
    return Books(total, tuple(lost), tuple(doubled), tuple(wrong))


def _key(charger: SimulatedChargePoint, transaction: Transaction) -> tuple[object, ...]:
    if charger.version != "ocpp1.6":
        return (transaction.local_id,)
    return (transaction.connector, transaction.id_tag, stamp(transaction.started_at))


def _key_of_entry(charger: SimulatedChargePoint, entry: LedgerEntry) -> tuple[object, ...]:
    if charger.version != "ocpp1.6":
        return (entry.transaction_id,)
    return (entry.connector, entry.id_tag, entry.started_at)


def _difference(transaction: Transaction, entry: LedgerEntry) -> str | None:
    if transaction.meter_stop_wh is None or entry.meter_stop_wh is None:
        return None
    if abs(transaction.meter_stop_wh - entry.meter_stop_wh) <= ROUNDING_WH:
        return None
    return f"ended at {transaction.meter_stop_wh:.0f} Wh, booked {entry.meter_stop_wh:.0f} Wh"
