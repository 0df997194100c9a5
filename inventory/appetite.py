"""What the present car is seen to want: whether it refuses current, and how much of an offer it takes.

Both are learned from what the charger says and measures, and only while more is on offer than the car takes: a car that
takes all it gets has shown nothing about its limits. Nothing learned lasts for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.metering import EvseSample
from domain.session import EvseState

DRAWING_A = 1.0
"""Above this a car charges; below it the charger and the car's electronics are awake, no more."""
CLEARLY_A = 2.0
CLEARLY_FRAC = 0.1
"""An offer is clearly more than what is taken if it is larger by both: meters and pilots are that coarse."""
OBSERVE_S = 60.0
"""How long a car must leave an offer unused before that counts: slow cars take half a minute to ramp."""
WAKES_WITHIN_S = 120.0
"""How long a car may take from the first offer to its first ampere: a minute is seen, some chargers try twice."""
LOOK_EVERY_S = 1.0
"""A charger that sends samples without pause has them looked through so often: what was seen falls no sooner."""
ALLOWANCE_A = 1.0
"""On top of what was seen, so that a meter that reads low does not push its own car down, ampere by ampere."""
RELAX_AFTER_S = 600.0
RELAX_A_PER_S = 2.0 / 60.0
"""After ten minutes the limit that was seen rises again: a battery warms up, a car's owner changes a setting."""


@dataclass(slots=True)
class Appetite:
    """One car's. `offer_a` is the least that the charger may be offering: what the EMS and the CSMS both allow."""

    min_a: float
    max_a: float
    response_s: float
    offer_a: float
    full_since: datetime | None = None
    _state: EvseState = EvseState.UNKNOWN
    _here_since: datetime | None = None
    _offered_since: datetime | None = None
    _refusing_since: datetime | None = None
    _unused_since: datetime | None = None
    _seen_a: float | None = None
    _seen_at: datetime | None = None
    _looked_at: datetime | None = None

    def state(self, state: EvseState, at: datetime) -> None:
        """The charger reported a state. CHARGING ends every refusal, SUSPENDED_EV begins one.

        Until it leaves SUSPENDED_EVSE nothing is on offer, whatever the limit: its fall-back may have come meanwhile.
        """
        resumed = self._state is EvseState.SUSPENDED_EVSE and state is not EvseState.SUSPENDED_EVSE
        if resumed and self.offer_a >= self.min_a:
            self._offered_since = at
        self._state = state
        if state is EvseState.CHARGING:
            self._refusing_since = self.full_since = None
        elif state is EvseState.SUSPENDED_EV and self._refusing_since is None:
            self._refusing_since = at
        self.settle(at)

    def offer(self, offer_a: float, at: datetime | None) -> None:
        """The offer is now `offer_a`, since `at` (None: since before anything was known)."""
        if offer_a < self.min_a:
            self._offered_since = None
        elif self.offer_a < self.min_a or self._offered_since is None:
            self._offered_since = at
        if offer_a < self.offer_a:
            self._unused_since = None
        self.offer_a = offer_a

    def sample(self, sample: EvseSample, recent: Iterable[EvseSample], state: EvseState) -> None:
        """A measurement came; `recent` are those of the last minutes, this one included."""
        if sample.current_a is None:
            return
        at, current_a = sample.received_at, sample.current_a
        if current_a > DRAWING_A:
            self._refusing_since = self.full_since = None
            self._learn(sample, recent)
        else:
            self._unused_since = None
            if state is EvseState.SUSPENDED_EV and self._refusing_since is None:
                self._refusing_since = at
        self.settle(at)

    def _learn(self, sample: EvseSample, recent: Iterable[EvseSample]) -> None:
        at, current_a = sample.received_at, sample.current_a or 0.0
        offer_a = min(self.offer_a, sample.offered_a) if sample.offered_a else self.offer_a
        if self._seen_a is not None and current_a > self._seen_a + ALLOWANCE_A / 2:
            # It takes the allowance as well: what was seen was not its limit, and what that is, is not known.
            takes_all = offer_a - current_a < ALLOWANCE_A / 2
            self._seen_a, self._seen_at = (None, None) if takes_all else (current_a, at)
        if offer_a - current_a < max(CLEARLY_A, CLEARLY_FRAC * offer_a):
            self._unused_since = None
            return
        self._unused_since = self._unused_since or at
        if (at - self._unused_since).total_seconds() < max(OBSERVE_S, 2 * self.response_s):
            return
        looked_at = self._looked_at
        if self._seen_a is not None and looked_at is not None and 0 <= (at - looked_at).total_seconds() < LOOK_EVERY_S:
            self._seen_a, self._seen_at = max(self._seen_a, current_a), at
            return
        self._looked_at = at
        taken = [
            one.current_a
            for one in recent
            if one.current_a is not None and (at - one.received_at).total_seconds() <= OBSERVE_S
        ]
        self._seen_a, self._seen_at = max(taken, default=current_a), at

    def settle(self, now: datetime) -> bool:
        """Makes a refusal count once it has lasted, with current on offer, for the response time; whether that is news.

        Many chargers report SUSPENDED_EV while a car wakes up, so a car that was offered nothing before has
        `WAKES_WITHIN_S` first. Once it counts it holds, although the offer is taken back, until the car draws current
        or another car comes: one that is taken for full too early loses its place among those who wait.
        """
        refusing = self._refusing_since
        if refusing is None or self.full_since is not None or self.offer_a < self.min_a:
            return False
        begun = max((at for at in (self._here_since, self._offered_since) if at is not None), default=None)
        if begun is not None and (now - begun).total_seconds() < WAKES_WITHIN_S:
            return False
        since = refusing if begun is None else max(refusing, begun)
        if (now - since).total_seconds() < self.response_s:
            return False
        self.full_since = since
        return True

    def seen_max_a(self, now: datetime) -> float | None:
        """What the car takes at most, A, at least `min_a`; None where that is not known or no less than the EVSE's."""
        if self._seen_a is None or self._seen_at is None:
            return None
        stale_s = max(0.0, (now - self._seen_at).total_seconds() - RELAX_AFTER_S)
        value_a = max(self.min_a, self._seen_a + ALLOWANCE_A + stale_s * RELAX_A_PER_S)
        return value_a if value_a < self.max_a else None

    def another_car(self, at: datetime) -> None:
        """A session began or ended: nothing is known of the next car. The offer stays what it is."""
        self._here_since = at
        self.full_since = self._refusing_since = None
        self._unused_since = self._seen_a = self._seen_at = None

    def remember_full(self, since: datetime | None) -> None:
        """Takes up after a restart what was known before it."""
        self.full_since = self._refusing_since = since
