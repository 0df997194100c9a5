"""What is remembered of one EVSE and of one charger between events. Mutable, and private to `inventory.live`."""

import dataclasses
import math
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from domain.ids import EvseId
from domain.ledger import LedgerEntry
from domain.metering import EvseSample
from domain.quirks import AfterZero, Quirks
from domain.session import EvseState, Session
from domain.site import Evse, Site
from domain.snapshot import EvseView
from inventory.appetite import DRAWING_A, Appetite
from inventory.awakening import Awakening
from inventory.energy import EnergyCounter, power_per_ampere_w
from inventory.records import ChargerFacts, ConnectorFacts, SetpointFacts

SAMPLES_S = 180.0
MAX_SAMPLES = 256
ABSURD = 4.0
"""No car draws this many times an EVSE's rating for long enough to be metered: the value is a wrong unit."""
VACANT_S = 300.0
"""A session at an EVSE that calls itself available for so long, with nothing drawn, has ended unheard."""
CLOCK_JITTER_S = 60.0
CLOCK_STEADY_S = 2.0
CLOCK_PROOFS = 3


@dataclass(slots=True)
class ChargerMemory:
    """A charger's facts, and the offset of its clock, by which live samples are told from stored ones."""

    _facts: ChargerFacts
    written: ChargerFacts | None = None
    _seen_at: datetime | None = None
    _delay_s: float = 0.0
    _candidate_s: float = 0.0
    _proofs: int = 0
    _judged: EvseSample | None = None
    _verdict: bool = True

    @property
    def facts(self) -> ChargerFacts:
        """What is known of it. Made anew where it was seen since: it is seen far oftener than it is asked about."""
        if self._seen_at is not None:
            self._facts = dataclasses.replace(self._facts, last_seen_at=self._seen_at)
            self._seen_at = None
        return self._facts

    @facts.setter
    def facts(self, facts: ChargerFacts) -> None:
        self._facts = facts

    def seen(self, at: datetime) -> bool:
        """It said something at `at`; whether that is later than anything before."""
        last = self._seen_at or self._facts.last_seen_at
        if last is not None and at <= last:
            return False
        self._seen_at = at
        return True

    def is_live(self, sample: EvseSample) -> bool:
        """Whether a sample tells of now: a charger that was offline sends what it stored, old stamps and all.

        The age by the charger's own clock must be about what it was. A clock that was set gives a new age that stays
        the same from sample to sample, which a queue being emptied does not.
        """
        if sample != self._judged:
            self._judged, self._verdict = sample, self._judge(sample)
        return self._verdict

    def _judge(self, sample: EvseSample) -> bool:
        delay_s = (sample.received_at - sample.at).total_seconds()
        steady = abs(delay_s - self._candidate_s) <= CLOCK_STEADY_S
        self._proofs = self._proofs + 1 if steady else 1
        self._candidate_s = delay_s
        if abs(delay_s - self._delay_s) > CLOCK_JITTER_S and self._proofs < CLOCK_PROOFS:
            return False
        self._delay_s, self._proofs = delay_s, 0
        return True


