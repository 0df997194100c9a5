"""Which limit holds when: the composite schedule as the specification defines it; pure.

Within a purpose the highest stack level with a period defined now leads; a TxProfile replaces the TxDefaultProfile;
across purposes the lowest limit holds [2.0.1 part 2 section 3.5 and SC.01, 1.6 section 3.13].
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from simulators.charging_profiles import Kind, Period, Profile, Purpose


@dataclass(frozen=True, slots=True)
class Supply:
    """How an EVSE is wired, for converting watts.

    Attributes:
        conductors: 1 line-to-neutral, 2 line-to-line, 3 three-phase.
        voltage_v: across each load: line-to-line for two conductors, else line-to-neutral.
        ignores_number_phases: W are divided by the wired loads whatever the profile says.
    """

    conductors: int
    voltage_v: float
    ignores_number_phases: bool = False

    @property
    def loads(self) -> int:
        """Voltages that carry the current: 3 for three phases, else 1."""
        return 3 if self.conductors == 3 else 1

    def amps(self, profile: Profile, period: Period) -> float:
        """A per phase; W is a total over `numberPhases`, 3 where it is absent (1.6 section 7.12, K01.FR.49 to 51)."""
        if profile.unit == "A":
            return period.limit
        phases = self.loads if self.ignores_number_phases else (period.number_phases or 3)
        return period.limit / (self.voltage_v * phases)


@dataclass(frozen=True, slots=True)
class Charge:
    """The transaction that a limit is asked for; `transaction_id` is None while the CSMS has not told it."""

    transaction_id: str | None
    started_at: datetime


def period_at(profile: Profile, at: datetime, started_at: datetime | None) -> Period | None:
    """The period of `profile` in force at `at`, None where none is defined.

    Args:
        profile: the profile.
        at: the instant, by the charger's clock.
        started_at: when the transaction began, for schedules that count from there.
    """
    if profile.valid_from is not None and at < profile.valid_from:
        return None
    if profile.valid_to is not None and at >= profile.valid_to:
        return None
    start = _schedule_start(profile, at, started_at)
    if start is None or at < start:
        return None
    elapsed_s = (at - start).total_seconds()
    if profile.duration_s is not None and elapsed_s >= profile.duration_s:
        return None
    current = None
    for period in profile.periods:
        if period.start_s > elapsed_s:
            break
        current = period
    return current


def next_edge(profile: Profile, at: datetime, started_at: datetime | None) -> datetime | None:
    """The first instant after `at` at which `period_at` may answer differently; None: never again."""
    edges = [edge for edge in (profile.valid_from, profile.valid_to) if edge is not None]
    start = _schedule_start(profile, at, started_at)
    if start is not None:
        edges.append(start)
        edges.extend(start + timedelta(seconds=period.start_s) for period in profile.periods)
        if profile.duration_s is not None:
            edges.append(start + timedelta(seconds=profile.duration_s))
        if profile.recurrence is not None:
            edges.append(start + profile.recurrence)
    return min((edge for edge in edges if edge > at), default=None)


def cap_a(profiles: Iterable[Profile], at: datetime, supply: Supply) -> float | None:
    """The station cap in A, None without one."""
    return _leading(profiles, (Purpose.STATION_MAX, Purpose.EXTERNAL), at, None, supply)


def transaction_limit_a(
    profiles: Iterable[Profile], connector: int, charge: Charge, at: datetime, supply: Supply
) -> float | None:
    """What TxProfile, else TxDefaultProfile, allows the transaction on `connector`, in A; None without either.

    A connector's own TxDefaultProfile stands before one of the same level for connector 0.
    """
    mine = [one for one in profiles if one.connector in (0, connector)]
    own = [one for one in mine if one.purpose is Purpose.TX and _belongs(one, connector, charge)]
    limit = _leading(own, (Purpose.TX,), at, charge.started_at, supply)
    if limit is not None:
        return limit
    return _leading(mine, (Purpose.TX_DEFAULT,), at, charge.started_at, supply)


def earliest(profiles: Iterable[Profile], at: datetime, started_at: datetime | None) -> datetime | None:
    """The first instant after `at` at which any of the profiles may change its mind."""
    edges = (next_edge(one, at, started_at) for one in profiles)
    return min((edge for edge in edges if edge is not None), default=None)


def _belongs(profile: Profile, connector: int, charge: Charge) -> bool:
    return profile.connector == connector and (
        profile.transaction_id is None or profile.transaction_id == charge.transaction_id
    )


def _leading(
    profiles: Iterable[Profile],
    purposes: tuple[Purpose, ...],
    at: datetime,
    started_at: datetime | None,
    supply: Supply,
) -> float | None:
    """The limit of the highest level with a period now, per purpose; the lowest over the purposes."""
    best: dict[Purpose, tuple[tuple[int, bool], float]] = {}
    for profile in profiles:
        if profile.purpose not in purposes:
            continue
        rank = (profile.stack_level, profile.connector != 0)
        known = best.get(profile.purpose)
        if known is not None and known[0] > rank:
            continue
        if (period := period_at(profile, at, started_at)) is None:
            continue
        limit = supply.amps(profile, period)
        # Two of the same rank exist only in a charger that forgot to replace one: the later leads.
        best[profile.purpose] = (rank, limit)
    return min((limit for _, limit in best.values()), default=None)


def _schedule_start(profile: Profile, at: datetime, started_at: datetime | None) -> datetime | None:
    if profile.kind is Kind.RECURRING and profile.recurrence is not None:
        first = profile.start_at or started_at
        if first is None or at < first:
            return first
        return first + profile.recurrence * ((at - first) // profile.recurrence)
    if profile.kind is Kind.ABSOLUTE and profile.start_at is not None:
        return profile.start_at
    # Relative, or Absolute without a start: from the start of charging (1.6 section 7.13).
    return profile.installed_at if profile.purpose is Purpose.STATION_MAX else started_at
