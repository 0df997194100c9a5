"""The game of ems.md section 4 as one quadratic program in CVXPY: its readable definition and the tests' oracle."""

import warnings

import cvxpy as cp
import numpy as np

from ems.asked import Asked
from ems.problem import Panel, Vector
from ems.stackelberg import Terms

_TOLERANCES = (1e-12, 1e-10, 1e-8)


def central_optimum(panel: Panel, given: Asked, terms: Terms) -> Vector:
    """The currents that maximise the sum of all followers' utilities, A; in shares of what is requested.

    Solved as exactly as Clarabel can; ValueError where it cannot at all.
    """
    share = cp.Variable(len(given.low_a))
    gain = terms.weight * terms.requested_a
    value = terms.beta * gain @ share - cp.sum(cp.multiply(gain / 2.0, cp.square(share)))
    largest_a = max(float(terms.requested_a.max()), 1.0)
    rows = (panel.matrix * terms.requested_a / largest_a) @ share <= given.room_a / largest_a
    bounds = [share >= given.low_a / terms.requested_a, share <= given.high_a / terms.requested_a]
    model = cp.Problem(cp.Maximize(value), [rows, *bounds])
    for tolerance in _TOLERANCES:
        with warnings.catch_warnings():
            # Asked for more digits than it may reach, Clarabel says so and answers with those it has.
            warnings.simplefilter("ignore", UserWarning)
            try:
                model.solve(solver=cp.CLARABEL, tol_gap_abs=tolerance, tol_gap_rel=tolerance, tol_feas=tolerance)
            except cp.error.SolverError:
                continue
        return np.asarray(share.value * terms.requested_a)
    raise ValueError("Clarabel finds no optimum of the central problem")
