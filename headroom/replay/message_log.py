"""The message log (JSON lines) as stays and currents: frames are read by the proxy's own translators.

Each line is one object. Either a message, as `GET /api/v1/chargers/{id}/messages` exports it:
`{"at": "2026-03-02T17:00:01Z", "charger": "CP001", "direction": "from_charger", "frame": [2, "7", "Heartbeat", {}]}`
(`frame`: the array, or its text; `direction`: from_charger or from_csms, other directions are passed over), or a meter
reading as the REST API takes it: `{"at": "...Z", "meter": "m-main", "current_a": {"A": 81.2, "B": 77.0, "C": 90.4}}`.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

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
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, Side
from proxy.protocol.frames import CallFrame, ErrorFrame, ResultFrame, SendFrame, read

_SIDES = {"from_charger": Side.CHARGER, "from_csms": Side.CSMS, "to_charger": None, "to_csms": None}
_LEAST_WH = 1.0


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
    """All that the log says of this site's EVSEs and meters.

    Raises:
        RecordingError: naming file, line and field.
    """
    return _Log(file, site).recording()


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

    def recording(self) -> Recording:
        lines = list(_lines(self._file))
        for _, line in lines:
            self._guess_version(line)
        for number, line in lines:
            at = self._instant(number, line)
            self._last = at if self._last is None else max(self._last, at)
            if "meter" in line:
                self._reading(number, line, at)
            else:
                self._message(number, line, at)
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

    def _guess_version(self, line: dict[str, Any]) -> None:
        """2.x where a charger ever speaks of transaction events; else 1.6."""
        text = line.get("frame")
        if "TransactionEvent" in (text if isinstance(text, str) else json.dumps(text)):
            self._versions[ChargerId(str(line.get("charger")))] = "ocpp2.0.1"

    def _instant(self, number: int, line: dict[str, Any]) -> datetime:
        try:
            at = datetime.fromisoformat(str(line["at"]))
        except (KeyError, ValueError) as problem:
            raise RecordingError(self._file, number, "at", "must be a time such as 2026-03-02T17:00:01Z") from problem
        if at.tzinfo is None:
            raise RecordingError(self._file, number, "at", f"must say its zone, e.g. {line['at']}Z")
        return at

    def _reading(self, number: int, line: dict[str, Any], at: datetime) -> None:
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

    def _message(self, number: int, line: dict[str, Any], at: datetime) -> None:
        for name in ("charger", "direction", "frame"):
            if name not in line:
                raise RecordingError(self._file, number, name, "is missing; a line has at, charger, direction, frame")
        if line["direction"] not in _SIDES:
            raise RecordingError(self._file, number, "direction", f"must be one of {', '.join(_SIDES)}")
        side = _SIDES[line["direction"]]
        charger = self._charger(ChargerId(str(line["charger"])))
        if side is None or charger is None:
            return
        text = line["frame"] if isinstance(line["frame"], str) else json.dumps(line["frame"])
        frame = read(text.encode())
        wants: list[Any] = []
        if isinstance(frame, CallFrame | SendFrame):
            call = Call(side, frame.call_id, frame.action, bytes(frame.payload), at)
            charger.calls[side, frame.call_id] = call
            wants = list(charger.desk.on_call(call))
        elif isinstance(frame, ResultFrame | ErrorFrame):
            asker = Side.CSMS if side is Side.CHARGER else Side.CHARGER
            asked = charger.calls.pop((asker, frame.call_id), None)
            if asked is not None:
                ok = isinstance(frame, ResultFrame)
                reply = bytes(frame.payload) if isinstance(frame, ResultFrame) else frame.as_array
                wants = list(charger.desk.on_exchange(Exchange(asked, ok, reply, at)))
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


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, EOFError) as problem:
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
