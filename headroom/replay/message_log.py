"""The message log as stays and currents: frames are read by the proxy's own translators.

In JSON lines each line is one object, in any order. A message, as the wire had it,
`{"at": "2026-03-02T17:00:01Z", "charger": "CP001", "direction": "from_charger", "frame": [2, "7", "Heartbeat", {}]}`
(`frame`: the array, or its text), or as `GET /api/v1/chargers/{id}/messages` gives it, with `charger` added: `kind`,
`action`, `message_id`, `payload` instead of `frame`. `direction`: from_charger or from_csms; to_charger and to_csms,
the proxy's own words, are passed over. Or a meter reading as the REST API takes it:
`{"at": "...Z", "meter": "m-main", "current_a": {"A": 81.2, "B": 77.0, "C": 90.4}}`.
The service's own database (SQLite) holds the same messages and readings.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import create_engine, select
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import HeadroomError
from domain.events import EvseMetered, OcppVersion, SessionEnded, SessionStarted
from domain.ids import ChargerId, EvseId
from domain.site import PHASES, Site
from headroom.replay.recording import (
    EvseCurrent,
    Reading,
    Recording,
    RecordingError,
    Stay,
    metered_feeder,
    meters_of,
)
from inventory.message_tables import messages
from inventory.tables import meter_readings
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, Side
from proxy.protocol.frames import CallFrame, ErrorFrame, Frame, ResultFrame, SendFrame, read

Entry = Mapping[str, Any]

_SIDES = {"from_charger": Side.CHARGER, "from_csms": Side.CSMS, "to_charger": None, "to_csms": None}
_LEAST_WH = 1.0
_READ = ("StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent", "BootNotification")
_KINDS = {"call": 2, "result": 3, "error": 4, "send": 6}


@dataclass
class _Open:
    """A transaction that runs."""

    evse: EvseId
    begins: datetime
    first_wh: float | None
    last_wh: float | None = None
    most_a: float | None = None


@dataclass
class _Charger:
    """One charger's desk, calls that wait for their reply, and the transactions that run."""

    desk: ChargerDesk
    calls: dict[tuple[Side, str], Call] = field(default_factory=dict)
    running: dict[str, _Open] = field(default_factory=dict)


def read_message_log(file: Path, site: Site) -> Recording:
    """All that a log in JSON lines says of this site's EVSEs and meters.

    Raises:
        RecordingError: naming file, line and field.
    """
    return _Log(file, site).recording(_lines(file))


def read_database(file: Path, site: Site) -> Recording:
    """All that the service kept in its SQLite file: message log and meter readings.

    Raises:
        RecordingError: the file is no database of the service.
    """
    return _Log(file, site).recording(enumerate(_rows(file, site), start=1))


