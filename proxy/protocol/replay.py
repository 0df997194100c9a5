"""What a CSMS that is back has to be told, one message at a time: what to send, and what its outcome means.

Everything goes in its original order with its own timestamps. What must not be doubled is a start: one whose reply was
lost is sent once more at most, unless the CSMS recognises repeats, and is listed as in doubt either way.
"""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec import Raw

from domain.ids import ChargerId
from proxy.protocol.exchange import OwnCall, OwnOutcome, Side
from proxy.protocol.held import Doubt, Kind, Stored
from proxy.protocol.provisional import TransactionIds, marked_offline, transaction_of
from proxy.protocol.stand_in import transaction_given
from proxy.protocol.tolerant import as_int, as_text, read_object

SLOT: Final = "replay"
PROVISIONAL_FROM: Final = 2_000_000_000
"""Provisional 1.6 transaction ids are from here to the largest 32-bit number: positive, since -1 means none [1.6 errata
3.18], and far above what CSMSs count up to."""
_SENDS: Final = 2
_REFUSALS: Final = 3


@dataclass(frozen=True, slots=True)
class Send:
    """Send this. `counts`: write down first that it is sent, and the doubt, if there is one."""

    call: OwnCall
    counts: bool
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """It cannot be brought to the CSMS."""

    why: str
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The CSMS has it. `real` is the transaction id that it gave; `unwelcome`: it does not want the charger now."""

    real: int | None = None
    unwelcome: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """Send it again after a pause. `refused`: the CSMS said no, so that it certainly does not hold it."""

    after_s: float
    refused: bool = False


class Replay:
    """One charger's way to tell. `recognises_repeats`: its CSMS takes a start that it holds already for what it is."""

    def __init__(self, charger: ChargerId, ids: TransactionIds, *, recognises_repeats: bool) -> None:
        self._charger, self._ids, self._recognises_repeats = charger, ids, recognises_repeats
        self._refusals: tuple[int, int] = (0, 0)

    def plan(self, stored: Stored, now: datetime, given_up: Container[int] = ()) -> Send | SetAside:
        """What to do with the message that waits longest. `given_up` are provisional ids of starts that were set aside:
        the CSMS will never know them. A number alone does not tell: some CSMSs give out such high ones themselves.
        """
        entry = stored.entry
        is_start = entry.kind is Kind.START
        doubt = self._doubt(stored, now) if is_start and (entry.sends > 0 or entry.doubt) else None
        if is_start and entry.sends >= _SENDS and not self._recognises_repeats:
            return SetAside("its reply was lost twice", doubt)
        payload = entry.payload
        if entry.action == "TransactionEvent":
            payload = marked_offline(payload)
        elif entry.kind is Kind.IN_TRANSACTION:
            payload = self._ids.to_csms(entry.action, payload)
            if transaction_of(payload) in given_up:
                return SetAside("the CSMS does not know its transaction")
        call = OwnCall(entry.action, Raw(payload), SLOT, str(stored.seq), towards=Side.CSMS)
        return Send(call, is_start, doubt)

    def outcome(self, stored: Stored, outcome: OwnOutcome) -> Told | Again | SetAside:
        """What became of it; not for "sent" and "lost"."""
        entry = stored.entry
        if outcome.kind == "result":
            reply = read_object(outcome.payload) or {}
            unwelcome = entry.action == "BootNotification" and reply.get("status") != "Accepted"
            return Told(transaction_given(outcome.payload) if entry.kind is Kind.START else None, unwelcome)
        if outcome.kind != "error":
            return Again(1.0)
        seq, refusals = self._refusals
        refusals = refusals + 1 if seq == stored.seq else 1
        self._refusals = (stored.seq, refusals)
        if refusals >= _REFUSALS:
            words = outcome.payload.decode(errors="replace")[:200]
            return SetAside(
                f"the CSMS answered {words}", self._doubt(stored, outcome.at) if entry.kind is Kind.START else None
            )
        return Again(5.0 * refusals, refused=True)

    def _doubt(self, stored: Stored, now: datetime) -> Doubt:
        fields = read_object(stored.entry.payload) or {}
        return Doubt(
            self._charger,
            as_int(fields.get("connectorId")),
            as_text(fields.get("idTag")),
            as_text(fields.get("timestamp")),
            stored.transaction,
            stored.real,
            stored.entry.sends + 1,
            now,
        )
