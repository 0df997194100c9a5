"""From a snapshot to set-points with reasons: turns, allocation, reductions first, guard (architecture.md, step 5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from domain.ids import DecisionId, EvseId
from domain.rotation import RotationState
from domain.setpoint import Decision, Rung
from domain.site import Site
from domain.snapshot import SiteSnapshot
from ems.alarms import alarms
from ems.guard import Facts, guard
from ems.ladder import Answer, Ladder, build_ladder, climb_down
from ems.latitude import latitude
from ems.ledger import UNACKNOWLEDGED_S, not_made_at, settles_at
from ems.panel import compile_panel
from ems.problem import Mask, Outlook, Problem, Vector
from ems.raising import raise_what_fits
from ems.reasons import Outcome, rise_interval_s
from ems.shares import paces
from ems.situation import SLACK_A, Layout, Situation
from ems.tenths import in_tenths
from ems.turns import take_turns
from ems.wiring import Wiring, compile_wiring
from scheduler.contender import Admission

_TENTH_A = 0.1


@dataclass(frozen=True)
class Plan:
    """What a site's topology and settings alone settle: compiled when they change."""

    site: Site
    layout: Layout
    wiring: Wiring
    ladder: Ladder
    timezone: ZoneInfo


def compile_plan(site: Site) -> Plan:
    """Compile a site: panel rows, the guard's lines, strategies."""
    return Plan(
        site=site,
        layout=Layout.of(site, compile_panel(site).compiled()),
        wiring=compile_wiring(site).compiled(),
        ladder=build_ladder(site),
        timezone=ZoneInfo(site.timezone),
    )


def decide(
    snapshot: SiteSnapshot,
    plan: Plan,
    now: datetime,
    *,
    trigger: str,
    decision_id: DecisionId,
    from_rung: Rung = Rung.STRATEGY,
    from_rung_why: str = "",
    outlook: Outlook | None = None,
) -> Decision:
    """Decide on every EVSE of the site. Pure: the same snapshot and instant give the same decision.

    Guarantees: every limit is 0 or at least the EVSE's minimum (but for an EVSE without a link, whose limit is only
    repeated). With limits obeyed no phase of any feeder is above what it may carry beside the likely base load, EVSEs
    beyond command at what they may draw, unless those and the base load alone are above it. No limit rises unless the
    same holds with every EVSE at what it may still be drawing and the highest base load, and all meters on the path
    are fresh. A fall is never delayed. A snapshot in which all of a decision's limits are in force and settled gives
    the same limits again.

    Args:
        snapshot: the site at `now`.
        plan: `compile_plan` of the same site.
        now: aware instant.
        trigger: why this is decided, for the record.
        decision_id: its name.
        from_rung: where on the ladder to begin: lower when the solver has just failed.
        from_rung_why: why it does not begin at the top.
        outlook: what the newest plan over the coming hours says of now, for the strategies that look ahead.
    """
    situation = Situation.of(plan.layout, snapshot, now)
    admission, trouble = _admit(situation, plan)
    if trouble:
        from_rung, from_rung_why = Rung.FALLBACK, trouble
    turns = _turns(situation, admission, outlook)
    answer, wished_a = _share(situation, plan, turns, from_rung, from_rung_why)
    wished_a = _keep_ready(situation, wished_a, turns)
    limit_a = _send_now(situation, wished_a, turns.first)
    limits, lowered = guard(plan.wiring, situation.of_evse(limit_a), _facts(situation))
    final_a = np.array([limits[evse] for evse in plan.layout.panel.evses])
    target_a = np.where(situation.held, final_a, np.maximum(final_a, np.floor(wished_a * 10.0 + 1e-6) / 10.0))
    outcome = Outcome(situation, admission, turns.admitted, answer, target_a, final_a, plan.timezone)
    return Decision(
        id=decision_id,
        at=now,
        trigger=trigger,
        setpoints=outcome.setpoints(),
        rung=answer.rung,
        rung_why=answer.why,
        strategy=plan.site.strategy,
        rotation=admission.state,
        alarms=alarms(situation, answer, lowered),
        wake_at=min((at for at in _wakes(situation, admission, final_a, target_a) if at > now), default=None),
        latitude=latitude(situation, final_a, turns.hold_a),
    )


