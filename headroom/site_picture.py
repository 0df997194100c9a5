"""All that is known of one site, kept current: live state, settling ledger, base load and forecast."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from domain import events as e
from domain.ids import ChargerId, EvseId, FeederId
from domain.ledger import LedgerEntry
from domain.metering import EvseSample
from domain.quirks import Quirks
from domain.setpoint import Decision, Latitude
from domain.site import Evse, Site
from domain.snapshot import EvseView, FeederView, SiteSnapshot
from ems import ledger
from ems.base_load import EvseTrack
from ems.capacity_gain import capacity_gain
from forecasting.port import Forecaster
from headroom.base_loads import BaseLoads
from headroom.load_minutes import LoadMinutes
from headroom.load_shifts import load_shifts
from headroom.resending import hold_s
from headroom.verdicts import verdict_of
from inventory.live import LiveState
from inventory.records import Record

_GAPS = 16
"""How many of the newest samples tell how far apart they come."""
_ESTIMATE_S = 5.0
"""How old an estimate of the base load may be, without anything new, when a decision looks at it: meters go stale."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an event changed: records to store, reasons to decide, EVSEs and feeders to tell watchers of.

    `look`: nothing to decide yet, but `pass_time` is to be called soon.
    """

    records: tuple[Record, ...] = ()
    triggers: tuple[str, ...] = ()
    evses: tuple[EvseId, ...] = ()
    feeders: tuple[FeederId, ...] = ()
    look: bool = False


class SitePicture:
    """One site's present. Not thread-safe, no clock, no I/O: `now` comes in, records and triggers go out."""

    def __init__(self, live: LiveState, forecaster: Forecaster, now: datetime) -> None:
        self.site: Site = live.site
        self.live = live
        self._evses = frozenset(evse.id for evse in self.site.evses)
        self._chargers = frozenset(charger.id for charger in self.site.chargers)
        self.base = BaseLoads(self.site, live, forecaster)
        self.capacity = capacity_gain(self.site)
        self.loads = LoadMinutes(self.site)
        self._dirty = True
        self._estimated_at = now
        self._silent_since: dict[ChargerId, datetime] = {charger.id: now for charger in self.site.chargers}
        self._versions: dict[ChargerId, str] = {}
        self._holds_until: dict[EvseId, datetime] = {}
        self._decided_on: Mapping[FeederId, FeederView] = {}
        self._latitude: Latitude | None = None
        self._decided_a: dict[EvseId, float] = {}
        self._started: tuple[Record, ...] = ()
        for evse in self.site.evses:
            self._started += live.set_ledger(evse.id, ledger.restarted(live.ledger(evse.id), evse))
        self.feeders: Mapping[FeederId, FeederView] = {}
        self._tracks: dict[EvseId, EvseTrack] = {}
        self._estimate(now)

    # Events.

    def concerns(self, event: e.Event) -> bool:
        """Whether an event is about this site."""
        match event:
            case e.FeederMetered():
                return event.reading.meter in self.base.meters
            case (
                e.SetpointSent()
                | e.SetpointAccepted()
                | e.SetpointRefused()
                | e.SetpointConfirmed()
                | e.SetpointIgnored()
            ):
                return event.evse in self._evses
            case _:
                return event.charger in self._chargers

    def apply(self, event: e.Event, now: datetime) -> Change:
        """Take up an event of this site."""
        match event:
            case e.FeederMetered():
                self._dirty = True
                return Change(self.live.apply(event, now), look=True)
            case e.EvseMetered():
                return self._metered(event, now)
            case (
                e.SetpointSent()
                | e.SetpointAccepted()
                | e.SetpointRefused()
                | e.SetpointConfirmed()
                | e.SetpointIgnored()
            ):
                return self._of_setpoint(event, now)
            case (
                e.QuirksLearned()
                | e.CsmsProfilesChanged()
                | e.CsmsCommandWithheld()
                | e.CsmsLost()
                | e.CsmsReturned()
                | e.StartInDoubt()
            ):
                return Change(self.live.apply(event, now))
            case _:
                return self._of_charger(event, now)

    def _of_setpoint(
        self,
        event: e.SetpointSent | e.SetpointAccepted | e.SetpointRefused | e.SetpointConfirmed | e.SetpointIgnored,
        now: datetime,
    ) -> Change:
        records = self.live.apply(event, now)
        entry, evse = self.entry(event.evse), self.site.evse(event.evse)
        triggers: tuple[str, ...] = ()
        match event:
            case e.SetpointSent():
                # The record of a charger may change before this limit's dead-man step comes.
                until = event.at + timedelta(seconds=self.hold_s(evse.id))
                self._holds_until[evse.id] = max(until, self._holds_until.get(evse.id, until))
            case e.SetpointAccepted():
                acknowledged = ledger.acknowledged(entry, event.limit_a, event.at)
                # One in time says what was counted on already; how it settles is another event.
                if event.limit_a == entry.limit_a and (entry.refused or ledger.not_made(entry, evse, now)):
                    triggers = (f"{evse.id} acknowledged its limit late",)
                entry = acknowledged
            case e.SetpointRefused(voided=False):
                entry = ledger.refused(entry, event.limit_a, evse.failsafe_a)
                triggers = (f"{evse.id} refused its limit",)
            case e.SetpointRefused():
                entry = ledger.voided(entry, evse)
                triggers = (f"{evse.id} refused its limit",)
            case e.SetpointIgnored() if entry.limit_a == event.limit_a:
                # The charger's own schedule allows more than it accepted: nothing of ours counts as in force.
                entry = ledger.voided(entry, evse)
                triggers = (f"{evse.id} does not hold its limit",)
        return Change(records + self._ledger(evse.id, entry), triggers, (evse.id,))

    def _of_charger(
        self,
        event: e.ChargerConnected
        | e.ChargerDisconnected
        | e.ChargerBooted
        | e.EvseStatusChanged
        | e.SessionStarted
        | e.SessionEnded
        | e.CsmsLimitChanged,
        now: datetime,
    ) -> Change:
        evses = self.site.charger(event.charger).evses
        before = {evse.id: self._told(evse.id, now) for evse in evses}
        records = self.live.apply(event, now)
        accept = self.site.accept_unproven_failsafe
        for evse in evses:
            entry = self.entry(evse.id)
            match event:
                case e.ChargerConnected():
                    self._versions[event.charger] = event.version
                    self._silent_since.pop(event.charger, None)
                    entry = ledger.reconnected(entry, evse)
                case e.ChargerDisconnected():
                    self._silent_since.setdefault(event.charger, now)
                    entry = ledger.disconnected(entry, evse, accept_unproven=accept)
                case e.SessionStarted(connector=evse.connector):
                    entry = ledger.new_car(entry)
                case e.ChargerBooted():
                    entry = ledger.rebooted(entry, evse, accept_unproven=accept)
                case _:
                    continue
            records += self._ledger(evse.id, entry)
        told = tuple(evse.id for evse in evses if self._told(evse.id, now) != before[evse.id])
        if type(event) in _TRIGGERS:
            return Change(records, (_TRIGGERS[type(event)].format(event.charger),), told)
        return Change(records, tuple(f"{evse} is {self.view(evse, now).state}" for evse in told), told)

    def _metered(self, event: e.EvseMetered, now: datetime) -> Change:
        evse = self.site.evse_at(event.charger, event.connector)
        kept = self._newest(evse)
        records = self.live.apply(event, now)
        newest = self._newest(evse)
        if evse is None or newest is None or newest is kept:
            return Change(records)
        self._dirty = True  # looked at with the next reading or decision
        if newest.current_a is None:
            return Change(records)
        before = self.entry(evse.id)
        after = ledger.measured(before, evse, newest.current_a, newest.received_at)
        records += self._ledger(evse.id, after)
        triggers: tuple[str, ...] = ()
        if after.settled and not before.settled:
            triggers = (f"{evse.id} has settled",)
        elif after.trusted != before.trusted:
            triggers = (f"{evse.id} does not obey" if before.trusted else f"{evse.id} obeys again",)
        elif abs(newest.current_a - self._decided_a.get(evse.id, newest.current_a)) > self.site.control.dead_band_a:
            triggers = (f"{evse.id} draws {newest.current_a:.1f} A",)
        return Change(records, triggers, (evse.id,))

    def _newest(self, evse: Evse | None) -> EvseSample | None:
        samples = () if evse is None else self.live.samples(evse.id)
        return samples[-1] if samples else None

    def pass_time(self, now: datetime) -> Change:
        """What time alone changes, and what readings have changed since the last call."""
        records, self._started = self._started, ()
        for charger, since in self._silent_since.items():
            for evse in self.site.charger(charger).evses:
                until = self._holds_until.get(evse.id, since)
                entry = ledger.silent(
                    self.entry(evse.id),
                    evse,
                    since,
                    max(self.hold_s(evse.id), (until - since).total_seconds()),
                    now,
                    accept_unproven=self.site.accept_unproven_failsafe,
                )
                records += self._ledger(evse.id, entry)
        for evse in self.site.evses:
            entry = self.entry(evse.id)
            if not (entry.settled and entry.trusted):
                records += self._ledger(evse.id, self._settled(entry, evse, now))
        before = self.feeders
        if self._dirty or (now - self._estimated_at).total_seconds() >= _ESTIMATE_S:
            self._estimate(now)
        told = tuple(name for name, view in self.feeders.items() if view != before.get(name))
        shifts = load_shifts(self.site, self.feeders, self._decided_on, self._latitude)
        return Change(records, tuple(shifts), feeders=told)

    def _settled(self, entry: LedgerEntry, evse: Evse, now: datetime) -> LedgerEntry:
        """The ledger as time has settled it; an EVSE without a car is known to draw nothing."""
        entry = ledger.elapsed(entry, evse, now)
        if (entry.settled and entry.trusted) or not self.live.is_free(evse.id):
            return entry
        return ledger.measured(entry, evse, 0.0, now)

    # Base load.

    def _estimate(self, now: datetime) -> None:
        """Base load of every feeder from the newest readings, and the forecast from the base load."""
        if self.base.meters:  # else nobody asks what was drawn, nor how far ahead
            self._tracks = {evse.id: self._track(evse) for evse in self.site.evses}
        self.feeders = self.base.estimate(self._tracks, now, self._reach_s() if self.base.meters else {})
        self._dirty = False
        self._estimated_at = now

    def _reach_s(self) -> dict[FeederId, float]:
        """How far ahead loads are to be secured above EVSEs whose limits hold longer than the site's dead-man time.

        Limits there stay as they were for so long where every link is lost (ems.md 6.5).
        """
        found: dict[FeederId, float] = {}
        for evse in self.site.evses:
            held_s = self.hold_s(evse.id)
            if held_s > self.site.control.deadman_s:
                for feeder in self.site.path(evse.feeder):
                    found[feeder.id] = max(found.get(feeder.id, 0.0), held_s + evse.response_s)
        return found

    def _track(self, evse: Evse) -> EvseTrack:
        """What the EVSE drew lately; the track of the last estimate where nothing is new."""
        entry, samples, free = self.entry(evse.id), self.live.samples(evse.id), self.live.is_free(evse.id)
        known = self._tracks.get(evse.id)
        if known is not None and known.ledger is entry and known.idle == free and known.samples == samples:
            return known
        lately = samples[-_GAPS:]
        apart_s = [(later.received_at - earlier.received_at).total_seconds() for earlier, later in pairwise(lately)]
        interval_s = median(apart_s) if apart_s else 60.0
        return EvseTrack(entry, samples, interval_s, free)

    # What the control loop tells.

    def sent(self, evse: EvseId, limit_a: float, now: datetime) -> tuple[Record, ...]:
        """A limit is about to be sent: it counts from now on. One that ends a pause counts at the full rating until it
        is settled, where the charger is known to charge at full current first.
        """
        before, place = self.entry(evse), self.site.evse(evse)
        after = ledger.sent(before, limit_a, now)
        surges = self.quirks(place.charger).after_zero == "full_current"
        if surges and before.limit_a < place.min_a <= limit_a:
            after = replace(after, upper_a=place.max_a)
        return self._ledger(evse, after)

    def withhold(self, evse: EvseId, limit_a: float, before_a: float) -> tuple[Record, ...]:
        """An increase to `limit_a` that was noted as sent was not: `before_a` is the newest, and has to be repeated."""
        entry = self.entry(evse)
        if entry.limit_a != limit_a:
            return ()
        kept = replace(entry, limit_a=before_a, sent_at=None, acknowledged_at=None, settled_at=None)
        return self._ledger(evse, kept)

    def decided(self, decision: Decision, snapshot: SiteSnapshot, elapsed_ms: float) -> tuple[Record, ...]:
        """A decision was made on `snapshot`."""
        self._decided_on, self._latitude = snapshot.feeders, decision.latitude
        self._decided_a = {
            view.evse: view.ledger.measured_a for view in snapshot.evses.values() if view.ledger.measured_a is not None
        }
        kept = self.live.decided(decision, snapshot=snapshot, elapsed_ms=elapsed_ms)
        return kept + self.loads.decided(snapshot, decision)

    def checkpoint(self, now: datetime) -> tuple[Record, ...]:
        """All that is to be written down before another goes on."""
        return (*self.live.checkpoint(now), *self.loads.rest())

    # What others ask.

    def snapshot(self, now: datetime) -> SiteSnapshot:
        """All that a decision may look at."""
        return self.live.snapshot(now, feeders=self.feeders)

    def view(self, evse: EvseId, now: datetime) -> EvseView:
        """One EVSE as it stands."""
        return self.live.view(evse, now)

    def entry(self, evse: EvseId) -> LedgerEntry:
        """The limits that may be in force at an EVSE."""
        return self.live.ledger(evse)

    def quirks(self, charger: ChargerId) -> Quirks:
        """What is known of a charger beyond what OCPP promises."""
        return self.live.quirks.of_charger(charger)

    def hold_s(self, evse: EvseId) -> float:
        """For how long a limit of this EVSE holds at its charger without a renewal, s."""
        per_day = self.quirks(self.site.evse(evse).charger).write_budget_per_day
        return hold_s(self.site.control.deadman_s, per_day)

    def wakes_up(self, evse: EvseId, now: datetime) -> bool:
        """Whether its car is to be woken now, once a pause: held at 0 A once more, so that a new offer follows."""
        if not self.live.asleep(evse, now):
            return False
        self.live.woken(evse)
        return True

    def linked(self, evse: EvseId) -> bool:
        """Whether the EVSE's charger has a link."""
        return self.live.charger(self.site.evse(evse).charger).linked

    def transactions(self, charger: ChargerId) -> dict[int, str]:
        """The running transactions of a charger, per connector."""
        return self.live.transactions(charger)

    def version(self, charger: ChargerId) -> str | None:
        """The OCPP version of a charger's newest link."""
        return self._versions.get(charger) or self.live.charger(charger).version

    def _told(self, evse: EvseId, now: datetime) -> tuple[object, ...]:
        view = self.view(evse, now)
        running = None if view.session is None else view.session.transaction_id
        return (view.state, view.linked, running, view.csms_limit_a)

    def _ledger(self, evse: EvseId, entry: LedgerEntry) -> tuple[Record, ...]:
        before = self.entry(evse)
        if entry is before:
            return ()
        verdict = verdict_of(evse, before, entry, self.live.setpoint(evse).decision)
        records = self.live.set_ledger(evse, entry)
        return records if verdict is None else records + self.live.apply(verdict, verdict.at)


_TRIGGERS: Mapping[type, str] = {
    e.SessionStarted: "StartTransaction at {}",
    e.SessionEnded: "StopTransaction at {}",
    e.ChargerConnected: "{} connected",
    e.ChargerDisconnected: "{} lost its link",
    e.ChargerBooted: "{} booted",
    e.CsmsLimitChanged: "the CSMS changed a limit at {}",
}
"""Events that alone are a reason to decide; after others only a change of state is."""
