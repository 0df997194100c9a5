"""The present truth of one site, in memory: events in, records and snapshots out. No query, no clock, no waiting."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

from domain import events as e
from domain.errors import UnknownIdError
from domain.ids import ChargerId, EvseId, FeederId, MeterId
from domain.ledger import LedgerEntry
from domain.metering import EvseSample, MeterReading
from domain.quirks import Model, Quirks
from domain.session import EvseState, Session
from domain.setpoint import Decision
from domain.site import Evse, Site
from domain.snapshot import EvseView, FeederView, SiteSnapshot, TemporaryLimit
from inventory.appetite import DRAWING_A
from inventory.csms_alarms import CsmsAlarms, OfCsms
from inventory.evse_memory import EvseMemory
from inventory.hearing import Hearing
from inventory.meters import MeterBook
from inventory.quirk_book import ChargerQuirks, QuirkBook
from inventory.records import (
    AlarmRecord,
    ChargerFacts,
    ConnectorFacts,
    CsmsProfilesRecord,
    DecisionRecord,
    LedgerRecord,
    LimitRecord,
    OverrideRecord,
    Record,
    RestoredState,
    RotationRecord,
    SetpointFacts,
    session_id,
)

Records = tuple[Record, ...]

_limits = attrgetter(*(one.name for one in dataclasses.fields(LedgerEntry) if not one.name.startswith("measured_")))
"""Of a ledger entry all but the measurement."""


class LiveState:
    """One site as it stands. Made from its file and what the last run left; fed by `apply`.

    Every method that changes something returns the records to be stored, in order. Unknown means full: an EVSE of
    which nothing is known counts at its rating. Nothing here reads a clock; times come from events and from `now`.
    """

    def __init__(self, site: Site, *, restored: RestoredState | None = None) -> None:
        restored = restored or RestoredState()
        self.site = site
        self.ignored: Counter[str] = Counter()
        """Events that named nothing of this site, by kind."""
        self.rotation = restored.rotation
        self.override = restored.override or OverrideRecord(site.id)
        self._limits = {limit.id: limit for limit in restored.limits}
        self._alarms = dict(restored.alarms)
        self._salt = restored.salt
        budgets = {charger.id: charger.profile_writes_per_day for charger in site.chargers}
        self.quirks = QuirkBook(budgets, restored.charger_quirks, restored.model_quirks)
        self._csms_profiles = dict(restored.csms_profiles)
        self._csms_alarms = CsmsAlarms(site.id)
        self._heard = Hearing(site, restored)
        self._unwritten: list[Record] = []

    def apply(self, event: e.Event, now: datetime) -> Records:
        """Takes an event; returns what is to be stored. One that names nothing of this site is counted and ignored."""
        if isinstance(event, e.QuirksLearned):
            self._unwritten += self.quirks.learn(event)
            return self._drain()
        if isinstance(event, e.CsmsProfilesChanged):
            self._unwritten.append(self._of_csms(event))
            return self._drain()
        if isinstance(event, OfCsms):
            self._unwritten += self._csms_alarms.hear(event)
            return self._drain()
        advanced_at = self._heard.advanced_at
        found, known = self._heard.hear(event, now)
        if not known:
            self.ignored[type(event).__name__] += 1
        self._unwritten += found
        if isinstance(event, e.SetpointIgnored | e.SetpointConfirmed) and event.by == "meter" and known:
            self._learn_obedience(event)
        if self._heard.advanced_at != advanced_at:
            self._learn_awakenings(now)
        elif isinstance(event, e.EvseMetered):
            plug = self._heard.plug(event.charger, event.connector)
            if plug is not None:
                self._learn_awakening(plug, now)
        return self._drain()

    def _of_csms(self, event: e.CsmsProfilesChanged) -> Record:
        """The CSMS's profiles as they stand."""
        self.site.charger(event.charger)
        record = CsmsProfilesRecord(event.charger, event.version, event.at, event.profiles)
        self._csms_profiles[event.charger] = record
        return record

    def csms_profiles(self, charger: ChargerId, version: e.OcppVersion) -> tuple[Mapping[str, Any], ...]:
        """The CSMS's profiles at a charger, as they were told last in this version's words."""
        record = self._csms_profiles.get(charger)
        return record.profiles if record is not None and record.version == version else ()

    def transactions(self, charger: ChargerId) -> dict[int, str]:
        """The running transactions of a charger, per connector. Raises `UnknownIdError`."""
        present = {evse.connector: self._memory(evse.id).present() for evse in self.site.charger(charger).evses}
        return {connector: session.transaction_id for connector, session in present.items() if session is not None}

    def asleep(self, evse: EvseId, now: datetime) -> bool:
        """Whether its car has current on offer again after a pause and does not come back: a wake-up is due, once."""
        return self._memory(evse).awakening.asleep(now)

    def woken(self, evse: EvseId) -> None:
        """The wake-up of this pause is made."""
        self._memory(evse).awakening.wake()

    def _learn(self, evse: Evse, at: datetime, shown: Quirks) -> None:
        model = self.quirks.model_of(evse.charger)
        self._unwritten += self.quirks.learn(e.QuirksLearned(evse.charger, at, shown, model))

    def _learn_obedience(self, event: e.SetpointIgnored | e.SetpointConfirmed) -> None:
        """One draw above its limit is remembered; obedience is only what a car that draws has shown."""
        evse = self.site.evse(event.evse)
        if isinstance(event, e.SetpointIgnored):
            self._learn(evse, event.at, Quirks(obeys=False))
        elif self.quirks.of_charger(evse.charger).obeys is None:
            drawn_a = self._memory(evse.id).ledger.measured_a or 0.0
            if drawn_a > DRAWING_A and event.limit_a < evse.max_a:
                self._learn(evse, event.at, Quirks(obeys=True))

    def _learn_awakenings(self, now: datetime) -> None:
        for memory in self._heard.evses.values():
            self._learn_awakening(memory, now)

    def _learn_awakening(self, memory: EvseMemory, now: datetime) -> None:
        learned = memory.awakening.learned
        if learned is not None and learned != memory.shown_after_zero:
            memory.shown_after_zero = learned
            self._learn(memory.evse, now, Quirks(after_zero=learned))

    def set_ledger(self, evse: EvseId, entry: LedgerEntry) -> Records:
        """Takes the limits that may be in force at an EVSE. Store the records durably before an increase is sent.

        Nothing is returned where only the measurement in the entry is new. Raises `UnknownIdError`.
        """
        memory = self._memory(evse)
        before = memory.ledger if memory.ledger_known else None
        memory.set_ledger(entry)
        if before is None or _limits(before) != _limits(entry):
            self._unwritten.append(LedgerRecord(evse, entry))
        return self._drain()

    def decided(
        self, decision: Decision, *, snapshot: SiteSnapshot | None = None, elapsed_ms: float | None = None
    ) -> Records:
        """Takes a decision on `snapshot`: wanted set-points, rotation, alarms raised and cleared."""
        self._unwritten.append(DecisionRecord(self.site.id, decision, elapsed_ms=elapsed_ms, snapshot=snapshot))
        if decision.rotation != self.rotation:
            self.rotation = decision.rotation
            self._unwritten.append(RotationRecord(self.site.id, decision.rotation))
        for setpoint in decision.setpoints:
            memory = self._heard.evses.get(setpoint.evse)
            if memory is not None and memory.setpoint.wanted_a != setpoint.limit_a:
                memory.setpoint = dataclasses.replace(
                    memory.setpoint, decision=decision.id, wanted_a=setpoint.limit_a, wanted_at=decision.at
                )
                self._unwritten.append(memory.setpoint)
        self._take_alarms(decision)
        return self._drain()

    def _take_alarms(self, decision: Decision) -> None:
        standing = {(alarm.kind.value, alarm.subject): alarm for alarm in decision.alarms}
        for key in [key for key in self._alarms if key not in standing]:
            self._unwritten.append(dataclasses.replace(self._alarms.pop(key), cleared_at=decision.at))
        for key, alarm in standing.items():
            if key not in self._alarms:
                self._alarms[key] = AlarmRecord(self.site.id, alarm, decision.at)
                self._unwritten.append(self._alarms[key])

    def put_limit(self, limit: TemporaryLimit) -> Records:
        """Adds or replaces a temporary limit. Raises `UnknownIdError` for a feeder that is not of this site."""
        self.site.feeder(limit.feeder)
        self._limits[limit.id] = limit
        self._unwritten.append(LimitRecord(self.site.id, limit))
        return self._drain()

    def withdraw_limit(self, limit_id: str, now: datetime) -> Records:
        """Takes a temporary limit back. Raises `UnknownIdError`."""
        if limit_id not in self._limits:
            raise UnknownIdError("limit", limit_id)
        self._unwritten.append(LimitRecord(self.site.id, self._limits.pop(limit_id), withdrawn_at=now))
        return self._drain()

    def amend_session(self, evse: EvseId, **wishes: Any) -> Records:
        """Sets a driver's `departure_at`, `energy_wanted_wh` or `priority`. Raises `UnknownIdError` with no session."""
        memory = self._memory(evse)
        session = memory.present()
        if session is None or not set(wishes) <= {"departure_at", "energy_wanted_wh", "priority"}:
            raise UnknownIdError("session", evse)
        memory.session = memory.written = dataclasses.replace(session, **wishes)
        self._unwritten.append(self._heard.sessions.record(memory.session))
        return self._drain()

    def set_override(self, *, strategy: str | None, scheduler: str | None) -> Records:
        """Strategy and scheduler as switched at run time; None follows the site file."""
        self.override = OverrideRecord(self.site.id, strategy, scheduler)
        self._unwritten.append(self.override)
        return self._drain()

    def edit_quirks(self, charger: ChargerId, edits: Mapping[str, Any]) -> Records:
        """Replaces what a person wrote of a charger. Raises `UnknownIdError`, `QuirkError`."""
        self.site.charger(charger)
        self._unwritten.append(self.quirks.edit_charger(charger, edits))
        return self._drain()

    def edit_model_quirks(self, model: Model, edits: Mapping[str, Any]) -> Records:
        """Replaces what a person wrote of all chargers of a model. Raises `QuirkError`."""
        self._unwritten.append(self.quirks.edit_model(model, edits))
        return self._drain()

    @property
    def meters(self) -> MeterBook:
        """The meters: `problem` says why a reading cannot be used, `refused` counts those that could not."""
        return self._heard.meters

    def snapshot(self, now: datetime, *, feeders: Mapping[FeederId, FeederView]) -> SiteSnapshot:
        """Everything that a decision may look at, at `now`: every EVSE of the site, limits that have not ended.

        What time alone has changed (a car that refuses long enough, a session that nobody ended) is in it; its records
        come with the next method that returns any.
        """
        self._unwritten += self._heard.advance(now)
        self._learn_awakenings(now)
        chargers = self._heard.chargers
        return SiteSnapshot(
            site=self.site,
            at=now,
            evses={
                evse: memory.view(
                    now,
                    linked=chargers[memory.evse.charger].facts.linked,
                    quirks=self.quirks.of_charger(memory.evse.charger),
                )
                for evse, memory in self._heard.evses.items()
            },
            feeders=feeders,
            rotation=self.rotation,
            limits=tuple(limit for limit in self._limits.values() if limit.ends_at is None or limit.ends_at > now),
        )

    def view(self, evse: EvseId, now: datetime) -> EvseView:
        """One EVSE as a snapshot at `now` would show it, except for what time alone has changed since the last one.

        Raises `UnknownIdError`.
        """
        memory = self._memory(evse)
        charger = memory.evse.charger
        linked = self._heard.chargers[charger].facts.linked
        return memory.view(now, linked=linked, quirks=self.quirks.of_charger(charger))

    def readings(self, meter: MeterId) -> tuple[MeterReading, ...]:
        """A meter's readings of the last three minutes, oldest first; the last one is the newest."""
        return self._heard.meters.readings(meter)

    def is_free(self, evse: EvseId) -> bool:
        """Whether it is known that no car is connected. Raises `UnknownIdError`."""
        memory = self._memory(evse)
        vacant = memory.session is None and memory.plug.state is EvseState.AVAILABLE
        return vacant and self._heard.chargers[memory.evse.charger].facts.linked

    def samples(self, evse: EvseId) -> tuple[EvseSample, ...]:
        """An EVSE's live samples of the last three minutes, oldest first. Raises `UnknownIdError`."""
        return tuple(self._memory(evse).samples)

    def setpoint(self, evse: EvseId) -> SetpointFacts:
        """What is wanted, sent, accepted and confirmed at an EVSE. Raises `UnknownIdError`."""
        return self._memory(evse).setpoint

    def ledger(self, evse: EvseId) -> LedgerEntry:
        """The limits that may be in force; at full rating where nothing is known. Raises `UnknownIdError`."""
        return self._memory(evse).ledger

    def charger(self, charger: ChargerId) -> ChargerFacts:
        """A charger's facts. Raises `UnknownIdError`."""
        self.site.charger(charger)
        return self._heard.chargers[charger].facts

    def open_session(self, session: str) -> Session:
        """The open session of that id (`records.session_id`). Raises `UnknownIdError`."""
        for memory in self._heard.evses.values():
            present = memory.present()
            if present is not None and session_id(present) == session:
                return present
        raise UnknownIdError("session", session)

    @property
    def alarms(self) -> tuple[AlarmRecord, ...]:
        """The alarms that stand, oldest first."""
        found = (*self._alarms.values(), *self._csms_alarms.standing)
        return tuple(sorted(found, key=lambda record: record.raised_at))

    def checkpoint(self, now: datetime) -> Records:
        """All that is written only now and then, as of `now`: for an orderly end."""
        self._unwritten += self._heard.advance(now)
        for charger in self._heard.chargers.values():
            if charger.facts != charger.written:
                self._unwritten.append(self._heard.charger_record(charger))
        for memory in self._heard.evses.values():
            self._unwritten.extend(self._heard.session_record(memory, now, every_s=0.0))
            if memory.ledger_known:
                self._unwritten.append(LedgerRecord(memory.id, memory.ledger))
        return self._drain()

    def durable(self) -> RestoredState:
        """What a restart would bring back if all records had been written."""
        present = {evse: memory.present() for evse, memory in self._heard.evses.items()}
        setpoints = {evse: memory.setpoint for evse, memory in self._heard.evses.items()}
        plugs = [*self._heard.whole.values(), *(memory.plug for memory in self._heard.evses.values())]
        return RestoredState(
            chargers={charger: memory.facts for charger, memory in self._heard.chargers.items()},
            connectors={
                (facts.charger, facts.connector): facts
                for facts in plugs
                if facts != ConnectorFacts(facts.charger, facts.connector)
            },
            sessions={evse: session for evse, session in present.items() if session is not None},
            ledger={evse: memory.ledger for evse, memory in self._heard.evses.items() if memory.ledger_known},
            setpoints={evse: facts for evse, facts in setpoints.items() if facts != SetpointFacts(evse)},
            readings=self._heard.meters.newest(),
            limits=tuple(sorted(self._limits.values(), key=lambda limit: (limit.starts_at, limit.id))),
            rotation=self.rotation,
            alarms=dict(self._alarms),
            override=self.override if self.override != OverrideRecord(self.site.id) else None,
            charger_quirks=tuple(one for one in self.quirks.chargers.values() if one != ChargerQuirks(one.charger)),
            model_quirks=tuple(self.quirks.models.values()),
            csms_profiles=dict(self._csms_profiles),
            salt=self._salt,
        )

    def _memory(self, evse: EvseId) -> EvseMemory:
        try:
            return self._heard.evses[evse]
        except KeyError:
            raise UnknownIdError("EVSE", evse) from None

    def _drain(self) -> Records:
        records, self._unwritten = tuple(self._unwritten), []
        return records
