"""The 278-car fleet of 003, after Latvian market shares of 2024."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ems.planning.mobility import GammaLaw


@dataclass(frozen=True, slots=True)
class CarModel:
    """A row of the seed's table: usable battery, consumption and how many cars."""

    name: str
    battery_kwh: float
    kwh_per_km: float
    cars: int


# The seed's two Leaf rows cannot be right: the 40 kWh car is given 95 kWh (the Model S row repeated) and the 62 kWh
# car 39 kWh, which is what the 40 kWh car can use. Used here: 39 kWh and 59 kWh, the usable capacities of the two cars.
FLEET: tuple[CarModel, ...] = (
    CarModel("Tesla Model 3", 57.5, 0.139, 64),
    CarModel("Tesla Model Y", 57.5, 0.164, 36),
    CarModel("Nissan Leaf 40 kWh", 39.0, 0.165, 34),
    CarModel("BMW i3", 37.9, 0.161, 28),
    CarModel("Tesla Model S", 95.0, 0.165, 28),
    CarModel("Hyundai Kona", 48.0, 0.164, 23),
    CarModel("Nissan Leaf 62 kWh", 59.0, 0.166, 23),
    CarModel("VW ID.3 Pro", 58.0, 0.166, 14),
    CarModel("Audi e-tron 55", 86.5, 0.237, 14),
    CarModel("VW ID.4 Pro", 77.0, 0.177, 14),
)


@dataclass(frozen=True, slots=True)
class FleetCar:
    """One synthetic car: its model and its seven weekday laws (Monday first)."""

    ev: str
    model: CarModel
    week: tuple[GammaLaw, ...]


def build_fleet(
    weeks: Sequence[tuple[GammaLaw, ...]],
    fleet: Sequence[CarModel] = FLEET,
    measured_kwh_per_km: float = 0.165,
) -> tuple[FleetCar, ...]:
    """Give each model the laws of one measured car (in turn), rescaled by consumption.

    The measured cars' consumption is not known; `measured_kwh_per_km` is the fleet's mean. A day cannot need more than
    80 % of the
    battery: models whose mean day would are refused.

    Raises:
        ValueError: no measured car, or a model too small for the driving it was given.
    """
    if not weeks:
        raise ValueError("at least one measured car is needed")
    cars: list[FleetCar] = []
    for place, model in enumerate(fleet):
        week = tuple(law.scaled(model.kwh_per_km / measured_kwh_per_km) for law in weeks[place % len(weeks)])
        if max(law.mean_kwh for law in week) > 0.8 * model.battery_kwh:
            raise ValueError(f"{model.name}: its mean day needs more than 80 % of {model.battery_kwh:g} kWh")
        cars.extend(FleetCar(f"{model.name} #{number + 1}", model, week) for number in range(model.cars))
    return tuple(cars)


def shares(fleet: Sequence[CarModel] = FLEET) -> Mapping[str, float]:
    """Each model's share of the cars."""
    total = sum(model.cars for model in fleet)
    return {model.name: model.cars / total for model in fleet}
