"""`plan aggregator`: a fleet under the head-room of households, from measured homes, sessions and prices."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np

from ems.planning.aggregator import Battery, FleetDay, headroom_kw
from ems.planning.aggregator_day import ComparedFleet, compare_fleet, evening
from ems.planning.base_load import BaseLoad, fit_base_load
from ems.planning.car_models import FLEET, FleetCar, build_fleet
from ems.planning.explain import Facts, saving_frac
from ems.planning.horizon import PlanInfeasible, Vector
from ems.planning.mobility import Charge, GammaLaw, daily_driving, fit_week
from ems.planning.montecarlo import DayCost, generators
from headroom.plan_days import Market, Source
from headroom.plan_fields import PlanInputError, read_fields
from headroom.plan_outcome import Outcome, Panel, costs, head, numbers
from headroom.plan_series import bundled, read_series, read_sessions

_MEASURED_CARS = 10
_FEWEST_SESSIONS = 20
_EXCERPT_HOMES = 12


@dataclass(frozen=True)
class FleetTask:
    """One day of the fleet; `base_kw` is what the households draw, where it is known."""

    day: FleetDay
    cars: tuple[Battery, ...]
    currency: str = "EUR"
    start_h: float = 12.0
    base_kw: Vector | None = None
    inputs: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class FleetSetting:
    """What the command line says about the fleet, the households and the connection."""

    homes: str | None
    homes_price: str | None
    homes_count: int | None
    households: int
    market_share: float
    connection_kw: float
    charger_kw: float
    power_kw: float
    efficiency: float
    v2g: bool
    always_home: bool
    seed: int


@dataclass(frozen=True)
class Neighbourhood:
    """Both tariff groups, fitted: households at a fixed tariff, and market customers.

    `elastic` is the fit with a price term. It is the market group's only where it says that load falls with price: a
    time-of-use price that peaks when people are at home gives a positive beta, which is no elasticity.
    """

    fixed: BaseLoad
    elastic: BaseLoad

    @property
    def market(self) -> BaseLoad:
        """What market customers are drawn from."""
        beta = self.elastic.price_beta
        return self.elastic if beta is not None and beta < 0 else self.fixed

    def draw_kw(self, rng: np.random.Generator, at: list[datetime], price: Vector, setting: FleetSetting) -> Vector:
        """One random day of all households, kW; only deviations of the price from its mean that day move load."""
        market_homes = round(setting.households * setting.market_share)
        moved = price - price.mean() + self.market.price_mean
        fixed = self.fixed.draw_kw(rng, at, None, setting.households - market_homes)
        return fixed + self.market.draw_kw(rng, at, moved, market_homes)


def fleet_of_file(file: Path) -> FleetTask:
    """Read an input file of the aggregator.

    Raises:
        PlanInputError: naming file, line and field.
    """
    fields = read_fields(file)
    price = fields.vector("prices_per_kwh")
    if price is None:
        raise fields.error("prices_per_kwh", "is missing: a list of prices, one per slot")
    slots = price.shape[0]
    room = fields.vector("headroom_kw", slots)
    if room is None:
        raise fields.error("headroom_kw", "is missing: a number of kW, or one per slot")
    cars: dict[str, Battery] = {}
    for row in fields.rows("cars"):
        ev = row.text("id")
        if ev in cars:
            raise row.error("id", f"car {ev} is given twice")
        capacity = row.number("capacity_kwh", low=0.0)
        arrival = row.integer("arrival", 0, high=slots)
        cars[ev] = Battery(
            ev,
            row.number("start_kwh", low=0.0, high=capacity),
            row.number("need_kwh", low=0.0),
            capacity,
            row.number("power_kw", 7.4, low=0.0),
            arrival,
            row.integer("departure", slots, low=arrival, high=slots),
        )
        row.done()
    day = FleetDay(
        slot_h=fields.number("slot_minutes", 60.0, low=1e-3) / 60.0,
        price_per_kwh=price,
        headroom_kw=room,
        efficiency=fields.number("efficiency", 0.9, low=1e-3, high=1.0),
        v2g=fields.flag("v2g", False),
        feed_in_kw=fields.number("feed_in_kw", 1000.0, low=0.0),
    )
    start_h = fields.number("start_hour", 12.0, low=0.0, high=24.0)
    currency = fields.text("currency", "EUR")
    fields.done()
    return FleetTask(day, tuple(cars.values()), currency, start_h, inputs={"input": str(file)})


def fit_neighbourhood(setting: FleetSetting) -> Neighbourhood:
    """Fit both groups on the same series of mean load per household, the market group with its price.

    A mean of twelve homes is calmer than one home: how many it is of (`homes_count`) scales the noise back.
    """
    count = setting.homes_count or (1 if setting.homes else _EXCERPT_HOMES)
    spec = setting.homes or bundled("fontana_homes.csv.gz") + ":mean_home_kw"
    price_column = setting.homes_price or (None if setting.homes else "price_usd_per_kwh")
    load = read_series(spec, kind="loads")
    file = load.file
    price = read_series(f"{file}:{price_column}").values if price_column else None
    known = np.isfinite(load.values) & (True if price is None else np.isfinite(price))
    at = [moment for moment, good in zip(load.at, known, strict=True) if good]
    try:
        fixed = fit_base_load(at, load.values[known], homes=count)
        elastic = fixed if price is None else fit_base_load(at, load.values[known], price[known], homes=count)
    except ValueError as problem:
        raise PlanInputError(file, None, load.column, str(problem)) from problem
    return Neighbourhood(fixed, elastic)


def fit_weeks(sessions: str | None) -> tuple[tuple[GammaLaw, ...], ...]:
    """Weekday laws of the ten users who charged most often (003: ten measured EVs).

    Raises:
        PlanInputError: no user charged often enough.
    """
    file = sessions or bundled("trondheim_sessions.csv.gz")
    by_user: dict[str, list[Charge]] = {}
    for session in read_sessions(file):
        by_user.setdefault(session.user, []).append(Charge(session.plugin.date(), session.energy_kwh))
    often = sorted(by_user, key=lambda user: (-len(by_user[user]), user))[:_MEASURED_CARS]
    weeks = []
    for user in often:
        driven = daily_driving(by_user[user])
        if len(by_user[user]) >= _FEWEST_SESSIONS and len(driven) >= 2:
            weeks.append(fit_week(driven))
    if not weeks:
        raise PlanInputError(file, None, "user_id", f"no user has {_FEWEST_SESSIONS} sessions or more to fit a law to")
    return tuple(weeks)


def fleet_tasks(setting: FleetSetting, source: Source, count: int) -> Iterator[FleetTask]:
    """`count` days from noon to noon; the same seed gives the same days."""
    market = Market(source)
    try:
        fleet = build_fleet(fit_weeks(source.sessions))
    except ValueError as problem:
        raise PlanInputError(source.sessions or "sessions", None, "energy_kwh", str(problem)) from problem
    homes = fit_neighbourhood(setting)
    inputs = _inputs(setting, source, market, homes, fleet)
    for place, rng in enumerate(generators(setting.seed, count)):
        day = market.draw_date(place, count)
        price = market.price(24, day, rng)
        at = [datetime.combine(day, time(source.start_h)) + timedelta(hours=hour) for hour in range(24)]
        base = homes.draw_kw(rng, at, price, setting)
        room = headroom_kw(base, setting.connection_kw, setting.charger_kw)
        cars = evening(
            rng,
            fleet,
            day.weekday(),
            start_h=source.start_h,
            power_kw=setting.power_kw,
            always_home=setting.always_home,
        )
        yield FleetTask(
            FleetDay(1.0, price, room, setting.efficiency, setting.v2g, setting.charger_kw),
            cars,
            market.prices.currency,
            float(source.start_h),
            base,
            inputs | {"date": _date(source, day)},
        )


def _date(source: Source, day: date) -> str:
    return f"{day} {source.start_h:02d}:00"


def _inputs(
    setting: FleetSetting, source: Source, market: Market, homes: Neighbourhood, fleet: tuple[FleetCar, ...]
) -> dict[str, object]:
    means = {model.name: 0.0 for model in FLEET} | {
        car.model.name: round(float(np.mean([law.mean_kwh for law in car.week])), 3) for car in fleet
    }
    return {
        "prices": f"{Path(market.prices.file).name}:{market.prices.column}",
        "price_mode": source.mode.value,
        "seed": setting.seed,
        "cars": len(fleet),
        "households": setting.households,
        "connection_kw": setting.connection_kw,
        "price_beta_kw": homes.elastic.price_beta,
        "price_beta_se_kw": homes.elastic.price_beta_se,
        "price_beta_used": homes.market.price_beta is not None,
        "base_load_unexplained": homes.market.residual_share,
        "mean_driving_kwh_per_day": means,
    }


def fleet_cost(task: FleetTask) -> DayCost | PlanInfeasible:
    """One day of a Monte Carlo."""
    found = compare_fleet(task.day, task.cars)
    return found if isinstance(found, PlanInfeasible) else found.costs


def solve_fleet(task: FleetTask) -> Outcome | PlanInfeasible:
    """One day: plan, unmanaged charging, V2G where asked, and the document of all."""
    found = compare_fleet(task.day, task.cars)
    if isinstance(found, PlanInfeasible):
        return found
    facts = _facts(task, found)
    document = head("aggregator", facts, (found.equal.cost, found.baseline.cost))
    document |= {
        "baseline_missed_kwh": float(found.baseline.shortfall_kwh.sum()),
        "headroom_kw": numbers(task.day.headroom_kw),
        "headroom_value": numbers(found.plan.headroom_value),
        "base_load_kw": None if task.base_kw is None else numbers(task.base_kw),
        "v2g": _v2g(found),
        "inputs": task.inputs,
    }
    shown = found.v2g or found.plan
    document["schedule"] = [
        {
            "ev": car.ev,
            "start_kwh": round(car.start_kwh, 6),
            "need_kwh": round(car.need_kwh, 6),
            "charge_kw": numbers(shown.charge_kw[:, n]),
            "discharge_kw": numbers(shown.discharge_kw[:, n]),
        }
        for n, car in enumerate(task.cars)
    ]
    return Outcome("aggregator", document, facts, _panels(task, found))


def _v2g(found: ComparedFleet) -> Mapping[str, object] | None:
    if found.v2g is None or found.v2g_selling is None:
        return None
    return {
        **costs(found.v2g.cost, found.baseline.cost),
        "discharged_kwh": float(found.v2g.discharge_kw.sum() * found.v2g.slot_h),
        "selling_stored_energy": {
            **costs(found.v2g_selling.cost, found.baseline.cost),
            "stored_less_kwh": float(found.v2g.stored_kwh[-1].sum() - found.v2g_selling.stored_kwh[-1].sum()),
        },
    }


def _facts(task: FleetTask, found: ComparedFleet) -> Facts:
    notes = []
    missed = float(found.baseline.shortfall_kwh.sum())
    if missed > 1e-6:
        notes.append(f"Unmanaged, the head-room would not do: {missed:.1f} kWh of tomorrow's needs would be missing.")
    if found.v2g is not None:
        frac = saving_frac(found.v2g.cost, found.baseline.cost)
        notes.append(
            f"With discharging it costs {found.v2g.cost:.2f} {task.currency}"
            + (f", {frac:.1%} less than unmanaged," if frac is not None else "")
            + " with every car leaving at least as full as it came."
        )
    return Facts(
        slot_h=task.day.slot_h,
        start_h=task.start_h,
        price_per_kwh=task.day.price_per_kwh,
        plan_kwh=found.plan.energy_kwh,
        baseline_kwh=found.baseline.energy_kwh,
        cost=found.plan.cost,
        baseline_cost=found.baseline.cost,
        currency=task.currency,
        equal_saving_frac=saving_frac(found.equal.cost, found.baseline.cost),
        capacity_value=found.plan.headroom_value,
        limit="the fleet's limit (what households leave, and all chargers together)",
        notes=tuple(notes),
    )


def _panels(task: FleetTask, found: ComparedFleet) -> tuple[Panel, ...]:
    powers = {"plan": found.plan.energy_kwh / task.day.slot_h, "unmanaged": found.baseline.energy_kwh / task.day.slot_h}
    if found.v2g is not None:
        powers["plan with V2G"] = found.v2g.energy_kwh / task.day.slot_h
    powers["head-room"] = task.day.headroom_kw
    stored = {"plan": found.plan.stored_kwh.sum(axis=1), "unmanaged": found.baseline.stored_kwh.sum(axis=1)}
    panels = [
        Panel("Fleet power", "kW", powers),
        Panel("Price", f"{task.currency}/kWh", {"price": task.day.price_per_kwh}),
        Panel("Energy in the fleet's batteries", "kWh", stored, look="smooth"),
    ]
    if task.base_kw is not None:
        panels.append(Panel("Households", "kW", {"base load": task.base_kw}))
    return tuple(panels)
