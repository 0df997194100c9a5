"""Who charges where: sessions follow transactions, never the connector's status alone.

What the field does to transactions, and what is done about it:

| what is heard | what is done |
| --- | --- |
| the same start again | nothing new |
| the same start under another transaction id (the first reply was lost) | one session, under the newer id |
| another start at a connector in use (the stop was lost) | the old session ends, the new one begins |
| a stop for nothing known, or twice | nothing |
| metering inside a transaction that was never heard to start (the proxy is new here) | the session is taken up |
| status Available for five minutes, nothing metered | the session has ended unheard |
| such a session is metered or charges after all | it was not over: it goes on |
"""

import dataclasses
import hashlib
from collections.abc import Iterable
from datetime import datetime

from domain.events import EvseMetered, EvseStatusChanged, SessionEnded, SessionStarted
from domain.ids import SiteId
from domain.session import EvseState, Session
from inventory.evse_memory import DRAWN_STATES, EvseMemory
from inventory.records import SessionRecord

MAX_TEXT = 255
NO_TRANSACTION = frozenset({"", "0", "-1"})
"""Ids that chargers send when they have none."""
RESTARTED = "started again under another transaction id"
REPLACED = "another session began"
VACANT = "the connector stayed available"


def peer_text(text: str) -> str:
    """What a peer wrote, as long as a column and without what no database takes."""
    return "".join(letter for letter in text[:MAX_TEXT] if letter.isprintable())


class SessionBook:
    """Begins and ends the sessions of a site's EVSEs. Each method returns what is to be recorded."""

    def __init__(self, site: SiteId, salt: bytes) -> None:
        self._site = site
        self._salt = salt

    def started(self, memory: EvseMemory, event: SessionStarted) -> list[SessionRecord]:
        """A transaction began."""
        transaction = peer_text(event.transaction_id)
        tag = self._hash(event.id_tag)
        present = memory.present()
        if present is not None and present.transaction_id == transaction:
            return self._again(memory, present, tag, event.meter_start_wh)
        if any(old == transaction and event.at <= at for old, at in memory.ended):
            return []
        fresh = Session(memory.id, transaction, event.at, id_tag_hash=tag, meter_start_wh=event.meter_start_wh)
        if present is None:
            return self._begin(memory, fresh)
        if event.at < present.started_at:
            return []
        retried = tag is not None and present.id_tag_hash == tag and event.meter_start_wh is not None
        if retried and present.meter_start_wh == event.meter_start_wh:
            fresh = dataclasses.replace(present, transaction_id=transaction)
            return [*self._end(memory, event.at, RESTARTED), *self._begin(memory, fresh)]
        return [*self._end(memory, event.at, REPLACED), *self._begin(memory, fresh)]

    def ended(self, memories: Iterable[EvseMemory], event: SessionEnded) -> list[SessionRecord] | None:
        """A transaction ended at one of a charger's EVSEs; None where it is not known."""
        transaction = peer_text(event.transaction_id)
        reason = peer_text(event.reason) if event.reason is not None else None
        ordered = sorted(memories, key=lambda memory: memory.evse.connector != event.connector)
        for memory in ordered:
            if memory.session is not None and memory.session.transaction_id == transaction:
                if event.meter_stop_wh is not None and memory.counter is not None:
                    memory.counter.register(event.meter_stop_wh, event.at)
                return self._end(memory, event.at, reason)
        for memory in ordered:
            if memory.lapsed is not None and memory.lapsed.transaction_id == transaction:
                session, memory.lapsed = memory.lapsed, None
                memory.ended.append((transaction, event.at))
                return [SessionRecord(self._site, session, reason)]
        return None

    def metered(self, memory: EvseMemory, event: EvseMetered) -> list[SessionRecord]:
        """A live sample came: it proves a transaction, and may be the first that is heard of it."""
        if event.transaction_id is None:
            return []
        transaction = peer_text(event.transaction_id)
        if memory.session is not None:
            if memory.session.transaction_id == transaction:
                memory.vacant_since = None
            return []
        if transaction in NO_TRANSACTION or any(old == transaction for old, _ in memory.ended):
            return []
        if memory.lapsed is not None and memory.lapsed.transaction_id == transaction:
            return self._revive(memory)
        return self._begin(memory, Session(memory.id, transaction, event.at))

    def state(self, memory: EvseMemory, event: EvseStatusChanged) -> list[SessionRecord]:
        """A connector's state changed; `memory.plug` has it already."""
        if event.state in DRAWN_STATES and memory.session is None and memory.lapsed is not None:
            return self._revive(memory)
        if memory.session is None or event.state is not EvseState.AVAILABLE:
            memory.vacant_since = None
        elif memory.vacant_since is None:
            memory.vacant_since = event.at
        return []

    def lapse(self, memory: EvseMemory, since: datetime) -> list[SessionRecord]:
        """Ends a session that nobody ended, as of when its connector became available."""
        memory.lapsed = memory.end(since)
        return [SessionRecord(self._site, memory.lapsed, VACANT)] if memory.lapsed is not None else []

    def record(self, session: Session) -> SessionRecord:
        """An open session as it stands."""
        return SessionRecord(self._site, session)

    def _again(
        self, memory: EvseMemory, present: Session, tag: str | None, meter_start_wh: float | None
    ) -> list[SessionRecord]:
        """A start that was heard before; a session that was taken up midway learns what it had missed."""
        changed = dataclasses.replace(
            present,
            id_tag_hash=present.id_tag_hash or tag,
            meter_start_wh=present.meter_start_wh if present.meter_start_wh is not None else meter_start_wh,
        )
        if changed == present:
            return []
        memory.session = changed
        if memory.counter is not None:
            memory.counter.meter_start_wh = changed.meter_start_wh
        return [self.record(changed)]

    def _begin(self, memory: EvseMemory, session: Session) -> list[SessionRecord]:
        memory.begin(session)
        return [self.record(session)]

    def _end(self, memory: EvseMemory, at: datetime, reason: str | None) -> list[SessionRecord]:
        session = memory.end(at)
        if session is None:
            return []
        memory.ended.append((session.transaction_id, at))
        return [SessionRecord(self._site, session, reason)]

    def _revive(self, memory: EvseMemory) -> list[SessionRecord]:
        if memory.lapsed is None:
            return []
        return self._begin(memory, dataclasses.replace(memory.lapsed, ended_at=None))

    def _hash(self, tag: str | None) -> str | None:
        """An id tag names a person: only a salted hash of it is kept (BLAKE2b, keyed)."""
        if tag is None:
            return None
        return hashlib.blake2b(tag.encode(errors="replace"), key=self._salt[:64], digest_size=16).hexdigest()
