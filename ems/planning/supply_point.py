"""What the smart charging tool is asked and answers (002 tables 1 and 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ems.planning.horizon import Vector

Profile = Literal["cheap", "fast", "green", "default"]
PROFILES: tuple[str, ...] = get_args(Profile)


@dataclass(frozen=True, slots=True)
class Evse:
    """One occupied EVSE and its driver's wish.

    `soc_kwh` is in the battery now; `target_kwh` is to be reached by the end of `target_slots` slots (1..T), when the
    car leaves; `discharge_kw` is 0 without V2G; `previous_slots` the EVSE has been occupied already.
    """

    ev: str
    soc_kwh: float
    capacity_kwh: float
    target_kwh: float
    target_slots: int
    power_kw: float
    discharge_kw: float = 0.0
    previous_slots: int = 0
    profile: Profile = "default"


@dataclass(frozen=True)
class SupplyPoint:
    """The site: series per slot (T) of `slot_h` hours.

    `import_kw` (P_max) and `export_kw` (-P_min, a positive figure) limit the supply point; `flexibility_kw` is the grid
    operator's offset to P_max per slot; `carbon_g_per_kwh` weighs what green drivers avoid (all slots alike by
    default); `opportunity_cost` is money per slot in which a car holds its EVSE without having reached its target.
    """

    slot_h: float
    price_per_kwh: Vector
    import_kw: float
    export_kw: float = 0.0
    demand_kw: Vector | None = None
    production_kw: Vector | None = None
    flexibility_kw: Vector | None = None
    carbon_g_per_kwh: Vector | None = None
    opportunity_cost: float = 0.0

    @property
    def slots(self) -> int:
        """T."""
        return int(self.price_per_kwh.shape[0])

    @property
    def own_kwh(self) -> Vector:
        """Demand less production per slot, kWh: what flows without any EV."""
        return np.asarray((_series(self.demand_kw, self.slots) - _series(self.production_kw, self.slots)) * self.slot_h)

    @property
    def most_import_kwh(self) -> Vector:
        """The import limit under the grid operator's orders, kWh per slot; never below 0."""
        return np.asarray(np.maximum(0.0, self.import_kw + _series(self.flexibility_kw, self.slots)) * self.slot_h)

    @property
    def carbon(self) -> Vector:
        """Carbon weight per slot; 1 everywhere where none is given."""
        return np.ones(self.slots) if self.carbon_g_per_kwh is None else self.carbon_g_per_kwh


@dataclass(frozen=True)
class ChargingPlan:
    """`energy_kwh` (negative: into the grid) and `soc_kwh` (end of slot) are T x N; imports and exports per slot, >= 0.

    `reached_slot` per EV is the first slot at whose end the target holds (T if never). `energy_cost` is the import's,
    `opportunity_cost` the other terms of (27); `objective` is their sum. Drivers' own terms choose among plans and
    are not money, so they are not in it.
    """

    evs: tuple[str, ...]
    energy_kwh: Vector
    soc_kwh: Vector
    imported_kwh: Vector
    exported_kwh: Vector
    reached_slot: tuple[int, ...]
    energy_cost: float
    opportunity_cost: float

    @property
    def objective(self) -> float:
        """F of (27)."""
        return self.energy_cost + self.opportunity_cost


def check_site(site: SupplyPoint, evses: Sequence[Evse]) -> None:
    """Refuses what cannot be read.

    Raises:
        ValueError: with the EV or the series, the value found and what is allowed.
    """
    if site.slots == 0 or not site.slot_h > 0:
        raise ValueError("a supply point needs at least one slot and a slot_h above 0")
    for name in ("price_per_kwh", "demand_kw", "production_kw", "flexibility_kw", "carbon_g_per_kwh"):
        values = getattr(site, name)
        if values is not None and values.shape != (site.slots,):
            raise ValueError(f"{name} has {values.shape[0]} values, price_per_kwh has {site.slots}")
        if values is not None and not np.isfinite(values).all():
            raise ValueError(f"{name} holds a value that is not a number")
    for name in ("import_kw", "export_kw", "opportunity_cost"):
        _at_least_zero(name, getattr(site, name))
    seen: set[str] = set()
    for evse in evses:
        if evse.ev in seen:
            raise ValueError(f"EV {evse.ev} is given twice")
        seen.add(evse.ev)
        _check_evse(evse, site.slots)


def _check_evse(evse: Evse, slots: int) -> None:
    for name in ("soc_kwh", "capacity_kwh", "target_kwh", "power_kw", "discharge_kw", "previous_slots"):
        _at_least_zero(f"EV {evse.ev}: {name}", getattr(evse, name))
    if evse.soc_kwh > evse.capacity_kwh:
        raise ValueError(f"EV {evse.ev}: soc_kwh {evse.soc_kwh:g} is more than capacity_kwh {evse.capacity_kwh:g}")
    if not 1 <= evse.target_slots <= slots:
        raise ValueError(f"EV {evse.ev}: target_slots must lie in 1..{slots}, it is {evse.target_slots}")
    if evse.profile not in PROFILES:
        raise ValueError(f"EV {evse.ev}: profile must be one of {', '.join(PROFILES)}, it is '{evse.profile}'")


def _at_least_zero(name: str, value: float) -> None:
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be 0 or more, it is {value}")


def _series(values: Vector | None, slots: int) -> Vector:
    return np.zeros(slots) if values is None else values
