"""What the control loop asks of a forecast; a NARX, persistence or a recorded profile may answer."""

from datetime import datetime
from typing import Protocol

from domain.ids import FeederId
from domain.site import PhaseAmps


class Forecaster(Protocol):
    """Non-EV load through each feeder, per phase."""

    def observe(self, feeder: FeederId, at: datetime, base_a: PhaseAmps) -> None:
        """One more value of a feeder's non-EV load, in A per phase; older than the newest is ignored."""
        ...

    def upper(self, feeder: FeederId, at: datetime, horizon_s: float) -> PhaseAmps | None:
        """The upper quantile of the largest load within [at, at + horizon_s]; None where nothing is known yet.

        Never below the newest observation while that is younger than the horizon.
        """
        ...
