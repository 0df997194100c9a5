"""A snapshot as the vectors that a decision works on: one entry per EVSE of the panel, one per row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from domain.ids import EvseId, FeederId
from domain.site import PHASES, Evse, Feeder, Phase, PhaseAmps, Site
from domain.snapshot import EvseView, FeederView, LoadSource, SiteSnapshot
from ems.asked import Bounds
from ems.capacity_gain import volt_amperes
from ems.guard import lowest_a
from ems.ledger import counted_a, holding_a
from ems.panel import capacity
from ems.problem import Mask, Panel, Vector
from ems.water_filling import fill

SLACK_A = 1e-6

FEW_WRITES = 96
"""Profile writes a day, one in a quarter of an hour, up to which a charger gets a fixed share instead of turns."""

_KNOWN = (LoadSource.MEASURED, LoadSource.DEDICATED)


@dataclass(frozen=True)
class Layout:
    """What a site's topology alone settles: computed once."""

    site: Site
    panel: Panel
    evses: tuple[Evse, ...]
    paths: tuple[tuple[Feeder, ...], ...]
    lowest_a: Vector
    alpha: Vector
    fixed_a: Vector
    """The share of the panel that an EVSE would have if all had one beside the design load; whole amperes."""

    @classmethod
    def of(cls, site: Site, panel: Panel) -> "Layout":
        """The layout of a site whose panel is compiled."""
        evses = tuple(site.evse(evse) for evse in panel.evses)
        return cls(
            site=site,
            panel=panel,
            evses=evses,
            paths=tuple(tuple(site.path(evse.feeder)) for evse in evses),
            lowest_a=np.array([lowest_a(evse) for evse in evses]),
            alpha=np.array([evse.priority for evse in evses]),
            fixed_a=_fixed_a(site, panel, evses),
        )

    @cached_property
    def volts(self) -> Vector:
        """W per A of set-point, nominal."""
        return np.array([volt_amperes(self.site, evse) for evse in self.evses])


