"""Non-EV load of a building, on every phase of every feeder, replayed from measured homes.

Twelve metered homes (simulators/data/ATTRIBUTION.md), four whole weeks, hourly, by the wall clock of the site: the
weekday is kept, and after four weeks it begins again. Between the hours power follows the derivative of a monotone
cubic through the cumulated energy (Fritsch and Butland, 1984), so that each hour keeps its measured energy and no
power is negative; appliances that switch on and off inside the hour make steps as a meter sees them, energy again kept.
"""

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from math import acos, sqrt
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from domain.ids import FeederId
from domain.site import PHASES, Phase, PhaseAmps, Site
from simulators.phasors import Amps, Phasors, feeder_voltage_v, unit_phasors

HOURS = 672
WEEKS_S = HOURS * 3600
EXCERPT_START = datetime(2016, 11, 28)  # noqa: DTZ001 - a wall clock, a Monday
BLOCK_S = 300
PLUG_LOAD_W = 1200.0
"""Of a home's power, what plug loads take from line to neutral; ranges and dryers above it take two legs."""
TWO_LEG_LIMIT_V = 250.0
"""Above this line-to-line voltage homes are served from line to neutral alone (Europe)."""
APPLIANCE_W = (1000.0, 1500.0, 2000.0, 3000.0, 4500.0)
SWITCHED_SHARE = 0.4
"""Share of an hour's energy that appliances take in on-off cycles, in homes that use more than 400 W."""


@lru_cache(maxsize=1)
def home_profiles() -> Amps:
    """Mean power of the twelve homes in W, [672 hours from Monday 00:00, 12]; read-only."""
    source = files("simulators.data") / "homes_hourly.csv.gz"
    with source.open("rb") as raw, gzip.open(raw, "rt", encoding="utf-8") as text:
        rows = [[float(value) for value in row[1:]] for row in list(csv.reader(text))[1:]]
    profiles = 1000.0 * np.array(rows)
    profiles.flags.writeable = False
    return profiles


@dataclass(frozen=True, slots=True)
class Home:
    """One home: where it hangs, which legs serve it, whose profile it lives by and how many hours shifted."""

    feeder: FeederId
    legs: tuple[Phase, ...]
    profile: int
    shift_days: int = 0
    scale: float = 1.0


