"""Which profiles one set-point needs, in which order: the pure part of `profiles`, without outcomes."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from math import isfinite

from domain.commands import ApplySetpoint
from domain.ids import EvseId
from domain.site import Charger, Evse
from proxy.protocol.capability import Capability
from proxy.protocol.charger_clock import EPOCH, ChargerClock
from proxy.protocol.composite import ChargingProfile, Kind, Period, Purpose, RateUnit
from proxy.protocol.dialects import Dialect
from proxy.protocol.tolerant import MAX_ID
from proxy.protocol.transactions import Transactions

CLOCK_MARGIN_S = 60.0
"""M: the worst error of a charger's clock that the start of a schedule allows for."""
_TENTH = Decimal("0.1")
_ROUNDING = Decimal("1e-6")
_SHORT_UNTIMED = "the charger keeps no timed schedule, so it is held at its fall-back"
_SHORT_CLOCK = "the charger's clock is not known and it keeps no fall-back profile, so it is held at its fall-back"


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for one profile of ours, with one id for ever: writing it again replaces what is there."""

    name: str
    id: int
    connector: int
    purpose: Purpose
    fallback: bool = False
    group: bool = False


@dataclass(slots=True)
class Standing:
    """What was written to a slot: the newest, and the last that the charger acknowledged (None: not known)."""

    slot: Slot
    version: int = 0
    accepted_version: int = 0
    asked: ChargingProfile | None = None
    held: ChargingProfile | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The profiles of one set-point in sending order. `main` names those slots whose limit is the set-point's.

    `told_a` is what the charger is told for now; `short` says why that is less than was asked, else None.
    """

    told_a: float
    short: str | None = None
    writes: tuple[tuple[Slot, ChargingProfile], ...] = ()
    main: frozenset[str] = frozenset()


Told = Mapping[EvseId, tuple[float, datetime, float]]
"""Per EVSE: the limit told last, when, and for how many seconds it holds."""


