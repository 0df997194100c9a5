"""Whether a car comes back after a pause at 0 A: some chargers stay paused, some charge at full current at first.

Private to the inventory: fed by `evse_memory`, read as part of an EVSE's view. Only a car that drew current in this
stay and was then paused by a limit tells anything: one that is full, or was never asked, does not.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.quirks import AfterZero
from domain.session import EvseState
from inventory.appetite import DRAWING_A

ASLEEP_S = 60.0
"""How long, beyond the response time, a car may take to draw again."""
OVER_A = 2.0
"""So far above every limit since the pause, a draw soon after it is not the limits' work."""
CHARGERS_WORD = frozenset({EvseState.SUSPENDED_EVSE, EvseState.CHARGING})
"""States in which not the car refuses: in any other, a car that does not come back may simply be full."""


@dataclass(slots=True)
class Awakening:
    """One EVSE's. `learned` is what the charger showed, once it did; `stuck_since` is set while it stays paused."""

    min_a: float
    response_s: float
    learned: AfterZero | None = None
    stuck_since: datetime | None = None
    _drew: bool = False
    _paused: bool = False
    _most_a: float = 0.0
    _offered_at: datetime | None = None
    _watch_until: datetime | None = None
    _woken: bool = False

    def another_car(self) -> None:
        """A stay began or ended."""
        self.stuck_since = self._offered_at = self._watch_until = None
        self._drew = self._paused = self._woken = False

    def told(self, limit_a: float, at: datetime) -> None:
        """The charger acknowledged a limit."""
        self._most_a = max(self._most_a, limit_a)
        if limit_a < self.min_a:
            self._paused = self._paused or self._drew
            self._offered_at = self._watch_until = None
        elif self._paused and self._offered_at is None:
            self._offered_at, self._most_a = at, limit_a
            self._watch_until = at + timedelta(seconds=ASLEEP_S + self.response_s)

    def sample(self, current_a: float, at: datetime) -> None:
        """What the EVSE draws."""
        if current_a <= DRAWING_A:
            return
        self._drew = True
        if self._watch_until is not None and at <= self._watch_until and current_a > self._most_a + OVER_A:
            self.learned = "full_current"
        if self._offered_at is None or at <= self._offered_at:
            return
        if self.learned != "full_current":
            self.learned = "resumes"
        self.stuck_since = self._offered_at = None
        self._paused = self._woken = False

    def asleep(self, now: datetime) -> bool:
        """Whether the car has current on offer again and has not come back for too long; one wake-up is due."""
        return not self._woken and self._overdue(now)

    def wake(self) -> None:
        """The wake-up is made: at most once in a pause."""
        self._woken = True

    def settle(self, state: EvseState, now: datetime) -> bool:
        """What time alone shows: whether the wake-up was in vain, and whether that is news."""
        if self.stuck_since is not None or not self._woken or not self._overdue(now) or state not in CHARGERS_WORD:
            return False
        self.stuck_since = now
        self.learned = "stays_paused"
        return True

    def _overdue(self, now: datetime) -> bool:
        wait = timedelta(seconds=ASLEEP_S + self.response_s)
        return self._offered_at is not None and now - self._offered_at >= wait
