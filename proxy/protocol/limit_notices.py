"""2.x: tells the CSMS of limits that are not its own, where the site wants it (K14, K25); pure."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from domain.events import Event, SetpointAccepted
from domain.ids import EvseId
from domain.site import Charger
from proxy.protocol.exchange import OwnCall, Side

SIGNIFICANT_A = 1.0
"""A smaller change is not worth a message (LimitChangeSignificance is the charger's own word for it)."""
QUIET_S = 60.0
"""A rise is told no sooner after the last message: the EMS moves limits all the time. A reduction is told at once."""
_SOURCE = {"chargingLimitSource": "EMS"}


class LimitNotices:
    """One charger's. A limit at the EVSE's rating is none: then what was told is cleared."""

    def __init__(self, charger: Charger, new_token: Callable[[], str]) -> None:
        self._evses = {evse.id: evse for evse in charger.evses}
        self._new_token = new_token
        self._told: dict[EvseId, tuple[float, datetime]] = {}

    def about(self, events: Iterable[Event]) -> list[OwnCall]:
        """What to tell the CSMS of limits that the charger has accepted."""
        calls = []
        for event in events:
            if isinstance(event, SetpointAccepted) and event.evse in self._evses and self._is_news(event):
                self._told[event.evse] = (event.limit_a, event.at)
                calls.append(self._call(event))
        return calls

    def _is_news(self, event: SetpointAccepted) -> bool:
        rating_a = self._evses[event.evse].max_a
        before_a, at = self._told.get(event.evse, (rating_a, None))
        if abs(event.limit_a - before_a) < SIGNIFICANT_A:
            return False
        return event.limit_a < before_a or at is None or event.at - at >= timedelta(seconds=QUIET_S)

    def _call(self, event: SetpointAccepted) -> OwnCall:
        evse = self._evses[event.evse]
        slot = f"notice:{evse.connector}"
        if event.limit_a >= evse.max_a:
            payload: dict[str, object] = {**_SOURCE, "evseId": evse.connector}
            return OwnCall("ClearedChargingLimit", payload, slot, self._new_token(), towards=Side.CSMS)
        period = {"startPeriod": 0, "limit": event.limit_a}
        schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
        payload = {"evseId": evse.connector, "chargingLimit": _SOURCE, "chargingSchedule": [schedule]}
        return OwnCall("NotifyChargingLimit", payload, slot, self._new_token(), towards=Side.CSMS)
