"""The shadow: every profile of the CSMS's that a charger is to obey, wherever it is kept.

Most of them stand at the charger, as the CSMS sent them. Those that would stand above ours, or in the place of one of
ours, are *owned*: they stand nowhere but here, and our own profile is never above what they allow.
Pure; what it holds is told as an event whenever it changes, so that a restart brings it back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from proxy.protocol.composite import ChargingProfile, Purpose
from proxy.protocol.dialects import ClearCriteria, Dialect, as_transaction_id, wire_instant
from proxy.protocol.tolerant import Json, as_instant, as_int, as_object, as_objects

MAX_PROFILES = 256
ANY_CONNECTOR = 0
"""Where a profile stands that came with a remote start which named no connector."""
START_S = 900.0
"""How long a remote start's profile waits for its transaction; chargers give up far earlier (ConnectionTimeOut)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One profile of the CSMS's. `body` is as it wrote it; `owned`: the charger does not have it.

    `starts`: it came with a remote start, and its transaction has not begun.
    """

    profile: ChargingProfile
    body: Json
    owned: bool = False
    starts: bool = False


Book = tuple[Kept, ...]


def with_profile(book: Book, new: Kept) -> Book:
    """The book once this profile is accepted: it replaces the one of its id, and the one in its place."""
    stay = [k for k in book if k.profile.id != new.profile.id and not same_place(k.profile, new.profile)]
    return (*stay[1 - MAX_PROFILES :], new)


def without(book: Book, criteria: ClearCriteria) -> Book:
    """The book once this was cleared."""
    return tuple(kept for kept in book if not criteria.matches(kept.profile))


def same_place(one: ChargingProfile, other: ChargingProfile) -> bool:
    """Whether a charger would let one replace the other (1.6 section 5.16.3), or refuse it (2.x, K01.FR.06)."""
    return (one.purpose, one.level, one.connector) == (other.purpose, other.level, other.connector) and (
        one.purpose is not Purpose.TX or one.transaction_id in (None, other.transaction_id)
    )


class Shadow:
    """One charger's. While a change is not certain it is on trial: both books count, and the lower limit holds.

    `complete`: nothing else of the CSMS's can stand at the charger. `revision` grows with every change.
    """

    def __init__(self, dialect: Dialect, stored: Sequence[Mapping[str, Any]] = ()) -> None:
        self._dialect = dialect
        self.book: Book = tuple(kept for row in stored if (kept := self._from_row(row)) is not None)
        self.trial: Book | None = None
        self.complete = False
        self.revision = 0
        self._told = self._rows()

    @property
    def books(self) -> tuple[Book, ...]:
        """What has to be respected now: one book, or two while a change is on trial."""
        return (self.book,) if self.trial is None else (self.book, self.trial)

    @property
    def profiles(self) -> list[ChargingProfile]:
        """The profiles that the CSMS has in force, oldest first."""
        return [kept.profile for kept in self.book]

    def put(self, book: Book) -> list[Kept]:
        """This is what the CSMS has in force now; whatever was on trial is over. Returns what is no longer, and was
        at the charger.
        """
        still = {kept.profile.id for kept in book if not kept.owned}
        gone = [kept for kept in self.book if not kept.owned and kept.profile.id not in still]
        if book != self.book or self.trial is not None:
            self.revision += 1
        self.book, self.trial = book, None
        return gone

    def try_out(self, book: Book) -> None:
        """This is what the CSMS may have in force soon."""
        self.trial = book
        self.revision += 1

    def give_up(self) -> None:
        """What was on trial does not happen."""
        if self.trial is not None:
            self.trial = None
            self.revision += 1

    def find(self, profile_id: int) -> Kept | None:
        """The profile of that id."""
        return next((kept for kept in self.book if kept.profile.id == profile_id), None)

    def started(self, connector: int, transaction_id: str) -> None:
        """A transaction began: a profile that came with the remote start belongs to it now, and an older transaction of
        the connector is over, whose end nobody may have heard.
        """

        def stays(kept: Kept) -> bool:
            profile = kept.profile
            older = profile.purpose is Purpose.TX and profile.transaction_id not in (None, transaction_id)
            return not older or profile.connector != connector

        self.put(tuple(_bound(kept, connector, transaction_id) for kept in self.book if stays(kept)))

    def ended(self, transaction_id: str) -> None:
        """A transaction is over, and its profiles with it."""

        def stays(kept: Kept) -> bool:
            return kept.profile.purpose is not Purpose.TX or kept.profile.transaction_id != transaction_id

        self.put(tuple(kept for kept in self.book if stays(kept)))

    def expire(self, now: datetime) -> datetime | None:
        """Forget the profiles of remote starts that nothing came of; when the next of them ends, None without any."""
        waits = timedelta(seconds=START_S)

        def ends_at(kept: Kept) -> datetime | None:
            received_at = kept.profile.received_at
            return received_at + waits if kept.starts and received_at is not None else None

        self.put(tuple(kept for kept in self.book if (end := ends_at(kept)) is None or end > now))
        return min((end for kept in self.book if (end := ends_at(kept)) is not None), default=None)

    # Durable.

    def news(self) -> tuple[Mapping[str, Any], ...] | None:
        """All of it in JSON's words where it is not what was told last; else None."""
        rows = self._rows()
        if rows == self._told:
            return None
        self._told = rows
        return rows

    def _rows(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(_row(kept) for kept in self.book)

    def _from_row(self, row: Mapping[str, Any]) -> Kept | None:
        at, connector = as_instant(row.get("received_at")), as_int(row.get("connector"))
        body = as_object(row.get("body"))
        if at is None or connector is None:
            return None
        profile = self._dialect.read(body, connector, at)
        if profile is None:
            return None
        profile = replace(profile, transaction_id=as_transaction_id(row.get("transaction_id")))
        return Kept(profile, body, row.get("owned") is True, row.get("starts") is True)


def _row(kept: Kept) -> Mapping[str, Any]:
    profile = kept.profile
    assert profile.received_at is not None, "the CSMS's profiles bear the time when they came"
    return {
        "connector": profile.connector,
        "body": dict(kept.body),
        "transaction_id": profile.transaction_id,
        "received_at": wire_instant(profile.received_at),
        "owned": kept.owned,
        "starts": kept.starts,
    }


def _bound(kept: Kept, connector: int, transaction_id: str) -> Kept:
    profile = kept.profile
    waits = profile.purpose is Purpose.TX and profile.transaction_id is None
    if not waits or profile.connector not in (ANY_CONNECTOR, connector):
        return kept
    return replace(kept, profile=replace(profile, connector=connector, transaction_id=transaction_id), starts=False)


def held_at_charger(book: Iterable[Kept]) -> list[ChargingProfile]:
    """Those that stand at the charger."""
    return [kept.profile for kept in book if not kept.owned]


def updated(kept: Kept, limit: float, update: Json) -> Kept:
    """A profile of kind Dynamic with another limit (2.1, UpdateDynamicSchedule); `update` as it was written."""
    profile = replace(kept.profile, periods=(replace(kept.profile.periods[0], limit=limit),))
    body = dict(kept.body)
    schedules = [dict(schedule) for schedule in as_objects(body.get("chargingSchedule"), 3)]
    for schedule in schedules[:1]:
        periods = [dict(period) for period in as_objects(schedule.get("chargingSchedulePeriod"), 1)]
        schedule["chargingSchedulePeriod"] = [{**period, **update} for period in periods]
    return replace(kept, profile=profile, body={**body, "chargingSchedule": schedules})
