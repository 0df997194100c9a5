"""Limits of single EVSEs for a while, so that somebody on site can see what a step does. They only ever lower."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from domain.ids import EvseId
from domain.snapshot import EvseView, SiteSnapshot


@dataclass(frozen=True, slots=True)
class TrialLimit:
    """At most `limit_a` until `ends_at`; not below the EVSE's smallest current."""

    limit_a: float
    ends_at: datetime


class TrialLimits:
    """Of one site, in memory: after a restart there is none, which is a rise that the guard proves like any other."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._standing: dict[EvseId, TrialLimit] = {}

    def put(self, evse: EvseId, limit: TrialLimit) -> None:
        """In place of the one before it."""
        self._standing[evse] = limit

    def lift(self, evse: EvseId) -> bool:
        """Before its end; False where there is none."""
        return self.of(evse) is not None and self._standing.pop(evse, None) is not None

    def of(self, evse: EvseId) -> TrialLimit | None:
        """The one that stands."""
        found = self._standing.get(evse)
        return found if found is not None and self._now() < found.ends_at else None

    def applied(self, snapshot: SiteSnapshot) -> SiteSnapshot:
        """The snapshot that decisions are made on."""
        lowered = {
            evse: _lowered(snapshot.evses[evse], found.limit_a)
            for evse in self._standing
            if (found := self.of(evse)) is not None and evse in snapshot.evses
        }
        return replace(snapshot, evses={**snapshot.evses, **lowered}) if lowered else snapshot


def _lowered(view: EvseView, limit_a: float) -> EvseView:
    before_a = view.probe_limit_a
    return replace(view, probe_limit_a=limit_a if before_a is None else min(before_a, limit_a))
