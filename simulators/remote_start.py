"""Starts that the CSMS asks for, which may come before the car does."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from simulators.charging_profiles import Profile, ProfileError, Purpose
from simulators.dialect import Station
from simulators.evse import PlugState, SimulatedEvse

CONNECTION_TIMEOUT_S = 60.0
"""How long a remote start waits for a car (ConnectionTimeOut, EVConnectionTimeOut)."""


@dataclass(frozen=True, slots=True)
class _Pending:
    id_tag: str
    remote_start_id: int | None
    asked_at: datetime


class RemoteStarts:
    """Finds the EVSE, takes the TxProfile that came along, and starts now or when the car comes."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._pending: dict[int, _Pending] = {}

    def request(
        self,
        connector: int | None,
        id_tag: str,
        *,
        remote_start_id: int | None = None,
        profile: Callable[[int], Profile] | None = None,
    ) -> SimulatedEvse | None:
        """The EVSE that takes the request, or None where it is rejected; call `go` once the answer is sent.

        Args:
            connector: which one; None leaves it to the charger.
            id_tag: for whom.
            remote_start_id: 2.x.
            profile: makes the TxProfile that came along, for the connector that is chosen.
        """
        evse = self._choose(connector)
        if evse is None:
            return None
        if profile is not None and not self._install(lambda: profile(evse.connector)):
            return None
        self._pending[evse.connector] = _Pending(id_tag, remote_start_id, self._station.now())
        return evse

    def go(self, evse: SimulatedEvse, *, ask_csms: bool) -> None:
        """Start if the car is there, after asking about the tag where the configuration wants that."""
        if evse.vehicle is None:
            return
        pending = self._pending.pop(evse.connector)
        if ask_csms:
            self._station.authorize(pending.id_tag, lambda: self._begin(evse, pending))
        else:
            self._begin(evse, pending)

    def plugged(self, evse: SimulatedEvse) -> bool:
        """A car has come; True if a start was waiting for it."""
        pending = self._pending.pop(evse.connector, None)
        if pending is None or (self._station.now() - pending.asked_at).total_seconds() > CONNECTION_TIMEOUT_S:
            return False
        self._begin(evse, pending)
        return True

    def _install(self, profile: Callable[[], Profile]) -> bool:
        """Only a TxProfile without a transaction id may come along (1.6 section 5.16.2)."""
        try:
            wanted = profile()
        except ProfileError:
            return False
        alone = wanted.purpose is Purpose.TX and wanted.transaction_id is None
        return alone and self._station.profiles.install(wanted, None, with_start=True) is None

    def _begin(self, evse: SimulatedEvse, pending: _Pending) -> None:
        self._station.begin(evse, pending.id_tag, remote_start_id=pending.remote_start_id)

    def _choose(self, connector: int | None) -> SimulatedEvse | None:
        candidates = [
            evse
            for evse in self._station.evses.values()
            if connector in (None, evse.connector)
            and (evse.transaction is None or evse.transaction.id_tag is None)
            and evse.state is not PlugState.UNAVAILABLE
        ]
        candidates.sort(key=lambda evse: (evse.vehicle is None, evse.connector))
        return candidates[0] if candidates else None
