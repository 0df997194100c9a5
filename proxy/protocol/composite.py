"""Composite limits: what a set of charging profiles allows at an instant (pure; no state, no clock).

Rules (local-controller.md section 2; 2.0.1 part 2 section 3.5, 1.6 section 3.13): within a purpose the highest stack
level that has a period defined now leads; TxProfile replaces TxDefaultProfile; across the station cap and those the
lowest counts. Where a specification leaves a choice the lower limit is taken.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Purpose(StrEnum):
    """What a profile is for, in words of both versions (each dialect has its own names)."""

    CAP = "station cap"
    DEFAULT = "default profile"
    TX = "transaction profile"
    EXTERNAL = "external constraint"
    PRIORITY = "priority charging"
    """2.1: overrules TX and DEFAULT while it is active, never the cap (K21.FR.04)."""
    LOCAL = "local generation"
    """2.1: adds to the others instead of limiting them (SC.01)."""
    OTHER = "other"


class Kind(StrEnum):
    """What a schedule's time zero is."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"
    DYNAMIC = "Dynamic"
    """2.1: one period, whose limit is updated by messages of its own."""


class RateUnit(StrEnum):
    """A per phase, or W over all phases."""

    A = "A"
    W = "W"


@dataclass(frozen=True, slots=True)
class Period:
    """From `start_s` after the schedule's zero on: at most `limit` A or W, over `number_phases` where it says so.

    `phase_to_use` only goes with one phase. `charges` False: 2.1's bidirectional modes, where a limit says little.
    """

    start_s: int
    limit: float
    number_phases: int | None = None
    phase_to_use: int | None = None
    charges: bool = True


@dataclass(frozen=True, slots=True)
class Allowed:
    """A limit that leads: `amps` per conductor; `phases` and `phase_to_use` where the profile restricts them."""

    amps: float
    phases: int | None = None
    phase_to_use: int | None = None


@dataclass(frozen=True, slots=True)
class ChargingProfile:
    """One profile at one connector (0: the whole charger), in either version's meaning.

    `start` is startSchedule, in the charger's clock; without it an absolute schedule counts from `received_at`.
    `periods` are in order and not empty. `duration_s` None: the last period holds for ever. `max_offline_s` (2.1): how
    long it counts without a link.
    """

    id: int
    connector: int
    level: int
    purpose: Purpose
    kind: Kind
    unit: RateUnit
    periods: tuple[Period, ...]
    start: datetime | None = None
    duration_s: int | None = None
    recurrence: timedelta | None = None
    transaction_id: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    received_at: datetime | None = None
    max_offline_s: int | None = None

    @property
    def charges(self) -> bool:
        """Whether all that it says are limits of charging."""
        return all(period.charges for period in self.periods)


@dataclass(frozen=True, slots=True)
class TransactionNow:
    """The transaction at a connector, for profiles bound to it or relative to its start (None: not known)."""

    transaction_id: str
    started_at: datetime | None = None


def period_at(profile: ChargingProfile, at: datetime, started_at: datetime | None = None) -> Period | None:
    """The period of a profile that is defined at `at`, or None.

    `at` and `started_at` (of the transaction) are in the charger's clock. A relative schedule whose zero is not known
    counts with its lowest period; so does one whose transaction has not begun.
    """
    if (profile.valid_from is not None and at < profile.valid_from) or (
        profile.valid_to is not None and at >= profile.valid_to
    ):
        return None
    zero = _zero(profile, started_at)
    if zero is None:
        return min(profile.periods, key=lambda period: period.limit)
    elapsed_s = (at - zero).total_seconds()
    if profile.kind is Kind.RECURRING and profile.recurrence is not None and elapsed_s >= 0:
        elapsed_s %= profile.recurrence.total_seconds()
    if profile.duration_s is not None and elapsed_s >= profile.duration_s:
        return None
    begun = [period for period in profile.periods if period.start_s <= elapsed_s]
    return begun[-1] if begun and elapsed_s >= 0 else None


