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
    OTHER = "other"


class Kind(StrEnum):
    """What a schedule's time zero is."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


class RateUnit(StrEnum):
    """A per phase, or W over all phases."""

    A = "A"
    W = "W"


@dataclass(frozen=True, slots=True)
class Period:
    """From `start_s` after the schedule's zero on: at most `limit` A or W."""

    start_s: int
    limit: float
    number_phases: int | None = None


@dataclass(frozen=True, slots=True)
class ChargingProfile:
    """One profile at one connector (0: the whole charger), in either version's meaning.

    `start` is startSchedule, in the charger's clock; without it an absolute schedule counts from `received_at`.
    `periods` are in order and not empty. `duration_s` None: the last period holds for ever.
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
    zero = started_at if profile.kind is Kind.RELATIVE else profile.start or profile.received_at
    if zero is None:
        return min(profile.periods, key=lambda period: period.limit)
    elapsed_s = (at - zero).total_seconds()
    if profile.kind is Kind.RECURRING and profile.recurrence is not None and elapsed_s >= 0:
        elapsed_s %= profile.recurrence.total_seconds()
    if profile.duration_s is not None and elapsed_s >= profile.duration_s:
        return None
    begun = [period for period in profile.periods if period.start_s <= elapsed_s]
    return begun[-1] if begun and elapsed_s >= 0 else None


def in_amperes(period: Period, unit: RateUnit, conductors: int, line_to_line_v: float) -> float:
    """A period's limit in A per conductor; W over `conductors` (two: line to line, P = V_LL I) at nominal voltage."""
    if unit is RateUnit.A:
        return period.limit
    if conductors == 2:
        return period.limit / line_to_line_v
    phases = min(period.number_phases or conductors, conductors)
    return period.limit * math.sqrt(3.0) / (line_to_line_v * max(phases, 1))


def leading_a(
    profiles: Iterable[ChargingProfile],
    at: datetime,
    conductors: int,
    line_to_line_v: float,
    started_at: datetime | None = None,
) -> float | None:
    """The limit in A of the highest level with a period defined at `at`; None where none is. On a tie the lowest."""
    defined = [(profile, period) for profile in profiles if (period := period_at(profile, at, started_at)) is not None]
    if not defined:
        return None
    top = max(profile.level for profile, _ in defined)
    return min(
        in_amperes(period, profile.unit, conductors, line_to_line_v)
        for profile, period in defined
        if profile.level == top
    )


def cap_a(profiles: Sequence[ChargingProfile], at: datetime, conductors: int, line_to_line_v: float) -> float | None:
    """The leading station cap in A, or None."""
    caps = [profile for profile in profiles if profile.purpose is Purpose.CAP]
    return leading_a(caps, at, conductors, line_to_line_v)


def transaction_a(
    profiles: Sequence[ChargingProfile],
    connector: int,
    at: datetime,
    transaction: TransactionNow | None,
    conductors: int,
    line_to_line_v: float,
) -> float | None:
    """What the leading TxProfile, or without one the leading TxDefaultProfile, allows at a connector; None: no limit.

    A TxProfile counts for its own transaction, and one without a transaction id for any at its connector.
    """
    started_at = transaction.started_at if transaction is not None else None
    if transaction is not None:
        bound = [
            profile
            for profile in profiles
            if profile.purpose is Purpose.TX
            and profile.connector == connector
            and profile.transaction_id in (None, transaction.transaction_id)
        ]
        limit_a = leading_a(bound, at, conductors, line_to_line_v, started_at)
        if limit_a is not None:
            return limit_a
    defaults = [p for p in profiles if p.purpose is Purpose.DEFAULT and p.connector in (0, connector)]
    return leading_a(defaults, at, conductors, line_to_line_v, started_at)


def lowest(*limits_a: float | None) -> float | None:
    """The lowest of the limits that there are; None where there is none."""
    return min((limit for limit in limits_a if limit is not None), default=None)
