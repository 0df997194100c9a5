"""Reductions first (ems.md 6.2): which increases may be sent now, beside what everyone may still be drawing."""

import numpy as np

from ems.problem import Mask, Panel, Vector
from ems.situation import SLACK_A, Situation


def raise_what_fits(situation: Situation, wished_a: Vector, may_rise: Mask, first: list[int]) -> Vector:
    """Limits for now: every fall of `wished_a` at once; of every rise as much as fits until the falls have settled.

    Every EVSE counts at the larger of the ledger's `counted_a` and its new limit, beside the highest base load; on a
    row where even that is too much nothing rises, be it within what already counts. Those that start get their minimum
    first, in the order `first`; then all rise by the same share of what they still wish, those on a full row stopping
    there.

    Args:
        situation: the instant.
        wished_a: per EVSE the wish; in force or lower means no rise.
        may_rise: whose limit may rise now at all.
        first: columns of EVSEs, those to start first.

    Returns:
        Limits, A: `wished_a` where it falls, else between what is in force and the wish, 0 or at least the minimum.
    """
    panel, in_force, low = situation.panel, situation.in_force_a, situation.layout.lowest_a
    rising = (wished_a > in_force + SLACK_A) & may_rise
    limit = np.where(wished_a > in_force + SLACK_A, in_force, wished_a)
    count = np.maximum(situation.counted_a, limit)
    slack = situation.rise_room_a - panel.load_a(count)
    rising &= ~panel.loading(slack < -SLACK_A)
    for column in (c for c in first if rising[c] and in_force[c] < low[c] - SLACK_A):
        needs_a = situation.least_a[column]
        rows, per_a = panel.column_a(column)
        more_a = max(0.0, needs_a - count[column])
        if more_a <= 0.0 or (per_a * more_a <= slack[rows] + SLACK_A).all():
            limit[column] = low[column]
            count[column] = max(count[column], needs_a)
            slack[rows] -= per_a * more_a
        else:
            rising[column] = False
    return _fill(panel, wished_a, limit, count, slack, rising)


def _fill(panel: Panel, wished_a: Vector, limit: Vector, count: Vector, slack: Vector, rising: Mask) -> Vector:
    """Raise all of `rising` towards their wish together; what is below `count` costs nothing."""
    limit = np.where(rising, np.maximum(limit, np.minimum(wished_a, count)), limit)
    left = np.where(rising, wished_a - limit, 0.0)
    while (left > SLACK_A).any():
        load = panel.load_a(left)
        full = (load > SLACK_A) & (slack <= SLACK_A)
        left = np.where(panel.loading(full), 0.0, left)
        load = panel.load_a(left)
        rows = load > SLACK_A
        share = float(min(1.0, (slack[rows] / load[rows]).min(initial=1.0)))
        limit = limit + share * left
        slack = slack - share * load
        left = left * (1.0 - share)
        if share <= 0.0:
            break
    return limit
