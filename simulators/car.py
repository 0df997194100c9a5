"""A car with its battery and onboard charger, as the pilot signal and the conductors see it."""

from collections import deque
from dataclasses import dataclass
from math import inf

MIN_OFFER_A = 6.0
"""Below this the pilot signal offers nothing (IEC 61851-1, SAE J1772)."""
TAPER_FROM_SOC = 0.9
TAPER_FLOOR = 0.1


@dataclass(frozen=True, slots=True)
class CarNature:
    """How a car takes what it is offered; see `Car`. `refuses`: it asks for nothing of it."""

    ramp_up_a_per_s: float = 3.0
    response_s: float = 3.0
    wake_s: float = 4.0
    sleeps_after_s: float | None = None
    refuses: bool = False


USUAL = CarNature()


class Car:
    """Draws current from what it is offered, until its battery or its driver's wish is satisfied.

    The model: a rise is followed at `ramp_up_a_per_s`; a reduction is noticed after half of `response_s` and completed
    within `response_s` (and one step); after an offer below 6 A the car needs `wake_s` before it draws again, and with
    `sleeps_after_s` it stays asleep once it was refused for that long, until `wake()`. Above 90 % state of charge the
    current that it takes falls linearly to a tenth at 100 %: a car may well draw less than 6 A.

    Args:
        battery_kwh: usable capacity.
        soc: state of charge at plug-in, 0 to 1.
        max_a: most that the onboard charger takes per conductor from one phase or from two legs.
        max_three_phase_a: the same from three phases; `max_a` where left out.
        target_wh: AC energy that ends the stay's charging; None charges until full.
        efficiency: battery energy over AC energy, at 6 A and at the onboard limit.
        ramp_up_a_per_s: rise of the current, A/s.
        response_s: within this a reduction is followed, s (IEC 61851 allows 5 s; field: up to 30 s).
        wake_s: delay after an offer of nothing, and after plug-in.
        sleeps_after_s: falls asleep when refused this long; None never does.
        phase_share: current per conductor over `current_a` on a three-phase supply: (1, 0, 0) is a single-phase car.
            The largest must be 1.
    """

    def __init__(
        self,
        battery_kwh: float,
        soc: float,
        max_a: float,
        *,
        max_three_phase_a: float | None = None,
        target_wh: float | None = None,
        efficiency: tuple[float, float] = (0.85, 0.9),
        ramp_up_a_per_s: float = 3.0,
        response_s: float = 3.0,
        wake_s: float = 4.0,
        sleeps_after_s: float | None = None,
        phase_share: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        if not 0 <= soc <= 1 or battery_kwh <= 0 or max_a <= 0:
            raise ValueError(f"a car needs 0 <= soc <= 1 and positive sizes, not {soc=} {battery_kwh=} {max_a=}")
        if max(phase_share) != 1.0 or min(phase_share) < 0.0:
            raise ValueError(f"the largest phase share is 1 and none is negative, not {phase_share}")
        self.battery_wh = 1000.0 * battery_kwh
        self.max_a = max_a
        self.max_three_phase_a = max_a if max_three_phase_a is None else max_three_phase_a
        self.target_wh = inf if target_wh is None else target_wh
        self.efficiency = efficiency
        self.ramp_up_a_per_s = ramp_up_a_per_s
        self.response_s = response_s
        self.wake_s = wake_s
        self.sleeps_after_s = sleeps_after_s
        self.phase_share = phase_share
        self.energy_wh = 0.0
        """AC energy drawn since plug-in, Wh."""
        self.current_a = 0.0
        """Largest conductor current now, A."""
        self.asleep = False
        self._stored_wh = soc * self.battery_wh
        self._age_s = 0.0
        self._offers: deque[tuple[float, float]] = deque()
        self._waking_s = wake_s
        self._refused_s = 0.0

    @property
    def soc(self) -> float:
        """State of charge, 0 to 1."""
        return self._stored_wh / self.battery_wh

    @property
    def wants(self) -> bool:
        """Whether the stay still needs energy, asleep or not."""
        return self.energy_wh < self.target_wh - 1e-6 and self._stored_wh < self.battery_wh - 1e-6

    def wake(self) -> None:
        """What a pilot interruption or a re-plug does: a sleeping car listens again."""
        self.asleep = False
        self._refused_s = 0.0

    def onboard_a(self, conductors: int) -> float:
        """Most that the car ever takes per conductor from that many conductors, A."""
        return self.max_three_phase_a if conductors == 3 else self.max_a

    def power_factor_sum(self, conductors: int) -> float:
        """Power in W over voltage x `current_a`: 1 for one or two conductors, the sum of the shares for three."""
        return sum(self.phase_share) if conductors == 3 else 1.0

    def step(self, offered_a: float, dt_s: float, conductors: int, voltage_v: float) -> float:
        """Live through `dt_s` seconds.

        Args:
            offered_a: what the EVSE offers per conductor, A; below 6 A is nothing.
            dt_s: length of the step, s, > 0.
            conductors: 1 line-to-neutral, 2 line-to-line, 3 three-phase.
            voltage_v: across each load: line-to-line for two conductors, line-to-neutral for one and three.

        Returns:
            Current drawn during the step in the conductor with most, A: 0 <= current <= onboard limit. The energy
            drawn is exactly current x voltage x `power_factor_sum` x dt.
        """
        followed_a = self._followed_a(offered_a, dt_s)
        target_a = min(followed_a, self._accepted_a(conductors)) if self.wants else 0.0
        if target_a >= self.current_a:
            current_a = min(target_a, self.current_a + self.ramp_up_a_per_s * dt_s)
        else:
            fall_a = 2.0 * self.onboard_a(conductors) / self.response_s * dt_s if self.response_s > 0 else inf
            current_a = max(target_a, self.current_a - fall_a)
        self.current_a = self._store(current_a, dt_s, conductors, voltage_v)
        return self.current_a

    def _followed_a(self, offered_a: float, dt_s: float) -> float:
        """The offer as the car has noticed it: the largest of the last half response time, 0 while it wakes."""
        self._age_s += dt_s
        horizon_s = self._age_s - self.response_s / 2
        offers = self._offers
        # Kept falling from left to right: an older, lower offer can never be the largest again.
        while offers and offers[-1][1] <= offered_a:
            offers.pop()
        offers.append((self._age_s, offered_a))
        while len(offers) > 1 and offers[0][0] < horizon_s:
            offers.popleft()
        followed_a = offers[0][1]
        if followed_a < MIN_OFFER_A:
            self._waking_s = self.wake_s
            self._refused_s += dt_s
            if self.sleeps_after_s is not None and self._refused_s >= self.sleeps_after_s:
                self.asleep = True
            return 0.0
        self._refused_s = 0.0
        if self.asleep:
            return 0.0
        if self._waking_s > 0:
            self._waking_s -= dt_s
            return 0.0
        return followed_a

    def _accepted_a(self, conductors: int) -> float:
        """What onboard charger and battery take at this state of charge, A."""
        onboard_a = self.onboard_a(conductors)
        if self.soc <= TAPER_FROM_SOC:
            return onboard_a
        return onboard_a * max(TAPER_FLOOR, (1 - self.soc) / (1 - TAPER_FROM_SOC))

    def _store(self, current_a: float, dt_s: float, conductors: int, voltage_v: float) -> float:
        """Book the step's energy; lowers the current where the battery or the wish needs less than the whole step."""
        if current_a <= 0.0:
            return 0.0
        low, high = self.efficiency
        span_a = max(1e-9, self.onboard_a(conductors) - MIN_OFFER_A)
        efficiency = low + (high - low) * min(1.0, max(0.0, (current_a - MIN_OFFER_A) / span_a))
        energy_wh = voltage_v * current_a * self.power_factor_sum(conductors) * dt_s / 3600
        room_wh = min(self.target_wh - self.energy_wh, (self.battery_wh - self._stored_wh) / efficiency)
        if energy_wh > room_wh:
            current_a *= max(0.0, room_wh) / energy_wh
            energy_wh = max(0.0, room_wh)
        self.energy_wh += energy_wh
        self._stored_wh = min(self.battery_wh, self._stored_wh + energy_wh * efficiency)
        return current_a
