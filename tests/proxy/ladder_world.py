"""A charger's desk and the answers a charger gives to its profiles."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

from domain.commands import ApplySetpoint
from domain.ids import ChargerId, DecisionId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


CAP = "ChargePointMaxProfile"


DEFAULT = "TxDefaultProfile"


TX = "TxProfile"


ACCEPTED = ("result", b'{"status":"Accepted"}')


REJECTED = ("result", b'{"status":"Rejected"}')


NOT_SUPPORTED = ("result", b'{"status":"NotSupported"}')


SILENCE = ("timeout", b"")


def charger(evses: int = 1, budget: int | None = None) -> Charger:
    identity = ChargerId("CP")
    made = (Evse(EvseId(f"P{n}"), identity, n, FeederId("p"), PHASES[:2], failsafe_a=6.0) for n in range(1, evses + 1))
    return Charger(identity, tuple(made), budget)


def desk_of(a_charger: Charger, *, clock: bool = True, **more) -> ChargerDesk:
    numbers = count()
    desk = ChargerDesk(a_charger, "ocpp1.6", lambda: f"t{next(numbers)}", **more)
    if clock:
        beat = Call(Side.CHARGER, "h", "Heartbeat", b"{}", T0)
        desk.on_exchange(Exchange(beat, True, b'{"currentTime":"2026-03-01T12:00:00Z"}', T0))
    return desk


def command(limit_a: float, at: datetime = T0, connector: int = 1, transaction_id: str | None = None) -> ApplySetpoint:
    evse, decision = EvseId(f"P{connector}"), DecisionId(f"d{limit_a:g}")
    return ApplySetpoint(ChargerId("CP"), connector, evse, limit_a, 6.0, 300.0, decision, at, True, transaction_id)


def body(call: OwnCall) -> dict:
    return json.loads(json.dumps(call.payload))["csChargingProfiles"]


Answer = Callable[[dict], tuple[str, bytes]]


def play(desk: ChargerDesk, calls: list[OwnCall], answer: Answer, at: datetime = T0):
    """A charger that answers one call at a time; a waiting call of a slot is replaced, as the relay does."""
    queue, events, asked = list(calls), [], []
    while queue:
        call = queue.pop(0)
        asked.append((body(call)["chargingProfilePurpose"], body(call)["stackLevel"]))
        events += desk.on_outcome(OwnOutcome(call, "sent", at))[0]
        kind, payload = answer(body(call))
        told, more = desk.on_outcome(OwnOutcome(call, kind, at, payload))
        events += told
        for new in more:
            for old in [c for c in queue if c.slot == new.slot]:
                queue.remove(old)
                assert desk.on_outcome(OwnOutcome(old, "superseded", at)) == ([], [])
            queue.append(new)
        assert len(asked) < 40, "the ladder has no end"
    return events, asked


def refusing(purpose: str, refusal: tuple[str, bytes]) -> Answer:
    """A charger that refuses one purpose and accepts the others."""
    return lambda profile: refusal if profile["chargingProfilePurpose"] == purpose else ACCEPTED


def kinds(events) -> list[str]:
    return [type(event).__name__ for event in events]
