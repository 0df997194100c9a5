"""The world and its judge, on a hand-turned clock and on virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import sqrt

import numpy as np
import pytest

from domain.ids import ChargerId, EvseId, FeederId, MeterId, SiteId
from domain.metering import MeterReading
from domain.site import Charger, CsmsSettings, Evse, Feeder, Meter, Phase, Site
from inventory.site_file import parse_site
from simulators.arrivals import Arrival, replayed_arrivals
from simulators.building import BuildingLoad, Home
from simulators.car import Car
from simulators.car_models import CAR_MODELS, CarModel
from simulators.demo_site import demo_site
from simulators.homes import building_load
from simulators.judge import ElectricalJudge
from simulators.service import ServiceJudge
from simulators.world import World
from simulators.world_report import jain_index

A, B, C = Phase.A, Phase.B, Phase.C
START = datetime(2026, 3, 3, 1, tzinfo=UTC)
MAIN = FeederId("main")
BIG = CarModel("test", 60, 32, 16, (0.9, 0.9), (0.9, 0.9), 1)


class HandClock:
    def __init__(self) -> None:
        self.at = START
        self.five_minutes_passed = asyncio.Event()

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=max(seconds, 0.001))
        if self.at >= START + timedelta(seconds=300):
            self.five_minutes_passed.set()
        await asyncio.sleep(0)


class Socket:
    """A power side that offers `offered_a` to any car."""

    def __init__(self, conductors: int = 2, voltage_v: float = 208.0, offered_a: float = 32.0) -> None:
        self.offered_a, self.current_a = offered_a, 0.0
        self.car: Car | None = None
        self.tags: list[str] = []
        self._wiring = (conductors, voltage_v)

    def plug(self, car: Car, id_tag: str) -> None:
        assert self.car is None
        self.car = car
        self.tags.append(id_tag)

    def unplug(self) -> None:
        self.car, self.current_a = None, 0.0

    def step(self, now: datetime, dt_s: float) -> None:
        self.current_a = self.car.step(self.offered_a, dt_s, *self._wiring) if self.car else 0.0


def small_site(*phases: tuple[Phase, ...], rating_a: float = 100.0) -> Site:
    chargers = tuple(
        Charger(ChargerId(f"C{n}"), (Evse(EvseId(f"E{n}"), ChargerId(f"C{n}"), 1, MAIN, legs),))
        for n, legs in enumerate(phases)
    )
    return Site(
        SiteId("x"),
        "UTC",
        CsmsSettings("ws://x"),
        (Feeder(MAIN, rating_a, meter=MeterId("m")),),
        chargers,
        (Meter(MeterId("m")),),
    )


def arrival(evse: str, after_s: float, stay_s: float, energy_wh: float = 50_000, car: CarModel = BIG) -> Arrival:
    at = START + timedelta(seconds=after_s)
    return Arrival(EvseId(evse), at, at + timedelta(seconds=stay_s), energy_wh, car, 60, 0.1, f"TAG-{evse}")


class Bench:
    """A world of sockets on a hand-turned clock."""

    def __init__(self, site: Site, arrivals: list[Arrival], load: BuildingLoad | None = None, **options: float) -> None:
        self.clock = HandClock()
        self.readings: list[tuple[datetime, MeterReading]] = []
        volts = {1: 208 / sqrt(3), 2: 208.0, 3: 208 / sqrt(3)}
        self.sockets = {e.id: Socket(e.conductors, volts[e.conductors]) for e in site.evses}
        self.world = World(
            site,
            self.clock,
            self.sockets,
            load or BuildingLoad(site, []),
            lambda reading: self.readings.append((self.clock.at, reading)),
            arrivals=arrivals,
            **options,  # type: ignore[arg-type]
        )

    def pass_s(self, seconds: int, each: Callable[[int], None] | None = None) -> None:
        for second in range(seconds):
            if each:
                each(second)
            self.clock.at += timedelta(seconds=1)
            self.world.advance()


# --- currents --------------------------------------------------------------------------------------------------------


def test_three_pairs_at_the_same_current_give_root_three() -> None:
    bench = Bench(small_site((A, B), (B, C), (C, A)), [arrival(f"E{n}", 1, 600) for n in range(3)])
    bench.pass_s(60)
    assert bench.world.ev_a == pytest.approx([32, 32, 32])
    assert bench.world.total_a[0] == pytest.approx([sqrt(3) * 32] * 3)
    assert bench.world.report().max_loading == pytest.approx(sqrt(3) * 32 / 100)


def test_base_load_lags_and_adds_as_a_phasor() -> None:
    """A one-phase car in phase with its voltage and a home at pf 0.97 on the same phase: law of cosines."""
    site = small_site((A,))
    load = BuildingLoad(site, [Home(MAIN, (A,), 0)], appliances=False, fluctuation=0.0)
    bench = Bench(site, [arrival("E0", 1, 600)], load)
    bench.pass_s(60)
    base_a = abs(load.phasors(bench.clock.at)[0, 0])
    assert base_a > 1
    assert bench.world.total_a[0, 0] == pytest.approx(sqrt(base_a**2 + 32**2 + 2 * base_a * 32 * 0.97))


def test_a_two_phase_car_loads_two_phases() -> None:
    """Wired B, C, A: its L1 and L2 are the building's B and C, and the energy is that of two phases."""
    bench = Bench(small_site((B, C, A)), [replace(arrival("E0", 0, 600), phase_share=(1.0, 1.0, 0.0))])
    bench.pass_s(60)
    assert bench.world.total_a[0] == pytest.approx([0, 16, 16])
    car = bench.world.car_at(EvseId("E0"))
    assert car is not None
    assert bench.world.report().energy_delivered_kwh == pytest.approx(car.energy_wh / 1000)


