"""How the tests of decisions ask for one, and what they look at in it."""

from dataclasses import replace

from site_strategies import T0, line_currents, make_evse, make_feeder, make_site, seconds, settled

from domain.setpoint import AlarmKind
from domain.site import PHASES
from domain.snapshot import LoadSource
from ems import ledger
from ems.decide import compile_plan, decide
from ems.ledger import counted_a


def ask(snap, plan=None, **options):
    options = {"trigger": "test", "decision_id": "d1"} | options
    return decide(snap, plan or compile_plan(snap.site), snap.at, **options)


def in_force(snap, decision):
    """The snapshot a while later: all that was decided is obeyed, nothing else has changed."""
    evses = {
        point.evse: replace(snap.evses[point.evse], ledger=settled(point.limit_a, snap.at))
        for point in decision.setpoints
    }
    return replace(snap, evses=evses, rotation=decision.rotation)


def limits(decision):
    return {point.evse: point.limit_a for point in decision.setpoints}


def kinds(decision):
    return {point.evse: point.reason.kind for point in decision.setpoints}


def alarm_kinds(decision):
    return {(alarm.kind, alarm.subject) for alarm in decision.alarms}


def panel(count=3, rating_a=50.0, **options):
    evses = [make_evse(f"e{i}") for i in range(count)]
    return make_site([make_feeder("main", rating_a, meter="m")], evses, **options)


def foreseen(load_a, forecast_a, band_a):
    return {p: forecast_a[p] if forecast_a.get(p, 0.0) > a + band_a else a for p, a in load_a.items()}


def currents(site, draw_a):
    full = {e.id: [draw_a[e.id]] * (1 if e.conductors == 2 else e.conductors) for e in site.evses}
    return line_currents(site, full, "", arithmetic=site.electrical.model == "arithmetic")


def must_be_safe(site, snap, decision):
    """The checklist for any decision at `T0`: words, bounds, both sums on every line, rises only where all is known."""
    given_a = limits(decision)
    assert list(given_a) == [e.id for e in site.evses]
    assert AlarmKind.GUARD_LOWERED not in {alarm.kind for alarm in decision.alarms}, "the guard is the last to see it"
    band_a = site.control.dead_band_a
    counted = {e.id: counted_a(snap.evses[e.id].ledger, e, T0) for e in site.evses}
    obeyed, still, within_command = {}, {}, set()
    for point, evse in zip(decision.setpoints, site.evses, strict=True):
        seen, entry = snap.evses[evse.id], snap.evses[evse.id].ledger
        commanded = seen.linked and entry.trusted and not entry.refused and not ledger.not_made(entry, evse, T0)
        if seen.linked:
            assert point.limit_a == 0.0 or point.limit_a >= evse.min_a
        if seen.session is None and seen.linked:
            assert point.limit_a == 0.0
        assert point.target_a >= point.limit_a
        assert point.reason.text.startswith(f"{evse.id}: ")
        if point.limit_a > entry.limit_a:
            assert commanded
            assert entry.raised_at is None or T0 - entry.raised_at >= seconds(15)
            assert all(snap.feeders[f.id].source is LoadSource.MEASURED for f in site.path(evse.feeder))
            assert seen.csms_limit_a is None or point.limit_a <= seen.csms_limit_a
            assert point.limit_a <= evse.max_a
        if commanded:
            within_command.add(evse.id)
        obeyed[evse.id] = point.limit_a if commanded else counted[evse.id]
        still[evse.id] = max(counted[evse.id], point.limit_a)
    held, moving = currents(site, obeyed), currents(site, still)
    for feeder in site.feeders:
        seen = snap.feeders[feeder.id]
        likely = foreseen(seen.base_likely_a, seen.forecast_a, band_a)
        highest = foreseen(seen.base_high_a, seen.forecast_a, 0.0)
        for phase in PHASES:
            on_line = [e for e in site.evses_below(feeder.id) if touches(site, e, feeder, phase)]
            if held[feeder.id, phase] > feeder.usable_a - likely[phase] + 1e-4:
                # A sum over a transformer is the largest of several: what is on the line alone may add nothing to it.
                without = currents(site, {**obeyed, **{e.id: 0.0 for e in on_line if e.id in within_command}})
                assert held[feeder.id, phase] <= without[feeder.id, phase] + 1e-4
            if moving[feeder.id, phase] > feeder.usable_a - highest[phase] + 1e-4:
                assert not any(given_a[e.id] > snap.evses[e.id].ledger.limit_a for e in on_line)


def touches(site, evse, feeder, phase):
    alone = {e.id: 1.0 if e.id == evse.id else 0.0 for e in site.evses}
    return currents(site, alone)[feeder.id, phase] > 1e-9
