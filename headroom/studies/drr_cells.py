"""The numbers behind the fairness study: heat maps, clusters, penalties, and two other readings of satisfaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats
from sklearn.cluster import KMeans

from headroom.studies.drr_nights import CHARGING, EV_COUNT, STEPS, STEPS_PER_H, WORST_CASE_KW, Floats, Nights
from headroom.studies.drr_year import POLICIES, Policy, delivered_kwh

Setting = Literal["no EMS", "EMS"]
SETTINGS: tuple[Setting, ...] = ("no EMS", "EMS")
LEAST = 0.3
"""S_min and S_thr of the thesis."""
FEWEST_WITHOUT_EMS = 3
"""With fewer active EVSEs 15 kW would be more than one Level II EVSE takes: left out there, and here."""


def power_kw(setting: Setting, seats: int, nights: Nights) -> float | Floats:
    """What an active EVSE gives, kW: an equal part of 15 kW without an EMS, what the EMS gives with one."""
    return nights.ems_kw if setting == "EMS" else WORST_CASE_KW / seats


def shares(policy: Policy, setting: Setting, seats: int, asking: Nights) -> Floats:
    """[night, EV] S of those who ask: energy delivered over energy needed for the day's drive."""
    delivered = delivered_kwh(policy, seats, asking, power_kw(setting, seats, asking))
    return np.asarray(delivered / np.maximum(asking.need_kwh, 1e-12))


def overall(share: Floats, evs: int = EV_COUNT) -> float:
    """S^T in %: the part of all EV-days of the building, asking or not, whose S reaches the threshold.

    The penalty of eq. 3.3, S - max(0, S_min - S), cannot move an S over the threshold, because S_min = S_thr.
    """
    penalised = share - np.maximum(0.0, LEAST - share)
    return float(100.0 * (penalised >= LEAST).sum() / (len(share) * evs))


@dataclass(frozen=True)
class HeatMap:
    """S^T in % [active EVSEs from 1, queue size from 1], NaN where the thesis simulates nothing."""

    policy: Policy
    setting: Setting
    score: Floats


def heat_maps(year: Nights, sizes: int, told: Callable[[float], None]) -> dict[tuple[Setting, Policy], HeatMap]:
    """All cells, policies and settings. Cells of one row in which all EVs ask are the same and computed once."""
    maps = {(s, p): np.full((sizes, sizes), np.nan) for s in SETTINGS for p in POLICIES}
    known: dict[tuple[Setting, Policy, int, int], float] = {}
    for seats in range(1, sizes + 1):
        for queue in range(1, sizes + 1):
            count = min(year.arrival.shape[1], seats * queue)
            asking = year.first(count)
            for (setting, policy), score in maps.items():
                if setting == "no EMS" and seats < FEWEST_WITHOUT_EMS:
                    continue
                key = setting, policy, seats, count
                if key not in known:
                    known[key] = overall(shares(policy, setting, seats, asking), year.arrival.shape[1])
                score[seats - 1, queue - 1] = known[key]
            told(((seats - 1) * sizes + queue) / sizes**2)
    return {key: HeatMap(key[1], key[0], score) for key, score in maps.items()}


@dataclass(frozen=True)
class Cluster:
    """One of three K-means clusters of S, lowest first."""

    values: Floats
    median: float

    @property
    def population(self) -> int:
        """EV-days in it."""
        return len(self.values)


def clusters(share: Floats, seed: int) -> tuple[Cluster, ...]:
    """Three K-means clusters of all EV-days' S."""
    flat = share.reshape(-1)
    labels = KMeans(3, n_init=10, random_state=seed).fit_predict(flat[:, None])
    parts = [flat[labels == label] for label in range(3)]
    return tuple(Cluster(part, float(np.median(part))) for part in sorted(parts, key=np.median))


def shape(values: Floats) -> tuple[float, float]:
    """Skewness and excess kurtosis (0 for a normal distribution); NaN for fewer than 20 values or equal ones."""
    if len(values) < 20 or np.ptp(values) < 1e-9:
        return float("nan"), float("nan")
    return float(stats.skew(values)), float(stats.kurtosis(values))


def penalties(share: Floats) -> int:
    """EV-days of those who ask with S below S_min."""
    return int((share < LEAST - 1e-12).sum())


def state_of_charge(share: Floats, asking: Nights) -> Floats:
    """[night, EV] the other literal reading: state of charge at departure, each day begun with a full battery."""
    drained = asking.used_kwh / asking.battery_kwh
    return np.asarray(1.0 - drained + share * drained)


def carried_over(policy: Policy, seats: int, year: Nights, told: Callable[[float], None]) -> Mapping[Setting, Floats]:
    """[night, EV] state of charge at departure where what is missing is missing the next day too (ch. 4's formula).

    An EV that runs empty on the way counts as empty. All EVs ask every night for all that they lack.
    """
    count = year.arrival.shape[1]
    soc = np.ones((len(SETTINGS), count))
    found = np.zeros((len(SETTINGS), *year.arrival.shape))
    flat = np.full((STEPS // STEPS_PER_H, count), WORST_CASE_KW / seats)
    for night in range(len(year.arrival)):
        battery = np.tile(year.battery_kwh[night], (len(SETTINGS), 1))
        begin = np.maximum(0.0, soc - year.used_kwh[night] / battery)
        tonight = replace(
            year,
            arrival=np.tile(year.arrival[night], (len(SETTINGS), 1)),
            departure=np.tile(year.departure[night], (len(SETTINGS), 1)),
            used_kwh=(1.0 - begin) * battery,
            battery_kwh=battery,
            ems_kw=np.stack([flat, year.ems_kw[night]]),
        )
        soc = begin + delivered_kwh(policy, seats, tonight, tonight.ems_kw) * CHARGING / battery
        found[:, night] = soc
        told((night + 1) / len(year.arrival))
    return dict(zip(SETTINGS, found, strict=True))
