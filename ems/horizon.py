"""The robust plan's problem, made from a snapshot, load samples and habits; and its answer for the present step."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta, tzinfo
from types import MappingProxyType

import numpy as np

from domain.ids import FeederId
from domain.site import Strategy
from domain.snapshot import SiteSnapshot
from ems.asked import admit_in_order
from ems.dro import Models, solve_dro
from ems.habits import Habits
from ems.panel import capacity
from ems.problem import Infeasible, Mask, Outlook, Problem, Vector
from ems.scenarios import BOX, SAMPLE_AVERAGE, Array, DroSettings, HorizonProblem, load_margin_a
from ems.situation import Layout, Situation
from ems.turns import take_turns

LOOKING_AHEAD: Mapping[Strategy, DroSettings] = MappingProxyType(
    {"dro": DroSettings(), "so": SAMPLE_AVERAGE, "ro": BOX}
)
"""The strategies that take an `Outlook`, and how their plans are made."""

_SEED = 20260302
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Ahead:
    """What is expected of the coming hours, the present one first: `load_a` [S, L, T] and `carries` [R, L] as in
    `HorizonProblem`, and how the EVSEs are used.
    """

    load_a: Array
    carries: Array
    habits: Habits


def outlook_of(
    layout: Layout, snapshot: SiteSnapshot, ahead: Ahead, timezone: tzinfo, models: Models | None = None
) -> Outlook | Infeasible:
    """Plan the coming hours by the settings of the site's strategy, which must be one of `LOOKING_AHEAD`."""
    settings = LOOKING_AHEAD[layout.site.strategy]
    found = solve_dro(horizon_problem(layout, snapshot, ahead, timezone, settings), settings, models)
    return found if isinstance(found, Infeasible) else Outlook(found.now_a)


def horizon_problem(
    layout: Layout, snapshot: SiteSnapshot, ahead: Ahead, timezone: tzinfo, settings: DroSettings
) -> HorizonProblem:
    """Steps of an hour. The same arguments give the same problem: availability is drawn from a fixed seed.

    Who may charge now is the scheduler's word, as far as the minima fit beside the load's margin. An EVSE that cannot
    be commanded takes no part and counts at what it may draw, in every step. A car whose need is not known takes what
    earlier stays took beyond what it has had.
    """
    situation = Situation.of(layout, snapshot, snapshot.at)
    samples, steps = ahead.load_a.shape[0], ahead.load_a.shape[2]
    hours = [(snapshot.at + n * _HOUR).astimezone(timezone).hour for n in range(steps)]
    now_a = np.where(situation.asking & ~situation.held, situation.upper_a, 0.0)
    most_a = np.where(situation.held | situation.full, 0.0, situation.upper_a)
    chances = ahead.habits.chances(_there(situation), _leaves_in(situation), hours)
    drawn = np.random.default_rng(_SEED).random((samples, *chances.shape))
    problem = HorizonProblem(
        panel=layout.panel,
        step_h=1.0,
        hours=tuple(hours),
        room_a=_room_a(situation, steps),
        served=np.zeros(len(now_a), dtype=np.bool_),
        low_a=layout.lowest_a,
        high_a=np.column_stack([now_a, *[most_a] * (steps - 1)]),
        energy_ah=_energy_ah(situation, ahead.habits, steps),
        weight=_weight(situation),
        load_a=ahead.load_a,
        carries=ahead.carries,
        available=(drawn < chances).astype(np.float64),
        now_a=situation.hold_capacity_a,
    )
    served = _served(situation, problem, settings, timezone)
    return replace(problem, served=served, low_a=np.where(served, layout.lowest_a, 0.0))


def _served(situation: Situation, problem: HorizonProblem, settings: DroSettings, timezone: tzinfo) -> Mask:
    """Whom the scheduler admits, first come first, while their minima fit beside what the load may need."""
    panel, high_a = problem.panel, problem.high_a[:, 0]
    order = None
    if situation.layout.site.scheduler.kind != "none":
        admission = take_turns(situation, timezone)
        column = {evse: number for number, evse in enumerate(panel.evses)}
        order = tuple(column[evse] for evse in admission.admitted)
        high_a = np.where(np.isin(np.arange(len(high_a)), order), high_a, 0.0)
    room_a = np.minimum(problem.room_a[:, 0] - load_margin_a(problem, settings)[:, 0], situation.hold_capacity_a)
    low_a = situation.layout.lowest_a
    return admit_in_order(Problem(panel, room_a, low_a, high_a, np.ones(len(low_a)), None, order=order))


def _there(situation: Situation) -> Mask:
    sessions = (view.session for view in situation.views)
    return np.array([one is not None and one.ended_at is None for one in sessions], dtype=np.bool_)


def _leaves_in(situation: Situation) -> Vector:
    """Steps until the departure that a driver has told; infinite where none has, or where it has passed."""
    told = [None if view.session is None else view.session.departure_at for view in situation.views]
    steps = [np.inf if at is None or at <= situation.now else (at - situation.now) / _HOUR for at in told]
    return np.array(steps, dtype=np.float64)


def _room_a(situation: Situation, steps: int) -> Array:
    """[R, T]: what a row may carry less what EVSEs beyond command may draw; a temporary limit counts for every hour
    that it touches.
    """
    held_a = situation.panel.load_a(situation.held_a)
    site = situation.layout.site
    found = []
    for step in range(steps):
        begins, ends = situation.now + step * _HOUR, situation.now + (step + 1) * _HOUR
        limits_a: dict[FeederId, float] = dict(situation.limits_a) if step == 0 else {}
        for limit in situation.snapshot.limits:
            if limit.starts_at < ends and (limit.ends_at is None or begins < limit.ends_at) and step:
                limits_a[limit.feeder] = min(limits_a.get(limit.feeder, np.inf), limit.limit_a)
        found.append(capacity(situation.panel, site, {}, limits_a) - held_a)
    return np.column_stack(found)


def _energy_ah(situation: Situation, habits: Habits, steps: int) -> Vector:
    """What each car still takes, or one that is yet to come is expected to take; at most what the steps can give."""
    found = []
    for view in situation.views:
        session = view.session
        if session is None or session.ended_at is not None:
            found.append(habits.more_wh(0.0))
        elif session.full_since is not None:
            found.append(0.0)
        elif session.energy_wanted_wh is not None:
            found.append(max(0.0, session.energy_wanted_wh - session.energy_wh))
        else:
            found.append(habits.more_wh(session.energy_wh))
    most_a = np.array([evse.max_a for evse in situation.layout.evses])
    return np.asarray(np.minimum(np.array(found) / situation.layout.volts, most_a * steps))


def _weight(situation: Situation) -> Vector:
    sessions = [view.session for view in situation.views]
    own = [1.0 if one is None or one.priority is None else one.priority for one in sessions]
    return np.asarray(np.maximum(1.0, situation.layout.alpha * np.array(own)))
