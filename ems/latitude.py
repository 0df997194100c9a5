"""How far base loads may move while a decision's limits may stay: what need not be decided again at once."""

import numpy as np

from domain.ids import FeederId
from domain.setpoint import Latitude
from domain.site import Phase
from ems.problem import Vector
from ems.situation import SLACK_A, Situation

_TENTH_A = 0.1


def latitude(situation: Situation, limit_a: Vector, hold_a: Vector) -> Latitude:
    """Of a decision that sends `limit_a` per EVSE, where what is held by limits may load the rows with `hold_a`.

    A row's capacity falls by no more than the base load of its line grows (`ems.panel.capacity`): so with growth up to
    `room_a` these limits still fit. Where no feeder of an EVSE's path is in `wanting`, less base load gives it nothing.
    """
    commanded_a = np.where(situation.held, 0.0, limit_a)
    left_a = hold_a - situation.panel.load_a(commanded_a)
    room_a: dict[FeederId, dict[Phase, float]] = {}
    for row, row_left_a in zip(situation.panel.rows, left_a.tolist(), strict=True):
        if row.phase is not None and row.group is None:
            of_feeder = room_a.setdefault(row.feeder, {})
            of_feeder[row.phase] = min(of_feeder.get(row.phase, np.inf), row_left_a)
    most_a = np.where(situation.full, situation.layout.lowest_a, situation.upper_a)
    wants = (situation.asking | situation.full) & (limit_a < most_a - _TENTH_A + SLACK_A)
    wanting = {feeder.id for column in np.flatnonzero(wants).tolist() for feeder in situation.layout.paths[column]}
    return Latitude(room_a, frozenset(wanting))
