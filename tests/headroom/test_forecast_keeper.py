"""Hours outlive a restart; models are trained in a process of their own, judged, verified and swapped whole."""

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from domain.ids import FeederId, SiteId
from domain.site import Phase, Site
from forecasting import renewal, training
from forecasting.artefact import load
from forecasting.live import LiveForecast
from forecasting.series import HourlySeries
from forecasting.training import TorchMissingError
from headroom import forecast_child, forecast_keeper
from headroom.forecast_child import Job, series_of
from headroom.forecast_keeper import ForecastKeeper, KeeperOptions
from headroom.forecast_shelf import Shelf, default_folder
from headroom.settings import child_environment
from inventory.base_load_hours import BaseLoadHour, read_hours, write_hours
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators.demo_site import demo_site

NOW = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SITE: Site = parse_site(demo_site(2), "demo")
MAIN, KEY = FeederId("main"), (SITE.id, FeederId("main"), Phase.A)
COUNT = 24 * 7 * 9


class StoppedClock:
    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def hours(count: int = COUNT, phases: str = "A") -> list[BaseLoadHour]:
    """A building with days and a memory, up to `NOW`."""
    random = np.random.default_rng(2)
    noise, found = 0.0, []
    for number in range(count):
        at = NOW - (count - number) * HOUR
        noise = 0.8 * noise + random.normal(0, 0.8)
        mean_a = max(1.0, 20 + 6 * np.sin(2 * np.pi * (at.hour - 12) / 24) + noise)
        found += [BaseLoadHour(MAIN, Phase(phase), at, float(mean_a), float(mean_a) + 2.0) for phase in phases]
    return found


@pytest.fixture
def store() -> InlineStore:
    return InlineStore(interval_s=0.05)


async def written(store: InlineStore, rows: list[BaseLoadHour]) -> None:
    await store.transact(lambda conn: write_hours(conn, SITE.id, rows))


def keeper(store: InlineStore, live: LiveForecast, folder: Path, clock: StoppedClock | None = None) -> ForecastKeeper:
    options = KeeperOptions(Shelf(folder), epochs=2)
    return ForecastKeeper({SITE.id: (SITE, live)}, store, clock or StoppedClock(), options)


def speaks(live: LiveForecast, at: datetime) -> str:
    """Who forecasts the hour after the present one, when that begins."""
    for minute in (0, 30, 60):
        live.observe(MAIN, at + timedelta(minutes=minute), {Phase.A: 20.0 + minute / 100})
    bound = live.bound(MAIN, Phase.A, at + HOUR)
    assert bound is not None
    return bound.by