def next_edge(profile: ChargingProfile, after: datetime, started_at: datetime | None = None) -> datetime | None:
    """The first instant after `after` at which `period_at` may answer differently; None: never again.

    Times are in the charger's clock.
    """
    edges = [edge for edge in (profile.valid_from, profile.valid_to) if edge is not None]
    zero = _zero(profile, started_at)
    if zero is not None:
        if profile.kind is Kind.RECURRING and profile.recurrence is not None and after >= zero:
            zero += profile.recurrence * ((after - zero) // profile.recurrence)
            edges.append(zero + profile.recurrence)
        edges += [zero + timedelta(seconds=period.start_s) for period in profile.periods]
        edges.append(zero)
        if profile.duration_s is not None:
            edges.append(zero + timedelta(seconds=profile.duration_s))
    return min((edge for edge in edges if edge > after), default=None)


def _zero(profile: ChargingProfile, started_at: datetime | None) -> datetime | None:
    """When a schedule's seconds begin to count; None where nobody knows."""
    return started_at if profile.kind is Kind.RELATIVE else profile.start or profile.received_at


def in_amperes(period: Period, unit: RateUnit, conductors: int, line_to_line_v: float) -> float:
    """A period's limit in A per conductor; W over `conductors` (two: line to line, P = V_LL I) at nominal voltage."""
    if unit is RateUnit.A:
        return period.limit
    if conductors == 2:
        return period.limit / line_to_line_v
    phases = min(period.number_phases or conductors, conductors)
    return period.limit * math.sqrt(3.0) / (line_to_line_v * max(phases, 1))


def allowed_by(profile: ChargingProfile, period: Period, conductors: int, line_to_line_v: float) -> Allowed:
    """What one period allows. Fewer phases than are wired count only at a three-phase EVSE."""
    amps = in_amperes(period, profile.unit, conductors, line_to_line_v)
    restricts = conductors == 3 and period.number_phases in (1, 2)
    return Allowed(
        amps, period.number_phases if restricts else None, period.phase_to_use if period.number_phases == 1 else None
    )


def both(one: Allowed | None, other: Allowed | None) -> Allowed | None:
    """What two limits allow together: the lower current and the fewer phases."""
    if one is None or other is None:
        return one or other
    fewer = min((a for a in (one, other) if a.phases is not None), key=lambda a: a.phases or 3, default=one)
    return Allowed(min(one.amps, other.amps), fewer.phases, fewer.phase_to_use)


def leading(
    profiles: Iterable[ChargingProfile],
    at: datetime,
    conductors: int,
    line_to_line_v: float,
    started_at: datetime | None = None,
) -> Allowed | None:
    """What the highest level with a period defined at `at` allows; None where none is.

    At one level a default of the connector's own stands before one for all connectors (1.6 section 3.13.1); on a tie
    the lower limit counts.
    """
    best: tuple[int, bool] | None = None
    found: Allowed | None = None
    for profile in profiles:
        rank = (profile.level, profile.connector != 0)
        if best is not None and rank < best:
            continue
        period = period_at(profile, at, started_at)
        if period is None:
            continue
        allowed = allowed_by(profile, period, conductors, line_to_line_v)
        found = both(found, allowed) if rank == best else allowed
        best = rank
    return found


def cap(profiles: Iterable[ChargingProfile], at: datetime, conductors: int, line_to_line_v: float) -> Allowed | None:
    """What the leading station cap allows, or None."""
    caps = [profile for profile in profiles if profile.purpose is Purpose.CAP]
    return leading(caps, at, conductors, line_to_line_v)


def bound(profiles: Iterable[ChargingProfile], connector: int, transaction: TransactionNow) -> list[ChargingProfile]:
    """The TxProfiles that count for a transaction: its own, and those of its connector without a transaction id."""
    return [
        profile
        for profile in profiles
        if profile.purpose is Purpose.TX
        and profile.connector == connector
        and profile.transaction_id in (None, transaction.transaction_id)
    ]


def default(
    profiles: Iterable[ChargingProfile],
    connector: int,
    at: datetime,
    conductors: int,
    line_to_line_v: float,
    started_at: datetime | None = None,
) -> Allowed | None:
    """What the leading TxDefaultProfile allows at a connector, or None."""
    defaults = [p for p in profiles if p.purpose is Purpose.DEFAULT and p.connector in (0, connector)]
    return leading(defaults, at, conductors, line_to_line_v, started_at)


def transaction_limit(
    profiles: Sequence[ChargingProfile],
    connector: int,
    at: datetime,
    transaction: TransactionNow | None,
    conductors: int,
    line_to_line_v: float,
) -> Allowed | None:
    """What the leading TxProfile, or without one the leading TxDefaultProfile, allows at a connector; None: all."""
    started_at = transaction.started_at if transaction is not None else None
    if transaction is not None:
        own = leading(bound(profiles, connector, transaction), at, conductors, line_to_line_v, started_at)
        if own is not None:
            return own
    return default(profiles, connector, at, conductors, line_to_line_v, started_at)


def cap_a(profiles: Sequence[ChargingProfile], at: datetime, conductors: int, line_to_line_v: float) -> float | None:
    """The leading station cap in A, or None."""
    found = cap(profiles, at, conductors, line_to_line_v)
    return None if found is None else found.amps


def transaction_a(
    profiles: Sequence[ChargingProfile],
    connector: int,
    at: datetime,
    transaction: TransactionNow | None,
    conductors: int,
    line_to_line_v: float,
) -> float | None:
    """`transaction_limit` in A, or None."""
    found = transaction_limit(profiles, connector, at, transaction, conductors, line_to_line_v)
    return None if found is None else found.amps


def lowest(*limits_a: float | None) -> float | None:
    """The lowest of the limits that there are; None where there is none."""
    return min((limit for limit in limits_a if limit is not None), default=None)
