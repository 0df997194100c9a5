"""The live code in virtual time: the same seed gives the same run, and no strategy overloads the demo's building."""

from dataclasses import replace

import pytest

from domain.site import Site
from headroom.simulation import Simulation, run
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

TIMES = {"decision_ms", "start_to_limit_ms"}


def building(**changes: object) -> Site:
    return replace(parse_site(demo_site(4), "demo"), **changes)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_run() -> None:
    first = run(Simulation(building(), days=0.2, seed=5))
    again = run(Simulation(building(), days=0.2, seed=5))
    assert {k: v for k, v in first.items() if k not in TIMES} == {k: v for k, v in again.items() if k not in TIMES}
    assert first["sessions"]
    assert first["setpoints_accepted"]


@pytest.mark.parametrize("strategy", ["milp", "equal", "fcfs"])
def test_no_strategy_overloads_the_building_or_alters_a_frame(strategy: str) -> None:
    report = run(Simulation(building(strategy=strategy), days=0.3, seed=3))
    assert report["overload_seconds"] == 0
    assert report["breaker_trips"] == 0
    assert report["frames_altered"] == 0
    assert report["frames_leaked"] == 0
    assert report["desk_errors"] == report["schema_violations"] == 0
    assert float(str(report["energy_delivered_kwh"])) > 1
    least_a = report["least_nonzero_a"]
    assert least_a is None or float(str(least_a)) >= 6


@pytest.mark.parametrize(
    ("strategy", "scheduler"),
    [
        ("dro", "edf"),
        ("stackelberg", "llf"),
        ("so", "regular"),
        ("ro", "fcfs"),
        ("equal", "none"),
        ("none", "round_robin"),
    ],
)
def test_strategies_and_schedulers_go_together(strategy: str, scheduler: str) -> None:
    site = building(strategy=strategy)
    site = replace(site, scheduler=replace(site.scheduler, kind=scheduler))
    report = run(Simulation(site, days=0.03, seed=29))
    assert (report["strategy"], report["scheduler"]) == (strategy, scheduler)
    assert report["overload_seconds"] == report["breaker_trips"] == report["frames_altered"] == 0
    assert report["setpoints_accepted"]
