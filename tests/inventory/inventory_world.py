"""A small site, and what its chargers may say, for the tests of the inventory."""

from datetime import UTC, datetime, timedelta
from typing import Any

from court import SITE_TEXT as SITE_TEXT
from court import site as site
from hypothesis import strategies as st

from domain import events as e
from domain.ids import DecisionId
from domain.ledger import LedgerEntry
from domain.metering import EvseSample, MeterReading
from domain.rotation import RotationState, Turn
from domain.session import EvseState
from domain.setpoint import Alarm, AlarmKind, Decision, Reason, ReasonKind, Rung, Setpoint
from domain.site import Phase
from domain.snapshot import TemporaryLimit

T0 = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """So long after the start."""
    return T0 + timedelta(seconds=seconds)


def connected(seconds: float = 0, charger: Any = "CP1") -> e.ChargerConnected:
    return e.ChargerConnected(charger, after(seconds), "ocpp1.6")


def started(seconds: float, tx: str = "7", connector: int = 1, charger: Any = "CP1", **more: Any) -> e.SessionStarted:
    return e.SessionStarted(charger, connector, after(seconds), tx, **more)


def ended(
    seconds: float, tx: str = "7", connector: int | None = 1, charger: Any = "CP1", **more: Any
) -> e.SessionEnded:
    return e.SessionEnded(charger, connector, after(seconds), tx, **more)


def status(seconds: float, state: EvseState, connector: int = 1, charger: Any = "CP1") -> e.EvseStatusChanged:
    return e.EvseStatusChanged(charger, connector, after(seconds), state)


def metered(
    seconds: float,
    current_a: float | None = None,
    connector: int = 1,
    charger: Any = "CP1",
    tx: str | None = None,
    stamp_s: float | None = None,
    **more: Any,
) -> e.EvseMetered:
    stamp = after(seconds if stamp_s is None else stamp_s)
    sample = EvseSample(at=stamp, received_at=after(seconds), current_a=current_a, **more)
    return e.EvseMetered(charger, connector, after(seconds), sample, tx)


def reading(seconds: float, *amps: float, meter: Any = "m-main") -> MeterReading:
    return MeterReading(meter, after(seconds), dict(zip(Phase, amps, strict=False)))


def granted(seconds: float, limit_a: float, **more: Any) -> LedgerEntry:
    """A limit that was sent, acknowledged and settled at once."""
    at = after(seconds)
    return LedgerEntry(limit_a, limit_a, sent_at=at, acknowledged_at=at, settled_at=at, **more)


def decision(seconds: float, *limits_a: float, alarms: tuple[Alarm, ...] = (), name: str | None = None) -> Decision:
    at = after(seconds)
    points = tuple(
        Setpoint(f"E{n}", limit_a, limit_a, Reason(ReasonKind.FEEDER_FULL, "p1", Phase.B, 1.0, text="full"))  # type: ignore[arg-type]
        for n, limit_a in enumerate(limits_a, 1)
    )
    rotation = RotationState(("E1", "E2"), {"E1": Turn(T0, at), "E2": Turn(T0, None, at, 3.0, 4.0)}, at)  # type: ignore[arg-type,dict-item]
    identity = DecisionId(name or f"d{seconds:g}")
    return Decision(identity, at, "StartTransaction", points, Rung.STRATEGY, "", "milp", rotation, alarms, at)


def alarm(subject: str = "main") -> Alarm:
    return Alarm(AlarmKind.STALE_METER, subject, f"{subject} is silent")


def limit(name: str = "L1", starts_s: float = 0.0, ends_s: float | None = 3600.0) -> TemporaryLimit:
    ends = after(ends_s) if ends_s is not None else None
    return TemporaryLimit(name, "p1", 20.0, after(starts_s), ends, "grid", "operator")  # type: ignore[arg-type]