@dataclass(slots=True)
class Planner:
    """Plans for one charger. `unbindable`: per connector a transaction that the charger takes no TxProfile for."""

    charger: Charger
    dialect: Dialect
    clock: ChargerClock
    transactions: Transactions
    standing: Mapping[str, Standing]
    unbindable: MutableMapping[int, str] = field(default_factory=dict)

    def plan(self, capability: Capability, evse: Evse, command: ApplySetpoint, told: Told, now: datetime) -> Plan:
        """The writes that make a charger hold `command`, on this rung, as of `now` (our clock)."""
        limit_a, failsafe_a = wire_amps(command.limit_a, evse), wire_amps(command.failsafe_a, evse)
        if not capability.timed:
            return self._untimed(evse, limit_a, failsafe_a)
        fallbacks = self._missing_fallbacks(capability, evse, failsafe_a)
        safe = self.clock.known or (capability.fallback and capability.level > 0)
        short = _SHORT_CLOCK if not safe and limit_a > failsafe_a else None
        held_a = limit_a if safe else min(limit_a, failsafe_a)
        timing = _Timing(self.clock, now, command.deadman_s if safe else None)
        if capability.mode == "cap":
            slot = self.cap_slot(capability.level)
            writes = [(slot, timing.profile(slot, capability.level, held_a, failsafe_a))]
            return Plan(held_a, short, (*writes, *fallbacks), frozenset({slot.name}))
        writes = self._transaction_writes(capability, evse, command, timing, held_a, failsafe_a)
        main = frozenset(slot.name for slot, _ in writes)
        group = self._group_cap(capability, evse, command, timing, {**told, evse.id: (held_a, now, command.deadman_s)})
        return Plan(held_a, short, (*writes, *fallbacks, *group), main)

    def fallbacks(self, capability: Capability) -> list[tuple[Slot, ChargingProfile]]:
        """What a charger must hold before any set-point: its fall-back, from 1970 on, at every EVSE."""
        writes = []
        for evse in self.charger.evses:
            failsafe_a = wire_amps(evse.failsafe_a, evse)
            if not capability.timed:
                writes += list(self._untimed(evse, failsafe_a, failsafe_a).writes)
            elif capability.level > 0:
                writes += self._missing_fallbacks(capability, evse, failsafe_a)
            else:
                slot = self.cap_slot(0) if capability.mode == "cap" else self.default_slot(evse, 0)
                writes.append((slot, _static(slot, 0, failsafe_a)))
        return writes

    def cap_slot(self, level: int, fallback: bool = False) -> Slot:
        """The station cap, or the fall-back under it. Over several EVSEs the cap is the group's.

        At level 0 both share one id: a second profile of the same purpose and level would be refused (K01.FR.06).
        """
        name, offset = "cap-fallback" if fallback else "cap", 1 if level == 0 else 0
        group = len(self.charger.evses) > 1
        return Slot(name, self.dialect.first_id + offset, 0, Purpose.CAP, fallback, group)

    def default_slot(self, evse: Evse, level: int, fallback: bool = False) -> Slot:
        """A connector's default profile, or the fall-back under it; at level 0 they share one id."""
        name, offset = "default-fallback" if fallback else "default", 1 if level == 0 else 0
        return Slot(f"{name}:{evse.connector}", self._id(evse, offset), evse.connector, Purpose.DEFAULT, fallback)

    def tx_slot(self, evse: Evse) -> Slot:
        """A connector's transaction profile."""
        return Slot(f"tx:{evse.connector}", self._id(evse, 2), evse.connector, Purpose.TX)

    def _id(self, evse: Evse, offset: int) -> int:
        return self.dialect.first_id + 10 * (1 + self.charger.evses.index(evse)) + offset

    def _missing_fallbacks(
        self, capability: Capability, evse: Evse, failsafe_a: float
    ) -> list[tuple[Slot, ChargingProfile]]:
        """The level-0 fall-back, unless the charger is known to hold it, refused it, or has no level under ours."""
        if not capability.fallback or capability.level == 0:
            return []
        cap = capability.mode == "cap"
        slot = self.cap_slot(0, fallback=True) if cap else self.default_slot(evse, 0, fallback=True)
        wanted = _static(slot, 0, failsafe_a)
        standing = self.standing.get(slot.name)
        return [] if standing is not None and standing.held == wanted else [(slot, wanted)]

    def _untimed(self, evse: Evse, limit_a: float, failsafe_a: float) -> Plan:
        """Without a dead-man step nothing above the fall-back may be left behind at a charger."""
        slot, held_a = self.default_slot(evse, 0), min(limit_a, failsafe_a)
        relative = ChargingProfile(
            slot.id, slot.connector, 0, slot.purpose, Kind.RELATIVE, RateUnit.A, (Period(0, held_a),)
        )
        short = _SHORT_UNTIMED if limit_a > failsafe_a else None
        return Plan(held_a, short, ((slot, relative),), frozenset({slot.name}))

    def _transaction(self, capability: Capability, evse: Evse, command: ApplySetpoint) -> str | None:
        """The transaction that a TxProfile can be bound to: what passed by is newer than what the command says."""
        running = self.transactions.at(evse.connector)
        found = running.transaction_id if running is not None else command.transaction_id
        if found is None or not capability.tx_profile or self.transactions.has_ended(found):
            return None
        return found if self.dialect.can_bind(found) and self.unbindable.get(evse.connector) != found else None

    def _transaction_writes(
        self,
        capability: Capability,
        evse: Evse,
        command: ApplySetpoint,
        timing: "_Timing",
        held_a: float,
        failsafe_a: float,
    ) -> list[tuple[Slot, ChargingProfile]]:
        """TxProfile first, because it is what leads; the default only where it may allow more than the fall-back."""
        transaction_id = self._transaction(capability, evse, command)
        default = self.default_slot(evse, capability.level)
        if transaction_id is None:
            return [(default, timing.profile(default, capability.level, held_a, failsafe_a))]
        slot = self.tx_slot(evse)
        writes = [(slot, timing.profile(slot, capability.level, held_a, failsafe_a, transaction_id))]
        below_a = min(held_a, failsafe_a)
        if below_a < failsafe_a or not self._holds_at_most(default, capability.level, failsafe_a):
            writes.append((default, timing.profile(default, capability.level, below_a, failsafe_a)))
        return writes

    def _holds_at_most(self, slot: Slot, level: int, failsafe_a: float) -> bool:
        standing = self.standing.get(slot.name)
        if standing is None or standing.held is None or standing.held is not standing.asked:
            return False
        held = standing.held
        return held.level == level and max(period.limit for period in held.periods) <= failsafe_a

    def _group_cap(
        self, capability: Capability, evse: Evse, command: ApplySetpoint, timing: "_Timing", told: Told
    ) -> list[tuple[Slot, ChargingProfile]]:
        """A cap with what the EVSEs were told, summed over the busiest phase: never below any connector's own limit.

        Some chargers apply it to each connector and not to the sum, so nothing relies on it. Written only when the
        sum changed, or less than half of its time is left.
        """
        if len(self.charger.evses) < 2 or not capability.group_cap:
            return []
        now, failsafes = timing.now, {e.id: wire_amps(e.failsafe_a, e) for e in self.charger.evses}
        failsafes[evse.id] = wire_amps(command.failsafe_a, evse)
        limits = dict(failsafes)
        for evse_id, (limit_a, at, hold_s) in told.items():
            limits[evse_id] = limit_a if (now - at).total_seconds() < hold_s else failsafes[evse_id]
        slot = self.cap_slot(capability.level)
        wanted = timing.profile(slot, capability.level, self._busiest(limits), self._busiest(failsafes))
        standing = self.standing.get(slot.name)
        held = standing.held if standing is not None and standing.held is standing.asked else None
        return [] if held is not None and _still_good(held, wanted, timing) else [(slot, wanted)]

    def _busiest(self, amps: Mapping[EvseId, float]) -> float:
        phases = {phase for evse in self.charger.evses for phase in evse.phases}
        sums = [sum(Decimal(str(amps[e.id])) for e in self.charger.evses if phase in e.phases) for phase in phases]
        return float(max(sums, default=Decimal(0)))


