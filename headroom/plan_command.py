"""`headroom plan MODEL`: the day-ahead planning models on measured, drawn or given data."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from domain.errors import HeadroomError
from ems.planning.horizon import PlanInfeasible
from ems.planning.montecarlo import DayCost
from headroom.plan_aggregator import FleetSetting, fleet_cost, fleet_of_file, fleet_tasks, solve_fleet
from headroom.plan_cohort import CohortSetting, cohort_cost, cohort_of_file, cohort_tasks, solve_cohort
from headroom.plan_days import PriceMode, Source
from headroom.plan_fields import PlanInputError
from headroom.plan_narrative import Endpoint, narrate
from headroom.plan_options import (
    MOST,
    AsJson,
    Capacity,
    Carbon,
    Date,
    ExplainKey,
    ExplainModel,
    ExplainUrl,
    InputFile,
    Limit,
    Mode,
    MonteCarlo,
    Out,
    Prices,
    Seed,
    Sessions,
    Slots,
    Sockets,
    StartHour,
    Timezone,
    endpoint_of,
    only_input,
    source_of,
)
from headroom.plan_outcome import Outcome, infeasible
from headroom.plan_report import lines, write_report
from headroom.plan_sct import DriverProfile, ScenarioNumber, scenario, sct_of_file, solve_sct
from headroom.plan_stays import PARETO_WEIGHTS, Setting, cost_of, solve, task_of_file, tasks, with_monte_carlo

app = typer.Typer(
    help="Day-ahead planning models: the cheapest day of a car park, a building or a fleet, beside unmanaged charging.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Task = TypeVar("Task")
_err = Console(stderr=True)
_MOST_REASONS = 20


def _guarded(context: typer.Context, work: Callable[[], None]) -> None:
    """Bad input ends with one sentence on stderr and exit code 2."""
    try:
        only_input(context)
        work()
    except HeadroomError as problem:
        print(f"headroom plan: {problem}", file=sys.stderr)
        raise typer.Exit(2) from problem


def _finish(
    model: str, found: Outcome | PlanInfeasible, as_json: bool, out: Path | None, endpoint: Endpoint | None
) -> None:
    """Print and write what was found; exit 1 where the answer is no."""
    if isinstance(found, PlanInfeasible):
        _refuse(model, found, as_json)
    text = narrate(found, endpoint) if endpoint else None
    found.document["explanation"] = list(found.sentences)
    if text is not None:
        found.document["narrative"] = text
    files = write_report(found, out, text) if out else ()
    if as_json:
        print(json.dumps(found.document, allow_nan=False))
        return
    print("\n".join(lines(found, text)))
    for file in files:
        print(f"written: {file}")


def _refuse(model: str, found: PlanInfeasible, as_json: bool) -> NoReturn:
    if as_json:
        print(json.dumps(infeasible(model, found), allow_nan=False))
    for reason in found.reasons[:_MOST_REASONS]:
        print(f"no plan: {reason.why}", file=sys.stderr)
    if len(found.reasons) > _MOST_REASONS:
        print(f"no plan: and {len(found.reasons) - _MOST_REASONS} more like these (--json has all)", file=sys.stderr)
    raise typer.Exit(1)


def _bar(work: Iterable[Task], name: str, count: int) -> Iterable[Task]:
    """The same items under a progress bar on stderr, where that is a terminal."""
    return track(work, description=name, total=count, console=_err, disable=not _err.is_terminal, transient=True)


def _sweep(
    days: Iterator[Task], count: int, cost: Callable[[Task], DayCost | PlanInfeasible]
) -> list[DayCost] | PlanInfeasible:
    """Every day of a Monte Carlo, under a progress bar on stderr; the first day without a plan ends it."""
    found = []
    for task in _bar(days, "days", count):
        day = cost(task)
        if isinstance(day, PlanInfeasible):
            return day
        found.append(day)
    return found


def _with_days(
    outcome: Outcome | PlanInfeasible, days: list[DayCost] | PlanInfeasible | None
) -> Outcome | PlanInfeasible:
    if days is None or isinstance(outcome, PlanInfeasible):
        return outcome
    return days if isinstance(days, PlanInfeasible) else with_monte_carlo(outcome, days)


def _stay_plan(
    file: Path | None, setting: Setting, source: Callable[[], Source], many: int, pareto: bool
) -> Outcome | PlanInfeasible:
    weights = _bar(PARETO_WEIGHTS, "weights", len(PARETO_WEIGHTS)) if pareto else ()
    if file is not None:
        return solve(task_of_file(file, setting.model), weights)
    if setting.slots % 24:
        raise PlanInputError("--slots", None, "", f"must be a multiple of 24, it is {setting.slots}")
    chosen = source()
    days = _sweep(tasks(setting, chosen, many), many, cost_of) if many else None
    return _with_days(solve(next(tasks(setting, chosen, 1)), weights), days)


@app.command("power-allocation")
def power_allocation(
    context: typer.Context,
    input_file: InputFile = None,
    prices: Prices = None,
    sessions: Sessions = None,
    timezone: Timezone = None,
    price_mode: Mode = PriceMode.historical,
    day: Date = None,
    start_hour: StartHour = 0,
    cars: Annotated[int, typer.Option(min=1, help="Cars to draw.")] = 100,
    slots: Slots = 288,
    capacity_kw: Capacity = None,
    limit_kw: Limit = 22.0,
    gamma: Annotated[float, typer.Option(min=0, max=MOST, help="Price of a kWh not delivered.")] = 0.157,
    strict: Annotated[bool, typer.Option("--strict", help="Every kWh must be delivered.")] = False,
    sockets: Sockets = None,
    seed: Seed = 0,
    monte_carlo: MonteCarlo = 0,
    out: Out = None,
    as_json: AsJson = False,
    explain_url: ExplainUrl = None,
    explain_model: ExplainModel = "local",
    explain_key_file: ExplainKey = None,
) -> None:
    """Charge each car in its cheapest hours under one site limit (power allocation).

    Example: headroom plan power-allocation --price-mode day --date 2019-10-15 --cars 100 --out plan/
    """

    def work() -> None:
        setting = Setting(
            "power-allocation", slots, cars, capacity_kw, limit_kw, None if strict else gamma, sockets, 0.0, seed
        )
        found = _stay_plan(
            input_file,
            setting,
            lambda: source_of(prices, None, sessions, timezone, price_mode, day, start_hour, monte_carlo),
            monte_carlo,
            False,
        )
        _finish("power-allocation", found, as_json, out, endpoint_of(explain_url, explain_model, explain_key_file))

    _guarded(context, work)


@app.command("emission")
def emission(
    context: typer.Context,
    input_file: InputFile = None,
    prices: Prices = None,
    carbon: Carbon = None,
    sessions: Sessions = None,
    timezone: Timezone = None,
    price_mode: Mode = PriceMode.historical,
    day: Date = None,
    start_hour: StartHour = 0,
    cars: Annotated[int, typer.Option(min=1, help="Cars to draw.")] = 300,
    slots: Slots = 144,
    capacity_kw: Capacity = None,
    limit_kw: Limit = 22.0,
    weight: Annotated[float, typer.Option(min=0, max=MOST, help="Lambda: 0 is pure cost.")] = 9.0,
    gamma: Annotated[
        float | None, typer.Option(min=0, max=MOST, help="Price of a kWh not delivered; default: none may be.")
    ] = None,
    pareto: Annotated[bool, typer.Option("--pareto", help="Also the front of cost against carbon.")] = False,
    sockets: Sockets = None,
    seed: Seed = 0,
    monte_carlo: MonteCarlo = 0,
    out: Out = None,
    as_json: AsJson = False,
    explain_url: ExplainUrl = None,
    explain_model: ExplainModel = "local",
    explain_key_file: ExplainKey = None,
) -> None:
    """Weigh cost and carbon in one plan, and draw the front between them (emission model).

    Example: headroom plan emission --weight 9 --pareto --out plan/
    """

    def work() -> None:
        setting = Setting("emission", slots, cars, capacity_kw, limit_kw, gamma, sockets, weight, seed)
        found = _stay_plan(
            input_file,
            setting,
            lambda: source_of(prices, carbon, sessions, timezone, price_mode, day, start_hour, monte_carlo),
            monte_carlo,
            pareto,
        )
        _finish("emission", found, as_json, out, endpoint_of(explain_url, explain_model, explain_key_file))

    _guarded(context, work)


@app.command("cohort")
def cohort(
    context: typer.Context,
    input_file: InputFile = None,
    prices: Prices = None,
    timezone: Timezone = None,
    price_mode: Mode = PriceMode.historical,
    day: Date = None,
    cars_per_day: Annotated[float, typer.Option(min=1, max=MOST, help="Cars that arrive in a day.")] = 4500.0,
    classes: Annotated[int, typer.Option(min=1, max=100, help="n, steps of energy from full to empty.")] = 10,
    slots: Slots = 144,
    capacity_kw: Annotated[float, typer.Option(min=0, max=MOST, help="Site limit in kW.")] = 3300.0,
    power_kw: Annotated[float, typer.Option(min=0.1, max=MOST, help="P0, power of each charging car.")] = 22.0,
    gamma: Annotated[float, typer.Option(min=0, max=MOST, help="Price of a car-slot below full.")] = 1.3,
    rounded: Annotated[
        bool, typer.Option("--rounded", help="Round arrivals to whole cars, as the source prints.")
    ] = False,
    seed: Seed = 0,
    monte_carlo: MonteCarlo = 0,
    out: Out = None,
    as_json: AsJson = False,
    explain_url: ExplainUrl = None,
    explain_model: ExplainModel = "local",
    explain_key_file: ExplainKey = None,
) -> None:
    """Plan a fleet of any size in classes of remaining energy (cohort model).

    Example: headroom plan cohort --cars-per-day 1000000 --capacity-kw 700000 --json
    """

    def work() -> None:
        endpoint = endpoint_of(explain_url, explain_model, explain_key_file)
        if input_file is not None:
            _finish("cohort", solve_cohort(cohort_of_file(input_file)), as_json, out, endpoint)
            return
        if slots % 24:
            raise PlanInputError("--slots", None, "", f"must be a multiple of 24, it is {slots}")
        source = source_of(prices, None, None, timezone, price_mode, day, 0, monte_carlo)
        setting = CohortSetting(slots, cars_per_day, classes, capacity_kw, power_kw, gamma, rounded, seed)
        many = monte_carlo
        days = _sweep(cohort_tasks(setting, source, many), many, cohort_cost) if many else None
        found = _with_days(solve_cohort(next(cohort_tasks(setting, source, 1))), days)
        _finish("cohort", found, as_json, out, endpoint)

    _guarded(context, work)


@app.command("sct")
def sct(
    context: typer.Context,
    input_file: InputFile = None,
    scenario_number: Annotated[
        ScenarioNumber, typer.Option("--scenario", help="One of the source's three.")
    ] = ScenarioNumber.prices,
    prices: Prices = None,
    timezone: Timezone = None,
    day: Date = None,
    start_hour: StartHour = 0,
    profile: Annotated[
        DriverProfile | None, typer.Option(help="Give every driver of the scenario this profile.")
    ] = None,
    out: Out = None,
    as_json: AsJson = False,
    explain_url: ExplainUrl = None,
    explain_model: ExplainModel = "local",
    explain_key_file: ExplainKey = None,
) -> None:
    """Share one supply point: V2G, grid orders, opportunity cost, four driver profiles (smart charging tool).

    Example: headroom plan sct --scenario 2 --json
    """

    def work() -> None:
        endpoint = endpoint_of(explain_url, explain_model, explain_key_file)
        if input_file is not None:
            site, evses, currency = sct_of_file(input_file)
            _finish("sct", solve_sct(site, evses, currency, {"input": str(input_file)}), as_json, out, endpoint)
            return
        source = source_of(prices, None, None, timezone, PriceMode.day, day, start_hour, 0 if prices else 1)
        site, evses, currency, inputs = scenario(scenario_number, source, profile)
        _finish("sct", solve_sct(site, evses, currency, inputs, float(start_hour)), as_json, out, endpoint)

    _guarded(context, work)


@app.command("aggregator")
def aggregator(
    context: typer.Context,
    input_file: InputFile = None,
    prices: Prices = None,
    sessions: Annotated[str | None, typer.Option(help="Real sessions to fit mobility to. Default: an excerpt.")] = None,
    homes: Annotated[
        str | None, typer.Option(help="FILE[:COLUMN], mean kW per household, hourly. Default: an excerpt.")
    ] = None,
    homes_price: Annotated[str | None, typer.Option(help="Column of --homes with what market customers paid.")] = None,
    homes_count: Annotated[
        int | None, typer.Option(min=1, help="How many homes that mean is of. Default: 12 for the excerpt, else 1.")
    ] = None,
    timezone: Timezone = None,
    price_mode: Mode = PriceMode.day,
    day: Date = None,
    households: Annotated[int, typer.Option(min=0, help="Households on the same connection.")] = 500,
    market_share: Annotated[float, typer.Option(min=0, max=1, help="Share of them at market price.")] = 0.5,
    connection_kw: Annotated[float, typer.Option(min=0, max=MOST, help="Limit of the connection.")] = 1500.0,
    charger_kw: Annotated[float, typer.Option(min=0, max=MOST, help="All chargers together.")] = 1000.0,
    power_kw: Annotated[float, typer.Option(min=0.1, max=MOST, help="One car's charger.")] = 7.4,
    efficiency: Annotated[float, typer.Option(min=0.01, max=1, help="Of charging, and of discharging.")] = 0.9,
    v2g: Annotated[bool, typer.Option("--v2g", help="Also with discharging.")] = False,
    always_home: Annotated[bool, typer.Option("--always-home", help="No absences, as the source prints it.")] = False,
    seed: Seed = 0,
    monte_carlo: MonteCarlo = 0,
    out: Out = None,
    as_json: AsJson = False,
    explain_url: ExplainUrl = None,
    explain_model: ExplainModel = "local",
    explain_key_file: ExplainKey = None,
) -> None:
    """Charge a fleet of 278 cars under the head-room that households leave, noon to noon (aggregator).

    Example: headroom plan aggregator --date 2019-10-15 --v2g --monte-carlo 30
    """

    def work() -> None:
        endpoint = endpoint_of(explain_url, explain_model, explain_key_file)
        if input_file is not None:
            _finish("aggregator", solve_fleet(fleet_of_file(input_file)), as_json, out, endpoint)
            return
        source = Source(prices, None, sessions, timezone, price_mode, _date(day), 12)
        setting = FleetSetting(
            homes=homes,
            homes_price=homes_price,
            homes_count=homes_count,
            households=households,
            market_share=market_share,
            connection_kw=connection_kw,
            charger_kw=charger_kw,
            power_kw=power_kw,
            efficiency=efficiency,
            v2g=v2g,
            always_home=always_home,
            seed=seed,
        )
        days = _sweep(fleet_tasks(setting, source, monte_carlo), monte_carlo, fleet_cost) if monte_carlo else None
        found = _with_days(solve_fleet(next(fleet_tasks(setting, source, 1))), days)
        _finish("aggregator", found, as_json, out, endpoint)

    _guarded(context, work)


def _date(day: datetime | None) -> date | None:
    return day.date() if day else None
