"""A recording played again: energy is conserved, control never overloads, growth finds what brute force finds."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from domain.ids import EvseId
from headroom.cli import build
from headroom.replay.day_grid import Grid, cut
from headroom.replay.growth import grown, room_to_grow
from headroom.replay.recording import Stay
from headroom.replay.shadow import run_shadow
from headroom.replay.tariff import MID_PEAK, OFF_PEAK, ON_PEAK, ontario
from headroom.replay.verdict import violation
from inventory.site_file import parse_site

BEGINS = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
STEP = timedelta(minutes=15)
STEPS = 64
FILE = """
site: court
timezone: UTC
csms: {url: "ws://127.0.0.1:9100/ocpp"}
electrical: {line_to_line_v: 400, model: arithmetic}
strategy: milp
scheduler: {kind: round_robin, quantum_s: 1800, min_on_s: 600}
feeders:
  - {id: main, rating_a: 80, usable: 0.8, meter: m-main, base_load_max_a: {A: 40, B: 40, C: 40}}
chargers:
"""
CHARGER = (
    "  - {{id: C{0}, evses: [{{id: E{0}, connector: 1, feeder: main, phases: [A, B, C], max_a: 16, min_a: 6}}]}}\n"
)
TEXT = FILE + "".join(CHARGER.format(n) for n in range(4)) + "meters:\n  - {id: m-main, stale_after_s: 60}\n"
SITE = parse_site(TEXT, "court.yaml")


def quiet(_done: float) -> None:
    """Nobody listens."""


def stay(evse: int, first: int, steps: int, kwh: float) -> Stay:
    return Stay(EvseId(f"E{evse}"), BEGINS + first * STEP, BEGINS + (first + steps) * STEP, 1000.0 * kwh)


def grid_of(stays: list[Stay], base_a: float | np.ndarray = 20.0) -> Grid:
    base = np.zeros((STEPS, 1, 3))
    base[:] = base_a
    return Grid(SITE, BEGINS, STEP, base, tuple(stays), ())


stays_at = st.tuples(st.integers(0, 40), st.integers(4, 24), st.floats(1.0, 40.0))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(stays_at, min_size=4, max_size=4),
    st.floats(0.0, 60.0),
    st.sampled_from(["milp", "stackelberg", "equal", "fcfs"]),
)
def test_no_strategy_overloads_and_energy_is_conserved(
    drawn: list[tuple[int, int, float]], base_a: float, strategy: str
) -> None:
    grid = grid_of([stay(evse, *one) for evse, one in enumerate(drawn)], base_a)
    grid = replace(grid, site=replace(SITE, strategy=strategy))  # type: ignore[arg-type]
    run = run_shadow(grid, strategy, quiet)
    assert run.judge.overload_s == 0.0
    assert run.judge.breakers.trips.sum() == 0
    assert run.total_a.max() <= max(64.0, base_a) + 1e-6
    for one in run.served:
        assert one.delivered_wh <= one.possible_wh + 1e-6
    assert run.ev_w.sum() * 0.25 == pytest.approx(sum(one.delivered_wh for one in run.served), abs=1e-3)


TREE = """
site: tree
timezone: UTC
csms: {{url: "ws://127.0.0.1:9100/ocpp"}}
electrical: {{line_to_line_v: 480, model: {model}}}
strategy: milp
scheduler: {{kind: round_robin, quantum_s: 1800, min_on_s: 600}}
feeders:
  - {{id: main, rating_a: 60, usable: 0.8, meter: m-main, base_load_max_a: {{A: 20, B: 20, C: 20}}}}
  - {{id: sub, parent: main, rating_a: 100, usable: 0.8, transformer: {{ratio: 2.3077, winding: delta-wye}}}}
