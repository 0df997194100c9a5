"""Decisions when something of our own fails, and what a reason tells."""

from dataclasses import replace

import pytest
from decisions import alarm_kinds, ask, limits, panel
from site_strategies import (
    A,
    B,
    C,
    make_evse,
    make_feeder,
    make_site,
    snapshot,
    view,
)

from domain.setpoint import AlarmKind, ReasonKind, Rung
from ems import ladder
from ems.decide import compile_plan
from ems.problem import Infeasible


class Broken:
    name = "milp"

    def allocate(self, problem):
        raise ArithmeticError("no pivot")


class Greedy:
    name = "milp"

    def __init__(self, factor):
        self.factor = factor

    def allocate(self, problem):
        from ems.water_filling import WaterFilling

        answer = WaterFilling().allocate(problem)
        return replace(answer, current_a=answer.current_a * self.factor)


class Silent:
    name = "water_filling"

    def allocate(self, problem):
        return Infeasible("nothing to say")


@pytest.mark.parametrize("chosen", [Broken(), Greedy(3.0), Greedy(float("nan")), Greedy(0.4), Silent()])
def test_whatever_a_strategy_does_a_decision_comes(chosen):
    site = panel(3)
    plan = compile_plan(site)
    snap = snapshot(site, {f"e{i}": view(f"e{i}", 8.0) for i in range(3)})
    decision = ask(snap, replace(plan, ladder=replace(plan.ladder, chosen=chosen)))
    assert decision.rung is Rung.WATER_FILLING
    assert decision.rung_why
    assert limits(decision) == {"e0": 13.4, "e1": 13.3, "e2": 13.3}
    assert (AlarmKind.LADDER_FELL, "s") in alarm_kinds(decision)


def test_at_the_foot_of_the_ladder_stand_the_fallbacks():
    evses = [make_evse("e0", failsafe_a=6.0), make_evse("e1"), make_evse("e2", failsafe_a=8.0)]
    site = make_site([make_feeder("main", 50.0, meter="m")], evses)
    plan = compile_plan(site)
    plan = replace(plan, ladder=replace(plan.ladder, chosen=Broken(), simple=Silent()))
    decision = ask(snapshot(site, {f"e{i}": view(f"e{i}", 12.0) for i in range(3)}), plan)
    assert decision.rung is Rung.FALLBACK
    assert limits(decision) == {"e0": 6.0, "e1": 0.0, "e2": 8.0}
    assert "no pivot" in decision.rung_why
    assert "nothing to say" in decision.rung_why


def test_the_loop_may_begin_further_down():
    decision = ask(snapshot(panel(2), {"e0": view("e0")}), from_rung=Rung.WATER_FILLING, from_rung_why="too slow")
    assert decision.rung is Rung.WATER_FILLING
    assert decision.rung_why == "too slow"


def test_a_broken_scheduler_does_not_stop_those_who_charge(monkeypatch):
    def broken(*_):
        raise KeyError("queue")

    monkeypatch.setattr("ems.decide.take_turns", broken)
    decision = ask(snapshot(panel(2), {"e0": view("e0", 10.0), "e1": view("e1", 0.0)}))
    assert decision.rung is Rung.FALLBACK
    assert "scheduler: KeyError" in decision.rung_why


def test_a_strategy_that_is_not_built_says_so_and_water_filling_answers(monkeypatch):
    monkeypatch.delitem(ladder._BUILT, "so")
    decision = ask(snapshot(panel(2, strategy="so"), {"e0": view("e0")}))
    assert decision.rung is Rung.WATER_FILLING
    assert "'so'" in decision.rung_why


def test_a_reason_names_the_panel_its_price_and_the_age_of_the_data():
    evses = [make_evse("e0", "p1", (A, B)), make_evse("e1", "p1", (B, C))]
    site = make_site([make_feeder("main", 100.0, meter="m"), make_feeder("p1", 40.0, "main", meter="m1")], evses)
    snap = snapshot(site, {"e0": view("e0"), "e1": view("e1")})
    reason = ask(snap).setpoints[0].reason
    assert (reason.kind, reason.feeder, reason.phase) == (ReasonKind.FEEDER_FULL, "p1", B)
    assert reason.shadow_price == pytest.approx(2.0)
    assert reason.data_age_s == 5.0
