"""Load series for the tests: made ones, and a measured excerpt."""

from pathlib import Path

import numpy as np

from forecasting.files import read_series
from forecasting.series import HourlySeries
from forecasting.training import Recipe

EXCERPT = Path(__file__).parents[1] / "data" / "load_excerpts" / "hue_house1.csv.gz"
TINY = Recipe(hidden=(16, 8), members=2, epochs=6, patience=3, threads=1)


def made(hours: int, *, seed: int = 0, outside: int = 0, missing: float = 0.0, level: float = 5.0) -> HourlySeries:
    """A building with a day, a week, noise that lasts, and gaps."""
    random = np.random.default_rng(seed)
    hour = np.arange(hours)
    weekend = (hour // 24 % 7) >= 5
    noise = np.zeros(hours)
    for at in range(1, hours):
        noise[at] = 0.7 * noise[at - 1] + random.normal(0, 0.5)
    load = level + 2 * np.sin(2 * np.pi * (hour % 24 - 12) / 24) + weekend * 1.5 + noise
    load = np.maximum(load, 0.1)
    load[random.random(hours) < missing] = np.nan
    return HourlySeries(
        name="made",
        start=np.datetime64("2024-01-01T00", "h"),
        load=load,
        hour=hour % 24,
        weekday=hour // 24 % 7,
        yearday=hour // 24 % 366 + 1,
        exogenous=random.normal(10, 5, (hours, outside)),
    )


def measured() -> HourlySeries:
    """Three months of a house: the excerpt that the project carries."""
    return read_series(str(EXCERPT), ["energy_kwh"], timezone="America/Vancouver")