def recheck(limits_a: Mapping[EvseId, float], snapshot: SiteSnapshot, plan: Plan, now: datetime) -> dict[EvseId, float]:
    """What the guard leaves of limits that were decided on an older snapshot, A: for rises that newer facts forbid."""
    limits, _ = guard(plan.wiring, limits_a, _facts(Situation.of(plan.layout, snapshot, now)))
    return limits


def _admit(situation: Situation, plan: Plan) -> tuple[Admission, str]:
    """Who may charge. Should the scheduler break, those who charge go on, as long as their minima fit."""
    try:
        return take_turns(situation, plan.timezone), ""
    except Exception as error:
        on = situation.asking & ~situation.held & (situation.in_force_a >= situation.layout.lowest_a - SLACK_A)
        load = np.zeros(len(situation.panel.rows))
        kept: list[EvseId] = []
        for column in np.flatnonzero(on).tolist():
            more = load + situation.panel.matrix[:, column] * situation.layout.lowest_a[column]
            if (more <= situation.hold_capacity_a + SLACK_A).all():
                load = more
                kept.append(situation.panel.evses[column])
        state = RotationState(situation.snapshot.rotation.order, situation.snapshot.rotation.turns, situation.now)
        return Admission(tuple(kept), state=state), f"scheduler: {type(error).__name__}: {error}"


def _first_come(situation: Situation, admission: Admission) -> tuple[int, ...]:
    """Columns in the order of the queue, then the rest."""
    column = {evse: index for index, evse in enumerate(situation.panel.evses)}
    queued = [column[evse] for evse in admission.state.order if evse in column]
    seen = set(queued)
    return (*queued, *(index for index in range(len(column)) if index not in seen))


@dataclass(frozen=True, slots=True)
class _Turns:
    """The scheduler's word per column: who may charge, who of them is to be switched on and surges then, in which
    order, and how fast they must (None: all alike); and the plan's. `hold_a`, `rise_a`: what all others may hold, and
    reach by rising, per row, beside those surges.
    """

    admitted: Mask
    surging: Mask
    first: tuple[int, ...]
    pace: Vector | None
    outlook: Outlook | None
    hold_a: Vector
    rise_a: Vector


def _turns(situation: Situation, admission: Admission, outlook: Outlook | None) -> _Turns:
    chosen = set(admission.admitted)
    admitted = np.array([evse in chosen for evse in situation.panel.evses], dtype=np.bool_)
    surging = admitted & (situation.surge_a > 0.0)
    if situation.layout.site.scheduler.kind == "none":  # nobody has asked whether there is room for a surge
        surging[:] = False
    pace = paces(admission.pace, situation.panel.evses) if admission.pace else None
    room = _beside_surges(situation, surging)
    return _Turns(admitted, surging, _first_come(situation, admission), pace, outlook, *room)


