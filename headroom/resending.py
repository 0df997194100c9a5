"""How often a limit that a charger does not take is sent again, and how many profiles a charger may be sent at all."""

from collections import deque
from datetime import datetime, timedelta

from domain.ids import ChargerId, EvseId
from domain.ledger import LedgerEntry

FIRST_S = 10.0
"""How soon a limit that was refused, or that a broken link may have swallowed, is sent again."""
LONGEST_S = 640.0
"""A charger that takes nothing is tried again for ever, ever less often: each trial may cost its whole ladder."""
DAY = timedelta(days=1)
FOR_RISES = 0.8
"""Of a day's profile writes increases may use so many; the rest is for reductions, which are never held back."""
FOR_RENEWALS = 0.5
"""Of a day's profile writes the renewals of limits that stay as they are take no more."""


def passed(since: datetime, seconds: float, now: datetime) -> bool:
    """Whether so much time has passed, or nobody knows because the clock was set back."""
    return not 0.0 <= (now - since).total_seconds() < seconds


class Resends:
    """When limits were sent, and when those that are not in force are due again."""

    def __init__(self) -> None:
        self.sent_at: dict[EvseId, datetime] = {}
        self._tries: dict[EvseId, int] = {}

    def sent(self, evse: EvseId, now: datetime) -> None:
        """A limit goes out."""
        self.sent_at[evse] = now

    def older_than(self, seconds: float, now: datetime) -> tuple[tuple[EvseId, datetime], ...]:
        """The limits that were sent so long ago, or nobody knows when, and when that was."""
        return tuple((evse, at) for evse, at in self.sent_at.items() if passed(at, seconds, now))

    def is_due(self, evse: EvseId, entry: LedgerEntry, now: datetime) -> bool:
        """Whether the newest limit is to be sent again: at once where it was never sent on this link; later and later
        where it was refused, not acknowledged or not obeyed. To be asked at every occasion: a yes counts as a trial.
        """
        sent_at = self.sent_at.get(evse)
        if entry.sent_at is None or sent_at is None:
            return True
        if not entry.refused and entry.acknowledged_at is not None and entry.trusted:
            self._tries.pop(evse, None)
            return False
        tries = self._tries.get(evse, 0)
        if not passed(sent_at, min(FIRST_S * 2.0**tries, LONGEST_S), now):
            return False
        self._tries[evse] = min(tries + 1, 16)
        return True


class WriteBudgets:
    """The profile writes of the last 24 hours, per charger."""

    def __init__(self) -> None:
        self._writes: dict[ChargerId, deque[datetime]] = {}

    def spend(self, charger: ChargerId, now: datetime) -> None:
        """A limit was written."""
        self._writes.setdefault(charger, deque(maxlen=10_000)).append(now)

    def may_raise(self, charger: ChargerId, per_day: int | None, now: datetime) -> bool:
        """Whether an increase may be written."""
        if per_day is None:
            return True
        writes = self._writes.get(charger, deque())
        while writes and passed(writes[0], DAY.total_seconds(), now):
            writes.popleft()
        return len(writes) < FOR_RISES * per_day


def hold_s(deadman_s: float, per_day: int | None) -> float:
    """For how long a limit is to hold without a renewal, s: longer where the charger's memory wears.

    A limit is renewed when a third of that has passed.
    """
    if per_day is None:
        return deadman_s
    return max(deadman_s, 3.0 * DAY.total_seconds() / max(FOR_RENEWALS * per_day, 1.0))