class BuildingLoad:
    """The homes' currents, through every feeder, at any instant. Same arguments, same load, in any order of asking.

    Args:
        site: the panel tree and the wall clock.
        homes: the load; see `simulators.homes.homes_for` for homes that fit a site.
        seed: of the appliances and the fluctuation.
        power_factor: of every home, lagging.
        appliances: whether part of the energy comes in on-off cycles; without, power is smooth.
        fluctuation: standard deviation of a home's fast relative fluctuation.
    """

    def __init__(
        self,
        site: Site,
        homes: Sequence[Home],
        *,
        seed: int = 0,
        power_factor: float = 0.97,
        appliances: bool = True,
        fluctuation: float = 0.02,
    ) -> None:
        if not 0 < power_factor <= 1:
            raise ValueError(f"a power factor lies in (0, 1], not {power_factor}")
        self.site, self.homes, self.power_factor = site, tuple(homes), power_factor
        self._seed, self._appliances, self._fluctuation = seed, appliances, fluctuation
        self._zone = ZoneInfo(site.timezone)
        self._scale = np.array([home.scale for home in homes])
        self._profile = np.array([home.profile for home in homes], dtype=np.int64)
        self._shift_h = np.array([24 * home.shift_days for home in homes], dtype=np.int64)
        self._two_leg_home = np.array([self._has_two_legs(home) for home in homes], dtype=np.bool_)
        # Homes on the same legs of the same feeder are added up first: a few groups instead of hundreds of homes.
        places = sorted({(home.feeder, home.legs) for home in homes})
        group = [places.index((home.feeder, home.legs)) for home in homes]
        self._order = np.argsort(group, kind="stable")
        self._group_starts = np.searchsorted(np.sort(group), np.arange(len(places)))
        self._per_plug_w, self._per_two_leg_w = self._maps(places)
        mean_w = home_profiles()
        before_w = np.roll(mean_w, 1, axis=0)
        both_w = before_w + mean_w
        # Power at the beginning of each hour: the harmonic mean of the hours on both sides.
        self._edge_w = np.divide(2 * before_w * mean_w, both_w, out=np.zeros_like(both_w), where=both_w > 0)
        self._hour: tuple[int, _Hour] | None = None
        self._block: tuple[int, Phasors] | None = None

    def phasors(self, at: datetime) -> Phasors:
        """Line currents [feeder in site order, phase], A complex, in the frame of `simulators.phasors`."""
        epoch_s = at.timestamp()
        block, offset_s = divmod(epoch_s, BLOCK_S)
        if self._block is None or self._block[0] != int(block):
            begins = datetime.fromtimestamp(block * BLOCK_S, UTC)
            position_s = self._position_s(begins) + 0.5 + np.arange(BLOCK_S, dtype=np.float64)
            self._block = (int(block), self._currents(self.power_w(position_s)))
        currents: Phasors = self._block[1][int(offset_s)]
        return currents

    def current_a(self, at: datetime) -> Mapping[FeederId, PhaseAmps]:
        """Magnitudes per feeder (its children's load included) and phase, A RMS."""
        magnitudes = np.abs(self.phasors(at))
        return {
            feeder.id: {p: float(magnitudes[row, PHASES.index(p)]) for p in feeder.phases}
            for row, feeder in enumerate(self.site.feeders)
        }

    def peak_a(self, every_s: int = 10) -> Amps:
        """Largest magnitude over the whole four weeks, looked at every `every_s` s: [feeder, phase], A."""
        peak = np.zeros((len(self.site.feeders), len(PHASES)))
        for hour in range(HOURS):
            position_s = 3600.0 * hour + np.arange(every_s / 2, 3600, every_s, dtype=np.float64)
            np.maximum(peak, np.abs(self._currents(self.power_w(position_s))).max(axis=0), out=peak)
        return peak

    def power_w(self, position_s: Amps) -> Amps:
        """Power of every home in W, [instant, home], at instants of one hour (s since the first Monday 00:00)."""
        hour, within_s = divmod(position_s % WEEKS_S, 3600.0)
        now = self._hour_of(int(hour[0]))
        u = (within_s / 3600.0)[:, None]
        power = 6 * now.mean_w * (u - u * u) + now.start_w * (1 - 4 * u + 3 * u * u) + now.end_w * (3 * u * u - 2 * u)
        power *= 1 - now.switched
        power += now.appliance_w * (((u * now.cycles + now.phase) % 1.0) < now.duty)
        if self._fluctuation:
            knot, part = divmod(within_s / 20.0, 1.0)
            index = knot.astype(np.int64)
            part = part[:, None]
            power *= 1 + (1 - part) * now.noise[index] + part * now.noise[index + 1]
        return np.asarray(power * self._scale)

    def _hour_of(self, hour: int) -> "_Hour":
        if self._hour is not None and self._hour[0] == hour:
            return self._hour[1]
        rng = np.random.default_rng([self._seed, hour])
        rows = (hour + self._shift_h) % HOURS
        mean_w = home_profiles()[rows, self._profile]
        switched = np.where(mean_w > 400, SWITCHED_SHARE, 0.0) * self._appliances
        appliance_w = rng.choice(APPLIANCE_W, size=len(rows))
        # An appliance that is too weak for the hour's share runs throughout.
        appliance_w = np.maximum(appliance_w, switched * mean_w)
        found = _Hour(
            mean_w=mean_w,
            start_w=self._edge_w[rows, self._profile],
            end_w=self._edge_w[(rows + 1) % HOURS, self._profile],
            switched=switched,
            appliance_w=appliance_w,
            duty=switched * mean_w / appliance_w,
            cycles=rng.integers(2, 9, size=len(rows)),
            phase=rng.random(len(rows)),
            noise=np.clip(rng.normal(0.0, self._fluctuation, size=(181, len(rows))), -0.2, 0.2),
        )
        self._hour = (hour, found)
        return found

    def _position_s(self, at: datetime) -> float:
        """Seconds since the excerpt's first Monday by the wall clock, in [0, four weeks)."""
        wall = at.astimezone(self._zone).replace(tzinfo=None)
        return (wall - EXCERPT_START) % timedelta(seconds=WEEKS_S) / timedelta(seconds=1)

    def _has_two_legs(self, home: Home) -> bool:
        return len(home.legs) == 2 and feeder_voltage_v(self.site, home.feeder) <= TWO_LEG_LIMIT_V

    def _maps(self, places: Sequence[tuple[FeederId, tuple[Phase, ...]]]) -> tuple[Phasors, Phasors]:
        """Currents [place, feeder x phase] in A per W of plug load, and per W of two-leg load, at each place."""
        size = (len(places), len(self.site.feeders) * len(PHASES))
        plug, two_leg = np.zeros(size, dtype=np.complex128), np.zeros(size, dtype=np.complex128)
        lag = np.exp(-1j * acos(self.power_factor)) / self.power_factor
        for row, (feeder, legs) in enumerate(places):
            line_v = feeder_voltage_v(self.site, feeder)
            for leg in legs:
                to_neutral = unit_phasors(self.site, feeder, (leg,)).sum(axis=2).ravel()
                plug[row] += to_neutral * lag / (line_v / sqrt(3)) / len(legs)
            if len(legs) == 2:
                two_leg[row] = unit_phasors(self.site, feeder, legs).sum(axis=2).ravel() * lag / line_v
        return plug, two_leg

    def _currents(self, power_w: Amps) -> Phasors:
        """[instant, home] W to [instant, feeder, phase] A."""
        shape = (len(power_w), len(self.site.feeders), len(PHASES))
        if not self.homes:
            return np.zeros(shape, dtype=np.complex128)
        plug_w = np.where(self._two_leg_home, np.minimum(power_w, PLUG_LOAD_W * self._scale), power_w)
        grouped_w = [
            np.add.reduceat(watts[:, self._order], self._group_starts, axis=1) for watts in (plug_w, power_w - plug_w)
        ]
        # einsum and not @: the threads of BLAS cost more than so small a product, most of all on a busy machine.
        lines = sum(
            np.einsum("tg,gf->tf", watts, part) * unit
            for watts, per_w in zip(grouped_w, (self._per_plug_w, self._per_two_leg_w), strict=True)
            for part, unit in ((per_w.real, 1.0), (per_w.imag, 1j))
        )
        return np.asarray(lines, dtype=np.complex128).reshape(shape)

    def scaled(self, factors: npt.ArrayLike) -> "BuildingLoad":
        """The same load with each home's power times its factor (one for all, or one per home)."""
        factor = np.broadcast_to(np.asarray(factors, dtype=np.float64), len(self.homes))
        homes = [replace(home, scale=home.scale * float(f)) for home, f in zip(self.homes, factor, strict=True)]
        return BuildingLoad(
            self.site,
            homes,
            seed=self._seed,
            power_factor=self.power_factor,
            appliances=self._appliances,
            fluctuation=self._fluctuation,
        )


@dataclass(frozen=True, slots=True)
class _Hour:
    """One hour of all homes: measured mean, power at its two ends, and its appliance; all [home], W."""

    mean_w: Amps
    start_w: Amps
    end_w: Amps
    switched: Amps
    appliance_w: Amps
    duty: Amps
    cycles: npt.NDArray[np.int64]
    phase: Amps
    noise: Amps
