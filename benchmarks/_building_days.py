"""The metered homes that the benchmark of DRO draws its days from."""

import os
from pathlib import Path

import numpy as np

from ems.scenarios import Array
from headroom.studies.dro_case import HOURS
from simulators.building import home_profiles


def homes_kwh() -> Array:
    """[hours, homes] metered load, whole days: all that is in HEADROOM_TEST_DATA, else the four weeks carried here."""
    folder = os.environ.get("HEADROOM_TEST_DATA")
    if folder is None:
        return np.asarray(home_profiles() / 1000.0)
    import pandas as pd

    table = pd.read_parquet(Path(folder) / "citylearn_fontana17" / "hourly.parquet")
    midnight = int(np.flatnonzero(pd.to_datetime(table["start_local"]).dt.hour == 0)[0])
    loads = [name for name in table.columns if name.endswith("_load_kwh")]
    values = table[loads].to_numpy(dtype=np.float64)[midnight:]
    return np.asarray(values[: len(values) // HOURS * HOURS])