@dataclass(frozen=True)
class Situation:
    """Everything at one instant, per EVSE in the order of the panel.

    `in_force_a`: newest limit. `counted_a`, `holding_a`: the ledger's two words. `held`: it cannot be commanded now, or
    what it was told last counts as not made; it counts at `held_a` and takes no part.
    """

    layout: Layout
    snapshot: SiteSnapshot
    now: datetime
    views: tuple[EvseView, ...]
    in_force_a: Vector
    counted_a: Vector
    holding_a: Vector
    held: Mask

    @classmethod
    def of(cls, layout: Layout, snapshot: SiteSnapshot, now: datetime) -> "Situation":
        """Look at a snapshot."""
        views = tuple(snapshot.evses[evse.id] for evse in layout.evses)
        pairs = tuple(zip(views, layout.evses, strict=True))
        in_force = np.array([view.ledger.limit_a for view in views])
        counted = np.array([counted_a(view.ledger, evse, now) for view, evse in pairs])
        holding = np.array([holding_a(view.ledger, evse, now) for view, evse in pairs])
        deaf = np.array([not v.linked or not v.ledger.trusted or v.ledger.refused for v in views], dtype=np.bool_)
        return cls(layout, snapshot, now, views, in_force, counted, holding, deaf | (holding > in_force + SLACK_A))

    @property
    def panel(self) -> Panel:
        """The compiled rows."""
        return self.layout.panel

    @cached_property
    def held_a(self) -> Vector:
        """What the held ones may draw; 0 for the others."""
        return np.where(self.held, self.counted_a, 0.0)

    @cached_property
    def charging(self) -> Mask:
        """A session whose car takes what it is offered."""
        return np.array([v.session is not None and v.session.wants_current for v in self.views], dtype=np.bool_)

    @cached_property
    def full(self) -> Mask:
        """A session whose car refuses current."""
        ended = [v.session is None or v.session.ended_at is not None for v in self.views]
        return np.array([not e for e in ended], dtype=np.bool_) & ~self.charging

    @cached_property
    def surge_a(self) -> Vector:
        """What an EVSE that is at 0 A may draw at first when it is given current: 0 but for those that surge."""
        surges = [
            evse.max_a if view.quirks.after_zero == "full_current" and view.ledger.limit_a < low - SLACK_A else 0.0
            for view, evse, low in zip(self.views, self.layout.evses, self.layout.lowest_a.tolist(), strict=True)
        ]
        return np.array(surges)

    @cached_property
    def least_a(self) -> Vector:
        """What must be free for an EVSE to be on: its minimum; where it surges from 0 A, all that it may draw then."""
        return np.maximum(self.layout.lowest_a, self.surge_a)

    @cached_property
    def upper_a(self) -> Vector:
        """requested_m = min(I_max, the CSMS's limit, what the car takes and at least the minimum)."""
        upper = [
            min(
                evse.max_a,
                np.inf if view.csms_limit_a is None else max(0.0, view.csms_limit_a),
                np.inf if view.probe_limit_a is None else max(lowest_a(evse), view.probe_limit_a),
                np.inf if view.seen_max_a is None else max(lowest_a(evse), view.seen_max_a),
            )
            for view, evse in zip(self.views, self.layout.evses, strict=True)
        ]
        return np.array(upper)

    @cached_property
    def worn(self) -> Mask:
        """Those that ask, can be commanded, and may be sent so few profiles a day that they cannot take turns."""
        budgets = [view.quirks.write_budget_per_day for view in self.views]
        few = np.array([budget is not None and budget <= FEW_WRITES for budget in budgets], dtype=np.bool_)
        return np.asarray(few & self.asking & ~self.held)

    @cached_property
    def asking(self) -> Mask:
        """Cars that want current and may have at least their minimum."""
        return np.asarray(self.charging & (self.upper_a >= self.layout.lowest_a - SLACK_A))

    @cached_property
    def limits_a(self) -> Mapping[FeederId, float]:
        """What each feeder may carry per phase: usable, or a temporary limit that is lower.

        A limit counts before its start already, by as much as the slowest EVSE takes to follow.
        """
        lead = timedelta(seconds=max((evse.response_s for evse in self.layout.evses), default=0.0))
        found = {feeder.id: feeder.usable_a for feeder in self.layout.site.feeders}
        for limit in self.snapshot.limits:
            if limit.starts_at - lead <= self.now and (limit.ends_at is None or self.now < limit.ends_at):
                found[limit.feeder] = min(found[limit.feeder], limit.limit_a)
        return found

    @cached_property
    def hold_base_a(self) -> Mapping[FeederId, PhaseAmps]:
        """Non-EV load by which limits are held or lowered: likely, or the forecast where it is well above that."""
        band_a = self.layout.site.control.dead_band_a
        return {name: held_by_a(view, band_a) for name, view in self.snapshot.feeders.items()}

    @cached_property
    def rise_base_a(self) -> Mapping[FeederId, PhaseAmps]:
        """Non-EV load by which limits may rise: the highest, or the forecast where it is higher."""
        return {name: _larger(view, view.base_high_a, 0.0) for name, view in self.snapshot.feeders.items()}

    @cached_property
    def hold_capacity_a(self) -> Vector:
        """Per row: what the EVSEs that can be commanded may draw together."""
        room = capacity(self.panel, self.layout.site, self.hold_base_a, self.limits_a)
        return room - self.panel.load_a(self.held_a)

    @cached_property
    def rise_room_a(self) -> Vector:
        """Per row: what all EVSEs may draw together after something has risen."""
        return capacity(self.panel, self.layout.site, self.rise_base_a, self.limits_a)

    @cached_property
    def rise_capacity_a(self) -> Vector:
        """Per row, as `hold_capacity_a`, with the base load by which limits may rise."""
        return np.minimum(self.rise_room_a - self.panel.load_a(self.held_a), self.hold_capacity_a)

    @cached_property
    def fresh(self) -> Mask:
        """The load of every feeder on its path is known: without that nothing may rise."""
        known = {name: view.source in _KNOWN for name, view in self.snapshot.feeders.items()}
        return np.array([all(known[f.id] for f in path) for path in self.layout.paths], dtype=np.bool_)

    @cached_property
    def overloaded(self) -> Sequence[tuple[FeederId, Phase, float, float] | None]:
        """Per EVSE the first line it loads whose base load alone is above the limit: with load and limit, A."""
        over = {
            (name, phase): (name, phase, base_a, limit_a)
            for name, limit_a in self.limits_a.items()
            for phase, base_a in self.hold_base_a[name].items()
            if base_a > limit_a + SLACK_A
        }
        found: list[tuple[FeederId, Phase, float, float] | None] = [None] * len(self.layout.paths)
        if not over:
            return found
        loaded = [set[tuple[FeederId, Phase | None]]() for _ in found]
        for row, coefficients in zip(self.panel.rows, self.panel.matrix, strict=True):
            if (row.feeder, row.phase) in over:
                for column in np.flatnonzero(coefficients > SLACK_A).tolist():
                    loaded[column].add((row.feeder, row.phase))
        for column, path in enumerate(self.layout.paths):
            lines = ((f.id, phase) for f in path for phase in PHASES)
            found[column] = next((over[line] for line in lines if line in loaded[column]), None)
        return found

    def of_evse(self, values: Vector) -> dict[EvseId, float]:
        """A vector by EVSE id."""
        return dict(zip(self.panel.evses, values.tolist(), strict=True))


def _fixed_a(site: Site, panel: Panel, evses: tuple[Evse, ...]) -> Vector:
    most_a = np.array([evse.max_a for evse in evses], dtype=np.float64)
    design = {feeder.id: feeder.base_load_max_a for feeder in site.feeders if feeder.base_load_max_a is not None}
    room_a = np.maximum(capacity(panel, site, design), 0.0)
    share_a = fill(panel.entries, room_a, Bounds(np.zeros(len(evses)), most_a, most_a)).current_a
    least_a = np.array([lowest_a(evse) for evse in evses])
    return np.asarray(np.minimum(np.maximum(np.floor(share_a + SLACK_A), least_a), most_a))


def held_by_a(view: FeederView, band_a: float) -> PhaseAmps:
    """The non-EV load of a feeder that limits are held or lowered by: see `Situation.hold_base_a`."""
    return _larger(view, view.base_likely_a, band_a)


def _larger(view: FeederView, load_a: PhaseAmps, band_a: float) -> PhaseAmps:
    found = dict(load_a)
    for phase, forecast_a in view.forecast_a.items():
        if forecast_a > found.get(phase, 0.0) + band_a:
            found[phase] = forecast_a
    return found
