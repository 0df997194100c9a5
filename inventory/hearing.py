"""What is heard of one site's chargers and meters, event by event, and what of it is to be recorded."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from domain import events as e
from domain.ids import ChargerId, EvseId
from domain.site import Site
from inventory.evse_memory import ChargerMemory, EvseMemory
from inventory.meters import MeterBook
from inventory.records import (
    ChargerFacts,
    ConnectorFacts,
    ReadingRecord,
    Record,
    RestoredState,
    SampleRecord,
    SetpointEvent,
    SetpointStep,
)
from inventory.session_book import SessionBook, peer_text

WRITE_EVERY_S = 60.0
"""How often a session's energy and a charger's last sign of life are recorded; everything else at once."""
ADVANCE_EVERY = timedelta(seconds=1)
NO_SALT = b"headroom"


class Hearing:
    """The memory of a site's chargers, EVSEs and meters, and the ears. `inventory.live` is the way in. `advanced_at` is
    when `advance` was last done.
    """

    def __init__(self, site: Site, restored: RestoredState) -> None:
        self.site = site
        self.meters = MeterBook(site, restored.readings)
        self.sessions = SessionBook(site.id, restored.salt or NO_SALT)
        self.whole = {key: facts for key, facts in restored.connectors.items() if key[1] == 0}
        self.chargers: dict[ChargerId, ChargerMemory] = {}
        for charger in site.chargers:
            facts = restored.chargers.get(charger.id, ChargerFacts(charger.id))
            self.chargers[charger.id] = ChargerMemory(dataclasses.replace(facts, linked=False), written=facts)
        self.evses: dict[EvseId, EvseMemory] = {evse.id: EvseMemory.of(site, evse) for evse in site.evses}
        self._plugs = {(memory.evse.charger, memory.evse.connector): memory for memory in self.evses.values()}
        for plug, memory in self._plugs.items():
            memory.plug = restored.connectors.get(plug, memory.plug)
            self._limit(memory, None)
            memory.restore(
                restored.sessions.get(memory.id), restored.ledger.get(memory.id), restored.setpoints.get(memory.id)
            )
        self.advanced_at: datetime | None = None

    def hear(self, event: e.Event, now: datetime) -> tuple[list[Record], bool]:
        """Takes an event; what is to be recorded, and whether it named anything of this site."""
        found = self.advance(now) if self.advanced_at is None or now - self.advanced_at >= ADVANCE_EVERY else []
        told = _HANDLERS[type(event)](self, event, now)
        charger = getattr(event, "charger", None)
        if told is not None and charger is not None:
            told += self._touch(self.chargers[charger], event.at)
        return found + (told or []), told is not None

    def _connected(self, event: e.ChargerConnected, _now: datetime) -> list[Record] | None:
        return self._linked(event.charger, event.at, version=event.version, linked=True)

    def _disconnected(self, event: e.ChargerDisconnected, _now: datetime) -> list[Record] | None:
        return self._linked(event.charger, event.at, linked=False)

    def _linked(self, charger: ChargerId, at: datetime, **changes: Any) -> list[Record] | None:
        memory = self.chargers.get(charger)
        if memory is None:
            return None
        if changes["linked"] != memory.facts.linked:
            changes["link_changed_at"] = at
        memory.facts = dataclasses.replace(memory.facts, **changes)
        for evse in self._of(charger):
            # An unplugged car may have left while nobody listened; while nobody listens none is given up.
            evse.vacant_since = at if changes["linked"] and evse.looks_vacant else None
        return [self.charger_record(memory)]

    def _booted(self, event: e.ChargerBooted, _now: datetime) -> list[Record] | None:
        """A boot ends no transaction: the charger says itself which of them it ends and which go on."""
        memory = self.chargers.get(event.charger)
        if memory is None:
            return None
        memory.facts = dataclasses.replace(
            memory.facts,
            vendor=peer_text(event.vendor),
            model=peer_text(event.model),
            firmware=peer_text(event.firmware) if event.firmware is not None else None,
            booted_at=event.at,
            boot_accepted=event.accepted,
        )
        return [self.charger_record(memory)]

    def _status(self, event: e.EvseStatusChanged, _now: datetime) -> list[Record] | None:
        if event.connector == 0 and event.charger in self.chargers:
            return [self._set_whole(event.charger, state=event.state, state_at=event.at)]
        memory = self._plugs.get((event.charger, event.connector))
        if memory is None:
            return None
        memory.plug = dataclasses.replace(memory.plug, state=event.state, state_at=event.at)
        found: list[Record] = [memory.plug, *self.sessions.state(memory, event)]
        if memory.session is not None:
            memory.appetite.state(event.state, event.at)
        return [*found, *self.session_record(memory, event.at)]

    def _started(self, event: e.SessionStarted, _now: datetime) -> list[Record] | None:
        memory = self._plugs.get((event.charger, event.connector))
        if memory is None:
            return None
        found = self.sessions.started(memory, event)
        if found:
            self._remember_written(memory, event.at)
        return [*found]

    def _ended(self, event: e.SessionEnded, _now: datetime) -> list[Record] | None:
        found = self.sessions.ended(self._of(event.charger), event)
        return [*found] if found is not None else None

    def _metered(self, event: e.EvseMetered, _now: datetime) -> list[Record] | None:
        memory = self._plugs.get((event.charger, event.connector))
        if memory is None:
            return None
        sample = memory.plausible(event.sample)
        live = self.chargers[event.charger].is_live(sample)
        found: list[Record] = [SampleRecord(memory.id, sample)]
        if live:
            begun = self.sessions.metered(memory, event)
            memory.measured(sample)
            found += begun
            if begun:
                self._remember_written(memory, event.at)
        # A stored sample says nothing of now, but its register has counted on.
        if (
            memory.counter is not None
            and (live or sample.energy_wh is not None)
            and memory.is_own(event.transaction_id)
        ):
            memory.counter.sample(sample)
        return [*found, *self.session_record(memory, event.at)]

    def _csms_limit(self, event: e.CsmsLimitChanged, _now: datetime) -> list[Record] | None:
        changes: dict[str, Any] = {"csms_limit_a": event.limit_a, "csms_limit_at": event.at}
        if event.connector == 0 and event.charger in self.chargers:
            record = self._set_whole(event.charger, **changes)
            for memory in self._of(event.charger):
                self._limit(memory, event.at)
            return [record]
        plug = self._plugs.get((event.charger, event.connector))
        if plug is None:
            return None
        plug.plug = dataclasses.replace(plug.plug, **changes)
        self._limit(plug, event.at)
        return [plug.plug]

    def _reading(self, event: e.FeederMetered, now: datetime) -> list[Record] | None:
        return [ReadingRecord(event.reading)] if self.meters.take(event.reading, now) else None

    def _sent(self, event: e.SetpointSent, _now: datetime) -> list[Record] | None:
        return self._step(event, "sent", sent_a=event.limit_a, sent_at=event.at)

    def _accepted(self, event: e.SetpointAccepted, _now: datetime) -> list[Record] | None:
        return self._step(event, "accepted", accepted_a=event.limit_a, accepted_at=event.at)

    def _refused(self, event: e.SetpointRefused, _now: datetime) -> list[Record] | None:
        why = peer_text(event.why)
        return self._step(event, "refused", why, refused_a=event.limit_a, refused_at=event.at, refused_why=why)

    def _confirmed(self, event: e.SetpointConfirmed, _now: datetime) -> list[Record] | None:
        if event.by == "meter":
            return self._step(event, "confirmed", confirmed_a=event.limit_a, confirmed_at=event.at)
        shown_a = event.limit_a if event.shown_a is None else event.shown_a
        return self._step(event, None, schedule_a=shown_a, schedule_at=event.at)

    def _ignored(self, event: e.SetpointIgnored, _now: datetime) -> list[Record] | None:
        changes: dict[str, Any] = {"ignored_a": event.limit_a, "ignored_at": event.at}
        why = f"drew {event.shown_a:.1f} A"
        if event.by == "schedule":
            changes |= {"schedule_a": event.shown_a, "schedule_at": event.at}
            why = f"its own schedule says {event.shown_a:.1f} A"
        return self._step(event, "ignored", why, **changes)

    def _step(
        self,
        event: e.SetpointSent | e.SetpointAccepted | e.SetpointRefused | e.SetpointConfirmed | e.SetpointIgnored,
        step: SetpointStep | None,
        why: str | None = None,
        **changes: Any,
    ) -> list[Record] | None:
        """One step in the life of a limit; None: only a fact about it."""
        memory = self.evses.get(event.evse)
        if memory is None:
            return None
        memory.setpoint = dataclasses.replace(memory.setpoint, **changes)
        if step is None:
            return [memory.setpoint]
        return [memory.setpoint, SetpointEvent(event.evse, event.at, step, event.limit_a, event.decision, why)]

    def plug(self, charger: ChargerId, connector: int) -> EvseMemory | None:
        """The EVSE behind a connector."""
        return self._plugs.get((charger, connector))

    def _of(self, charger: ChargerId) -> list[EvseMemory]:
        if charger not in self.chargers:
            return []
        return [self.evses[evse.id] for evse in self.site.charger(charger).evses]

    def _limit(self, memory: EvseMemory, at: datetime | None) -> None:
        """The CSMS's own limit at an EVSE: its connector's and the whole charger's, whichever is lower."""
        whole = self.whole.get((memory.evse.charger, 0))
        limits = (memory.plug.csms_limit_a, whole.csms_limit_a if whole is not None else None)
        memory.csms_limit_a = min((limit for limit in limits if limit is not None), default=None)
        memory.refresh_offer(at)

    def _set_whole(self, charger: ChargerId, **changes: Any) -> ConnectorFacts:
        facts = dataclasses.replace(self.whole.get((charger, 0), ConnectorFacts(charger, 0)), **changes)
        self.whole[charger, 0] = facts
        return facts

    def advance(self, now: datetime) -> list[Record]:
        """What time alone changes: a refusal that has lasted long enough, a session that nobody ended."""
        self.advanced_at = now
        found: list[Record] = []
        for memory in self.evses.values():
            if memory.session is None:
                continue
            memory.awakening.settle(memory.plug.state, now)
            since = memory.vacant_since
            if since is not None and memory.vacant(now):
                found += self.sessions.lapse(memory, since)
            elif memory.appetite.settle(now):
                found += self.session_record(memory, now)
        return found

    def session_record(self, memory: EvseMemory, at: datetime, every_s: float = WRITE_EVERY_S) -> list[Record]:
        """The open session, where more than its energy has changed or its energy long enough ago."""
        before = memory.written_at
        if memory.only_counts_on and before is not None and (at - before).total_seconds() < every_s:
            return []
        session, written = memory.present(), memory.written
        if session is None or session == written:
            return []
        same = written is not None and dataclasses.replace(session, energy_wh=written.energy_wh) == written
        if same and memory.written_at is not None and (at - memory.written_at).total_seconds() < every_s:
            return []
        self._remember_written(memory, at)
        return [self.sessions.record(session)]

    def _remember_written(self, memory: EvseMemory, at: datetime) -> None:
        memory.written, memory.written_at = memory.present(), at

    def _touch(self, memory: ChargerMemory, at: datetime) -> list[Record]:
        if not memory.seen(at):
            return []
        written = memory.written
        recorded = written.last_seen_at if written is not None else None
        if recorded is None or (at - recorded).total_seconds() >= WRITE_EVERY_S:
            return [self.charger_record(memory)]
        return []

    def charger_record(self, memory: ChargerMemory) -> ChargerFacts:
        """A charger's facts, now taken for recorded."""
        memory.written = memory.facts
        return memory.facts


_HANDLERS: Mapping[type, Callable[[Hearing, Any, datetime], list[Record] | None]] = {
    e.ChargerConnected: Hearing._connected,
    e.ChargerDisconnected: Hearing._disconnected,
    e.ChargerBooted: Hearing._booted,
    e.EvseStatusChanged: Hearing._status,
    e.SessionStarted: Hearing._started,
    e.SessionEnded: Hearing._ended,
    e.EvseMetered: Hearing._metered,
    e.CsmsLimitChanged: Hearing._csms_limit,
    e.FeederMetered: Hearing._reading,
    e.SetpointSent: Hearing._sent,
    e.SetpointAccepted: Hearing._accepted,
    e.SetpointRefused: Hearing._refused,
    e.SetpointConfirmed: Hearing._confirmed,
    e.SetpointIgnored: Hearing._ignored,
}
