"""The NARX against the best of its rivals on measured load, and the time of one prediction for 100 feeders.

With HEADROOM_TEST_DATA: twelve homes summed, one home and the HUE house, last 20 % of each; without it the excerpt that
the tests carry. docs/forecasting.md has the table over every series, which takes an hour.
"""

import copy
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.report import Line, Measured
from forecasting.backtest import backtest
from forecasting.files import read_series
from forecasting.fleet import Fleet
from forecasting.narx import HorizonModel, fit
from forecasting.newest import HISTORY_H, newest_rows, repaired_block
from forecasting.rivals import RIVALS
from forecasting.series import HourlySeries
from forecasting.training import Recipe, torch_or_complain

FEEDERS = 100
BAR_EACH, BAR_MEAN, BAR_MS = 1.01, 0.98, 5.0
_EXCERPT = Path(__file__).parents[1] / "tests" / "data" / "load_excerpts" / "hue_house1.csv.gz"
_HOMES = (*range(1, 11), 14, 15)


def measured_series() -> list[HourlySeries]:
    """What there is on this machine."""
    folder = os.environ.get("HEADROOM_TEST_DATA")
    if folder is None:
        return [read_series(str(_EXCERPT), ["energy_kwh"], timezone="America/Vancouver")]
    homes = f"{folder}/citylearn_fontana17/hourly.parquet"
    house = f"{folder}/hue_house1/hourly.csv.gz"
    return [
        read_series(homes, [f"home{number:02d}_load_kwh" for number in _HOMES]),
        read_series(homes, ["home01_load_kwh"]),
        read_series(house, ["energy_kwh"], timezone="America/Vancouver"),
    ]


def run() -> list[Line]:
    """RMSE of NARX and best rival per series and horizon, their geometric mean, coverage, and the time."""
    torch_or_complain()
    lines: list[Line] = []
    several = measured_series()
    for series in several:
        report = backtest(series)
        label = "12 homes" if "+" in report.series else report.series
        for horizon, scores in report.horizons.items():
            best = min((scores[name].rmse, name) for name in RIVALS)
            subject, rival = Measured((scores["narx"].rmse,)), Measured((best[0],))
            lines.append(Line(f"{label}, {horizon}, over {best[1]}", subject, rival, "kW", BAR_EACH))
            lines.append(Line(f"{label}, {horizon}, thesis", Measured((scores["narx_thesis"].rmse,)), rival, "kW"))
    ratios = [line.ratio for line in lines if line.bar is not None]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    lines.append(Line("geometric mean of these", Measured((mean,)), None, "", BAR_MEAN))
    together, alone = _prediction_ms(several[-1])
    lines.append(Line(f"one prediction for {FEEDERS} feeders", together, None, "ms", BAR_MS))
    lines.append(Line(f"the same, over {FEEDERS} one by one", together, alone, "ms"))
    return lines


def _prediction_ms(series: HourlySeries, rounds: int = 60) -> tuple[Measured, Measured]:
    """From the last four weeks of each feeder, with a load of its own, to its forecast: all at once, one by one."""
    model = fit(series, 1, recipe=Recipe(epochs=2))
    models = [_other(model, number) for number in range(FEEDERS)]
    fleet = Fleet(models)
    factors = np.random.default_rng(0).uniform(0.5, 1.5, FEEDERS)
    closed, opened = repaired_block([factor * series.load[-HISTORY_H:] for factor in factors])
    at = int(series.hour[-1]), int(series.weekday[-1]), int(series.yearday[-1])
    names = model.names

    def alone() -> None:
        for place, model in enumerate(models):
            own = slice(place, place + 1)
            model.predict(newest_rows(names, closed[own], opened[own], 1, *at))

    together = _took_ms(lambda: fleet.predict(newest_rows(names, closed, opened, 1, *at)), rounds)
    return together, _took_ms(alone, rounds // 6)


def _took_ms(what: Callable[[], object], rounds: int) -> Measured:
    took = []
    for _ in range(rounds):
        begin = time.perf_counter()
        what()
        took.append(1e3 * (time.perf_counter() - begin))
    return Measured(tuple(took))


def _other(model: HorizonModel, number: int) -> HorizonModel:
    """A model with weights of its own."""
    other = copy.deepcopy(model)
    random = np.random.default_rng(number)
    for layer in other.network.weights:
        np.add(layer, random.normal(0, 1e-3, layer.shape).astype(np.float32), out=layer)
    return other