def _share(situation: Situation, plan: Plan, turns: _Turns, from_rung: Rung, why: str) -> tuple[Answer, Vector]:
    """The strategy's answer, and the wish made of it: between what may be held and what may be reached by rising.

    `held`: shares beside the likely base load; a limit above its share there falls to it. `reached`: shares beside the
    highest base load; a limit below its share there rises to it. Between the two it stays, so that a load which is only
    suspected lowers nobody. Who surges when switched on gets its minimum, and the others share what the surge leaves.
    """
    on = None if plan.site.scheduler.kind == "none" else turns.admitted & ~turns.surging
    upper = np.where(situation.asking & ~situation.held, situation.upper_a, 0.0)
    upper = np.where(situation.worn, np.minimum(upper, situation.layout.fixed_a), upper)
    problem = Problem(
        panel=situation.panel,
        capacity_a=turns.hold_a,
        min_a=_least(situation, turns.admitted & ~turns.surging, upper, turns.hold_a),
        upper_a=upper,
        alpha=np.maximum(1.0, _alpha(situation)),
        on=on,
        order=turns.first,
        outlook=turns.outlook,
        pace=turns.pace,
    )
    answer = climb_down(plan.ladder, problem, from_rung, why)
    current_a = answer.allocation.current_a
    held_a = reached_a = in_tenths(situation.panel, current_a, turns.hold_a, upper, turns.first)
    if (situation.panel.load_a(held_a) > np.maximum(turns.rise_a, 0.0) + SLACK_A).any():
        served = held_a > SLACK_A
        on_now = served & (situation.in_force_a >= situation.layout.lowest_a - SLACK_A)
        least = situation.panel.load_a(np.where(on_now, situation.layout.lowest_a, 0.0))
        tight = replace(problem, capacity_a=np.maximum(turns.rise_a, least), on=served)
        current_a = climb_down(plan.ladder, tight, answer.rung, "").allocation.current_a
        reached_a = in_tenths(situation.panel, current_a, tight.capacity_a, upper, turns.first)
    wished_a = np.minimum(np.maximum(situation.in_force_a, reached_a), held_a)
    wished_a = _keep_small_changes(situation, np.where(situation.held, _held_limits(situation), wished_a), turns.hold_a)
    return answer, np.where(turns.surging, situation.layout.lowest_a, wished_a)


def _beside_surges(situation: Situation, surging: Mask) -> tuple[Vector, Vector]:
    """`_Turns.hold_a` and `rise_a`: a surge has room beside the highest base load, as whatever rises."""
    if not surging.any():
        return situation.hold_capacity_a, situation.rise_capacity_a
    surge_a = situation.panel.load_a(np.where(surging, situation.surge_a, 0.0))
    reached_a = situation.rise_capacity_a - surge_a
    return np.where(surge_a > 0.0, reached_a, situation.hold_capacity_a), reached_a


def _least(situation: Situation, admitted: Mask, upper: Vector, room_a: Vector) -> Vector:
    """The minima; a fixed share is all or nothing while that fits, so that it need not be written again."""
    low = situation.layout.lowest_a
    fixed = np.where(situation.worn & admitted, np.maximum(low, upper), low)
    fits = situation.panel.load_a(np.where(admitted, fixed, 0.0)) <= np.maximum(room_a, 0.0)
    return fixed if fits.all() else low


def _alpha(situation: Situation) -> Vector:
    sessions = [view.session for view in situation.views]
    own = [1.0 if s is None or s.priority is None else s.priority for s in sessions]
    return np.asarray(situation.layout.alpha * np.array(own))


def _held_limits(situation: Situation) -> Vector:
    """Limits of EVSEs that cannot be commanded now. Without a link: the last one. Else at most that, to be repeated.

    One that does not obey or refuses is asked for its minimum: it may still take that.
    """
    found = situation.in_force_a.copy()
    for column in np.flatnonzero(situation.held).tolist():
        view = situation.views[column]
        if not view.linked:
            continue
        if view.session is None or view.session.ended_at is not None or situation.overloaded[column] is not None:
            found[column] = 0.0
        elif not view.ledger.trusted or view.ledger.refused:
            low = situation.layout.lowest_a[column]
            found[column] = low if found[column] >= low else 0.0
    return found


def _keep_small_changes(situation: Situation, wished_a: Vector, room_a: Vector) -> Vector:
    """Within the dead band a limit stays: upwards always, downwards as long as everything fits all the same."""
    band_a = max(situation.layout.site.control.dead_band_a, _TENTH_A)
    in_force = situation.in_force_a
    on = (in_force >= situation.layout.lowest_a - SLACK_A) & (wished_a > SLACK_A) & ~situation.held
    in_bounds = in_force <= np.maximum(situation.upper_a, wished_a) + SLACK_A
    small = on & in_bounds & (np.abs(wished_a - in_force) < band_a - SLACK_A)
    panel = situation.panel
    while small.any():
        kept = np.where(small, in_force, wished_a)
        commanded = np.where(situation.held, 0.0, kept)
        over = panel.load_a(commanded) > np.maximum(room_a, 0.0) + SLACK_A
        lower = small & (in_force > wished_a) & panel.loading(over)
        if not lower.any():
            return kept
        small &= ~lower
    return wished_a


