"""Transaction ids that we gave in the CSMS's absence, and the CSMS's own: changed on the way, in both directions.

Only 1.6 needs it: there the id is the CSMS's. The charger keeps the id that it was given for as long as the transaction
runs, so everything on its side of this speaks of the provisional one.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw

_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
_INTEGER: Final = msgspec.json.Decoder(int)
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)

_TO_CSMS: Final = {"StopTransaction": (), "MeterValues": ()}
_TO_CHARGER: Final = {"RemoteStopTransaction": (), "SetChargingProfile": ("csChargingProfiles",)}
"""Where in the payload of an action its `transactionId` is."""


class TransactionIds:
    """One charger's provisional ids with the CSMS's, as far as they are known."""

    def __init__(self, known: Iterable[tuple[int, int]] = ()) -> None:
        self._real = dict(known)
        self._provisional = {real: provisional for provisional, real in self._real.items()}

    def __len__(self) -> int:
        return len(self._real)

    def add(self, provisional: int, real: int) -> None:
        """The CSMS has given its id."""
        self._real[provisional] = real
        self._provisional[real] = provisional

    def to_csms(self, action: str, payload: bytes) -> bytes:
        """The payload of a charger's message as the CSMS has to see it; the same object where nothing changes."""
        return _with_ids(payload, _TO_CSMS.get(action), self._real)

    def to_charger(self, action: str, payload: bytes) -> bytes:
        """The payload of a CSMS's message as the charger has to see it."""
        return _with_ids(payload, _TO_CHARGER.get(action), self._provisional)


def transaction_of(payload: bytes) -> int | None:
    """The `transactionId` of a 1.6 message, where there is one that can be read."""
    try:
        return _INTEGER.decode(_OBJECT.decode(payload)["transactionId"])
    except (*_UNREADABLE, KeyError):
        return None


def marked_offline(payload: bytes) -> bytes:
    """A TransactionEvent that says of itself that it is told later; the rest as it was written."""
    try:
        fields = _OBJECT.decode(payload)
    except _UNREADABLE:
        return payload
    fields["offline"] = Raw(b"true")
    return msgspec.json.encode(fields)


def _with_ids(payload: bytes, path: tuple[str, ...] | None, ids: dict[int, int]) -> bytes:
    if path is None or not ids:
        return payload
    try:
        fields = _OBJECT.decode(payload)
        if path:
            changed = _with_ids(bytes(fields[path[0]]), path[1:], ids)
            value = None if changed == bytes(fields[path[0]]) else Raw(changed)
        else:
            other = ids.get(_INTEGER.decode(fields["transactionId"]))
            value = None if other is None else Raw(b"%d" % other)
    except (*_UNREADABLE, KeyError):
        return payload
    if value is None:
        return payload
    fields[path[0] if path else "transactionId"] = value
    return msgspec.json.encode(fields)
