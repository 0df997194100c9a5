"""The building in virtual time: how many seconds of it pass in a second of one core.

Bar: 2,000 for the campaigns' building (20 EVSEs, feeder meters every 10 s, MeterValues every 60 s, MILP on), on a day
without faults and on one with them: the live relay, control loop, EMS and inventory, with the judges and all that is
simulated around them. The hour that a day's run goes on for its last messages, and what it costs to set up the
building, count against us. Seconds are CPU time of this process, so that other work on the machine does not count.
"""

from dataclasses import replace
from time import process_time

from benchmarks.report import Line, Measured
from headroom.campaign.day import Run
from headroom.campaign.day import run as run_day
from headroom.campaign.soak import day_of
from headroom.collecting import collect_seldom

_SEEDS = (1, 2)
_DAY_S = 86_400.0


def _speed(day: Run) -> float:
    begin = process_time()
    run_day(day)
    return day.days * _DAY_S / (process_time() - begin)


def run() -> list[Line]:
    """Both lines; three minutes on one core where the bar is met."""
    run_day(day_of(_SEEDS[0], days=0.05))  # imports, and what is compiled once
    collect_seldom()
    calm, faulty = [], []
    for seed in _SEEDS:
        day = day_of(seed)
        calm.append(_speed(replace(day, faults=())))
        faulty.append(_speed(day))
    return [
        Line(name, Measured(tuple(speeds)), None, "x real time", bar=2000.0, at_least=True)
        for name, speeds in (("a calm day", calm), ("a day with faults", faulty))
    ]