def _keep_ready(situation: Situation, wished_a: Vector, turns: _Turns) -> Vector:
    """A full car gets its minimum where room is left, so that it can wake up; never at anybody's cost."""
    wished = wished_a.copy()
    low, panel = situation.layout.lowest_a, situation.panel
    load = panel.load_a(np.where(situation.held | turns.surging, 0.0, wished))
    for column in np.flatnonzero(situation.full & ~situation.held).tolist():
        is_on = situation.in_force_a[column] >= low[column] - SLACK_A
        room = turns.hold_a if is_on else turns.rise_a
        rows, cost_a = panel.column_a(column)
        more = load[rows] + cost_a * low[column]
        fits = situation.upper_a[column] >= low[column] and (is_on or situation.fresh[column])
        if fits and (more <= room[rows] + SLACK_A).all():
            load[rows], wished[column] = more, low[column]
        else:
            wished[column] = 0.0
    return wished


def _send_now(situation: Situation, wished_a: Vector, first: tuple[int, ...]) -> Vector:
    """Falls at once, rises as far as they fit now; a rise that is cut below the dead band waits."""
    interval = timedelta(seconds=rise_interval_s(situation))
    raised = (view.ledger.raised_at for view in situation.views)
    rested = np.array([at is None or situation.now - at >= interval for at in raised], dtype=np.bool_)
    may_rise = rested & situation.fresh & ~situation.held
    limit_a = raise_what_fits(situation, wished_a, may_rise, list(first))
    band_a = max(situation.layout.site.control.dead_band_a, _TENTH_A)
    small = (limit_a > situation.in_force_a) & (limit_a - situation.in_force_a < band_a - SLACK_A)
    return np.where(small, situation.in_force_a, limit_a)


def _facts(situation: Situation) -> Facts:
    held = situation.of_evse(situation.held_a)
    return Facts(
        limit_a=situation.limits_a,
        hold_base_a=situation.hold_base_a,
        rise_base_a=situation.rise_base_a,
        held_a={evse: held[evse] for evse, is_held in zip(held, situation.held.tolist(), strict=True) if is_held},
        counted_a=situation.of_evse(situation.counted_a),
        in_force_a=situation.of_evse(situation.in_force_a),
        surge_a=situation.of_evse(situation.surge_a),
    )


def _wakes(situation: Situation, admission: Admission, limit_a: Vector, target_a: Vector) -> Iterator[datetime]:
    """Every instant known now at which this decision may no longer be the right one."""
    if admission.wake_at is not None:
        yield admission.wake_at
    if (limit_a < situation.in_force_a - SLACK_A).any():
        yield situation.now + timedelta(seconds=UNACKNOWLEDGED_S)
    interval = timedelta(seconds=rise_interval_s(situation))
    for column, (view, evse) in enumerate(zip(situation.views, situation.layout.evses, strict=True)):
        if target_a[column] > limit_a[column]:
            raised_at = situation.now if limit_a[column] > situation.in_force_a[column] else view.ledger.raised_at
            if raised_at is not None:
                yield raised_at + interval
        if view.ledger.upper_a > view.ledger.limit_a:
            if view.ledger.sent_at is None:  # it is repeated with this decision
                yield situation.now + timedelta(seconds=UNACKNOWLEDGED_S)
            yield from (at for at in (settles_at(view.ledger, evse), not_made_at(view.ledger)) if at is not None)
    for limit in situation.snapshot.limits:
        yield limit.starts_at
        if limit.ends_at is not None:
            yield limit.ends_at
    for feeder in situation.layout.site.feeders:
        at = situation.snapshot.feeders[feeder.id].reading_at
        if feeder.meter is not None and at is not None:
            stale_after_s = situation.layout.site.meter(feeder.meter).stale_after_s
            yield at + timedelta(seconds=stale_after_s, milliseconds=1)
