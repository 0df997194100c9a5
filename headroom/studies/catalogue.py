"""Which studies there are; each is loaded only when it is run."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from headroom.studies.report import Findings, StudyError, Told

TITLES = {
    "drr-fairness": "Who gets how much: Regular, FCFS and dynamic round robin over a year (seed 004, ch. 3 and 6.3)",
    "milp-building": "MILP energy management of an eight-unit building (seed 004, ch. 4)",
    "narx": "NARX forecast of a building's non-EV load (seed 004, sec. 4.2)",
    "dro-building": "Distributionally robust charging beside SO and RO (seed 004, ch. 5)",
    "stackelberg-murb": "A Stackelberg game between panels (seed 004, sec. 6.3)",
    "penetration": "How many EVs a building carries (seed 004, sec. 6.4: up to fourfold)",
}


def run_study(name: str, seed: int, told: Told) -> Findings:
    """Run one study in full.

    Raises:
        StudyError: there is none of that name, or it cannot be run here.
    """
    if name not in TITLES:
        raise StudyError(f"study '{name}' is not known; there are {', '.join(TITLES)}; `headroom study list` explains")
    study = import_module(f"headroom.studies.{name.replace('-', '_')}")
    return cast("Callable[..., Findings]", study.run)(seed=seed, told=told)