# --- the judge -------------------------------------------------------------------------------------------------------

FLAT = np.zeros((1, 3), dtype=np.complex128)


def on_phase_a(amps: float) -> np.ndarray:
    return np.array([[amps, 0, 0]], dtype=np.complex128)


@pytest.mark.parametrize(
    ("ev_a", "base_a", "seconds", "overload_s", "base_overload_s"),
    [
        (79, 0, 300, 0, 0),
        (40, 40, 300, 0, 0),  # exactly usable
        (0, 79, 300, 0, 0),
        (81, 0, 30, 0, 0),  # above usable, not yet for longer than 30 s
        (81, 0, 50, 20, 0),
        (41, 60, 10, 10, 0),  # above the rating: at once
        (0, 101, 10, 0, 10),  # the building alone
        (0, 90, 45, 0, 15),
        (10, 101, 10, 10, 10),
        (21, 90, 45, 45, 15),
    ],
)
def test_overload_seconds(ev_a: float, base_a: float, seconds: int, overload_s: float, base_overload_s: float) -> None:
    judge = ElectricalJudge(small_site((A, B)))
    for second in range(seconds):
        judge.observe(START + timedelta(seconds=second), 1.0, on_phase_a(ev_a), on_phase_a(base_a))
    assert judge.overload_s == pytest.approx(overload_s)
    assert judge.base_overload_s == pytest.approx(base_overload_s)
    assert judge.max_loading == pytest.approx((ev_a + base_a) / 100)
    assert (judge.first_overload is None) == (overload_s == 0)


def test_a_break_starts_the_thirty_seconds_anew() -> None:
    judge = ElectricalJudge(small_site((A, B)))
    for second in range(200):
        amps = 70 if second % 31 == 30 else 90
        judge.observe(START, 1.0, on_phase_a(amps), FLAT)
    assert judge.overload_s == 0


def test_an_instant_counts_once_however_many_feeders() -> None:
    feeders = (Feeder(MAIN, 100), Feeder(FeederId("p1"), 50, parent=MAIN), Feeder(FeederId("p2"), 50, parent=MAIN))
    judge = ElectricalJudge(Site(SiteId("x"), "UTC", CsmsSettings("ws://x"), feeders, ()))
    ev = np.array([[120, 120, 0], [60, 60, 0], [60, 0, 60]], dtype=np.complex128)
    for _ in range(7):
        judge.observe(START, 1.0, ev, np.zeros_like(ev))
    assert judge.overload_s == pytest.approx(7)
    assert judge.max_loading == pytest.approx(1.2)
    assert judge.worst is not None
    assert (judge.worst.feeder, judge.worst.phase) == (MAIN, A)


