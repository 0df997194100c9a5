"""Cars that come and go as they did at a housing cooperative (simulators/data/ATTRIBUTION.md, CC BY 4.0).

Four whole weeks of 54 charging points; their local wall clock is read as the site's. EVSE number k replays charging
point k (in an order drawn by the seed); where there are more EVSEs than points, the same point again, first weeks,
then days later. After four weeks the record begins again, on the same weekday.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np

from domain.ids import EvseId
from domain.site import Evse, Site
from simulators.car import USUAL, Car, CarNature
from simulators.car_models import CAR_MODELS, CarModel
from simulators.phasors import evse_voltage_v

EXCERPT_START = datetime(2019, 10, 28)  # noqa: DTZ001 - a wall clock, a Monday
WEEKS = timedelta(weeks=4)
GAP = timedelta(minutes=5)
"""At least this long a place is empty between two cars."""
SHORTEST = timedelta(minutes=5)
DEMO_GAP = timedelta(minutes=3)
DEMO_SHORTEST = timedelta(minutes=20)
LEAST_SOC = 0.05


@dataclass(frozen=True, slots=True)
class RecordedStay:
    """One recorded plug-in, by the wall clock."""

    plugin: datetime
    plugout: datetime
    energy_wh: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """A car comes to an EVSE at `at`, asks for `energy_wh` (AC) and leaves at `departure_at`."""

    evse: EvseId
    at: datetime
    departure_at: datetime
    energy_wh: float
    car: CarModel
    battery_kwh: float
    soc: float
    id_tag: str
    phase_share: tuple[float, float, float] = (1.0, 1.0, 1.0)
    three_phase: bool = False
    nature: CarNature = USUAL

    def new_car(self) -> Car:
        """The car as it drives in; every call gives a fresh one."""
        nature = self.nature
        car = Car(
            self.battery_kwh,
            self.soc,
            self.car.onboard_a,
            max_three_phase_a=self.car.onboard_three_phase_a,
            target_wh=self.energy_wh,
            efficiency=self.car.efficiency_three_phase if self.three_phase else self.car.efficiency,
            phase_share=self.phase_share,
            ramp_up_a_per_s=nature.ramp_up_a_per_s,
            response_s=nature.response_s,
            wake_s=nature.wake_s,
            sleeps_after_s=nature.sleeps_after_s,
        )
        car.asleep = nature.refuses
        return car


@lru_cache(maxsize=1)
def recorded_stays() -> tuple[tuple[RecordedStay, ...], ...]:
    """The stays of each charging point in order of time, overlaps cut; points in the order of their names."""
    points: dict[str, list[RecordedStay]] = defaultdict(list)
    source = files("simulators.data") / "sessions.csv.gz"
    with source.open("rb") as raw, gzip.open(raw, "rt", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            begins, ends = (datetime.fromisoformat(row[key]) for key in ("plugin_local", "plugout_local"))
            points[row["charging_point"]].append(RecordedStay(begins, ends, 1000.0 * float(row["energy_kwh"])))
    return tuple(tuple(sorted(points[name], key=lambda stay: stay.plugin)) for name in sorted(points))


def replayed_arrivals(site: Site, starts_at: datetime, days: float, *, seed: int = 0) -> tuple[Arrival, ...]:
    """The recorded stays as they were, for `days` from `starts_at`, in order of time.

    Who was plugged in before `starts_at` is left out. A stay ends five minutes before the next one at its EVSE begins;
    what is then shorter than five minutes is left out.
    """
    found: list[Arrival] = []
    ends_at = starts_at + timedelta(days=days)
    for evse, stays, later, rng in _places(site, seed):
        times = _in_window(stays, later, starts_at, ends_at, ZoneInfo(site.timezone))
        for index, (begins, ends, energy_wh) in enumerate(times):
            leaves = min(ends, times[index + 1][0] - GAP) if index + 1 < len(times) else ends
            if leaves - begins >= SHORTEST:
                found.append(_arrival(evse, begins, leaves, energy_wh, rng))
    return tuple(sorted(found, key=lambda arrival: (arrival.at, arrival.evse)))


def demo_arrivals(site: Site, starts_at: datetime, hours: int, *, seed: int = 0) -> tuple[Arrival, ...]:
    """A car at every EVSE in every hour, for a building that is watched for minutes.

    Each EVSE replays the stays of its charging point that lasted at least 20 min, one per hour, re-timed: the car
    comes in the first quarter of the hour, as far into it as the recorded plug-in was into its hour, and leaves after
    its recorded stay, at the latest 3 min before the next car comes. The energy asked is the recorded one, at most
    what EVSE and car can take in the stay. Weekday and hour of the record are not kept.
    """
    found: list[Arrival] = []
    for evse, recorded, _, rng in _places(site, seed):
        stays = [stay for stay in recorded if stay.plugout - stay.plugin >= DEMO_SHORTEST]
        first = int(rng.integers(len(stays)))
        comes = [
            starts_at + timedelta(hours=hour, seconds=30 + 14 * stays[(first + hour) % len(stays)].plugin.minute)
            for hour in range(hours + 1)
        ]
        for hour in range(hours):
            stay = stays[(first + hour) % len(stays)]
            leaves = min(comes[hour] + (stay.plugout - stay.plugin), comes[hour + 1] - DEMO_GAP)
            whole = _arrival(evse, comes[hour], leaves, stay.energy_wh, rng)
            most_wh = _full_power_w(site, evse, whole.car) * (leaves - comes[hour]) / timedelta(hours=1)
            found.append(_arrival(evse, comes[hour], leaves, min(stay.energy_wh, most_wh), rng, whole.car))
    return tuple(sorted(found, key=lambda arrival: (arrival.at, arrival.evse)))


def _places(site: Site, seed: int) -> list[tuple[Evse, tuple[RecordedStay, ...], timedelta, np.random.Generator]]:
    """Each EVSE with its charging point's stays, how much later they are replayed, and its own generator."""
    points = [stays for stays in recorded_stays() if len(stays) >= 4]
    order = np.random.default_rng([seed, 0]).permutation(len(points))
    places = []
    for number, evse in enumerate(site.evses):
        again = number // len(points)
        later = timedelta(weeks=again % 4, days=again // 4)
        stays = points[int(order[number % len(points)])]
        places.append((evse, stays, later, np.random.default_rng([seed, 1, number])))
    return places


def _in_window(
    stays: Sequence[RecordedStay], later: timedelta, starts_at: datetime, ends_at: datetime, zone: ZoneInfo
) -> list[tuple[datetime, datetime, float]]:
    """Begin, end (UTC) and energy in Wh of the stays that begin in the window, in order of time."""
    first = starts_at.astimezone(zone).replace(tzinfo=None)
    begun = (first - EXCERPT_START) // WEEKS
    rounds = range(begun - 1, begun + 2 + (ends_at - starts_at) // WEEKS)
    found = []
    for lap in rounds:
        for stay in stays:
            begins, ends = (
                (wall + lap * WEEKS + later).replace(tzinfo=zone).astimezone(UTC)
                for wall in (stay.plugin, stay.plugout)
            )
            if starts_at <= begins < ends_at:
                found.append((begins, ends, stay.energy_wh))
    return sorted(found)


def _full_power_w(site: Site, evse: Evse, car: CarModel) -> float:
    onboard_a = car.onboard_three_phase_a if evse.conductors == 3 else car.onboard_a
    return min(evse.max_a, onboard_a) * evse_voltage_v(site, evse) * (3 if evse.conductors == 3 else 1)


def _arrival(
    evse: Evse, at: datetime, leaves: datetime, energy_wh: float, rng: np.random.Generator, car: CarModel | None = None
) -> Arrival:
    """A car that the energy fits into: it ends at 80, 90 or 100 % state of charge; a larger battery where none does."""
    if car is None:
        weights = np.array([model.share for model in CAR_MODELS])
        car = CAR_MODELS[int(rng.choice(len(CAR_MODELS), p=weights / weights.sum()))]
    full_soc = float(rng.choice((0.8, 0.9, 1.0), p=(0.5, 0.2, 0.3)))
    stored_kwh = energy_wh / 1000 * max(*car.efficiency, *car.efficiency_three_phase)
    battery_kwh = max(car.battery_kwh, stored_kwh / (full_soc - LEAST_SOC))
    soc = full_soc - stored_kwh / battery_kwh
    id_tag = f"TAG{int(rng.integers(10**8)):08d}"
    three_phase = evse.conductors == 3
    return Arrival(evse.id, at, leaves, energy_wh, car, battery_kwh, soc, id_tag, three_phase=three_phase)