class Choices:
    """Takes a number apart into choices: far cheaper to generate than nested strategies, and shrinks as well."""

    def __init__(self, number: int) -> None:
        self._number = number

    def of(self, *options: Any) -> Any:
        self._number, index = divmod(self._number, len(options))
        return options[index]


def event_lists(size: int = 40) -> st.SearchStrategy[list[e.Event]]:
    """What may be heard of a site, in the order of our clock, sense and nonsense mixed."""
    return st.lists(st.integers(0, 2**48), max_size=size).map(_events)


def _events(numbers: list[int]) -> list[e.Event]:
    seconds = 0.0
    found: list[e.Event] = []
    for number in numbers:
        choose = Choices(number)
        seconds += choose.of(0.5, 7.0, 45.0, 200.0, 1000.0)
        found.append(choose.of(*_HEARD)(seconds, choose))
    return found


def _plug(choose: Choices) -> dict[str, Any]:
    return {"charger": choose.of("CP1", "CP1", "CP1", "CP2", "CP9"), "connector": choose.of(1, 1, 2, 0, 3)}


def _tx(choose: Choices) -> Any:
    return choose.of("1", "2", "3", "-1")


def _wh(choose: Choices) -> Any:
    return choose.of(None, 0.0, 100.0, 1_000.0, 1_200.0, 9e8, float("inf"))


def _started(s: float, choose: Choices) -> e.Event:
    tag = choose.of(None, "tag")
    return started(s, _tx(choose), **_plug(choose), id_tag=tag, meter_start_wh=_wh(choose))


def _ended(s: float, choose: Choices) -> e.Event:
    plug = _plug(choose) | choose.of({}, {"connector": None})
    return ended(s, _tx(choose), **plug, meter_stop_wh=_wh(choose), reason=choose.of(None, "EVDisconnected"))


def _status(s: float, choose: Choices) -> e.Event:
    return status(s, choose.of(*EvseState), **_plug(choose))


def _metered(s: float, choose: Choices) -> e.Event:
    amps = choose.of(None, 0.0, 0.4, 6.0, 15.7, 32.0, 900.0, float("nan"), -3.0)
    stamp_s = choose.of(s, s, s, s - 7_200.0, s - 5.0)
    return metered(s, amps, **_plug(choose), tx=choose.of(None, _tx(choose)), stamp_s=stamp_s, energy_wh=_wh(choose))


def _link(s: float, choose: Choices) -> e.Event:
    charger, at = choose.of("CP1", "CP2", "CP9"), after(s)
    return choose.of(
        e.ChargerConnected(charger, at, "ocpp1.6"),
        e.ChargerDisconnected(charger, at, "gone"),
        e.ChargerBooted(charger, at, "V\0" * 200, "M", None, choose.of(True, False)),
    )


def _csms_limit(s: float, choose: Choices) -> e.Event:
    plug = _plug(choose)
    return e.CsmsLimitChanged(plug["charger"], plug["connector"], after(s), choose.of(None, 0.0, 10.0))


def _read(s: float, choose: Choices) -> e.Event:
    amps = [choose.of(0.0, 30.0, -1.0) for _ in range(choose.of(3, 3, 2))]
    stamp_s = choose.of(s, s, s - 100.0, s + 9_000.0)
    return e.FeederMetered(after(s), reading(stamp_s, *amps, meter=choose.of("m-main", "m-main", "m-none")))


def _setpoint(s: float, choose: Choices) -> e.Event:
    point: tuple[Any, ...] = (choose.of("E1", "E3", "E9"), after(s), choose.of(0.0, 6.0, 32.0), "d1")
    return choose.of(e.SetpointSent(*point), e.SetpointAccepted(*point), e.SetpointRefused(*point, "Rejected"))


_HEARD = (
    _started,
    _started,
    _ended,
    _status,
    _status,
    _metered,
    _metered,
    _metered,
    _link,
    _csms_limit,
    _read,
    _setpoint,
)
