"""First in, first served on cohorts (000 sec. 2.8): whoever is there charges at once, class by class."""

import numpy as np

from ems.planning.cohort import CohortDay, CohortPlan, dissatisfaction, follow, remain
from ems.planning.horizon import Vector


def first_served_cohort(day: CohortDay, waiting_price: float = 1.3, *, beta: Vector | None = None) -> CohortPlan:
    """Charge as many as the site's limit and the model's dynamics allow, at once, the emptiest class first.

    Within a class cars charge in order of arrival, which the classes do not show: a class served in part keeps its
    later ones waiting. Each slot charges at most x_i of class i and never more than its next state can miss, so the
    answer is a feasible point of `plan_cohort`: the comparison is between two schedules of one model. Deterministic.
    """
    weights = dissatisfaction(day.classes) if beta is None else beta
    slots, stay = day.price_per_kwh.shape[0], remain(day.classes)
    present, charged = day.start.copy(), np.zeros((slots, day.classes + 1))
    for t in range(slots):
        cars, moved_in = float(day.capacity_kw[t]) / day.power_kw, 0.0
        for i in range(day.classes, 0, -1):
            to_spare = stay[i] * present[i] + day.arrivals[t, i] + moved_in
            moved_in = charged[t, i] = min(present[i], to_spare, cars)
            cars -= moved_in
        present = stay * present + day.arrivals[t] - charged[t]
        present[:-1] += charged[t, 1:]
    return follow(day, charged, waiting_price * weights, weights, np.zeros(slots))
