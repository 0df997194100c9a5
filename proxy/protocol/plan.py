"""Which profiles one set-point needs, in which order: the pure part of `profiles`, without outcomes."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import isfinite

from domain.commands import ApplySetpoint
from domain.ids import EvseId
from domain.site import Charger, Evse
from proxy.protocol.capability import Capability
from proxy.protocol.charger_clock import ChargerClock
from proxy.protocol.composite import ChargingProfile, Kind, Period, Purpose, RateUnit
from proxy.protocol.csms_profiles import CsmsProfiles
from proxy.protocol.dialects import Dialect
from proxy.protocol.features import Features
from proxy.protocol.schedules import Draft, Slot, same_from, static, still_good, wire_amps
from proxy.protocol.transactions import Transactions

_SHORT_UNTIMED = "the charger keeps no timed schedule, so it is held at its fall-back"
_SHORT_CLOCK = "the charger's clock is not known and it keeps no fall-back profile, so it is held at its fall-back"


@dataclass(slots=True)
class Standing:
    """What was written to a slot: the newest, and the last that the charger acknowledged (None: not known)."""

    slot: Slot
    version: int = 0
    accepted_version: int = 0
    asked: ChargingProfile | None = None
    held: ChargingProfile | None = None
    revision: int = -1
    """The CSMS's shadow that `held` respects, by its revision."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The profiles of one set-point in sending order. `main` names those slots whose limit is the set-point's.

    `told_a` is what the EMS allows for now, whatever the CSMS does; `short` says why that is less than was asked, else
    None. `good` names slots that need no write. From `exact_until` (our clock) on it may allow less than it should.
    """

    told_a: float
    short: str | None = None
    writes: tuple[tuple[Slot, ChargingProfile], ...] = ()
    main: frozenset[str] = frozenset()
    good: frozenset[str] = frozenset()
    exact_until: datetime | None = None
    step_at: datetime | None = None
    """When the dead-man step of the set-point comes, in the charger's clock; None: it has none."""
    ends_at: datetime | None = None
    """When it has to be lowered by us (our clock), since the charger does so only without a link."""


Told = Mapping[EvseId, tuple[float, datetime, float]]
"""Per EVSE: the limit told last, when, and for how many seconds it holds."""


