"""What the simulated world measured, in the words of the `--json` of `demo` and `simulate`."""

from dataclasses import dataclass
from datetime import datetime

from domain.ids import FeederId
from domain.site import Phase


@dataclass(frozen=True, slots=True)
class Worst:
    """Where and when the highest loading was."""

    feeder: FeederId
    phase: Phase
    at: datetime


@dataclass(frozen=True, slots=True)
class WorldReport:
    """The physical truth, measured apart from everything that is under test.

    `max_loading`: largest true current over `rating_a`, over every phase of every feeder.
    `overload_seconds`: time in which, on any phase of any feeder that carries EV current, the current was above the
    rating, or was above usable and had been for more than 30 s without a break; each instant counts once.
    `base_overload_seconds`: the same rule for the building's own load, whatever the EVSEs do.
    `jain_index`: Jain's index of the stays' x = energy delivered / energy possible, with possible = the smaller of
    what was asked and what EVSE and car could have taken at their full current since plug-in; stays with less than
    100 Wh possible are left out; 1 where none is left.
    `longest_wait_s`: longest stretch that a plugged-in car in need drew nothing.
    `switches`: changes between nothing and something at cars in need, the first start included.
    `energy_requested_kwh`: what was asked by all cars that came.
    """

    sessions: int
    energy_delivered_kwh: float
    energy_requested_kwh: float
    max_loading: float
    overload_seconds: float
    base_overload_seconds: float
    breaker_trips: int
    jain_index: float
    longest_wait_s: float
    switches: int
    worst: Worst | None = None
    first_overload: Worst | None = None

    def as_json(self) -> dict[str, int | float]:
        """The fields of docs' `--json`, rounded to what is meaningful."""
        return {
            "sessions": self.sessions,
            "energy_delivered_kwh": round(self.energy_delivered_kwh, 3),
            "energy_requested_kwh": round(self.energy_requested_kwh, 3),
            "max_loading": round(self.max_loading, 4),
            "overload_seconds": round(self.overload_seconds, 3),
            "base_overload_seconds": round(self.base_overload_seconds, 3),
            "breaker_trips": self.breaker_trips,
            "jain_index": round(self.jain_index, 4),
            "longest_wait_s": round(self.longest_wait_s, 3),
            "switches": self.switches,
        }


def jain_index(shares: list[float]) -> float:
    """(sum x)^2 / (n sum x^2): 1 where all have the same share, 1/n where one has all; 1 for none or all zero."""
    squares = sum(share * share for share in shares)
    return 1.0 if squares == 0 else sum(shares) ** 2 / (len(shares) * squares)
