"""What is kept of a charger's messages while its CSMS is away, and what was learnt of the CSMS's word before."""

from datetime import datetime
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What a kept message is for its transaction; `LATEST` replaces an older one of the same key."""

    START = "start"
    IN_TRANSACTION = "in_transaction"
    LATEST = "latest"
    OTHER = "other"


class Entry(msgspec.Struct, frozen=True):
    """A message of a charger that the CSMS has not answered.

    `payload` is raw JSON as the charger wrote it. `key` is the same for a repeat of the same message. `sends`: how
    often the CSMS was sent it without a reply. `doubt`: it may have been sent before, for all that is known here.
    """

    kind: Kind
    action: str
    payload: bytes
    key: str
    at: datetime
    sends: int = 0
    doubt: bool = False


class Stored(msgspec.Struct, frozen=True):
    """An entry that is on disk. `transaction` is a 1.6 start's provisional id; `real` the CSMS's, once it is known.
    `repeated`: it was there already, so nothing was written. `is_done`: the CSMS has it.
    """

    seq: int
    entry: Entry
    transaction: int | None = None
    real: int | None = None
    repeated: bool = False
    is_done: bool = False


class TagInfo(msgspec.Struct, frozen=True):
    """An id tag that the CSMS accepted, until `expires_at` where that is set."""

    expires_at: datetime | None = None
    parent: str | None = None


class Doubt(msgspec.Struct, frozen=True):
    """A start that the CSMS may hold twice, because it was sent again after a reply to it was lost; or not at all,
    where `real` is None: then it was sent as often as it may be, and a person has to look.
    """

    charger: str
    connector: int | None
    id_tag: str | None
    started_at: str | None
    transaction: int | None
    real: int | None
    sends: int
    noted_at: datetime


class Remembered(msgspec.Struct, frozen=True):
    """What is known of a charger when its socket opens. `booted`: the CSMS has accepted it. `pending` messages wait for
    the CSMS; `transactions` are provisional 1.6 ids with the CSMS's own; `done` are keys of messages that the CSMS has,
    with their provisional id; `given_up` are provisional ids of starts that the CSMS will not be sent again.
    """

    booted: bool = False
    pending: int = 0
    transactions: tuple[tuple[int, int], ...] = ()
    done: tuple[tuple[str, int | None], ...] = ()
    given_up: tuple[int, ...] = ()
