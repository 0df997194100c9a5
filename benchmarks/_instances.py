"""Random allocation problems on a three-level tree: what the benchmark of decisions and the tests of strategies ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from domain.ids import ChargerId, EvseId, FeederId, SiteId
from domain.ledger import LedgerEntry
from domain.session import EvseState, Session
from domain.site import PHASES, Charger, CsmsSettings, Electrical, Evse, Feeder, PhaseAmps, Site
from domain.snapshot import EvseView, FeederView, LoadSource, SiteSnapshot
from ems.panel import capacity
from ems.problem import Panel, Problem, Vector

_PAIRS = ((PHASES[0], PHASES[1]), (PHASES[1], PHASES[2]), (PHASES[2], PHASES[0]))


def three_level_site(evses: int, model: Literal["arithmetic", "phasor"]) -> Site:
    """A main panel, sub-panels and branch panels of about nine two-phase EVSEs each; ratings tight enough to share."""
    branches = max(2, round(evses / 9))
    panels = max(2, round(branches**0.5))
    per_branch = evses / branches
    feeders = [Feeder(FeederId("main"), rating_a=evses * 19.0)]
    for panel in range(panels):
        rating_a = branches / panels * per_branch * 20.0
        feeders.append(Feeder(FeederId(f"p{panel}"), rating_a, parent=FeederId("main")))
    for branch in range(branches):
        parent = FeederId(f"p{branch % panels}")
        feeders.append(Feeder(FeederId(f"p{branch % panels}-{branch}"), per_branch * 22.0, parent=parent))
    below = feeders[1 + panels :]
    chargers = tuple(_charger(number, below[number % branches].id) for number in range(evses))
    return Site(
        id=SiteId(f"tree-{evses}"),
        timezone="UTC",
        csms=CsmsSettings("ws://127.0.0.1:9100/ocpp"),
        feeders=tuple(feeders),
        chargers=chargers,
        electrical=Electrical(model=model),
    )


def _charger(number: int, feeder: FeederId) -> Charger:
    identity = ChargerId(f"CP{number:03d}")
    phases = _PAIRS[(number // 3 + number) % 3]
    return Charger(identity, (Evse(EvseId(f"E{number:03d}"), identity, 1, feeder, phases, max_a=40.0),))


@dataclass(frozen=True)
class Asks:
    """What random drivers and homes ask of a site: A per EVSE in site order (0: nobody there), A per feeder, phase."""

    upper_a: Vector
    alpha: Vector
    base_a: Mapping[FeederId, PhaseAmps]


def random_asks(site: Site, generator: np.random.Generator, base_frac: float = 0.45) -> Asks:
    """Base load of 0 to `base_frac` of what each feeder may carry; seven EVSEs of eight ask, for 12 to 40 A."""
    base_a = {f.id: {phase: f.usable_a * generator.uniform(0.0, base_frac) for phase in PHASES} for f in site.feeders}
    count = len(site.evses)
    upper_a = np.where(generator.random(count) < 7 / 8, generator.uniform(12.0, 40.0, count).round(1), 0.0)
    return Asks(upper_a, np.where(generator.random(count) < 0.2, 1.5, 1.0), base_a)


def random_problem(
    site: Site, panel: Panel, generator: np.random.Generator, free: bool = False, base_frac: float = 0.45
) -> Problem:
    """`random_asks` as a problem. Who is on is drawn so that the minima fit: EVSEs in random order while they do."""
    asks = random_asks(site, generator, base_frac)
    capacity_a = capacity(panel, site, asks.base_a)
    count = len(panel.evses)
    min_a = np.full(count, 6.0)
    on = np.zeros(count, dtype=np.bool_)
    left_a = capacity_a.copy()
    for column in generator.permutation(count).tolist():
        load_a = panel.matrix[:, column] * min_a[column]
        if asks.upper_a[column] > 0.0 and bool((load_a <= left_a).all()):
            on[column] = True
            left_a -= load_a
    return Problem(panel, capacity_a, min_a, asks.upper_a, asks.alpha, None if free else on)


def snapshot_of(site: Site, asks: Asks, at: datetime) -> SiteSnapshot:
    """The same asks as the live system sees them: cars at 6 A that could have more, meters fresh, all settled."""
    evses = {}
    for column, evse in enumerate(site.evses):
        upper_a = float(asks.upper_a[column])
        car = upper_a > 0.0
        session = Session(evse.id, f"T{column}", at, priority=float(asks.alpha[column])) if car else None
        limit_a = 6.0 if car else 0.0
        entry = LedgerEntry(limit_a, limit_a, sent_at=at, acknowledged_at=at, settled_at=at)
        state = EvseState.CHARGING if car else EvseState.AVAILABLE
        evses[evse.id] = EvseView(evse.id, state, True, session, entry, seen_max_a=upper_a if car else None)
    feeders = {
        feeder.id: FeederView(feeder.id, base, base, base, source=LoadSource.MEASURED, reading_at=at)
        for feeder in site.feeders
        for base in [asks.base_a[feeder.id]]
    }
    return SiteSnapshot(site, at, evses, feeders)
