"""One phase's model trained again, in a process of its own: `python -m headroom.forecast_child JOB`.

JOB is a JSON file (`Job`); the answer is one JSON line on stdout. It steps behind everything else on the machine, uses
one thread, and touches nothing but the candidate's file.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from domain.errors import HeadroomError
from forecasting.renewal import renew
from forecasting.series import HourlySeries
from forecasting.training import Recipe

_NICE = 15
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Job:
    """`means_a`: the mean of every hour from `start` (UTC) on, A; None where it is not known."""

    name: str
    timezone: str
    start: str
    means_a: list[float | None]
    out: str
    incumbent: str | None
    epochs: int | None = None


def series_of(job: Job) -> HourlySeries:
    """The job's hours by the building's wall clock."""
    start = datetime.fromisoformat(job.start).astimezone(UTC)
    zone = ZoneInfo(job.timezone)
    walls = [(start + number * _HOUR).astimezone(zone) for number in range(len(job.means_a))]
    return HourlySeries(
        name=job.name,
        start=np.datetime64(start.replace(tzinfo=None), "h"),
        load=np.array([np.nan if mean is None else mean for mean in job.means_a], dtype=np.float64),
        hour=np.array([wall.hour for wall in walls], dtype=np.int64),
        weekday=np.array([wall.weekday() for wall in walls], dtype=np.int64),
        yearday=np.array([wall.timetuple().tm_yday for wall in walls], dtype=np.int64),
        exogenous=np.empty((len(walls), 0)),
    )


def main() -> int:
    """Exit 0 with an answer, whether or not the candidate was taken; 1 with the reason where there is none."""
    os.nice(_NICE)
    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    recipe = (
        Recipe(threads=1, device="cpu") if job.epochs is None else Recipe(threads=1, device="cpu", epochs=job.epochs)
    )
    incumbent = None if job.incumbent is None else Path(job.incumbent)
    try:
        renewal = renew(series_of(job), (1, 24), Path(job.out), incumbent, recipe)
    except (HeadroomError, OSError) as problem:
        print(json.dumps({"problem": str(problem)}))
        return 1
    print(json.dumps(asdict(renewal)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
