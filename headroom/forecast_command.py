"""`headroom forecast`: train a NARX on a load series, or set it beside its rivals."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from domain.errors import HeadroomError
from forecasting.backtest import TEST_SHARE, Report, backtest
from forecasting.features import Preset
from forecasting.files import SeriesFileError, read_series
from forecasting.series import HourlySeries, Zeros
from forecasting.teaching import checked_error, teach
from forecasting.training import Progress as Told
from forecasting.training import Recipe
from headroom.console import out, print_json

app = typer.Typer(
    help="NARX forecasts of a building's load, beside their rivals.", no_args_is_help=True, add_completion=False
)
_err = Console(stderr=True)
_MODEL = Path("forecast.npz")

Data = Annotated[str, typer.Option("--data", help="csv, csv.gz or parquet; the first column is time.")]
Column = Annotated[list[str], typer.Option("--column", help="The load's column; several are summed.")]
Horizon = Annotated[list[str], typer.Option("--horizon", help="How far ahead: 1h, 24h, 2d. May be repeated.")]
Zone = Annotated[
    str | None, typer.Option("--timezone", help="Of wall clocks, and of the calendar of UTC times: Europe/London.")
]
Exogenous = Annotated[list[str], typer.Option("--exogenous", help="FILE:COLUMN, hourly, e.g. measured temperature.")]
ZeroRule = Annotated[str, typer.Option("--zeros", help="What a zero is: auto, missing or real.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the networks.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command("backtest")
def backtest_command(
    data: Data,
    column: Column,
    horizon: Horizon = ["1h", "24h"],  # noqa: B006 - typer reads it, nobody changes it
    timezone: Zone = None,
    exogenous: Exogenous = [],  # noqa: B006
    zeros: ZeroRule = "auto",
    test_share: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="The last part, kept for the test.")
    ] = TEST_SHARE,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Rolling origin over the last part of a series: NARX, the thesis's preset and five rivals.

    Example: headroom forecast backtest --data loads.csv --column main_kw --timezone Europe/London
    """
    try:
        series = _series(data, column, timezone, exogenous, zeros)
        horizons = tuple(_hours(text) for text in horizon)
        with _err.status("reading") as status:
            report = backtest(series, horizons, recipe=Recipe(seed=seed), test_share=test_share, told=status.update)
    except HeadroomError as problem:
        _refuse(problem)
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)


@app.command("train")
def train_command(
    data: Data,
    column: Column,
    horizon: Horizon = ["1h", "24h"],  # noqa: B006 - typer reads it, nobody changes it
    timezone: Zone = None,
    exogenous: Exogenous = [],  # noqa: B006
    zeros: ZeroRule = "auto",
    preset: Annotated[str, typer.Option("--preset", help="default, or thesis: chapter 4.2 as printed.")] = "default",
    out_file: Annotated[Path, typer.Option("--out", help="The model; its card is written beside it.")] = _MODEL,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train on a whole series and write the model, plain arrays with a checksum, and its card.

    Interrupted, the same command goes on with the horizon that it was at.
    Example: headroom forecast train --data loads.csv --column main_kw --horizon 1h --out main.npz
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        series = _series(data, column, timezone, exogenous, zeros)
        if not out_file.parent.is_dir():
            raise SeriesFileError("--out", None, "", f"the folder {out_file.parent} does not exist")
        with Progress(*columns, console=_err, disable=not _err.is_terminal) as bar:
            trained, checksum = teach(
                series,
                [_hours(text) for text in horizon],
                out_file,
                preset=_preset(preset),
                recipe=Recipe(seed=seed),
                started=lambda horizon_h: _told(bar, horizon_h),
            )
    except HeadroomError as problem:
        _refuse(problem)
    errors = {f"{horizon_h}h": checked_error(model) for horizon_h, model in trained.models.items()}
    if as_json:
        print_json(
            {
                "model": str(out_file),
                "card": f"{out_file}.md",
                "sha256": checksum,
                "series": trained.series,
                "hours": trained.hours,
                "horizons": {name: {"rmse": rmse, "mae": mae} for name, (rmse, mae) in errors.items()},
            }
        )
        return
    for name, (rmse, mae) in errors.items():
        out.print(f"{name} ahead: RMSE {rmse:.4g}, MAE {mae:.4g} on weeks kept from the trial fit")
    out.print(f"written: {out_file} and {out_file}.md (SHA-256 {checksum[:16]}...)")


def _preset(text: str) -> Preset:
    allowed: dict[str, Preset] = {"default": "default", "thesis": "thesis"}
    if text not in allowed:
        raise SeriesFileError("--preset", None, "", f"must be default or thesis, it is '{text}'")
    return allowed[text]


def _told(bar: Progress, horizon_h: int) -> Told:
    task = bar.add_task(f"{horizon_h} h", total=None)
    return lambda epoch, most, _: bar.update(task, completed=epoch, total=most)


def _series(data: str, column: list[str], timezone: str | None, exogenous: list[str], zeros: str) -> HourlySeries:
    allowed: dict[str, Zeros] = {"auto": "auto", "missing": "missing", "real": "real"}
    if zeros not in allowed:
        raise SeriesFileError("--zeros", None, "", f"must be auto, missing or real, it is '{zeros}'")
    return read_series(data, column, timezone=timezone, exogenous=exogenous, zeros=allowed[zeros])


def _hours(text: str) -> int:
    unit = {"h": 1, "d": 24}.get(text[-1:].lower())
    if unit is None or not text[:-1].isdigit() or not 1 <= int(text[:-1]) * unit <= 168:
        raise SeriesFileError("--horizon", None, "", f"must be 1h to 168h or 1d to 7d, it is '{text}'")
    return int(text[:-1]) * unit


def _refuse(problem: HeadroomError) -> NoReturn:
    _err.print(f"headroom forecast: {problem}", highlight=False, soft_wrap=True, markup=False)
    raise typer.Exit(2) from problem


def _print(report: Report) -> None:
    out.print(
        f"{report.series}: trained on {report.train_hours} h, tested on {report.test_hours} h "
        f"({report.first} to {report.last})"
    )
    for horizon, scores in report.horizons.items():
        table = Table(
            "model", "RMSE", "MAE", "pinball", "in 90 % band", "width", "worst month", title=f"{horizon} ahead"
        )
        for name, score in sorted(scores.items(), key=lambda item: item[1].rmse):
            worst = min(score.coverage_by_month.values(), default=score.coverage)
            figures = [f"{value:.4g}" for value in (score.rmse, score.mae, score.pinball)]
            table.add_row(name, *figures, f"{score.coverage:.1%}", f"{score.width:.4g}", f"{worst:.1%}")
        out.print(table)
        out.print(f"NARX over the best rival: {report.ratio(horizon):.3f}")
