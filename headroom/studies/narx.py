"""Study `narx`: figure 4.2 (and 5.1) and the RMSE of seed 004, section 4.2, on the load that the project carries."""

import math
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

from forecasting.features import Preset, target
from forecasting.files import read_series
from forecasting.intervals import AdaptiveInterval
from forecasting.narx import HorizonModel, fit
from forecasting.rivals import RivalName, run_rival
from forecasting.series import HourlySeries, Vector, Whole
from forecasting.training import Recipe, torch_or_complain
from headroom.figure_style import COLOURS, legend, new_figure, tidy
from headroom.plan_series import bundled
from headroom.studies.report import Beside, Claim, Findings, Plot, Sheet, Told, verdict

HOMES = 8
TEST_FROM, SHOWN = np.datetime64("2017-02-01T00", "h"), np.datetime64("2017-02-15T00", "h")
DAYS_DRAWN = 30
RECIPE = Recipe(members=2, epochs=12, threads=1)
THESIS_RECIPE = Recipe(epochs=25, threads=1)
RIVALS: tuple[RivalName, ...] = ("persistence", "yesterday", "week", "ridge", "boosting")
_SUBJECTS: dict[str, Preset] = {"NARX of the thesis": "thesis", "NARX of this project": "default"}
METHOD = (
    "Load: mean of twelve metered homes of Fontana, California, hourly, August 2016 to April 2017 (CityLearn, "
    "carried by the project), times 8: a building of eight average homes. The thesis's building "
    "in Vancouver is not published, and no temperature measured beside this load is either: the networks see the "
    "load and the calendar only.",
    "Fitted to the hours before 1 February 2017, asked one hour ahead at every hour from then to the end of April. "
    "`NARX of the thesis` is section 4.2 as printed: lags of eq. 4.2, 128-64-32, ReLU, Adam, "
    "0.8 network + 0.2 load of 48 h before. `NARX of this project` adds a linear part that follows the building.",
    f"To end within two minutes on two cores the project's NARX has {RECIPE.members} networks of {RECIPE.epochs} "
    f"epochs here (6 of 40 in `headroom forecast`) and the thesis's {THESIS_RECIPE.epochs} epochs.",
    "Rivals: the same hour before, the day before, the week before, ridge regression and gradient boosting on the "
    "better of both sets of features.",
)
DEFINITIONS = (
    "RMSE over all test hours; RMSE of a day, and its mean over 30 days drawn from the test, as in the thesis. In kW "
    "of the building of eight homes, and per home (divided by 8).",
    "90 % range: the adaptive interval of `forecasting.intervals`, from the errors on weeks kept from the fit.",
)


@dataclass(frozen=True)
class Asked:
    """Forecasts of one hour ahead at every origin (NaN where there is none), and the model where there is one."""

    forecasts: Vector
    model: HorizonModel | None


def run(
    *,
    seed: int = 0,
    told: Told,
    recipe: Recipe = RECIPE,
    thesis: Recipe = THESIS_RECIPE,
    rivals: tuple[RivalName, ...] = RIVALS,
) -> Findings:
    """The whole study; tests reduce the recipes and the rivals.

    Raises:
        TorchMissingError: torch is not installed.
    """
    torch_or_complain()
    series = _series()
    end = int((TEST_FROM - series.start) / np.timedelta64(1, "h"))
    asked = _ask_all(series, end, replace(recipe, seed=seed), replace(thesis, seed=seed), rivals, told)
    truth = target(series, 1)
    scored = np.isfinite(truth) & (np.arange(len(series)) >= end - 1)
    for one in asked.values():
        scored &= np.isfinite(one.forecasts)
    days = _days(np.flatnonzero(scored), seed)
    scores = {name: _score(truth - one.forecasts, scored, days) for name, one in asked.items()}
    begins = int((SHOWN - series.start) / np.timedelta64(1, "h"))
    values = {
        "rmse_kw": scores,
        "test_hours": int(scored.sum()),
        "mean_load_kw": round(float(np.nanmean(series.load)), 3),
    }
    shown = np.arange(begins, begins + 24)
    one_day = {name: _rmse((truth - asked[name].forecasts)[shown - 1]) for name in _SUBJECTS}
    return Findings(
        name="narx",
        title="NARX forecast of a building's non-EV load, one hour ahead",
        method=METHOD,
        definitions=DEFINITIONS,
        beside=_besides(scores, one_day),
        claims=_claims(scores),
        sheets=_sheets(scores, series, asked, shown),
        plots=(
            Plot(
                "fig_4_2",
                "Fig. 4.2: measured and forecast load on 15 February 2017, with the 90 % range",
                _figure(series, asked, shown),
            ),
        ),
        values={**values, "one_day_rmse_kw": {name: round(value, 4) for name, value in one_day.items()}},
        seed=seed,
    )