class _Log:
    def __init__(self, file: Path, site: Site) -> None:
        self._file, self._site = file, site
        self._chargers: dict[ChargerId, _Charger] = {}
        self._versions: dict[ChargerId, OcppVersion] = {}
        self._stays: list[Stay] = []
        self._currents: list[EvseCurrent] = []
        self._readings: list[Reading] = []
        self._unknown: Counter[str] = Counter()
        self._last: datetime | None = None

    def recording(self, entries: Iterable[tuple[int, Entry]]) -> Recording:
        found = [(self._instant(number, one), str(one.get("id", "")), number, one) for number, one in entries]
        found.sort(key=lambda entry: entry[:2])
        for _, _, _, one in found:
            self._guess_version(one)
        for at, _, number, one in found:
            self._last = at
            if "meter" in one:
                self._reading(number, one, at)
            else:
                self._message(number, one, at)
        notes = [
            f"{count} messages of charger {name}, which the site file does not have, were passed over"
            for name, count in self._unknown.items()
        ]
        still = [(charger, name) for charger in self._chargers.values() for name in charger.running]
        for charger, name in still:
            self._close(charger, name, self._last, None)
        if still:
            notes.append(f"{len(still)} stays had not ended when the log ends; they are cut there")
        stays = tuple(sorted(self._stays, key=lambda stay: (stay.arrives, stay.evse)))
        return Recording(stays, tuple(self._readings), tuple(self._currents), tuple(notes), (str(self._file),))

    def _guess_version(self, line: Entry) -> None:
        """2.x where a charger ever speaks of transaction events; else 1.6."""
        text = line.get("frame", "")
        if line.get("action") == "TransactionEvent" or "TransactionEvent" in str(text):
            self._versions[ChargerId(str(line.get("charger")))] = "ocpp2.0.1"

    def _instant(self, number: int, line: Entry) -> datetime:
        try:
            at = datetime.fromisoformat(str(line["at"]))
        except (KeyError, ValueError) as problem:
            raise RecordingError(self._file, number, "at", "must be a time such as 2026-03-02T17:00:01Z") from problem
        if at.tzinfo is None:
            raise RecordingError(self._file, number, "at", f"must say its zone, e.g. {line['at']}Z")
        return at

    def _reading(self, number: int, line: Entry, at: datetime) -> None:
        feeder = metered_feeder(self._site, str(line["meter"]))
        if feeder is None:
            known = ", ".join(meters_of(self._site)) or "none"
            raise RecordingError(
                self._file, number, "meter", f"'{line['meter']}' is no meter of the site; it has {known}"
            )
        amps = line.get("current_a")
        if not isinstance(amps, dict) or not all(isinstance(amps.get(p, 0.0), int | float) for p in PHASES):
            raise RecordingError(
                self._file, number, "current_a", 'must be A per phase, e.g. {"A": 81.2, "B": 77.0, "C": 90.4}'
            )
        self._readings.append(Reading(feeder, at, {p: float(amps.get(p, 0.0)) for p in PHASES}, includes_ev=True))

    def _message(self, number: int, line: Entry, at: datetime) -> None:
        for name in ("charger", "direction", "frame" if "kind" not in line else "message_id"):
            if name not in line:
                text = "is missing; a line has at, charger, direction, frame"
                raise RecordingError(self._file, number, name, text)
        if line["direction"] not in _SIDES:
            raise RecordingError(self._file, number, "direction", f"must be one of {', '.join(_SIDES)}")
        side = _SIDES[line["direction"]]
        charger = self._charger(ChargerId(str(line["charger"])))
        if side is None or charger is None:
            return
        frame = _frame(line)
        wants: Sequence[object] = ()
        if isinstance(frame, CallFrame | SendFrame):
            call = Call(side, frame.call_id, frame.action, bytes(frame.payload), at)
            charger.calls[side, frame.call_id] = call
            wants = charger.desk.on_call(call)
        elif isinstance(frame, ResultFrame | ErrorFrame):
            asker = Side.CSMS if side is Side.CHARGER else Side.CHARGER
            asked = charger.calls.pop((asker, frame.call_id), None)
            if asked is not None:
                ok = isinstance(frame, ResultFrame)
                reply = bytes(frame.payload) if isinstance(frame, ResultFrame) else frame.as_array
                wants = charger.desk.on_exchange(Exchange(asked, ok, reply, at))
        for event in wants:
            self._follow(charger, event)

    def _charger(self, identity: ChargerId) -> _Charger | None:
        if identity not in self._chargers:
            try:
                known = self._site.charger(identity)
            except HeadroomError:
                self._unknown[str(identity)] += 1
                return None
            version = self._versions.get(identity, "ocpp1.6")
            desk = ChargerDesk(known, version, lambda: "replay", line_to_line_v=self._site.electrical.line_to_line_v)
            self._chargers[identity] = _Charger(desk)
        return self._chargers[identity]

    def _follow(self, charger: _Charger, event: object) -> None:
        match event:
            case SessionStarted():
                evse = self._site.evse_at(event.charger, event.connector)
                if evse is not None:
                    charger.running[event.transaction_id] = _Open(evse.id, event.at, event.meter_start_wh)
            case EvseMetered():
                self._metered(charger, event)
            case SessionEnded():
                self._close(charger, event.transaction_id, event.at, event.meter_stop_wh)
            case _:
                pass

    def _metered(self, charger: _Charger, event: EvseMetered) -> None:
        evse = self._site.evse_at(event.charger, event.connector)
        if evse is None:
            return
        if event.sample.current_a is not None:
            self._currents.append(EvseCurrent(evse.id, event.at, event.sample.current_a))
        mine = charger.running.get(event.transaction_id or "") or next(
            (one for one in charger.running.values() if one.evse == evse.id), None
        )
        if mine is None:
            return
        if event.sample.energy_wh is not None:
            mine.first_wh = event.sample.energy_wh if mine.first_wh is None else mine.first_wh
            mine.last_wh = event.sample.energy_wh
        if event.sample.current_a is not None:
            mine.most_a = max(mine.most_a or 0.0, event.sample.current_a)

    def _close(self, charger: _Charger, name: str, at: datetime | None, stop_wh: float | None) -> None:
        mine = charger.running.pop(name, None)
        if mine is None or at is None:
            return
        last_wh = stop_wh if stop_wh is not None else mine.last_wh
        taken = 0.0 if last_wh is None or mine.first_wh is None else last_wh - mine.first_wh
        if taken >= _LEAST_WH and at > mine.begins:
            self._stays.append(Stay(mine.evse, mine.begins, at, taken, mine.most_a or None))


