"""Everything that a decision may look at, at one instant, built from memory and never by query."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.ids import EvseId, FeederId
from domain.ledger import LedgerEntry
from domain.metering import EvseSample
from domain.quirks import UNKNOWN, Quirks
from domain.rotation import RotationState
from domain.session import EvseState, Session
from domain.site import Phase, PhaseAmps, Site


class LoadSource(StrEnum):
    """Where a feeder's non-EV load comes from, best first."""

    DEDICATED = "dedicated"
    MEASURED = "measured"
    FORECAST = "forecast"
    FAILSAFE = "failsafe"


@dataclass(frozen=True, slots=True)
class EvseView:
    """One EVSE at the instant.

    `csms_limit_a` is the CSMS's own limit in force (None: none). `seen_max_a` is what the present car has been seen
    to take at most when offered more (None: not known). `stays_paused_since`: its limit is above 0 again, and neither
    that nor the wake-up brought the car back. `quirks`: what is known of its charger. `probe_limit_a`: a test of the
    wiring holds it at no more than this.
    """

    evse: EvseId
    state: EvseState
    linked: bool
    session: Session | None
    ledger: LedgerEntry
    csms_limit_a: float | None = None
    seen_max_a: float | None = None
    sample: EvseSample | None = None
    stays_paused_since: datetime | None = None
    quirks: Quirks = UNKNOWN
    probe_limit_a: float | None = None

    @property
    def transaction_id(self) -> str | None:
        """The transaction that runs; None where none does."""
        return None if self.session is None or self.session.ended_at is not None else self.session.transaction_id


@dataclass(frozen=True, slots=True)
class FeederView:
    """Non-EV load through one feeder, its children's included, per phase, in the feeder's own amperes.

    `base_high_a` is the largest load consistent with what was measured: increases are judged by it. `base_likely_a`
    is the load that explains the measurements without counting an EVSE twice: reductions are judged by it; never
    above `base_high_a`. `forecast_a` is the forecast's upper quantile over the coming interval; the EMS takes the
    larger of it and each of the two. With `source` FORECAST or FAILSAFE all three are that value (stale is full).
    """

    feeder: FeederId
    base_high_a: PhaseAmps = field(default_factory=dict)
    base_likely_a: PhaseAmps = field(default_factory=dict)
    forecast_a: PhaseAmps = field(default_factory=dict)
    metered_a: PhaseAmps | None = None
    source: LoadSource = LoadSource.DEDICATED
    reading_at: datetime | None = None

    def planned_a(self, phase: Phase) -> float:
        """What is left for the building on a phase when EVSEs are to rise, in A."""
        return max(self.base_high_a.get(phase, 0.0), self.forecast_a.get(phase, 0.0))


@dataclass(frozen=True, slots=True)
class TemporaryLimit:
    """A limit on a feeder for a while, by the grid operator or staff; A per phase, where lower than `usable_a`."""

    id: str
    feeder: FeederId
    limit_a: float
    starts_at: datetime
    ends_at: datetime | None
    reason: str
    author: str = ""


@dataclass(frozen=True)
class SiteSnapshot:
    """A site at the instant `at`. `evses` and `feeders` have an entry for every EVSE and feeder of the site."""

    site: Site
    at: datetime
    evses: Mapping[EvseId, EvseView]
    feeders: Mapping[FeederId, FeederView]
    rotation: RotationState = field(default_factory=RotationState)
    limits: tuple[TemporaryLimit, ...] = ()
