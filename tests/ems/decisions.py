"""How the tests of decisions ask for one, and what they look at in it."""

from site_strategies import make_evse, make_feeder, make_site

from ems.decide import compile_plan, decide


def ask(snap, plan=None, **options):
    options = {"trigger": "test", "decision_id": "d1"} | options
    return decide(snap, plan or compile_plan(snap.site), snap.at, **options)


def limits(decision):
    return {point.evse: point.limit_a for point in decision.setpoints}


def kinds(decision):
    return {point.evse: point.reason.kind for point in decision.setpoints}


def alarm_kinds(decision):
    return {(alarm.kind, alarm.subject) for alarm in decision.alarms}


def panel(count=3, rating_a=50.0, **options):
    evses = [make_evse(f"e{i}") for i in range(count)]
    return make_site([make_feeder("main", rating_a, meter="m")], evses, **options)
