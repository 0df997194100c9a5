"""What chargers and a CSMS say in the relay's benchmarks: whole WebSocket frames, built before they are needed.

Two mixes. `DAY`, of 20 CALLs of a charger: 9 MeterValues, 9 Heartbeats, 2 StatusNotifications, and one TriggerMessage
of the CSMS; that is a charger with a car half of the time, whose heartbeat interval is twice its sample interval.
`METERS`: nothing but MeterValues, which our desk takes longest to read.
"""

import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Final

TEXT: Final = 0x1
_ID: Final = b"%05d-%02d"


def frame(payload: bytes, *, masked: bool, opcode: int = TEXT) -> bytes:
    """One whole frame; the mask is zero, which costs its reader as much as any other."""
    return _head(len(payload), masked=masked, opcode=opcode) + payload


def _head(size: int, *, masked: bool, opcode: int = TEXT) -> bytes:
    bit = 0x80 if masked else 0
    length = bytes([bit | size]) if size < 126 else struct.pack("!BH", bit | 126, size)
    return bytes([0x80 | opcode]) + length + (bytes(4) if masked else b"")


@dataclass(frozen=True)
class Mix:
    """The CALLs of a charger, over and over. `asks`: whether the CSMS asks something each time around."""

    name: str
    actions: tuple[str, ...]
    asks: bool = False


_SPARSE: Final = ("Heartbeat", "MeterValues") * 9
DAY: Final = Mix("mixed", (*_SPARSE[:9], "StatusNotification", *_SPARSE[9:], "StatusNotification"), asks=True)
METERS: Final = Mix("all MeterValues", ("MeterValues",) * 20)


class Words:
    """The frames of a mix, stamped with one time."""

    def __init__(self, mix: Mix, at: datetime) -> None:
        self.asks = mix.asks
        self.count = len(mix.actions)
        stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        self._calls = [
            _around(b'[2,"', b'","%b",%b]' % (name.encode(), _call(name, stamp)), masked=True) for name in mix.actions
        ]
        self._replies = [_around(b'[3,"', b'",%b]' % _reply(name, stamp), masked=False) for name in mix.actions]

    def call(self, charger: int, number: int) -> bytes:
        """The frame of a charger's CALL `number`."""
        turn = number % self.count
        before, after = self._calls[turn]
        return before + _ID % (charger, turn) + after

    def reply(self, charger: int, number: int) -> bytes:
        """The CSMS's frame for it."""
        turn = number % self.count
        before, after = self._replies[turn]
        return before + _ID % (charger, turn) + after


def question(number: int) -> bytes:
    """A CALL of the CSMS's; its id begins with an x."""
    return frame(b'[2,"x%07d","TriggerMessage",{"requestedMessage":"StatusNotification"}]' % number, masked=False)


def accepted(call_id: bytes) -> bytes:
    """A charger's reply to it, or to a limit of ours."""
    return frame(b'[3,"%b",{"status":"Accepted"}]' % call_id, masked=True)


def _around(before: bytes, after: bytes, *, masked: bool) -> tuple[bytes, bytes]:
    return _head(len(before) + len(_ID % (0, 0)) + len(after), masked=masked) + before, after


def _call(action: str, stamp: bytes) -> bytes:
    if action == "MeterValues":
        return meter_values(stamp)
    if action == "StatusNotification":
        return b'{"connectorId":1,"errorCode":"NoError","status":"Charging","timestamp":"%b"}' % stamp
    return b"{}"


def _reply(action: str, stamp: bytes) -> bytes:
    return b'{"currentTime":"%b"}' % stamp if action == "Heartbeat" else b"{}"


def meter_values(stamp: bytes) -> bytes:
    """A 1.6 MeterValues payload of four measurands: 500 bytes, as chargers send them."""
    sampled = b",".join(
        b'{"value":"%b","context":"Sample.Periodic","measurand":"%b","unit":"%b"}' % words
        for words in (
            (b"13.2", b"Current.Import", b"A"),
            (b"20417", b"Energy.Active.Import.Register", b"Wh"),
            (b"4758.1", b"Power.Active.Import", b"W"),
            (b"208.1", b"Voltage", b"V"),
        )
    )
    return b'{"connectorId":1,"transactionId":4711,"meterValue":[{"timestamp":"%b","sampledValue":[%b]}]}' % (
        stamp,
        sampled,
    )
