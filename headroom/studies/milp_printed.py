"""The thesis's MILP (seed 004, eq. 4.1) as printed: a current and a binary per EVSE, its structure not used.

Only to see how its time grows; the product's strategy is `ems.milp`, which gives the same total and the fairest split.
"""

import numpy as np
from scipy import optimize, sparse

from ems.problem import Problem
from headroom.studies.report import StudyError


def largest_total_a(problem: Problem) -> float:
    """Max sum c_m y_m subject to A y <= capacity, I_min z <= y <= requested z, z binary: the optimum, A."""
    count = len(problem.upper_a)
    panel = sparse.csr_array(problem.panel.matrix)
    nothing = sparse.csr_array(panel.shape)
    eye = sparse.identity(count, format="csr")
    least, most = sparse.diags(problem.min_a, format="csr"), sparse.diags(problem.upper_a, format="csr")
    rows = sparse.vstack(
        [
            sparse.hstack([panel, nothing]),
            sparse.hstack([-eye, least]),
            sparse.hstack([eye, -most]),
        ],
        format="csr",
    )
    bound = np.concatenate([np.maximum(problem.capacity_a, 0.0), np.zeros(2 * count)])
    found = optimize.milp(
        -np.concatenate([problem.panel.conductors, np.zeros(count)]),
        constraints=optimize.LinearConstraint(rows, ub=bound),
        bounds=optimize.Bounds(0.0, np.concatenate([problem.upper_a, np.ones(count)])),
        integrality=np.concatenate([np.zeros(count), np.ones(count)]),
    )
    if found.x is None:
        raise StudyError(f"milp-building: the MILP as printed has no answer: {found.message}")
    return -float(found.fun)
