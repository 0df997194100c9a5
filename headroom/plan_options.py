"""The options that the commands of `headroom plan` share."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from headroom.plan_days import PriceMode, Source
from headroom.plan_fields import PlanInputError
from headroom.plan_narrative import Endpoint

MOST = 1e9  # of any kW, price or weight on the command line: infinity is no figure to plan with

InputFile = Annotated[
    Path | None, typer.Option("--input", help="YAML or JSON with the whole day; see docs/planning.md.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the figure, the tables and the explanation.")]
ExplainUrl = Annotated[
    str | None, typer.Option(help="OpenAI-compatible endpoint for a longer text; totals and sentences are sent there.")
]
ExplainModel = Annotated[str, typer.Option(help="The endpoint's model.")]
ExplainKey = Annotated[Path | None, typer.Option(help="File that holds the endpoint's key.")]
Prices = Annotated[
    str | None, typer.Option(help="FILE[:COLUMN], hourly; csv, csv.gz, parquet. Default: an excerpt of 2019.")
]
Carbon = Annotated[str | None, typer.Option(help="FILE[:COLUMN] of grid carbon intensity, hourly.")]
Sessions = Annotated[str | None, typer.Option(help="Real charging sessions; default: drawn as the source says.")]
Timezone = Annotated[str | None, typer.Option(help="Wall clock for series in UTC, e.g. Europe/Amsterdam.")]
Mode = Annotated[
    PriceMode, typer.Option(help="Mean day of the file, a Gaussian scenario around it, or the day of --date itself.")
]
Date = Annotated[
    datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="The day, for real days and real sessions.")
]
StartHour = Annotated[int, typer.Option(min=0, max=23, help="Where the 24 hours of real sessions begin.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything drawn.")]
MonteCarlo = Annotated[int, typer.Option(min=0, help="Also this many days, with a 95 % interval of the saving.")]
Slots = Annotated[int, typer.Option(min=24, max=1440, help="Slots of the day; a multiple of 24.")]
Capacity = Annotated[
    float | None,
    typer.Option(
        min=0, max=MOST, help="Site limit in kW; default: 1130 for drawn cars of power-allocation, else every charger."
    ),
]
Limit = Annotated[float, typer.Option(min=0.1, max=MOST, help="Limit of one charger in kW.")]
Sockets = Annotated[int | None, typer.Option(min=1, help="How many cars the baseline may charge at once.")]


_BESIDE_INPUT = {"input_file", "out", "as_json", "pareto", "explain_url", "explain_model", "explain_key_file"}


def only_input(context: typer.Context) -> None:
    """Refuses options that an input file replaces: a `--strict` that does nothing would mislead.

    Raises:
        PlanInputError: naming the option.
    """
    if context.params.get("input_file") is None:
        return
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if name not in _BESIDE_INPUT and source is not None and source.name == "COMMANDLINE":
            raise PlanInputError(option.opts[0], None, "", "cannot be used with --input, whose file says the whole day")


def endpoint_of(url: str | None, model: str, key_file: Path | None) -> Endpoint | None:
    """The endpoint asked for, with its key read; None where none is."""
    if url is None:
        return None
    try:
        key = key_file.read_text(encoding="utf-8").strip() if key_file else None
    except OSError as problem:
        raise PlanInputError(str(key_file), None, "", f"cannot be read: {problem.strerror}") from problem
    return Endpoint(url, model, key)


def source_of(
    prices: str | None,
    carbon: str | None,
    sessions: str | None,
    timezone: str | None,
    mode: PriceMode,
    day: datetime | None,
    start_h: int,
    many: int,
) -> Source:
    """What the command line says about data.

    Raises:
        PlanInputError: a real day is wanted and none is named.
    """
    if day is None and not many and (mode == PriceMode.day or sessions):
        raise PlanInputError("--date", None, "", "is needed for a real day or real sessions, e.g. --date 2019-10-15")
    return Source(prices, carbon, sessions, timezone, mode, day.date() if day else None, start_h)
