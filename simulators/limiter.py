"""What a charger's profiles allow each of its EVSEs, at any instant by its own clock; pure, and cheap to ask often."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from simulators.behaviour import Behaviour
from simulators.composite import Charge, Supply, cap_a, earliest, transaction_limit_a
from simulators.profile_store import ProfileStore

MAX_STEPS = 1000


class Plug(Protocol):
    """What the limiter knows of an EVSE."""

    @property
    def connector(self) -> int:
        """Its number."""
        ...

    @property
    def max_a(self) -> float:
        """What it is built for, A per conductor."""
        ...

    @property
    def min_a(self) -> float:
        """The least that it can offer, A."""
        ...

    @property
    def supply(self) -> Supply:
        """How it is wired."""
        ...

    @property
    def charge(self) -> Charge | None:
        """The running transaction."""
        ...


class Limiter:
    """Evaluates the store; the answer is kept until the next instant at which it may change."""

    def __init__(self, store: ProfileStore, behaviour: Behaviour, plugs: Sequence[Plug]) -> None:
        self._store, self._behaviour, self._plugs = store, behaviour, plugs
        self._known: dict[int, float] = {}
        self._version = -1
        self._until: datetime | None = None
        self._stale = True

    def touch(self) -> None:
        """A transaction has begun, ended or got its id."""
        self._stale = True

    def allowed_a(self, connector: int, at: datetime) -> float:
        """A per conductor that the EVSE may offer, 0 to its maximum; for an idle one, what a start now would get."""
        expired = self._until is not None and at >= self._until
        if self._stale or expired or self._version != self._store.version:
            self._evaluate(at)
        return self._known[connector]

    def schedule(self, connector: int, at: datetime, duration_s: int) -> list[tuple[int, float]]:
        """The composite schedule from `at`: (seconds from there, A), the first at 0; connector 0 is the whole charger.

        At most 1000 steps, as a charger of finite memory would.
        """
        steps: list[tuple[int, float]] = []
        instant: datetime | None = at
        end = at + timedelta(seconds=duration_s)
        while instant is not None and instant < end and len(steps) < MAX_STEPS:
            offset = math.ceil((instant - at).total_seconds())
            limit = self._expected_a(connector, instant, at)
            if not steps or steps[-1][1] != limit:
                steps.append((offset, limit))
            instant = self._next_change(instant, at)
        return steps

    def _expected_a(self, connector: int, at: datetime, asked_at: datetime) -> float:
        first = self._plugs[0]
        cap = cap_a(self._store, at, first.supply)
        if connector == 0:
            total = sum(plug.max_a for plug in self._plugs)
            return total if cap is None else min(total, cap)
        plug = next(one for one in self._plugs if one.connector == connector)
        own = self._own_a(plug, at, asked_at)
        return own if cap is None else min(own, cap)

    def _next_change(self, at: datetime, asked_at: datetime) -> datetime | None:
        """The next edge of any profile for any of the transactions; idle EVSEs are taken to start when asked."""
        begun = {plug.charge.started_at if plug.charge else asked_at for plug in self._plugs}
        edges = (earliest(self._store, at, started_at) for started_at in begun)
        return min((edge for edge in edges if edge is not None), default=None)

    def _evaluate(self, at: datetime) -> None:
        cap = cap_a(self._store, at, self._plugs[0].supply)
        own = {plug.connector: self._own_a(plug, at, at) for plug in self._plugs}
        if cap is not None:
            active = {plug.connector: own[plug.connector] for plug in self._plugs if plug.charge is not None}
            if self._behaviour.cap_applies_to == "sum" and len(active) > 1:
                own = {connector: min(limit, cap) for connector, limit in own.items()}
                own.update(shared(cap, active, {plug.connector: plug.min_a for plug in self._plugs}))
            else:
                own = {connector: min(limit, cap) for connector, limit in own.items()}
        self._known = own
        self._version = self._store.version
        self._until = self._next_change(at, at)
        self._stale = False

    def _own_a(self, plug: Plug, at: datetime, asked_at: datetime) -> float:
        charge = plug.charge or Charge(None, asked_at)
        limit = transaction_limit_a(self._store, plug.connector, charge, at, plug.supply)
        return plug.max_a if limit is None else max(0.0, min(plug.max_a, limit))


def shared(cap: float, wanted: Mapping[int, float], least: Mapping[int, float]) -> dict[int, float]:
    """Split a cap over connectors as evenly as their own limits allow.

    Args:
        cap: A for the sum.
        wanted: each connector's own limit, A.
        least: the smallest current that each can offer, A.

    Returns:
        A per connector, in sum at most `cap`; where the least of all does not fit, the highest numbers get 0.
    """
    served = [connector for connector in sorted(wanted) if wanted[connector] >= least[connector]]
    while served:
        left, shares = cap, {}
        for position, connector in enumerate(sorted(served, key=lambda one: (wanted[one], one))):
            shares[connector] = min(wanted[connector], left / (len(served) - position))
            left -= shares[connector]
        if all(share >= least[connector] for connector, share in shares.items()):
            return dict.fromkeys(wanted, 0.0) | shares
        served.pop()
    return dict.fromkeys(wanted, 0.0)