@dataclass(slots=True)
class EvseMemory:
    """An EVSE as it stands: session, limits, last samples, and what its car is seen to want."""

    evse: Evse
    per_ampere_w: float
    ledger: LedgerEntry
    appetite: Appetite
    awakening: Awakening
    plug: ConnectorFacts
    setpoint: SetpointFacts
    session: Session | None = None
    counter: EnergyCounter | None = None
    samples: deque[EvseSample] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))
    ended: deque[tuple[str, datetime]] = field(default_factory=lambda: deque(maxlen=16))
    lapsed: Session | None = None
    written: Session | None = None
    written_at: datetime | None = None
    ledger_known: bool = False
    vacant_since: datetime | None = None
    csms_limit_a: float | None = None
    shown_after_zero: AfterZero | None = None
    """What of `awakening` is already in the quirk record."""
    _acknowledged_a: float = math.inf

    @classmethod
    def of(cls, site: Site, evse: Evse) -> "EvseMemory":
        """Nothing is known: it may draw its full rating."""
        return cls(
            evse=evse,
            per_ampere_w=power_per_ampere_w(site, evse),
            ledger=LedgerEntry(limit_a=evse.max_a, upper_a=evse.max_a),
            appetite=Appetite(evse.min_a, evse.max_a, evse.response_s, offer_a=evse.max_a),
            awakening=Awakening(evse.min_a, evse.response_s),
            plug=ConnectorFacts(evse.charger, evse.connector),
            setpoint=SetpointFacts(evse.id),
            _acknowledged_a=evse.max_a,
        )

    def restore(self, session: Session | None, entry: LedgerEntry | None, setpoint: SetpointFacts | None) -> None:
        """Takes up what a restart brought back."""
        if entry is not None:
            self.set_ledger(entry)
        if setpoint is not None:
            self.setpoint = setpoint
        if session is not None:
            self.begin(session)
            self.written, self.written_at = session, session.started_at

    @property
    def id(self) -> EvseId:
        """The EVSE's id."""
        return self.evse.id

    def begin(self, session: Session) -> None:
        """A session is there: a new one, or one that a restart brought back."""
        self.session = session
        self.lapsed = self.vacant_since = None
        self.counter = EnergyCounter(
            self.per_ampere_w, self.evse.max_a, session.started_at, session.meter_start_wh, session.energy_wh
        )
        self.appetite.another_car(session.started_at)
        self.awakening.another_car()
        if session.full_since is not None:
            self.appetite.remember_full(session.full_since)
        # Which comes first, the status or the transaction, differs from charger to charger.
        self.appetite.state(self.plug.state, max(session.started_at, self.plug.state_at or session.started_at))

    def end(self, at: datetime) -> Session | None:
        """The session as it ended, or None where there was none."""
        session = self.present()
        if session is None:
            return None
        self.session = self.counter = self.vacant_since = None
        self.appetite.another_car(at)
        self.awakening.another_car()
        return dataclasses.replace(session, ended_at=max(at, session.started_at))

    def present(self) -> Session | None:
        """The open session with its energy and refusal as known now."""
        session, counter = self.session, self.counter
        if session is None or counter is None:
            return session
        if session.energy_wh != counter.energy_wh or session.full_since != self.appetite.full_since:
            session = dataclasses.replace(session, energy_wh=counter.energy_wh, full_since=self.appetite.full_since)
            self.session = session
        return session

    @property
    def only_counts_on(self) -> bool:
        """Whether nothing of its open session but the energy can have changed since that was recorded."""
        session = self.session
        return session is not None and session is self.written and session.full_since == self.appetite.full_since

    def set_ledger(self, entry: LedgerEntry) -> None:
        """Takes a new ledger entry; the offer follows what the charger has acknowledged."""
        acknowledged_at = entry.acknowledged_at or entry.settled_at
        if acknowledged_at is not None:
            self._acknowledged_a = entry.limit_a
            if self.session is not None:
                self.awakening.told(entry.limit_a, acknowledged_at)
        self.ledger = entry
        self.ledger_known = True
        self.refresh_offer(acknowledged_at or entry.sent_at)

    def refresh_offer(self, at: datetime | None) -> None:
        """The least that may be on offer: an unanswered limit counts if lower, a refused one never."""
        offer_a = self._acknowledged_a
        if not self.ledger.refused:
            offer_a = min(offer_a, self.ledger.limit_a)
        self.appetite.offer(offer_a if self.csms_limit_a is None else min(offer_a, self.csms_limit_a), at)

    def plausible(self, sample: EvseSample) -> EvseSample:
        """The sample without values that cannot be true."""
        current_a = sample.current_a
        if current_a is not None and not 0 <= current_a <= ABSURD * self.evse.max_a:
            current_a = None
        line_a = sample.line_a if all(0 <= value <= ABSURD * self.evse.max_a for value in sample.line_a) else ()
        if current_a == sample.current_a and line_a == sample.line_a:
            return sample
        return dataclasses.replace(sample, current_a=current_a, line_a=line_a)

    def measured(self, sample: EvseSample) -> None:
        """Takes a live sample."""
        while self.samples and (sample.received_at - self.samples[0].received_at).total_seconds() > SAMPLES_S:
            self.samples.popleft()
        self.samples.append(sample)
        if sample.current_a is not None and sample.current_a > DRAWING_A and self.vacant_since is not None:
            self.vacant_since = sample.received_at
        if self.session is not None:
            self.appetite.sample(sample, self.samples, self.plug.state)
            if sample.current_a is not None:
                self.awakening.sample(sample.current_a, sample.received_at)

    def is_own(self, transaction_id: str | None) -> bool:
        """Whether a message belongs to the open session, as far as it says."""
        return self.session is not None and transaction_id in {None, self.session.transaction_id}

    @property
    def looks_vacant(self) -> bool:
        """Whether a session is open at a connector that calls itself available."""
        return self.session is not None and self.plug.state is EvseState.AVAILABLE

    def vacant(self, now: datetime) -> bool:
        """Whether the session must have ended without a word."""
        since = self.vacant_since
        return self.session is not None and since is not None and (now - since).total_seconds() > VACANT_S

    def view(self, now: datetime, *, linked: bool, quirks: Quirks) -> EvseView:
        """The EVSE for a decision at `now`."""
        return EvseView(
            self.evse.id,
            self.plug.state,
            linked,
            self.present(),
            self.ledger,
            self.csms_limit_a,
            self.appetite.seen_max_a(now) if self.session is not None else None,
            self.samples[-1] if self.samples else None,
            stays_paused_since=self.awakening.stuck_since,
            quirks=quirks,
        )


DRAWN_STATES = frozenset({EvseState.CHARGING, EvseState.SUSPENDED_EV, EvseState.SUSPENDED_EVSE})
"""States that only a charger with a car and a transaction reports."""