def _frame(line: Entry) -> Frame:
    """The envelope, of a whole frame or of the message log's columns."""
    if "frame" in line:
        return read((line["frame"] if isinstance(line["frame"], str) else json.dumps(line["frame"])).encode())
    kind, name = _KINDS.get(str(line["kind"]), 0), str(line["message_id"])
    payload = line.get("payload")
    parts = [kind, name, line.get("action"), payload] if kind in {2, 6} else [kind, name, payload]
    if kind == 4 and isinstance(payload, list):
        parts = [kind, name, *payload]
    return read(json.dumps(parts).encode())


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as problem:
        raise RecordingError(file, None, "", f"cannot be read: {problem.strerror or problem}") from problem
    except (UnicodeDecodeError, EOFError) as problem:
        raise RecordingError(file, None, "", f"cannot be read: {problem}") from problem
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as problem:
            raise RecordingError(file, number, "", f"is no JSON: {problem.msg}") from problem
        if not isinstance(value, dict):
            raise RecordingError(file, number, "", "must be an object with at, charger, direction, frame")
        yield number, value


def _rows(file: Path, site: Site) -> Iterator[Entry]:
    """Messages and readings of this site in the database, which is opened for reading only."""
    engine = create_engine(f"sqlite:///file:{quote(str(file.resolve()))}?mode=ro&uri=true")
    chargers = [charger.id for charger in site.chargers]
    said = select(messages).where(messages.c.charger_id.in_(chargers), messages.c.action.in_(_READ))
    read_off = select(meter_readings).where(meter_readings.c.meter_id.in_(meters_of(site)))
    try:
        with engine.connect() as connection:
            for row in connection.execute(said):
                payload = None if row.payload is None else json.loads(row.payload)
                yield {
                    "id": row.id,
                    "at": row.at.isoformat(),
                    "charger": row.charger_id,
                    "direction": row.direction,
                    "kind": row.kind,
                    "action": row.action,
                    "message_id": row.message_id,
                    "payload": payload,
                }
            for row in connection.execute(read_off):
                amps = (row.phase_a_a, row.phase_b_a, row.phase_c_a)
                current_a = {phase: value for phase, value in zip(PHASES, amps, strict=True) if value is not None}
                yield {"at": row.at.isoformat(), "meter": row.meter_id, "current_a": current_a}
    except (SQLAlchemyError, json.JSONDecodeError) as problem:
        raise RecordingError(
            file, None, "", f"is no database of the service: {problem.__cause__ or problem}"
        ) from problem
    finally:
        engine.dispose()
