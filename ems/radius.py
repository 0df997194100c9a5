"""How far reality may lie from the samples: the radius of the Wasserstein ball, fixed or from the newest errors.

In units of scaled uncertainty: load in its own standard deviations, availability as 0 or 1 (ems.md section 3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

_HOURS = 24
_WINDOW_H = 1
_SMALLEST_SIGMA_A = 1e-3


@dataclass(frozen=True, slots=True)
class FixedRadius:
    """One rho for all hours, as in the thesis."""

    rho: float = 0.1

    def at(self, hour: int) -> float:  # noqa: ARG002 - the same for every hour
        """The radius of a step that begins in that hour of the day."""
        return self.rho


@dataclass(frozen=True, slots=True)
class HourlyRadius:
    """One rho per hour of the day, 0 to 23."""

    rho: tuple[float, ...]

    def at(self, hour: int) -> float:
        """The radius of a step that begins in that hour of the day."""
        return self.rho[hour % _HOURS]


def adaptive_radius(
    newest: npt.NDArray[np.float64],
    older: npt.NDArray[np.float64],
    hours: Sequence[int],
    older_hours: Sequence[int],
    *,
    risk: Literal["cvar", "expectation"] = "cvar",
    level: float = 0.05,
    least: float = 0.1,
    most: float = 1.0,
) -> HourlyRadius:
    """Recalibrated on the newest errors: the rho at which the older ones would have been a bound for them.

    The worst case over the ball adds rho / sqrt(level) (cvar) or rho (expectation) standard deviations to what the
    samples say of a load. So per hour of day, with errors of that hour and its two neighbours pooled over all sources,
    rho is what the newest errors' CVaR (mean) exceeds the older ones' by, over that factor; within [`least`, `most`].
    The thesis fixes rho once after training (its stated weakness).

    Args:
        newest: [errors, sources] actual - forecast in A of the last days, each with its hour of day in `hours`.
        older: the same of the history that the samples are made of, in `older_hours`; it gives the unit as well.
        hours: hour of day per row of `newest`.
        older_hours: hour of day per row of `older`.
        risk: as in the constraints.
        level: as in the constraints.
        least: floor, and the radius of hours without errors. N samples of a truth are about 1 / sqrt(N) from it however
            well the newest errors agree, so some hundred samples give 0.1.
        most: ceiling.
    """
    factor = 1.0 / math.sqrt(level) if risk == "cvar" else 1.0
    radii = []
    for hour in range(_HOURS):
        new, old = newest[_near(hours, hour)], older[_near(older_hours, hour)]
        if not new.size or not old.size:
            radii.append(least)
            continue
        unit = np.maximum(old.std(axis=0), _SMALLEST_SIGMA_A)
        beyond = _measure(new / unit, risk, level) - _measure(old / unit, risk, level)
        radii.append(float(np.clip(beyond / factor, least, most)))
    return HourlyRadius(tuple(radii))


def _near(hours: Sequence[int], hour: int) -> npt.NDArray[np.bool_]:
    apart = np.abs(np.asarray(hours) - hour) % _HOURS
    return np.asarray(np.minimum(apart, _HOURS - apart) <= _WINDOW_H)


def _measure(errors: npt.NDArray[np.float64], risk: str, level: float) -> float:
    flat = np.sort(errors.reshape(-1))[::-1]
    if risk == "expectation":
        return float(flat.mean())
    part = np.clip(level * flat.size - np.arange(flat.size), 0.0, 1.0)
    return float(part @ flat) / float(part.sum())