async def test_what_one_run_saw_the_next_one_knows(store: InlineStore, tmp_path: Path) -> None:
    first = LiveForecast()
    watching = keeper(store, first, tmp_path)
    for number in range(24 * 60):
        at = NOW - 24 * HOUR + timedelta(minutes=number)
        first.observe(MAIN, at, dict.fromkeys(Phase, 20.0 + number % 7))
    await watching.write()
    await watching.write()
    kept = await store.query(lambda conn: read_hours(conn, SITE.id, NOW - 48 * HOUR))
    assert {phase for _, phase in kept} == set(Phase)
    assert len(kept[MAIN, Phase.B]) == 23  # the last one has not ended
    assert kept[MAIN, Phase.B][0].mean_a == pytest.approx(23.0, abs=0.2)
    again = LiveForecast()
    await keeper(store, again, tmp_path).restore()
    assert again.upper(MAIN, NOW, 60) is None  # nothing is said before a reading of this run
    assert speaks(again, NOW) in {"yesterday", "persistence"}
    bound = again.bound(MAIN, Phase.A, NOW + HOUR)
    assert bound is not None
    assert bound.upper_a > 20
    assert again.passed()[0][2].hour == int(NOW.timestamp() // 3600)  # restored hours are not written again


async def test_a_model_is_trained_outside_swapped_in_and_found_by_the_next_run(
    store: InlineStore, tmp_path: Path
) -> None:
    await written(store, hours())
    live = LiveForecast()
    keeping = keeper(store, live, tmp_path)
    await keeping.restore()
    ticks = 0

    async def beat() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async with asyncio.TaskGroup() as group:
        beating = group.create_task(beat())
        await keeping.renew_what_is_due()
        beating.cancel()
    assert ticks > 50  # the loop went on meanwhile
    file = Shelf(tmp_path).file(*KEY)
    assert set(load(file).models) == {1, 24}
    assert "Checksum" in file.with_name(file.name + ".md").read_text()
    assert sorted(path.name for path in Shelf(tmp_path).folder.rglob("*.*")) == [file.name, f"{file.name}.md"]
    assert speaks(live, NOW) == "narx"
    again = LiveForecast()
    await keeper(store, again, tmp_path).restore()
    assert speaks(again, NOW) == "narx"


def put_down(file: Path, what: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(what)


def child(job: Job, folder: Path) -> tuple[int, dict[str, object]]:
    import subprocess

    (folder / "job.json").write_text(json.dumps(asdict(job)))
    answer = subprocess.run(
        [sys.executable, "-m", "headroom.forecast_child", str(folder / "job.json")],
        capture_output=True,
        check=False,
        env=child_environment(OMP_NUM_THREADS="1"),
    )
    return answer.returncode, json.loads(answer.stdout)


def job(folder: Path, means: list[float | None], incumbent: str | None = None) -> Job:
    start = (NOW - len(means) * HOUR).isoformat()
    return Job("demo.main.A", "UTC", start, means, str(folder / "new.npz"), incumbent, epochs=2)


def test_a_candidate_that_is_worse_on_the_last_week_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A last week that repeats the week before to the letter: nothing beats the plain rival."""
    means: list[float | None] = [one.mean_a for one in hours()]
    means[-168:] = means[-336:-168]
    code, answer = child(job(tmp_path, means), tmp_path)
    assert code == 0
    assert answer["taken"] is False
    assert float(str(answer["ratio"])) > 1
    assert not (tmp_path / "new.npz").exists()
    code, answer = child(job(tmp_path, means[:200]), tmp_path)
    assert code == 1
    assert "hours" in str(answer["problem"])


async def test_a_damaged_candidate_and_a_dead_child_leave_the_old_model(
    store: InlineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(store, hours())
    live, clock = LiveForecast(), StoppedClock()
    keeping = keeper(store, live, tmp_path, clock)
    file = Shelf(tmp_path).file(*KEY)
    put_down(file, b"what was there")

    async def damaged(self: ForecastKeeper, job: Job, scratch: Path) -> dict[str, object]:
        put_down(Path(job.out), b"half a file")
        return {"taken": True, "network": True, "ratio": 0.9}

    async def dead(self: ForecastKeeper, job: Job, scratch: Path) -> None:
        return None

    for broken in (damaged, dead):
        monkeypatch.setattr(ForecastKeeper, "_ask", broken)
        await keeping.renew_what_is_due()
        assert file.read_bytes() == b"what was there"
        assert speaks(live, clock.time + 24 * HOUR) != "narx"
        clock.time += timedelta(days=2)


async def test_too_few_hours_start_no_process(
    store: InlineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(store, hours(24 * 20))
    asked: list[Job] = []

    async def noted(self: ForecastKeeper, job: Job, scratch: Path) -> None:
        asked.append(job)

    monkeypatch.setattr(ForecastKeeper, "_ask", noted)
    clock = StoppedClock()
    keeping = keeper(store, LiveForecast(), tmp_path, clock)
    await keeping.renew_what_is_due()
    assert asked == []
    await written(store, hours(24 * 60))
    await keeping.renew_what_is_due()
    assert asked == []  # it was tried today
    clock.time += timedelta(days=1)
    await keeping.renew_what_is_due()
    assert [one.name for one in asked] == ["demo.main.A"]


def test_without_torch_all_but_the_network_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise TorchMissingError

    monkeypatch.setattr(renewal, "torch_or_complain", missing)
    monkeypatch.setattr(training, "torch_or_complain", missing)
    monkeypatch.setattr(forecast_child.os, "nice", lambda _: 0)
    note = tmp_path / "job.json"
    note.write_text(json.dumps(asdict(job(tmp_path, [one.mean_a for one in hours()]))))
    monkeypatch.setattr(sys, "argv", ["forecast_child", str(note)])
    assert forecast_child.main() == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["network"] is False
    assert answer["taken"] is True
    model = load(tmp_path / "new.npz").models[1]
    rows = np.ones((2, len(model.names)))
    np.testing.assert_array_equal(model.correction(rows), 0)


def test_gaps_and_wall_clock_of_a_job() -> None:
    series: HourlySeries = series_of(
        Job("x", "America/Vancouver", "2026-03-08T08:00:00+00:00", [1.0, None, 3.0], "o", None)
    )
    assert series.hour.tolist() == [0, 1, 3]  # spring forward
    assert np.isnan(series.load[1])
    assert series.weekday.tolist() == [6, 6, 6]


def test_models_lie_beside_an_sqlite_file_and_nowhere_for_a_server() -> None:
    assert default_folder("sqlite+aiosqlite:///headroom.db") == Path("headroom.db.forecast")
    assert default_folder("sqlite+aiosqlite:////var/x.db") == Path("/var/x.db.forecast")
    assert default_folder("postgresql+asyncpg://h/db") is None
    assert default_folder("sqlite://") is None
    assert forecast_keeper.HOUR == HOUR
    assert SiteId("demo") == SITE.id
