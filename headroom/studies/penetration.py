"""Study `penetration`: how many EVs the case study's building carries at a satisfaction (seed 004, section 6.4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from headroom.figure_style import COLOURS, QUIET, legend, new_figure, tidy
from headroom.studies.drr_cells import LEAST, Setting, shares
from headroom.studies.drr_nights import WORST_CASE_KW, Nights, draw_nights
from headroom.studies.drr_year import NAMES, Policy
from headroom.studies.report import Beside, Claim, Findings, Plot, Sheet, Told, verdict

SEATS = 8
LEVEL_II_KW = 32.0 * 208.0 / 1000.0
TARGETS = (0.90, 0.95, 0.99)
ENOUGH = (LEAST, 0.8)
"""When an EV-day is satisfied: S >= 30 % as in the thesis, and S >= 80 %, which a driver would call enough."""


@dataclass(frozen=True)
class Way:
    """A way to run the building."""

    policy: Policy
    setting: Setting

    @property
    def name(self) -> str:
        """For labels."""
        return NAMES[self.policy] + (" + EMS" if self.setting == "EMS" else "")


WAYS = tuple(Way(p, s) for s in ("no EMS", "EMS") for p in ("regular", "fcfs", "round_robin"))
_BASE, _BEST = WAYS[0], WAYS[-1]
METHOD = (
    "The building, EVs and powers of drr-fairness: 15 kW beside the worst case without EMS, 1.5 to 10 kW per active "
    "EVSE with one, 8 EVSEs active at once. "
    "Every EV has an EVSE and asks every night; their number N grows until the part of satisfied EV-days falls below "
    "the target.",
    "`Ratings added up` is what an electrician may install without any control: 15 kW over 6.66 kW (32 A at 208 V) "
    "is 2 EVSEs, each with its own EV.",
    "`Regular` is no scheduler: 8 fixed spots, shared. Powers with EMS are the thesis's draw and not those of a "
    "panel; for a real panel see `headroom replay`.",
)
DEFINITIONS = (
    "S of an EV-day = energy delivered over energy needed for the day's drive; satisfied at S >= 30 % (the thesis's "
    "threshold) or, stricter, at S >= 80 %.",
    "Carried at a target = the largest N whose satisfied part of all EV-days is at least the target.",
    "Penetration gain = N of d-RR + EMS over N of Regular without EMS, and over N of Regular with the same EMS.",
)


def run(*, seed: int = 0, told: Told, days: int = 180, most: int = 120) -> Findings:
    """The whole study; tests reduce `days` and `most`."""
    year = draw_nights(days, most, seed)
    sizes = sorted({*range(4, most + 1, 4), *range(1, 25)})
    curves: dict[Way, dict[float, dict[int, float]]] = {}
    for place, way in enumerate(WAYS):
        curves[way] = _curve(way, year, sizes, lambda done, at=place: told((at + done) / len(WAYS), way.name))  # type: ignore[misc] # noqa: B023
    carried = {
        (way, enough, target): _carried(way, year, curves[way][enough], enough, target)
        for way in WAYS
        for enough in ENOUGH
        for target in TARGETS
    }
    values = _values(carried)
    rows = [(w.name, round(100 * e), round(100 * t), carried[w, e, t]) for w in WAYS for e in ENOUGH for t in TARGETS]
    points = [
        (way.name, size, *(round(100 * curves[way][enough][size], 2) for enough in ENOUGH))
        for way in WAYS
        for size in sizes
    ]
    return Findings(
        name="penetration",
        title="How many EVs a building carries: none, FCFS, d-RR, and d-RR with an EMS",
        method=METHOD,
        definitions=DEFINITIONS,
        beside=_besides(values),
        claims=_claims(values),
        sheets=(
            Sheet("carried", "EVs carried", ("way", "S_at_least_percent", "EV_days_percent", "EVs"), rows, True),
            Sheet("curves", "Satisfied EV-days over N", ("way", "EVs", "S30_percent", "S80_percent"), points),
        ),
        plots=(
            Plot(
                "penetration",
                "Satisfied EV-days over the number of EVs; circles: carried at 90 %",
                _figure(curves, carried),
            ),
        ),
        values={**values, "days": days},
        seed=seed,
    )


def _satisfied(way: Way, year: Nights, size: int) -> Mapping[float, float]:
    share = shares(way.policy, way.setting, SEATS, year.first(size))
    return {enough: float((share >= enough - 1e-9).mean()) for enough in ENOUGH}


def _curve(
    way: Way, year: Nights, sizes: Sequence[int], told: Callable[[float], None]
) -> dict[float, dict[int, float]]:
    found: dict[float, dict[int, float]] = {enough: {} for enough in ENOUGH}
    for place, size in enumerate(sizes):
        for enough, part in _satisfied(way, year, size).items():
            found[enough][size] = part
        told((place + 1) / len(sizes))
    return found


def _carried(way: Way, year: Nights, curve: dict[int, float], enough: float, target: float) -> int:
    """The largest N at or above the target, looked for between the points of the curve."""
    good = 0
    for size, part in sorted(curve.items()):
        if part < target:
            while good + 1 < size and _satisfied(way, year, good + 1)[enough] >= target:
                good += 1
            return good
        good = size
    return good


def _values(carried: Mapping[tuple[Way, float, float], int]) -> dict[str, object]:
    gains = {}
    for enough in ENOUGH:
        for target in TARGETS:
            best = carried[_BEST, enough, target]
            gains[f"S{enough:.0%} {target:.0%}"] = {
                "over Regular": _ratio(best, carried[_BASE, enough, target]),
                "over Regular + EMS": _ratio(best, carried[WAYS[3], enough, target]),
                "over ratings added up": round(best / _nameplate(), 2),
            }
    return {
        "carried": {f"{w.name} S{e:.0%} {t:.0%}": n for (w, e, t), n in carried.items()},
        "gains": gains,
        "ratings_added_up": _nameplate(),
    }


def _ratio(count: int, base: int) -> float | None:
    """None where the base carries nobody at that target."""
    return round(count / base, 2) if base else None


def _nameplate() -> int:
    return int(WORST_CASE_KW // LEVEL_II_KW)


def _besides(values: dict[str, object]) -> tuple[Beside, ...]:
    gains, carried = values["gains"], values["carried"]
    assert isinstance(gains, dict)
    assert isinstance(carried, dict)
    gain, strict = gains["S30% 90%"], gains["S80% 90%"]
    fcfs = carried["FCFS S30% 90%"] / max(1, carried["Regular S30% 90%"])
    return (
        Beside(
            "d-RR + EMS over Regular without EMS, at 90 % of EV-days",
            "sec. 6.4",
            "up to 4",
            _pair(gain["over Regular"], strict["over Regular"]),
            "The thesis names no base and no satisfaction for its factor; ours depends on both, so several are given.",
        ),
        Beside(
            "d-RR + EMS over Regular with the same EMS, at 90 % of EV-days",
            "sec. 6.4",
            "up to 4",
            _pair(gain["over Regular + EMS"], strict["over Regular + EMS"]),
            "This is what the rotation alone brings; most of the gain is the EMS's.",
        ),
        Beside(
            "FCFS over Regular, no EMS, at 90 % of EV-days",
            "sec. 3.2",
            "up to 2",
            f"{fcfs:.1f}",
            "Without EMS energy is what lacks, and a queue does not make any: FCFS gains only the hours from 01:00 "
            "to 06:00.",
        ),
    )


def _pair(loose: float | None, strict: float | None) -> str:
    words = ["no base" if factor is None else f"{factor:.1f}" for factor in (loose, strict)]
    return f"{words[0]} (S >= 30 %), {words[1]} (S >= 80 %)"


def _claims(values: dict[str, object]) -> tuple[Claim, ...]:
    gains, carried = values["gains"], values["carried"]
    assert isinstance(gains, dict)
    assert isinstance(carried, dict)
    factors = [gain["over Regular"] for gain in gains.values() if gain["over Regular"] is not None]
    alone = [gain["over Regular + EMS"] for gain in gains.values() if gain["over Regular + EMS"] is not None]
    none_at = len(gains) - len(factors)
    keys = list(gains)
    order = all(
        carried[f"Regular {key}"] <= carried[f"FCFS {key}"] <= carried[f"d-RR {key}"] <= carried[f"d-RR + EMS {key}"]
        for key in keys
    )
    return (
        Claim(
            "d-RR with the EMS increases penetration up to fourfold",
            verdict(max(factors) >= 4.0, max(factors) >= 2.0),
            f"{min(factors):.1f} to {max(factors):.1f} times Regular without EMS ({none_at} of six targets are "
            f"beyond Regular altogether); {min(alone):.1f} to {max(alone):.1f} times "
            f"Regular with the same EMS; {min(g['over ratings added up'] for g in gains.values()):.0f} to "
            f"{max(g['over ratings added up'] for g in gains.values()):.0f} times the 2 EVSEs of added-up ratings",
        ),
        Claim(
            "none <= FCFS <= d-RR <= d-RR + EMS at every target",
            verdict(order),
            "; ".join(
                f"{key}: {carried[f'Regular {key}']} / {carried[f'FCFS {key}']} / {carried[f'd-RR {key}']} / "
                f"{carried[f'd-RR + EMS {key}']}"
                for key in keys
            ),
        ),
    )


def _figure(
    curves: Mapping[Way, dict[float, dict[int, float]]], carried: Mapping[tuple[Way, float, float], int]
) -> Figure:
    figure = new_figure(11.0, 4.4)
    axes = figure.subplots(1, len(ENOUGH), sharey=True)
    colours = (COLOURS[4], COLOURS[1], COLOURS[0])
    for axis, enough in zip(axes, ENOUGH, strict=True):
        for place, way in enumerate(WAYS):
            curve = curves[way][enough]
            style = "-" if way.setting == "EMS" else "--"
            sizes = sorted(curve)
            heights = [100.0 * curve[size] for size in sizes]
            axis.plot(sizes, heights, style, color=colours[place % 3], linewidth=1.6, label=way.name)
            axis.plot(carried[way, enough, 0.90], 90.0, "o", color=colours[place % 3], markersize=6)
        axis.axhline(90.0, color=QUIET, linestyle=":", linewidth=1.0)
        tidy(axis, f"satisfied: S >= {enough:.0%}", "EVs that share 8 active EVSEs", "")
        axis.set_ylim(0.0, 103.0)
        axis.set_xlim(left=0.0, right=float(np.ceil(max(curves[_BEST][enough]) / 10) * 10))
    axes[0].set_ylabel("satisfied EV-days, %", fontsize=9)
    legend(axes[1], loc="upper right")
    return figure
