"""Eight common electric cars as the AC side of a charger sees them.

Facts from ev2gym 2.0.0, `ev_specs_v2g_enabled2024.json` (simulators/data/ATTRIBUTION.md): the onboard limit is the
highest current with a stated efficiency, and for three phases not above the stated AC power at 230 V.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CarModel:
    """What limits a car on AC.

    `onboard_a` is the most it takes per conductor from one phase or two legs, `onboard_three_phase_a` from three
    phases. The efficiency pairs are battery energy over AC energy at 6 A and at the onboard limit. `share` weighs how
    often the model is met (registrations in the source, thousands).
    """

    name: str
    battery_kwh: float
    onboard_a: float
    onboard_three_phase_a: float
    efficiency: tuple[float, float]
    efficiency_three_phase: tuple[float, float]
    share: float


CAR_MODELS = (
    CarModel("Tesla Model 3", 57.5, 16, 16, (0.75, 0.87), (0.87, 0.90), 47.8),
    CarModel("Tesla Model Y", 57.5, 16, 16, (0.72, 0.84), (0.87, 0.90), 39.3),
    CarModel("Kia Niro", 64.8, 32, 16, (0.75, 0.90), (0.90, 0.90), 28.0),
    CarModel("Volkswagen ID.3", 58.0, 16, 16, (0.81, 0.87), (0.87, 0.90), 23.0),
    CarModel("Skoda Enyaq", 58.0, 16, 16, (0.78, 0.84), (0.87, 0.90), 21.2),
    CarModel("Hyundai Kona", 64.0, 16, 16, (0.75, 0.90), (0.90, 0.93), 19.8),
    CarModel("Peugeot 208", 46.3, 32, 16, (0.66, 0.87), (0.84, 0.90), 17.8),
    CarModel("Volkswagen ID.4", 77.0, 32, 16, (0.87, 0.90), (0.90, 0.90), 16.4),
)