def _ask_all(
    series: HourlySeries, end: int, recipe: Recipe, thesis: Recipe, rivals: tuple[RivalName, ...], told: Told
) -> dict[str, Asked]:
    found: dict[str, Asked] = {}
    for place, (name, preset) in enumerate(_SUBJECTS.items()):
        chosen = thesis if preset == "thesis" else recipe
        found[name] = _subject(series, end, preset, chosen, lambda done, n=name, at=place: told(0.4 * (at + done), n))
    for place, rival in enumerate(rivals):
        told(0.8 + 0.2 * place / len(rivals), rival)
        found[rival] = Asked(run_rival(rival, series, 1, end).forecasts, None)
    return found


def _series() -> HourlySeries:
    series = read_series(bundled("fontana_homes.csv.gz"), ["mean_home_kw"])
    return replace(series, load=HOMES * series.load, name="eight average homes")


def _subject(series: HourlySeries, end: int, preset: Preset, recipe: Recipe, told: object) -> Asked:
    def progress(epoch: int, most: int, _: float) -> None:
        if callable(told):
            told(epoch / most)

    model = fit(series.until(end), 1, preset=preset, recipe=recipe, progress=progress)
    return Asked(model.predict_following(model.table(series), target(series, 1), end - 1), model)


def _days(origins: Whole, seed: int) -> list[Whole]:
    """Whole days of the test, 30 of them drawn."""
    starts = origins[: len(origins) // 24 * 24].reshape(-1, 24)
    generator = np.random.default_rng([2, seed])
    count = min(DAYS_DRAWN, len(starts))
    return [starts[place] for place in np.sort(generator.permutation(len(starts))[:count])]


def _rmse(errors: Vector) -> float:
    return math.sqrt(float(np.nanmean(errors**2)))


def _score(errors: Vector, scored: np.typing.NDArray[np.bool_], days: list[Whole]) -> dict[str, float]:
    drawn = float(np.mean([_rmse(errors[day]) for day in days]))
    return {"all_hours": round(_rmse(errors[scored]), 4), "mean_of_30_days": round(drawn, 4)}


def _besides(scores: dict[str, dict[str, float]], one_day: dict[str, float]) -> tuple[Beside, ...]:
    thesis, ours = list(_SUBJECTS)
    why = (
        "Another building; the thesis gives the same number for a building of 46 kW (fig. 4.2) and for one unit "
        "(fig. 5.1), ours is given for both."
    )
    return (
        Beside(
            "RMSE of one day",
            "fig. 4.2 and 5.1",
            "0.3779 kW",
            f"{one_day[thesis]:.3f} kW, {one_day[thesis] / HOMES:.3f} kW per home (its NARX); {one_day[ours]:.3f} "
            f"and {one_day[ours] / HOMES:.3f} kW (this project's)",
            why,
        ),
        Beside(
            "RMSE, mean of 30 random days",
            "sec. 4.3",
            "0.5297 kW",
            f"{scores[thesis]['mean_of_30_days']:.3f} kW, {scores[thesis]['mean_of_30_days'] / HOMES:.3f} kW per "
            "home (its NARX); "
            f"{scores[ours]['mean_of_30_days']:.3f} and {scores[ours]['mean_of_30_days'] / HOMES:.3f} kW (this "
            "project's)",
            "The thesis does not say whether its number is a building's or a unit's; an average of twelve homes is "
            "smoother than one home, and no temperature is known beside this load.",
        ),
    )


def _claims(scores: dict[str, dict[str, float]]) -> tuple[Claim, ...]:
    thesis, ours = list(_SUBJECTS)
    table = ", ".join(f"{name} {score['all_hours']:.2f} kW" for name, score in scores.items())
    rest = [score["all_hours"] for name, score in scores.items() if name not in _SUBJECTS]
    naive = [scores[name]["all_hours"] for name in ("persistence", "yesterday", "week") if name in scores]
    return (
        Claim(
            "the NARX of the thesis forecasts well (compared with nothing there; here: better than the load of an "
            "hour, a "
            "day and a week before)",
            verdict(scores[thesis]["all_hours"] < min(naive)),
            table,
        ),
        Claim(
            "a NARX is better than ridge regression and boosting on the same load (not claimed there; what this "
            "project's has to show)",
            verdict(scores[ours]["all_hours"] < min(rest), scores[ours]["all_hours"] < 1.03 * min(rest)),
            f"this project's NARX {scores[ours]['all_hours']:.3f} kW, best rival {min(rest):.3f} kW, the thesis's "
            f"NARX {scores[thesis]['all_hours']:.3f} kW",
        ),
    )


def _sheets(
    scores: dict[str, dict[str, float]], series: HourlySeries, asked: dict[str, Asked], shown: Whole
) -> tuple[Sheet, ...]:
    rows = [(name, *score.values(), round(score["all_hours"] / HOMES, 4)) for name, score in scores.items()]
    hours = [
        (
            place,
            round(float(series.load[hour]), 4),
            *(round(float(one.forecasts[hour - 1]), 4) for one in asked.values()),
        )
        for place, hour in enumerate(shown)
    ]
    head = ("model", "RMSE of all test hours, kW", "mean RMSE of 30 days, kW", "RMSE per home, kW")
    return (
        Sheet("rmse", "RMSE, one hour ahead", head, rows, True),
        Sheet("day", "15 February 2017, kW", ("hour", "measured", *asked), hours),
    )


def _figure(series: HourlySeries, asked: dict[str, Asked], shown: Whole) -> Figure:
    figure = new_figure(9.5, 5.4)
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    hours = np.arange(24)
    for axis, name in zip(axes, _SUBJECTS, strict=True):
        one = asked[name]
        assert one.model is not None
        interval = AdaptiveInterval(one.model.checked)
        bands = [interval.band(int(hour)) for hour in hours]
        forecast = one.forecasts[shown - 1]
        low, high = (forecast + np.array([getattr(band, end) for band in bands]) for end in ("low", "high"))
        axis.fill_between(
            hours, np.maximum(low, 0.0), high, color=COLOURS[3], alpha=0.25, linewidth=0, label="90 % range"
        )
        axis.plot(hours, forecast, "--", color=COLOURS[1], linewidth=1.6, label="forecast an hour before")
        axis.plot(hours, series.load[shown], "o-", color=COLOURS[0], markersize=3, linewidth=1.4, label="measured")
        for hour, wrong in zip(hours, series.load[shown] - forecast, strict=True):
            axis.annotate(
                f"{wrong:+.1f}",
                (hour, series.load[shown][hour]),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
                fontsize=6.5,
            )
        tidy(
            axis,
            f"{name}: RMSE of the day {_rmse(series.load[shown] - forecast):.2f} kW; numbers: error in kW",
            "",
            "kW",
        ).set_ylim(bottom=0.0)
    legend(axes[0], loc="upper left", columns=3)
    axes[0].set_ylim(top=1.25 * axes[0].get_ylim()[1])
    axes[1].set_xlabel("hour of day", fontsize=9)
    axes[1].set_xticks(range(0, 24, 3))
    return figure