chargers:
"""


@pytest.mark.parametrize("model", ["arithmetic", "phasor"])
def test_behind_a_delta_wye_transformer_every_line_holds_and_without_control_none_does(model: str) -> None:
    pairs = ("[A, B]", "[B, C]", "[C, A]")
    text = TREE.format(model=model) + "".join(
        CHARGER.format(n).replace("main", "sub").replace("[A, B, C]", pairs[n % 3]).replace("16", "32")
        for n in range(9)
    )
    site = parse_site(text + "meters:\n  - {id: m-main, stale_after_s: 60}\n", "tree.yaml")
    rng = np.random.default_rng(1)
    base = np.zeros((STEPS, 2, 3))
    base[:, 0] = rng.uniform(0.0, 25.0, (STEPS, 3))
    stays = tuple(
        stay(n, int(rng.integers(0, 30)), int(rng.integers(8, 30)), float(rng.uniform(10, 40))) for n in range(9)
    )
    grid = Grid(site, BEGINS, STEP, base, stays, ())
    free, run = (run_shadow(grid, strategy, quiet) for strategy in ("none", "milp"))
    assert free.judge.max_loading > 1.0
    assert free.judge.overload_s > 0.0
    assert run.judge.max_loading <= 0.8 + 1e-6
    assert run.judge.overload_s == 0.0


def test_without_control_the_sum_of_all_cars_is_drawn_and_counted() -> None:
    """Three cars of 16 A beside 20 A are 68 A of 64 A usable for four quarters of an hour; no breaker trips."""
    run = run_shadow(grid_of([stay(n, 4 + 2 * n, 8, 40.0) for n in range(3)]), "none", quiet)
    assert run.judge.overload_s == 4 * 15 * 60
    assert run.judge.max_loading == pytest.approx(68 / 80)
    assert run.judge.breakers.trips.sum() == 0
    assert all(one.share == 1.0 for one in run.served)
    assert violation(run) is not None


def test_a_car_that_has_to_wait_is_counted_as_waiting() -> None:
    """60 A of the building leave nothing of 64 A for two hours."""
    base = np.full((STEPS, 1, 3), 20.0)
    base[4:12] = 60.0
    run = run_shadow(grid_of([stay(0, 4, 16, 10.0)], base), "milp", quiet)
    (one,) = run.served
    assert one.longest_wait_s == one.waited_s == 2 * 3600.0
    assert one.share == 1.0


def test_growth_finds_the_first_violation_that_brute_force_finds() -> None:
    grid = grid_of([stay(n, 4, 12, 6.0) for n in range(2)], 10.0)
    for strategy in ("none", "milp"):
        expected = next(n for n in range(40) if violation(run_shadow(grown(grid, n), strategy, quiet)) is not None)
        found = room_to_grow(grid, strategy, 40, quiet)  # type: ignore[arg-type]
        assert found.first == expected
        assert found.fits == expected - 1


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.integers(0, 3), st.integers(0, 23), st.integers(1, 14), st.integers(1, 40))
def test_copies_keep_the_time_of_day_and_the_energy(days: int, evse: int, hour: int, hours: int, added: int) -> None:
    base = np.zeros((days * 96, 1, 3))
    grid = Grid(
        SITE, BEGINS, STEP, base, cut([stay(evse, 4 * hour, 4 * hours, 9.0)], BEGINS, BEGINS + len(base) * STEP), ()
    )
    copies = grown(grid, added).stays[1:]
    assert len(copies) == sum(number % 4 == evse for number in range(added))
    for one in copies:
        assert one.arrives.time() == grid.stays[0].arrives.time()
        assert BEGINS <= one.arrives < one.leaves <= grid.ends
        part = (one.leaves - one.arrives) / (grid.stays[0].leaves - grid.stays[0].arrives)
        assert one.energy_wh == pytest.approx(part * grid.stays[0].energy_wh)
        assert (one.arrives != grid.stays[0].arrives) or days == 1


def test_the_controller_does_not_know_when_cars_will_leave() -> None:
    """Room for two of four cars: what the others get in three hours does not depend on how long the first stays."""
    short, long = (
        run_shadow(grid_of([stay(0, 0, last, 40.0), *(stay(n, 0, 12, 40.0) for n in (1, 2, 3))], 51.0), "milp", quiet)
        for last in (12, 48)
    )
    others = [[one.delivered_wh for one in run.served[1:]] for run in (short, long)]
    assert others[0] == others[1]
    assert 0.0 < max(others[0]) < 36_000.0


def test_ontario_prices_by_the_clock() -> None:
    def price(month: int, day: int, hour: int) -> float:
        return ontario(datetime(2026, month, day, hour))  # noqa: DTZ001 - a wall clock

    assert [price(1, 7, hour) for hour in (3, 8, 12, 18, 21)] == [OFF_PEAK, ON_PEAK, MID_PEAK, ON_PEAK, OFF_PEAK]
    assert [price(7, 8, hour) for hour in (8, 12, 18)] == [MID_PEAK, ON_PEAK, MID_PEAK]
    assert price(1, 10, 12) == OFF_PEAK  # a Saturday


def command(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(build(["replay"]), ["replay", *arguments])
    return found.exit_code, found.stdout


def test_the_command_reports_json_and_writes_a_page_that_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "court.yaml").write_text(TEXT, encoding="utf-8")
    rows = ["plugin_local,plugout_local,energy_kwh,evse"]
    rows += [f"2026-01-{day:02d}T18:00,2026-01-{day:02d}T23:00,9,E{n}" for day in (5, 6) for n in range(4)]
    (tmp_path / "sessions.csv").write_text("\n".join(rows), encoding="utf-8")
    code, text = command(
        "--log", str(tmp_path / "sessions.csv"), "--site", str(tmp_path / "court.yaml"), "--json",
        "--out", str(tmp_path / "out"), "--most-added", "2",
    )  # fmt: skip
    found = json.loads(text)
    assert code == 0
    assert found["overload_minutes"] == 0
    assert found["stays"] == 8
    assert 0 < found["energy_kwh"] <= found["energy_possible_kwh"] == 72.0
    assert found["cost"] > 0
    assert found["added_evses_that_fit"] >= 0
    page = (tmp_path / "out" / "replay.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    assert "<script" not in page


def test_the_command_names_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "court.yaml").write_text(TEXT, encoding="utf-8")
    code, _ = command("--log", str(tmp_path / "nothing.jsonl"), "--site", str(tmp_path / "court.yaml"), "--json")
    assert code == 2
