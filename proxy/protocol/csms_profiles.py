"""What the CSMS itself has limited: its profiles as they passed and were accepted, and the limit that leads now.

The durable shadow and the merge will stand on this; for now it is memory, and says only what the CSMS wants.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.events import CsmsLimitChanged
from domain.site import Charger
from proxy.protocol.charger_clock import ChargerClock
from proxy.protocol.composite import ChargingProfile, Purpose, TransactionNow, cap_a, lowest, transaction_a
from proxy.protocol.dialects import ClearCriteria
from proxy.protocol.transactions import Transactions

MAX_PROFILES = 256


class CsmsProfiles:
    """One charger's CSMS profiles. A limit is told per EVSE (station cap included); with several EVSEs the station
    cap also for connector 0. Limits that change by the mere passing of time are told with the next message.
    """

    def __init__(
        self, charger: Charger, line_to_line_v: float, transactions: Transactions, clock: ChargerClock
    ) -> None:
        self._charger, self._line_to_line_v = charger, line_to_line_v
        self._transactions, self._clock = transactions, clock
        self._profiles: list[ChargingProfile] = []
        self._told: dict[int, float | None] = {}

    @property
    def profiles(self) -> Sequence[ChargingProfile]:
        """The CSMS's profiles, oldest first."""
        return tuple(self._profiles)

    def accepted(self, profile: ChargingProfile) -> None:
        """The charger accepted this profile: it replaces the one of its id, and of its purpose, level and connector."""
        self._profiles = [p for p in self._profiles if p.id != profile.id and not _same_place(p, profile)]
        self._profiles = [*self._profiles[1 - MAX_PROFILES :], profile]

    def cleared(self, criteria: ClearCriteria) -> None:
        """The charger accepted a ClearChargingProfile."""
        self._profiles = [p for p in self._profiles if not criteria.matches(p)]

    def started(self, connector: int, transaction_id: str) -> None:
        """A transaction began: a profile that came with the remote start belongs to it now."""
        self._profiles = [
            replace(p, transaction_id=transaction_id)
            if p.purpose is Purpose.TX and p.connector == connector and p.transaction_id is None
            else p
            for p in self._profiles
        ]

    def ended(self, transaction_id: str) -> None:
        """A transaction is over, and its profiles with it."""
        self._profiles = [
            p for p in self._profiles if p.purpose is not Purpose.TX or p.transaction_id != transaction_id
        ]

    def changes(self, at: datetime) -> list[CsmsLimitChanged]:
        """The limits in A that lead now and are not what was told last."""
        if not self._profiles and not self._told:
            return []
        events = []
        for connector, limit_a in self._leading(at).items():
            if self._told.get(connector) != limit_a:
                events.append(CsmsLimitChanged(self._charger.id, connector, at, limit_a))
                self._told[connector] = limit_a
        return events

    def _leading(self, at: datetime) -> dict[int, float | None]:
        then, evses = self._clock.now(at), self._charger.evses
        limits: dict[int, float | None] = {}
        for evse in evses:
            running = self._transactions.at(evse.connector)
            now = None
            if running is not None:
                started_at = self._clock.now(running.started_at) if running.started_at is not None else None
                now = TransactionNow(running.transaction_id, started_at)
            limits[evse.connector] = lowest(
                cap_a(self._profiles, then, evse.conductors, self._line_to_line_v),
                transaction_a(self._profiles, evse.connector, then, now, evse.conductors, self._line_to_line_v),
            )
        if len(evses) > 1:
            widest = max(evse.conductors for evse in evses)
            limits[0] = cap_a(self._profiles, then, widest, self._line_to_line_v)
        return limits


def _same_place(one: ChargingProfile, other: ChargingProfile) -> bool:
    return (one.purpose, one.level, one.connector) == (other.purpose, other.level, other.connector) and (
        one.purpose is not Purpose.TX or one.transaction_id in (None, other.transaction_id)
    )
