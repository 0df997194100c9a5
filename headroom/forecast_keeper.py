"""What keeps the forecasts of a running service: hours written down, models loaded, trained again and swapped."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from domain.errors import HeadroomError, StorageError
from domain.ids import FeederId, SiteId
from domain.ports import Clock
from domain.site import Phase, Site
from forecasting.artefact import ArtefactError
from forecasting.hourly import Hour
from forecasting.live import LiveForecast
from forecasting.newest import HISTORY_H
from forecasting.renewal import LEAST_HOURS
from headroom.forecast_child import Job
from headroom.forecast_shelf import Shelf, newest_hour
from headroom.settings import child_environment
from inventory.base_load_hours import BaseLoadHour, read_hours, write_hours
from inventory.store import Store

log = structlog.get_logger()

_LOOK_S = 60.0
_RENEWALS_EVERY_S = 3600.0
_TRY_AGAIN = timedelta(days=1)
_TRAINED_ON = timedelta(days=3 * 366)
_LONGEST_S = 1800.0
"""Real seconds that one training may take before it is ended."""
HOUR = timedelta(hours=1)

Key = tuple[SiteId, FeederId, Phase]


@dataclass(frozen=True, slots=True)
class KeeperOptions:
    """`shelf`: where models lie (None: none are kept). `renew_days`: how old a model may get; 0: nothing is trained."""

    shelf: Shelf | None = None
    renew_days: float = 7.0
    epochs: int | None = None


class ForecastKeeper:
    """Of all sites of a service. Whatever fails here costs a forecast's quality, never the control."""

    def __init__(
        self,
        sites: Mapping[SiteId, tuple[Site, LiveForecast]],
        store: Store,
        clock: Clock,
        options: KeeperOptions | None = None,
    ) -> None:
        self._sites, self._store, self._clock = sites, store, clock
        self._options = options or KeeperOptions()
        self._tried: dict[Key, datetime] = {}
        self._trained: dict[Key, datetime] = {}
        self._unwritten: dict[SiteId, list[BaseLoadHour]] = {site: [] for site in sites}

    async def restore(self) -> None:
        """What earlier runs wrote down and trained; call it once, before readings come."""
        since = self._clock.now() - HISTORY_H * HOUR
        for name, (_, forecast) in self._sites.items():
            try:
                found = await self._store.query(lambda conn, name=name: read_hours(conn, name, since))  # type: ignore[misc]
            except StorageError as problem:
                log.warning("forecast_history_not_read", site=name, error=str(problem))
                continue
            for (feeder, phase), hours in found.items():
                self._restore((name, feeder, phase), forecast, hours)
                await asyncio.sleep(0)

    def _restore(self, key: Key, forecast: LiveForecast, hours: list[BaseLoadHour]) -> None:
        """Hours up to the model's newest, the model, and then the hours that it has still to learn from."""
        _, feeder, phase = key
        trained = None
        try:
            trained = None if self._options.shelf is None else self._options.shelf.read(*key)
        except ArtefactError as problem:
            log.warning("forecast_model_refused", site=key[0], feeder=feeder, phase=phase, error=str(problem))
        until = hours[-1].at if trained is None else newest_hour(trained)
        forecast.restore(feeder, phase, [_hour(one) for one in hours if one.at <= until])
        if trained is not None:
            forecast.install(feeder, phase, trained.models)
            self._trained[key] = until
            log.info("forecast_model_loaded", site=key[0], feeder=feeder, phase=phase, trained_to=until.isoformat())
        forecast.restore(feeder, phase, [_hour(one) for one in hours if one.at > until])

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_writing())
            if self._options.shelf is not None and self._options.renew_days > 0:
                group.create_task(self._keep_renewing())

    async def _keep_writing(self) -> None:
        while True:
            await self._clock.sleep(_LOOK_S)
            await self.write()

    async def write(self) -> None:
        """Write down the hours that have passed; what the database does not take waits for the next time."""
        for name, (_, forecast) in self._sites.items():
            waiting = self._unwritten[name]
            waiting += [_row(feeder, phase, hour) for feeder, phase, hour in forecast.passed()]
            del waiting[: -HISTORY_H * 100]
            if not waiting:
                continue
            try:
                await self._store.transact(lambda conn, name=name, rows=waiting: write_hours(conn, name, rows))  # type: ignore[misc]
            except StorageError as problem:
                log.warning("forecast_hours_not_written", site=name, waiting=len(waiting), error=str(problem))
            else:
                self._unwritten[name] = []

    async def _keep_renewing(self) -> None:
        while True:
            await self._clock.sleep(_RENEWALS_EVERY_S)
            try:
                await self.renew_what_is_due()
            except (HeadroomError, OSError) as problem:
                log.warning("forecast_not_renewed", error=str(problem))

    async def renew_what_is_due(self) -> None:
        """One phase after the other; those without a model, with an old one, or whose building has changed."""
        now = self._clock.now()
        for name, (site, forecast) in self._sites.items():
            for feeder in site.feeders:
                for phase in feeder.phases if feeder.meter is not None else ():
                    if self._is_due((name, feeder.id, phase), forecast, now):
                        await self._renew((name, feeder.id, phase), site.timezone, forecast)

    def _is_due(self, key: Key, forecast: LiveForecast, now: datetime) -> bool:
        tried, trained = self._tried.get(key), self._trained.get(key)
        if tried is not None and now - tried < _TRY_AGAIN:
            return False
        old = trained is None or now - trained >= timedelta(days=self._options.renew_days)
        return old or forecast.drifted(key[1], key[2])

    async def _renew(self, key: Key, timezone: str, forecast: LiveForecast) -> None:
        name, feeder, phase = key
        now = self._tried[key] = self._clock.now()
        since = now - _TRAINED_ON
        found = await self._store.query(lambda conn: read_hours(conn, name, since, feeder, phase))
        hours = found.get((feeder, phase), [])
        if len(hours) < LEAST_HOURS:
            return
        shelf = self._options.shelf
        assert shelf is not None, "without a shelf nothing is renewed"
        file = shelf.file(*key)
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".renewal-") as scratch:
            candidate = Path(scratch) / file.name
            answer = await self._ask(_job(key, timezone, hours, candidate, file, self._options.epochs), Path(scratch))
            told = {"site": name, "feeder": feeder, "phase": phase}
            if answer is None or "problem" in answer:
                log.warning("forecast_not_renewed", **told, error=(answer or {}).get("problem", "the training died"))
                return
            if not answer["network"]:
                log.warning(
                    "forecast_without_network", **told, why="torch is not installed: linear part and trees alone"
                )
            if not answer["taken"]:
                log.info("forecast_candidate_refused", **told, ratio=answer["ratio"])
                return
            try:
                trained = await asyncio.to_thread(shelf.take, candidate, *key)
            except ArtefactError as problem:
                log.warning("forecast_model_refused", **told, error=str(problem))
                return
        forecast.install(feeder, phase, trained.models)
        self._trained[key] = newest_hour(trained)
        log.info("forecast_swapped", **told, ratio=answer["ratio"])

    async def _ask(self, job: Job, scratch: Path) -> dict[str, object] | None:
        """Run the child to its end; it is ended with us, and when it takes too long."""
        note = scratch / "job.json"
        await asyncio.to_thread(note.write_text, json.dumps(asdict(job)), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "headroom.forecast_child", str(note)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=child_environment(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"),
            start_new_session=True,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), _LONGEST_S)
            found: dict[str, object] = json.loads(said)
        except (TimeoutError, ValueError):
            return None
        finally:
            if process.returncode is None:
                process.kill()
        return found


def _hour(row: BaseLoadHour) -> Hour:
    return Hour(int(row.at.timestamp() // 3600), row.mean_a, row.largest_a)


def _row(feeder: FeederId, phase: Phase, hour: Hour) -> BaseLoadHour:
    return BaseLoadHour(feeder, phase, datetime.fromtimestamp(hour.hour * 3600, UTC), hour.mean_a, hour.largest_a)


def _job(key: Key, timezone: str, hours: list[BaseLoadHour], out: Path, old: Path, epochs: int | None) -> Job:
    start = hours[0].at
    means: list[float | None] = [None] * (int((hours[-1].at - start) / HOUR) + 1)
    for hour in hours:
        means[int((hour.at - start) / HOUR)] = hour.mean_a
    incumbent = str(old) if old.is_file() else None
    return Job(".".join(key), timezone, start.isoformat(), means, str(out), incumbent, epochs)