def test_injected_overload_is_seen_in_the_world_and_opens_the_breaker() -> None:
    """Four cars of 32 A on A-B behind 40 A: 128 A, 3.2 times the rating, from the ramp on until the last stops."""
    bench = Bench(
        small_site((A, B), (A, B), (A, B), (A, B), rating_a=40.0), [arrival(f"E{n}", 0, 900) for n in range(4)]
    )

    def keep_down(second: int) -> None:
        limit_a = 8.0 if second < 300 else 32.0
        for socket in bench.sockets.values():
            socket.offered_a = limit_a

    bench.pass_s(300, keep_down)
    assert bench.world.report().overload_seconds == 0
    assert bench.world.report().max_loading == pytest.approx(32 / 40)
    bench.pass_s(120, lambda second: keep_down(second + 300))
    report = bench.world.report()
    assert report.max_loading == pytest.approx(128 / 40)
    # 8 A each at the start, 3 A/s each: above 10 A each (40 A) from the first step on.
    assert report.overload_seconds == pytest.approx(120)
    assert report.breaker_trips >= 1
    assert report.base_overload_seconds == 0
    assert report.first_overload is not None
    assert report.first_overload.at == START + timedelta(seconds=301)


# --- service ---------------------------------------------------------------------------------------------------------


def test_energy_is_conserved_and_stays_are_counted() -> None:
    stays = [arrival("E0", 10, 1800, 800), arrival("E0", 2400, 1800), arrival("E1", 60, 3600, 3000)]
    bench = Bench(small_site((A, B), (C,)), stays)
    cars: set[Car] = set()

    def look(_: int) -> None:
        cars.update(socket.car for socket in bench.sockets.values() if socket.car)

    bench.pass_s(4500, look)
    report = bench.world.report()
    assert len(cars) == report.sessions == 3
    assert report.energy_delivered_kwh == pytest.approx(sum(car.energy_wh for car in cars) / 1000)
    assert report.energy_requested_kwh == pytest.approx(53.8)
    assert bench.sockets[EvseId("E0")].tags == ["TAG-E0", "TAG-E0"]
    assert bench.world.car_at(EvseId("E0")) is None
    assert report.jain_index > 0.99
    assert report.overload_seconds == 0


def test_waits_and_switches() -> None:
    """On for 100 s, off for 200 s, three times: 1 start, then 2 changes each; asks for more than it gets."""
    bench = Bench(small_site((A, B)), [arrival("E0", 0, 100_000)])

    def turns(second: int) -> None:
        bench.sockets[EvseId("E0")].offered_a = 16.0 if second % 300 < 100 else 0.0

    bench.pass_s(900, turns)
    report = bench.world.report()
    assert report.switches == 6
    assert 195 <= report.longest_wait_s <= 210


def test_a_satisfied_car_neither_waits_nor_switches() -> None:
    bench = Bench(small_site((A, B)), [arrival("E0", 0, 100_000, 200)])
    bench.pass_s(3600)
    report = bench.world.report()
    assert report.energy_delivered_kwh == pytest.approx(0.2)
    assert report.switches == 1
    assert report.longest_wait_s < 10


def test_jain_counts_what_was_possible() -> None:
    """x = delivered / min(asked, full power x stay): 1 kWh of 2 possible, all of a small wish, nothing of 4."""
    judge = ServiceJudge(4)
    for place, (asked_wh, full_w) in enumerate([(5000, 2000), (500, 2000), (9000, 4000), (50, 2000)]):
        judge.begin(place, asked_wh, full_w)
    power_w = np.array([1000.0, 500.0, 0.0, 0.0])
    for _ in range(3600):
        judge.observe(1.0, power_w / 208, power_w, np.array([True, False, True, True]))
    shares = [0.5, 1.0, 0.0]  # the wish for 50 Wh is left out
    assert judge.jain_index == pytest.approx(sum(shares) ** 2 / (3 * sum(x * x for x in shares)))
    for place in range(4):
        judge.end(place)
    assert judge.jain_index == pytest.approx(jain_index(shares))
    assert judge.longest_wait_s == pytest.approx(3600)


@pytest.mark.parametrize(
    ("shares", "index"), [([], 1.0), ([0, 0], 1.0), ([0.3] * 7, 1.0), ([1, 0, 0, 0], 0.25), ([1, 0.5], 0.9)]
)
def test_jain_index(shares: list[float], index: float) -> None:
    assert jain_index(shares) == pytest.approx(index)


# --- meters ----------------------------------------------------------------------------------------------------------