@dataclass(slots=True)
class Planner:
    """Plans for one charger. `unbindable`: per connector a transaction that the charger takes no TxProfile for."""

    charger: Charger
    dialect: Dialect
    clock: ChargerClock
    transactions: Transactions
    csms: CsmsProfiles
    features: Features
    standing: Mapping[str, Standing]
    unbindable: MutableMapping[int, str] = field(default_factory=dict)

    def plan(self, capability: Capability, evse: Evse, command: ApplySetpoint, told: Told, now: datetime) -> Plan:
        """The writes that make a charger hold `command`, on this rung, as of `now` (our clock).

        None of them allows more than the CSMS does at any instant. Planned again later, a command holds no longer than
        it did at first.
        """
        left_s = command.deadman_s - (now - command.at).total_seconds()
        failsafe_a = wire_amps(command.failsafe_a, evse)
        limit_a = wire_amps(command.limit_a, evse) if left_s > 0.0 or not isfinite(left_s) else failsafe_a
        if not capability.timed:
            return self._untimed(evse, limit_a, failsafe_a)
        safe = self.clock.known or (capability.fallback and capability.level > 0)
        short = _SHORT_CLOCK if not safe and limit_a > failsafe_a else None
        held_a = limit_a if safe else min(limit_a, failsafe_a)
        draft = self._draft(capability, evse, now, left_s if safe else None)
        by_us = draft.offline_s is not None and held_a > failsafe_a
        ends_at = now + timedelta(seconds=left_s) if by_us else None
        if capability.mode == "cap":
            slot = self.cap_slot(capability.level)
            main = (slot, draft.profile(slot, self.csms.scope_of_cap(), held_a, failsafe_a))
            writes, good = [main, *self._missing_fallbacks(capability, evse, failsafe_a)], frozenset[str]()
            return Plan(
                held_a, short, tuple(writes), frozenset({slot.name}), good, draft.exact_until, draft.step_at, ends_at
            )
        writes, good = self._transaction_writes(capability, evse, command, draft, held_a, failsafe_a)
        main_slots = frozenset(slot.name for slot, _ in writes)
        writes += self._missing_fallbacks(capability, evse, failsafe_a)
        group_slot, group = self._group_cap(capability, evse, command, draft, {**told, evse.id: (held_a, now, left_s)})
        if group is not None:
            writes.append((group_slot, group))
        else:
            good |= {group_slot.name}
        return Plan(held_a, short, tuple(writes), main_slots, good, draft.exact_until, draft.step_at, ends_at)

    def _draft(self, capability: Capability, evse: Evse, now: datetime, hold_s: float | None) -> Draft:
        return Draft(
            self.clock,
            self.csms,
            self.features,
            self.offline_s(capability, hold_s),
            evse,
            capability.level,
            now,
            hold_s,
        )

    def offline_s(self, capability: Capability, hold_s: float | None) -> int | None:
        """2.1: after so long without a link the profile ends by itself; None: it needs a dead-man step."""
        able = self.dialect.dynamic and self.features.max_offline and capability.level > 0 and capability.fallback
        return None if not able or hold_s is None or not isfinite(hold_s) else max(1, int(hold_s))

    def fallback_level(self, capability: Capability) -> int:
        """Where the fall-back stands: at the bottom, where nobody looks while ours holds; but directly under ours
        where ours ends by itself, so that nothing of the CSMS's stands between them.
        """
        return max(0, capability.level - 1) if self.offline_s(capability, 60.0) is not None else 0

    @property
    def own_ids(self) -> frozenset[int]:
        """The ids that are kept for us at this charger."""
        slots = [self.cap_slot(0), self.cap_slot(1)]
        for evse in self.charger.evses:
            slots += [self.default_slot(evse, 0), self.default_slot(evse, 1), self.tx_slot(evse)]
        return frozenset(slot.id for slot in slots)

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
                writes.append((slot, static(slot, 0, failsafe_a)))
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
        """The fall-back under ours, unless the charger is known to hold it, refused it, or has no level under ours."""
        if not capability.fallback or capability.level == 0:
            return []
        is_cap = capability.mode == "cap"
        slot = self.cap_slot(0, fallback=True) if is_cap else self.default_slot(evse, 0, fallback=True)
        scope = self.csms.scope_of_cap() if is_cap else self.csms.scope_of(evse, Purpose.DEFAULT)
        level = self.fallback_level(capability)
        # At the bottom it stands beside the CSMS's own; right under ours it stands above them.
        floor = self.csms.floor(scope) if level > 0 or self.csms.owns(slot.purpose, level) else None
        limit_a = failsafe_a if floor is None else wire_amps(min(failsafe_a, floor.amps), evse)
        wanted = static(slot, level, limit_a)
        standing = self.standing.get(slot.name)
        return [] if standing is not None and standing.held == wanted else [(slot, wanted)]

    def _untimed(self, evse: Evse, limit_a: float, failsafe_a: float) -> Plan:
        """Without a dead-man step nothing above the fall-back may be left behind at a charger."""
        slot, held_a = self.default_slot(evse, 0), min(limit_a, failsafe_a)
        running = self.transactions.at(evse.connector) is not None
        floor = self.csms.floor(self.csms.scope_of(evse, Purpose.TX if running else Purpose.DEFAULT))
        written_a = held_a if floor is None else wire_amps(min(held_a, floor.amps), evse)
        relative = ChargingProfile(
            slot.id, slot.connector, 0, slot.purpose, Kind.RELATIVE, RateUnit.A, (Period(0, written_a),)
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
        draft: Draft,
        held_a: float,
        failsafe_a: float,
    ) -> tuple[list[tuple[Slot, ChargingProfile]], frozenset[str]]:
        """TxProfile first, because it is what leads; the default only where it may allow more than the fall-back."""
        transaction_id = self._transaction(capability, evse, command)
        default, of_default = self.default_slot(evse, capability.level), self.csms.scope_of(evse, Purpose.DEFAULT)
        if transaction_id is None:
            running = self.transactions.at(evse.connector) is not None
            scope = self.csms.scope_of(evse, Purpose.TX) if running else of_default
            return [(default, draft.profile(default, scope, held_a, failsafe_a))], frozenset()
        slot = self.tx_slot(evse)
        of_tx = self.csms.scope_of(evse, Purpose.TX)
        writes = [(slot, draft.profile(slot, of_tx, held_a, failsafe_a, transaction_id))]
        below_a = min(held_a, failsafe_a)
        wanted = draft.profile(default, of_default, below_a, failsafe_a)
        free = self.csms.floor(of_default) is None and below_a == failsafe_a
        if (free and self._holds_at_most(default, capability.level, failsafe_a)) or self._holds(default, wanted, draft):
            return writes, frozenset({default.name})
        return [*writes, (default, wanted)], frozenset()

    def _holds_at_most(self, slot: Slot, level: int, failsafe_a: float) -> bool:
        held = self._held(slot)
        return held is not None and held.level == level and max(p.limit for p in held.periods) <= failsafe_a

    def _holds(self, slot: Slot, wanted: ChargingProfile, draft: Draft) -> bool:
        held = self._held(slot)
        return held is not None and same_from(held, wanted, draft.then)

    def _held(self, slot: Slot) -> ChargingProfile | None:
        """What a slot surely holds: nothing newer is on its way."""
        standing = self.standing.get(slot.name)
        return standing.held if standing is not None and standing.held is standing.asked else None

    def _group_cap(
        self, capability: Capability, evse: Evse, command: ApplySetpoint, draft: Draft, told: Told
    ) -> tuple[Slot, ChargingProfile | None]:
        """A cap with what the EVSEs were told, summed over the busiest phase: never below any connector's own limit.

        Some chargers apply it to each connector and not to the sum, so nothing relies on it. Written only when the
        sum changed, or less than half of its time is left. None: no write.
        """
        slot = self.cap_slot(capability.level)
        if len(self.charger.evses) < 2 or not capability.group_cap:
            return slot, None
        now, failsafes = draft.now, {e.id: wire_amps(e.failsafe_a, e) for e in self.charger.evses}
        failsafes[evse.id] = wire_amps(command.failsafe_a, evse)
        limits = dict(failsafes)
        for evse_id, (limit_a, at, hold_s) in told.items():
            limits[evse_id] = limit_a if (now - at).total_seconds() < hold_s else failsafes[evse_id]
        whole = replace(draft, evse=None, offline_s=None)
        wanted = whole.profile(slot, self.csms.scope_of_cap(), self._busiest(limits), self._busiest(failsafes))
        draft.exact_until = min((t for t in (draft.exact_until, whole.exact_until) if t is not None), default=None)
        held = self._held(slot)
        return slot, None if held is not None and still_good(held, wanted, draft) else wanted

    def _busiest(self, amps: Mapping[EvseId, float]) -> float:
        phases = {phase for evse in self.charger.evses for phase in evse.phases}
        sums = [sum(Decimal(str(amps[e.id])) for e in self.charger.evses if phase in e.phases) for phase in phases]
        return float(max(sums, default=Decimal(0)))
