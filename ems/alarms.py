"""What a person must look at, of a decision."""

from collections.abc import Iterator

from domain.ids import EvseId
from domain.setpoint import Alarm, AlarmKind
from domain.site import Feeder
from domain.snapshot import FeederView, LoadSource
from ems.explanation import amperes
from ems.ladder import Answer
from ems.ledger import not_made
from ems.situation import SLACK_A, Situation

_STALE = (LoadSource.FORECAST, LoadSource.FAILSAFE)


def alarms(situation: Situation, answer: Answer, lowered: frozenset[EvseId]) -> tuple[Alarm, ...]:
    """Everything out of order at this instant; the same at every decision as long as it lasts."""
    return (*_of_feeders(situation), *_of_evses(situation, lowered), *_of_ladder(situation, answer))


def _of_feeders(situation: Situation) -> Iterator[Alarm]:
    for feeder in situation.layout.site.feeders:
        limit_a = situation.limits_a[feeder.id]
        for phase, base_a in situation.hold_base_a[feeder.id].items():
            if base_a > limit_a + SLACK_A:
                text = (
                    f"the building alone puts {amperes(base_a)} on {feeder.id} phase {phase} of {amperes(limit_a)}: "
                    "every EVSE on it is at 0 A"
                )
                yield Alarm(AlarmKind.BASE_OVERLOAD, feeder.id, text)
        view = situation.snapshot.feeders[feeder.id]
        yield from _of_design_load(feeder, view, situation.layout.site.control.dead_band_a)
        if feeder.meter is not None and view.source in _STALE:
            since = (
                "has told nothing yet" if view.reading_at is None else f"is silent since {view.reading_at:%H:%M:%S} UTC"
            )
            text = f"meter {feeder.meter} of {feeder.id} {since}: its {view.source} counts and no limit there may rise"
            yield Alarm(AlarmKind.STALE_METER, feeder.meter, text)


def _of_design_load(feeder: Feeder, view: FeederView, band_a: float) -> Iterator[Alarm]:
    """What is measured above the design load, beyond the dead band: the fail-safe proof does not cover it."""
    if view.source is not LoadSource.MEASURED or feeder.base_load_max_a is None:
        return
    for phase, design_a in feeder.base_load_max_a.items():
        load_a = view.base_likely_a.get(phase, 0.0)
        if load_a > design_a + band_a:
            text = (
                f"the building puts {amperes(load_a)} on {feeder.id} phase {phase}, more than its design load of "
                f"{amperes(design_a)}: the fail-safe proof does not cover that"
            )
            yield Alarm(AlarmKind.DESIGN_LOAD_EXCEEDED, feeder.id, text)


def _of_evses(situation: Situation, lowered: frozenset[EvseId]) -> Iterator[Alarm]:
    accepted = situation.layout.site.accept_unproven_failsafe
    for view, evse, counts_a in zip(situation.views, situation.layout.evses, situation.counted_a.tolist(), strict=True):
        entry = view.ledger
        if not entry.trusted:
            drawn = "more" if entry.measured_a is None else amperes(entry.measured_a)
            text = f"{evse.id} was told {amperes(entry.limit_a)} and drew {drawn}: it counts at {amperes(counts_a)}"
            yield Alarm(AlarmKind.UNTRUSTED_EVSE, evse.id, text)
        if entry.refused:
            text = (
                f"{evse.charger} does not take {amperes(entry.limit_a)} for {evse.id}: it counts at {amperes(counts_a)}"
            )
            yield Alarm(AlarmKind.CHARGER_REFUSED_LIMIT, evse.id, text)
        elif view.linked and not_made(entry, evse, situation.now):
            text = f"{evse.id} has not confirmed {amperes(entry.limit_a)}: it counts at {amperes(counts_a)}"
            yield Alarm(AlarmKind.REDUCTION_UNACKNOWLEDGED, evse.id, text)
        if view.stays_paused_since is not None:
            text = (
                f"{evse.id} may draw {amperes(entry.limit_a)} again and stays paused since "
                f"{view.stays_paused_since:%H:%M:%S} UTC; a wake-up was in vain"
            )
            yield Alarm(AlarmKind.STAYS_PAUSED, evse.id, text)
        if not view.linked and not evse.failsafe_proven and not accepted:
            text = f"{evse.id} has no link and its fall-back was never proven: it counts at {amperes(counts_a)}"
            yield Alarm(AlarmKind.FAILSAFE_UNPROVEN, evse.id, text)
        if evse.id in lowered:
            yield Alarm(AlarmKind.GUARD_LOWERED, evse.id, f"the guard lowered {evse.id} below what was worked out")


def _of_ladder(situation: Situation, answer: Answer) -> Iterator[Alarm]:
    if answer.fell:
        text = f"{answer.rung} answered: {answer.why}"
        yield Alarm(AlarmKind.LADDER_FELL, situation.layout.site.id, text)
