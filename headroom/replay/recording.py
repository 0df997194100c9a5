"""What was recorded, in the words of the replay: stays of cars, and what the building's feeders carried."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from domain.errors import HeadroomError
from domain.ids import EvseId, FeederId, MeterId
from domain.site import PHASES, PhaseAmps, Site

Amps = npt.NDArray[np.float64]


class RecordingError(HeadroomError):
    """A recording cannot be used; says file, line and field."""

    def __init__(self, file: str | Path, line: int | None, field_name: str, message: str) -> None:
        where = f"{file}:{line}" if line is not None else str(file)
        super().__init__(f"{where}: {field_name}: {message}" if field_name else f"{where}: {message}")


@dataclass(frozen=True, slots=True)
class Stay:
    """A car at an EVSE: from when to when (aware), and the AC energy that it took.

    `most_a`: what it was seen to draw at most per conductor; None where no current was recorded.
    """

    evse: EvseId
    arrives: datetime
    leaves: datetime
    energy_wh: float
    most_a: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One meter reading or load value: current per phase in A. `includes_ev`: whether EV charging is in it."""

    feeder: FeederId
    at: datetime
    current_a: PhaseAmps
    includes_ev: bool


@dataclass(frozen=True, slots=True)
class EvseCurrent:
    """What an EVSE was measured to draw, A per conductor."""

    evse: EvseId
    at: datetime
    current_a: float


@dataclass(frozen=True)
class Recording:
    """Everything that one or several files said. `notes`: what a reader of the report must know about them."""

    stays: tuple[Stay, ...] = ()
    readings: tuple[Reading, ...] = ()
    currents: tuple[EvseCurrent, ...] = ()
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = field(default=())

    def joined(self, other: "Recording") -> "Recording":
        """Both together."""
        return Recording(
            self.stays + other.stays,
            self.readings + other.readings,
            self.currents + other.currents,
            self.notes + other.notes,
            self.sources + other.sources,
        )

    def moved(self, by: timedelta) -> "Recording":
        """The same readings at another time."""
        return replace(self, readings=tuple(replace(one, at=one.at + by) for one in self.readings))


def metered_feeder(site: Site, name: str) -> FeederId | None:
    """The feeder of that id, or the one with that meter."""
    for feeder in site.feeders:
        if name in {str(feeder.id), str(feeder.meter)}:
            return feeder.id
    return None


def meters_of(site: Site) -> Sequence[MeterId]:
    """Ids that a recording may name."""
    return [feeder.meter for feeder in site.feeders if feeder.meter is not None]


def phase_amps(values: Sequence[float]) -> PhaseAmps:
    """Of three values in the order A, B, C."""
    return dict(zip(PHASES, values, strict=True))
