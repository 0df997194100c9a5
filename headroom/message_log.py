"""The OCPP message log: taken up without waiting, read and cleaned of secrets later, written in batches.

The relay never waits for it: what comes faster than it can be written is dropped, the oldest first, and counted.
"""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog

from domain.errors import StorageError
from domain.ids import ChargerId, SiteId
from domain.ports import Clock
from domain.site import Site
from inventory.message_log import Kind, MessageRow, add_messages, prune_messages, room_taken, stored_bytes
from inventory.store import Store
from proxy.protocol.frames import CallFrame, ErrorFrame, Frame, ResultErrorFrame, ResultFrame, SendFrame, read
from proxy.protocol.redaction import Redactor
from proxy.recording import Direction, Recorder

log = structlog.get_logger()

_PAUSE_S: Final = 0.5
_BATCH: Final = 200
"""In one transaction: limits that are to become durable wait behind it."""
_AT_ONCE: Final = 20
"""How many are read before others have their turn on the loop."""
_PRUNE_EVERY_S: Final = 900.0
_PRUNE_AT_MOST: Final = 2_000
_LONGEST_PAYLOAD: Final = 64 * 1024
_MOST_OPEN: Final = 64
"""How many CALLs of each sender are remembered until their replies come: OCPP allows one at a time."""


class _Heard(NamedTuple):
    charger: ChargerId
    direction: Direction
    raw: bytes
    at: datetime


@dataclass(slots=True)
class MessageLogCounts:
    """Since the start. `dropped` were not written: too many waited, or the database did not take them."""

    written: int = 0
    dropped: int = 0


