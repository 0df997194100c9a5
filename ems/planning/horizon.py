"""The words of the planning models: a day, the stays of cars in it, a plan, and why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stay:
    """One car at one charger: present in arrival <= t < departure, wants `energy_kwh` (L_i), <= `limit_kw` (p_bar)."""

    ev: str
    arrival: int
    departure: int
    energy_kwh: float
    limit_kw: float


@dataclass(frozen=True)
class Day:
    """What all cars share: `price_per_kwh` (pi) and `capacity_kw` (C) per slot, slots of `slot_h` (delta) hours."""

    slot_h: float
    price_per_kwh: Vector
    capacity_kw: Vector

    def __post_init__(self) -> None:
        """Refuses a day that no model could be asked about.

        Raises:
            ValueError: no slots, different lengths, a slot length of 0 or less, a figure that is not finite (a capacity
                may be infinite), or a negative capacity.
        """
        if self.price_per_kwh.shape != self.capacity_kw.shape or self.price_per_kwh.ndim != 1 or self.slots == 0:
            raise ValueError(
                f"price and capacity need one value per slot: {self.price_per_kwh.shape} and {self.capacity_kw.shape}"
            )
        if not (np.isfinite(self.slot_h) and self.slot_h > 0):
            raise ValueError(f"slot_h must be above 0, it is {self.slot_h}")
        if not np.isfinite(self.price_per_kwh).all():
            raise ValueError(f"the price of slot {int(np.argmin(np.isfinite(self.price_per_kwh)))} is not a number")
        if np.isnan(self.capacity_kw).any() or (self.capacity_kw < 0).any():
            raise ValueError("capacity_kw must be 0 or more in every slot")

    @property
    def slots(self) -> int:
        """T, the number of slots."""
        return int(self.price_per_kwh.shape[0])

    def priced(self, price_per_kwh: Vector) -> "Day":
        """The same day at another price."""
        return replace(self, price_per_kwh=np.asarray(price_per_kwh, dtype=np.float64))


@dataclass(frozen=True)
class Plan:
    """Charging powers of a day and what they cost.

    `power_kw` is T x N, 0 where a car is absent; `shortfall_kwh` (e) is per car; `energy_cost` is pi' delta Y 1 alone,
    `objective` what was minimised; `capacity_value` per slot is what one more kWh of site capacity there would save
    (0 where the site does not bind).
    """

    evs: tuple[str, ...]
    slot_h: float
    power_kw: Vector
    shortfall_kwh: Vector
    energy_cost: float
    objective: float
    capacity_value: Vector

    @property
    def energy_kwh(self) -> Vector:
        """Energy per slot over all cars, kWh (T)."""
        return np.asarray(self.power_kw.sum(axis=1) * self.slot_h)

    @property
    def delivered_kwh(self) -> Vector:
        """Energy per car, kWh (N)."""
        return np.asarray(self.power_kw.sum(axis=0) * self.slot_h)

    def ceilings_w(self, slot: int) -> Mapping[str, float]:
        """The seam to the live controller: each car's ceiling in W in one slot, as planned (0 = planned to wait)."""
        return {ev: 1000.0 * float(power) for ev, power in zip(self.evs, self.power_kw[slot], strict=True)}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something cannot be: about one car (`ev`), or the site and many cars (None); `why` is a whole sentence."""

    ev: str | None
    why: str


@dataclass(frozen=True, slots=True)
class PlanInfeasible:
    """No plan meets the demand; every reason names a car or a set of slots. A value, not an exception."""

    reasons: tuple[Reason, ...]


def check_stays(day: Day, stays: Sequence[Stay]) -> None:
    """Refuses stays that cannot be read.

    Raises:
        ValueError: a name given twice, slots outside the day, energy or limit negative or not finite.
    """
    seen: set[str] = set()
    for stay in stays:
        if stay.ev in seen:
            raise ValueError(f"EV {stay.ev} is given twice")
        seen.add(stay.ev)
        if not 0 <= stay.arrival <= stay.departure <= day.slots:
            raise ValueError(
                f"EV {stay.ev}: arrival {stay.arrival} and departure {stay.departure} must lie in 0..{day.slots}, "
                f"in order"
            )
        if not (np.isfinite(stay.energy_kwh) and stay.energy_kwh >= 0):
            raise ValueError(f"EV {stay.ev}: energy_kwh must be 0 or more, it is {stay.energy_kwh}")
        if not (np.isfinite(stay.limit_kw) and stay.limit_kw >= 0):
            raise ValueError(f"EV {stay.ev}: limit_kw must be 0 or more, it is {stay.limit_kw}")


def clock(slot: int, slot_h: float, start_h: float = 0.0) -> str:
    """The wall clock at a slot's beginning, as HH:MM."""
    minutes = round((start_h + slot * slot_h) * 60)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
