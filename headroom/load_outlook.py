"""The forecast as the distributionally robust plan takes it: samples of the non-EV load, and the rows that carry it."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from domain.ids import FeederId
from domain.site import Phase, Site
from ems.problem import Panel
from ems.scenarios import Array
from ems.wiring import through_magnitudes
from forecasting.live import LiveForecast


@dataclass(frozen=True)
class LoadOutlook:
    """`load_a` [S, L, T] and `carries` [R, L] of `ems.scenarios.HorizonProblem`, steps of an hour, the present first.

    The samples are the bounds' own forecasts and errors: the plan's sigma and the live quantile have one source.
    `sources` name L: metered feeders whose load has been observed. `complete`: whether all of them have; else there is
    nothing to plan on.
    """

    sources: tuple[tuple[FeederId, Phase], ...]
    load_a: Array
    carries: Array
    complete: bool


def load_outlook(
    site: Site, panel: Panel, forecast: LiveForecast, now: datetime, hours: int = 24, count: int = 100
) -> LoadOutlook:
    """The coming `hours` as `count` scenarios, for the rows of `panel`."""
    found = forecast.scenarios(now, hours, count)
    place = {source: number for number, source in enumerate(found.sources)}
    carries = np.zeros((len(panel.rows), len(found.sources)))
    carried = {feeder.id: _carried(site, feeder.id) for feeder in site.feeders}
    for row, one in enumerate(panel.rows):
        if one.phase is None:
            continue
        for source, factor in carried[one.feeder].get(one.phase, {}).items():
            if source in place:
                carries[row, place[source]] = factor
    metered = {(feeder.id, phase) for feeder in site.feeders if feeder.meter is not None for phase in feeder.phases}
    return LoadOutlook(found.sources, found.load_a, carries, metered <= set(found.sources))


def _carried(site: Site, feeder_id: FeederId) -> dict[Phase, dict[tuple[FeederId, Phase], float]]:
    """Per phase of a feeder: its own meter's load, else what the metered feeders below carry, A per A (magnitudes)."""
    feeder = site.feeder(feeder_id)
    if feeder.meter is not None:
        return {phase: {(feeder_id, phase): 1.0} for phase in feeder.phases}
    total: dict[Phase, dict[tuple[FeederId, Phase], float]] = {phase: {} for phase in feeder.phases}
    for child in site.children(feeder_id):
        for below, sources in _carried(site, child.id).items():
            for phase, factor in through_magnitudes(child, {below: 1.0}).items():
                for source, inner in sources.items():
                    known = total.setdefault(phase, {})
                    known[source] = known.get(source, 0.0) + factor * inner
    return total