def test_meters_tell_the_truth_every_ten_seconds_late_when_they_lag() -> None:
    bench = Bench(small_site((A, B)), [arrival("E0", 0, 600)], meter_lag_s=3.0)
    bench.pass_s(65)
    assert [reading.at.second % 10 for _, reading in bench.readings] == [1] * len(bench.readings)
    assert len(bench.readings) == 7
    assert all(told == reading.at + timedelta(seconds=3) for told, reading in bench.readings)
    assert bench.readings[-1][1].current_a == pytest.approx({A: 32, B: 32, C: 0})


def test_a_silent_meter_says_nothing_until_it_is_restored() -> None:
    bench = Bench(small_site((A, B)), [])
    bench.pass_s(31)
    bench.world.meters.silence(MeterId("m"))
    bench.pass_s(60)
    assert len(bench.readings) == 4
    bench.world.meters.restore(MeterId("m"))
    bench.pass_s(10)
    assert len(bench.readings) == 5


def test_noise_is_around_the_truth() -> None:
    bench = Bench(small_site((A, B)), [arrival("E0", 0, 10_000)], meter_noise=0.01, meter_interval_s=1.0)
    bench.pass_s(1000)
    amps = np.array([reading.current_a[A] for _, reading in bench.readings[60:]])
    assert amps.mean() == pytest.approx(32, rel=0.002)
    assert amps.std() == pytest.approx(0.32, rel=0.15)


# --- the loop --------------------------------------------------------------------------------------------------------


async def test_runs_with_the_clock_until_cancelled() -> None:
    bench = Bench(small_site((A, B)), [arrival("E0", 5, 600)])
    running = asyncio.get_running_loop().create_task(bench.world.run())
    await bench.clock.five_minutes_passed.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.world.ev_a[0] == 32
    assert len(bench.world.history) == 4
    assert bench.world.history[-1].total_a.shape == (1, 3)
    assert bench.world.history[-1].total_a[0] == pytest.approx([32, 32, 0])


def test_catches_up_in_small_steps_when_the_clock_has_run_ahead() -> None:
    slow, steady = (Bench(small_site((A, B)), [arrival("E0", 0, 600)]) for _ in range(2))
    steady.pass_s(45)
    slow.clock.at += timedelta(seconds=45)
    slow.world.advance()
    assert slow.world.report().energy_delivered_kwh == pytest.approx(steady.world.report().energy_delivered_kwh)
    slow.clock.at += timedelta(hours=2)
    slow.world.advance()
    assert slow.world.report().sessions == 1
    assert slow.world.car_at(EvseId("E0")) is None


def test_a_day_of_the_demo_is_the_same_twice_and_never_overloads_when_cars_are_refused() -> None:
    site = parse_site(demo_site(12), "demo.yaml")
    arrivals = replayed_arrivals(site, START, 0.25, seed=1)
    reports = []
    for _ in range(2):
        bench = Bench(site, list(arrivals), building_load(site, seed=1), step_s=30.0, meter_noise=0.01)
        for socket in bench.sockets.values():
            socket.offered_a = 6.0 if socket is bench.sockets[EvseId("P1-01")] else 0.0
        for _ in range(24):
            bench.clock.at += timedelta(minutes=15)
            bench.world.advance()
        reports.append((bench.world.report(), [reading for _, reading in bench.readings]))
    assert reports[0] == reports[1]
    report = reports[0][0]
    assert report.sessions == len(arrivals) > 0
    assert report.overload_seconds == report.base_overload_seconds == report.breaker_trips == 0
    assert 0 < report.max_loading < 0.8


def test_report_speaks_the_contracts_words() -> None:
    bench = Bench(small_site((A, B)), [])
    bench.pass_s(5)
    assert set(bench.world.report().as_json()) == {
        *("sessions", "energy_delivered_kwh", "energy_requested_kwh", "max_loading", "overload_seconds"),
        *("base_overload_seconds", "breaker_trips", "jain_index", "longest_wait_s", "switches"),
    }


def test_refuses_a_site_without_power_sides() -> None:
    site = small_site((A, B))
    with pytest.raises(ValueError, match="none for E0"):
        World(site, HandClock(), {}, BuildingLoad(site, []), lambda _: None)


def test_models_in_the_table_can_all_be_plugged() -> None:
    stays = [arrival("E0", 700 * n, 600, car=model) for n, model in enumerate(CAR_MODELS)]
    bench = Bench(small_site((A, B, C)), stays)
    bench.pass_s(700 * len(CAR_MODELS))
    assert bench.world.report().sessions == len(CAR_MODELS)
    assert bench.world.report().jain_index > 0.99