class MessageLog:
    """One for the service. At most `capacity` messages of `capacity_bytes` altogether wait."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        capacity: int = 20_000,
        capacity_bytes: int = 32 * 2**20,
    ) -> None:
        self.counts = MessageLogCounts()
        self._store, self._clock = store, clock
        self._capacity, self._capacity_bytes = capacity, capacity_bytes
        self._redactors: dict[SiteId, Redactor] = {}
        self._sites: dict[ChargerId, Site] = {}
        self._waiting: deque[_Heard] = deque()
        self._waiting_bytes = 0
        self._open: dict[ChargerId, OrderedDict[tuple[bool, str], str]] = {}
        self._number = int(clock.now().timestamp() * 1000) << 20
        self._taken_bytes: dict[SiteId, int] = {}
        self._wake = asyncio.Event()
        self._failing = False

    def add_site(self, site: SiteId, salt: bytes) -> None:
        """A site whose messages may come; `salt` keeps its id tags from being guessed."""
        self._redactors[site] = Redactor(salt)

    def recorder(self, site: Site, charger: ChargerId) -> Recorder | None:
        """Who writes down a charger's messages; None where the site keeps none."""
        if not site.message_log.enabled:
            return None
        self._sites[charger] = site

        def record(direction: Direction, raw: bytes, at: datetime) -> None:
            self._waiting.append(_Heard(charger, direction, raw, at))
            self._waiting_bytes += len(raw)
            if len(self._waiting) > self._capacity or self._waiting_bytes > self._capacity_bytes:
                self._drop(self._waiting.popleft())
            elif len(self._waiting) == 1:
                self._wake.set()

        return record

    async def run(self) -> None:
        """Write what is recorded, for ever."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_PAUSE_S)
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write what waits; what the database does not take now is dropped: a log is not worth a full memory."""
        while self._waiting:
            if not await self._write(await self._read_some()):
                return

    async def _write(self, rows: list[MessageRow]) -> bool:
        try:
            await self._store.transact(lambda conn: add_messages(conn, rows))
        except StorageError as error:
            self.counts.dropped += len(rows)
            if not self._failing:  # told once, not twice a second
                log.error("messages_not_logged", dropped=len(rows), error=str(error))
            self._failing = True
            return False
        self._failing = False
        self.counts.written += len(rows)
        for row in rows:
            if row.site in self._taken_bytes:
                self._taken_bytes[row.site] += stored_bytes(row)
        return True

    async def keep_within_bounds(self) -> None:
        """Delete what is too old or takes too much room, now and then, for ever."""
        while True:
            for site in {site.id: site for site in self._sites.values()}.values():
                await self.prune(site)
            await self._clock.sleep(_PRUNE_EVERY_S)

    async def prune(self, site: Site) -> None:
        """Keep a site's log within its days and room, in short transactions."""
        settings = site.message_log
        before = self._clock.now() - timedelta(days=settings.days)
        try:
            if site.id not in self._taken_bytes:
                self._taken_bytes[site.id] = await self._store.query(lambda conn: room_taken(conn, site.id))
            more = True
            while more:
                more = await self._prune_some(site.id, before, settings.max_mb * 1e6)
        except StorageError as error:
            log.error("messages_not_pruned", site=site.id, error=str(error))

    async def _prune_some(self, site: SiteId, before: datetime, room_bytes: float) -> bool:
        excess_bytes = self._taken_bytes[site] - room_bytes
        rows, freed_bytes = await self._store.transact(
            lambda conn: prune_messages(conn, site, before, excess_bytes, at_most=_PRUNE_AT_MOST)
        )
        self._taken_bytes[site] -= freed_bytes
        return rows > 0

    async def _read_some(self) -> list[MessageRow]:
        rows: list[MessageRow] = []
        while self._waiting and len(rows) < _BATCH:
            heard = self._waiting.popleft()
            self._waiting_bytes -= len(heard.raw)
            rows.append(self._row(heard))
            if len(rows) % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return rows

    def _row(self, heard: _Heard) -> MessageRow:
        site = self._sites[heard.charger]
        frame = read(heard.raw)
        kind, action, call_id, payload = self._meaning(heard, frame)
        kept = self._redactors[site.id].payload(action, payload) if payload is not None else None
        if kept is not None and len(kept) > _LONGEST_PAYLOAD:
            kept = None
        self._number += 1
        return MessageRow(
            id=f"{self._number:020x}",
            site=site.id,
            charger=heard.charger,
            at=heard.at,
            direction=heard.direction,
            kind=kind,
            action=_storable(action),
            message_id=_storable(call_id),
            size=len(heard.raw),
            payload=kept.decode(errors="replace").replace("\0", "\ufffd") if kept is not None else None,
        )

    def _meaning(self, heard: _Heard, frame: Frame) -> tuple[Kind, str | None, str | None, bytes | None]:
        """Kind, action, id and payload. A reply's action is that of the CALL that it answers."""
        charger_side = heard.direction in ("from_charger", "to_csms")  # the charger's part, by whomever
        calls = self._open.setdefault(heard.charger, OrderedDict())
        if isinstance(frame, CallFrame):
            calls[charger_side, frame.call_id] = frame.action
            while len(calls) > 2 * _MOST_OPEN:
                calls.popitem(last=False)
            return "call", frame.action, frame.call_id, bytes(frame.payload)
        if isinstance(frame, SendFrame):
            return "send", frame.action, frame.call_id, bytes(frame.payload)
        if isinstance(frame, ResultFrame):
            return "result", calls.get((not charger_side, frame.call_id)), frame.call_id, bytes(frame.payload)
        if isinstance(frame, ErrorFrame):
            return "error", calls.get((not charger_side, frame.call_id)), frame.call_id, frame.as_array
        if isinstance(frame, ResultErrorFrame):
            return "result_error", calls.get((charger_side, frame.call_id)), frame.call_id, None
        return "other", None, frame.call_id, None

    def _drop(self, heard: _Heard) -> None:
        self._waiting_bytes -= len(heard.raw)
        self.counts.dropped += 1


def _storable(text: str | None) -> str | None:
    """A peer's word, as a column takes it."""
    return None if text is None else text[:64].replace("\0", "\ufffd")
