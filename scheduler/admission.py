"""The scheduler's one door: who may charge now, and what the others are told."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from domain.rotation import RotationState
from domain.site import SchedulerSettings
from scheduler.by_need import knows_all, round_robin_by_need
from scheduler.contender import Admission, Contender, Fits, Share
from scheduler.order import edf, everyone, fcfs, llf, regular
from scheduler.round_robin import round_robin


def admit(
    settings: SchedulerSettings,
    state: RotationState,
    contenders: Sequence[Contender],
    fits: Fits,
    now: datetime,
    timezone: tzinfo = UTC,
    shares: Mapping[str, Share] | None = None,
) -> Admission:
    """Who of `contenders` may charge from `now` on, by the scheduler that `settings.kind` names.

    Args:
        settings: kind, quantum [s], minimum on-time [s].
        state: the state that the previous call returned, or an empty one.
        contenders: everyone who wants current; one that left or is full is absent.
        fits: whether the minima of a set fit at every ancestor and phase. It must hold for subsets of what fits.
        now: aware instant; a step back counts as no time passed.
        timezone: the site's, for `regular`.
        shares: what each kind of EVSE gets where the minima of all do not fit; with them, and where every driver has
            told departure and need, `round_robin` takes turns by need.

    Returns:
        An `Admission` whose `admitted` fit together (with `none`: all contenders). Deterministic.
    """
    match settings.kind:
        case "round_robin":
            if shares and knows_all(contenders, shares):
                answer = round_robin_by_need(settings, state, contenders, fits, shares, now)
            else:
                answer = round_robin(settings, state, contenders, fits, now)
            return answer
        case "fcfs":
            return fcfs(state, contenders, fits, now)
        case "regular":
            return regular(state, contenders, fits, now, timezone)
        case "edf":
            return edf(settings, state, contenders, fits, now)
        case "llf":
            return llf(settings, state, contenders, fits, now)
        case "none":
            return everyone(state, contenders, now)