@dataclass(frozen=True, slots=True)
class _Timing:
    """When a plan's schedules begin and step; `hold_s` None: no step, for a charger whose time cannot be relied on."""

    clock: ChargerClock
    now: datetime
    hold_s: float | None

    def profile(
        self, slot: Slot, level: int, limit_a: float, failsafe_a: float, transaction_id: str | None = None
    ) -> ChargingProfile:
        """The dead-man schedule of a slot; one constant limit needs no clock, so it holds from 1970 on."""
        if self.hold_s is None or limit_a == failsafe_a:
            return _static(slot, level, limit_a, transaction_id)
        then = self.clock.now(self.now)
        start = max(EPOCH, (then - timedelta(seconds=CLOCK_MARGIN_S)).replace(microsecond=0))
        hold_s = self.hold_s if isfinite(self.hold_s) else 0.0
        step_s = (then - start).total_seconds() + max(0.0, hold_s)
        periods = (Period(0, limit_a), Period(min(max(1, int(step_s)), MAX_ID), failsafe_a))
        return _absolute(slot, level, start, periods, transaction_id)


def wire_amps(amps: float, evse: Evse) -> float:
    """A limit as it is written: one decimal, rounded down, at most the EVSE's rating, and 0 if below its minimum."""
    if not isfinite(amps):
        return 0.0
    capped = Decimal(repr(float(min(amps, evse.max_a))))
    rounded = float((capped + _ROUNDING).quantize(_TENTH, ROUND_FLOOR))
    return rounded if rounded > 0.0 and rounded >= evse.min_a else 0.0


def _absolute(
    slot: Slot, level: int, start: datetime, periods: tuple[Period, ...], transaction_id: str | None
) -> ChargingProfile:
    return ChargingProfile(
        slot.id,
        slot.connector,
        level,
        slot.purpose,
        Kind.ABSOLUTE,
        RateUnit.A,
        periods,
        start=start,
        transaction_id=transaction_id,
    )


def _static(slot: Slot, level: int, limit_a: float, transaction_id: str | None = None) -> ChargingProfile:
    return _absolute(slot, level, EPOCH, (Period(0, limit_a),), transaction_id)


def _still_good(held: ChargingProfile, wanted: ChargingProfile, timing: _Timing) -> bool:
    """Whether a held profile allows the same as the wanted one for at least half of its time."""
    same = [period.limit for period in held.periods] == [period.limit for period in wanted.periods]
    if not same or held.level != wanted.level or held.start is None or len(wanted.periods) == 1:
        return same and held.level == wanted.level
    left_s = (held.start - timing.clock.now(timing.now)).total_seconds() + held.periods[-1].start_s
    return left_s >= (timing.hold_s or 0.0) / 2.0
