"""What the CSMS allows, read from its shadow: the limits that lead, when they change, and what ours must respect."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from domain.events import CsmsLimitChanged
from domain.site import Charger, Evse
from proxy.protocol.charger_clock import ChargerClock
from proxy.protocol.composite import (
    Allowed,
    ChargingProfile,
    Purpose,
    TransactionNow,
    allowed_by,
    both,
    bound,
    cap,
    cap_a,
    default,
    leading,
    lowest,
    next_edge,
    transaction_a,
    transaction_limit,
)
from proxy.protocol.shadow import ANY_CONNECTOR, Book, Shadow
from proxy.protocol.transactions import Transactions

_OF_TRANSACTIONS = (Purpose.TX, Purpose.DEFAULT)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which of the CSMS's limits a profile of ours stands above, and has to respect.

    CAP: the station caps, and where the charger has one EVSE those that are owned besides. DEFAULT: what a transaction
    that begins may have. TX: what `transaction` may have.
    """

    purpose: Purpose
    connector: int
    conductors: int
    transaction: TransactionNow | None = None


class CsmsProfiles:
    """One charger's. A limit is told per EVSE (station cap included); with several EVSEs the cap also for connector 0.

    Instants are in the charger's clock, except where it says ours.
    """

    def __init__(
        self, charger: Charger, line_to_line_v: float, transactions: Transactions, clock: ChargerClock, shadow: Shadow
    ) -> None:
        self._charger, self._line_to_line_v = charger, line_to_line_v
        self._transactions, self._clock = transactions, clock
        self.shadow = shadow
        self._told: dict[int, float | None] = {}

    # For the EMS.

    def changes(self, at: datetime) -> list[CsmsLimitChanged]:
        """The limits in A that lead now (ours) and are not what was told last."""
        if not self.shadow.book and not self._told:
            return []
        events = []
        for connector, limit_a in self._leading(at).items():
            if self._told.get(connector) != limit_a:
                events.append(CsmsLimitChanged(self._charger.id, connector, at, limit_a))
                self._told[connector] = limit_a
        return events

    def next_change(self, at: datetime) -> datetime | None:
        """When time alone may change a limit that leads, on our clock; None: never."""
        then = self._clock.now(at)
        edges = [self._edge(book, then, None) for book in self.shadow.books]
        edge = min((edge for edge in edges if edge is not None), default=None)
        return None if edge is None else at + (edge - then)

    # For the merge.

    def scope_of_cap(self) -> Scope:
        """Of a station cap of ours: the busiest wiring of the charger."""
        widest = max(evse.conductors for evse in self._charger.evses)
        only = self._charger.evses[0] if len(self._charger.evses) == 1 else None
        transaction = self._now(only.connector) if only is not None else None
        return Scope(Purpose.CAP, 0 if only is None else only.connector, widest, transaction)

    def scope_of(self, evse: Evse, purpose: Purpose) -> Scope:
        """Of a default or transaction profile of ours at an EVSE."""
        transaction = self._now(evse.connector) if purpose is Purpose.TX else None
        return Scope(purpose, evse.connector, evse.conductors, transaction)

    def allowed(self, scope: Scope, then: datetime) -> Allowed | None:
        """What the CSMS allows there; while a change is on trial, what both the old and the new allow."""
        return reduce(both, (self._allowed(book, scope, then) for book in self.shadow.books), None)

    def edge(self, scope: Scope, after: datetime) -> datetime | None:
        """The next instant at which `allowed` may answer differently."""
        edges = [self._edge(book, after, scope) for book in self.shadow.books]
        return min((edge for edge in edges if edge is not None), default=None)

    def floor(self, scope: Scope) -> Allowed | None:
        """The least that the CSMS ever allows there, whatever leads; None: it limits nothing."""
        periods = (
            allowed_by(profile, period, scope.conductors, self._line_to_line_v)
            for book in self.shadow.books
            for profile in self._relevant(book, scope)
            for period in profile.periods
        )
        return reduce(both, periods, None)

    def owns(self, purpose: Purpose, level: int) -> bool:
        """Whether a profile of the CSMS's that stands nowhere else is of this purpose and level."""
        return any(
            kept.owned and (kept.profile.purpose, kept.profile.level) == (purpose, level)
            for book in self.shadow.books
            for kept in book
        )

    # Inside.

    def _now(self, connector: int) -> TransactionNow | None:
        running = self._transactions.at(connector)
        if running is None:
            return None
        started_at = self._clock.now(running.started_at) if running.started_at is not None else None
        return TransactionNow(running.transaction_id, started_at)

    def _relevant(self, book: Book, scope: Scope) -> list[ChargingProfile]:
        """The profiles of a book that a scope looks at."""
        profiles = [kept.profile for kept in book]
        if scope.purpose is Purpose.CAP:
            caps = [profile for profile in profiles if profile.purpose is Purpose.CAP]
            owned = any(kept.owned and kept.profile.purpose in _OF_TRANSACTIONS for kept in book)
            if not owned or not scope.connector:
                return caps
            return caps + self._of_transaction(profiles, scope) + _starting(book, scope.connector)
        if scope.purpose is Purpose.DEFAULT:
            return [*_defaults(profiles, scope.connector), *_starting(book, scope.connector)]
        return self._of_transaction(profiles, scope)

    @staticmethod
    def _of_transaction(profiles: Sequence[ChargingProfile], scope: Scope) -> list[ChargingProfile]:
        own = bound(profiles, scope.connector, scope.transaction) if scope.transaction is not None else []
        return own + _defaults(profiles, scope.connector)

    def _allowed(self, book: Book, scope: Scope, then: datetime) -> Allowed | None:
        relevant, volts = self._relevant(book, scope), self._line_to_line_v
        of_transaction = transaction_limit(relevant, scope.connector, then, scope.transaction, scope.conductors, volts)
        # What comes with a remote start leads as soon as its transaction has begun, before ours is there.
        starting = [kept.profile for kept in book if kept.starts and kept.profile in relevant]
        begun = leading(starting, then, scope.conductors, volts)
        if scope.purpose is Purpose.CAP:
            return both(both(cap(relevant, then, scope.conductors, volts), of_transaction), begun)
        if scope.purpose is Purpose.DEFAULT:
            return both(default(relevant, scope.connector, then, scope.conductors, volts), begun)
        return of_transaction

    def _edge(self, book: Book, after: datetime, scope: Scope | None) -> datetime | None:
        if scope is not None:
            started_at = scope.transaction.started_at if scope.transaction is not None else None
            found = [next_edge(profile, after, started_at) for profile in self._relevant(book, scope)]
        else:
            starts = {now.started_at for evse in self._charger.evses if (now := self._now(evse.connector)) is not None}
            found = [next_edge(kept.profile, after, at) for kept in book for at in starts or {None}]
        return min((edge for edge in found if edge is not None), default=None)

    def leading_at(self, connector: int, then: datetime) -> float | None:
        """The CSMS's own limit in A at a connector, station cap included; at connector 0 the cap alone."""
        profiles, volts = self.shadow.profiles, self._line_to_line_v
        evse = next((evse for evse in self._charger.evses if evse.connector == connector), None)
        if evse is None:
            widest = max(evse.conductors for evse in self._charger.evses)
            return cap_a(profiles, then, widest, volts)
        return lowest(
            cap_a(profiles, then, evse.conductors, volts),
            transaction_a(profiles, connector, then, self._now(connector), evse.conductors, volts),
        )

    def any_edge(self, after: datetime) -> datetime | None:
        """The next instant at which any of the CSMS's limits may change."""
        return self._edge(self.shadow.book, after, None)

    def _leading(self, at: datetime) -> dict[int, float | None]:
        then, connectors = self._clock.now(at), [evse.connector for evse in self._charger.evses]
        if len(connectors) > 1:
            connectors.append(0)
        return {connector: self.leading_at(connector, then) for connector in connectors}


def _defaults(profiles: Iterable[ChargingProfile], connector: int) -> list[ChargingProfile]:
    return [p for p in profiles if p.purpose is Purpose.DEFAULT and p.connector in (0, connector)]


def _starting(book: Book, connector: int) -> list[ChargingProfile]:
    """Profiles of remote starts that may become this connector's."""
    return [kept.profile for kept in book if kept.starts and kept.profile.connector in (ANY_CONNECTOR, connector)]
