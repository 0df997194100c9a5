"""A recorded evening ramp in virtual time: the forecast's shift runs the EMS before the load arrives."""

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from domain.commands import ApplySetpoint, Command
from domain.events import ChargerConnected, EvseMetered, FeederMetered, SessionStarted, SetpointAccepted
from domain.ids import FeederId
from domain.metering import EvseSample, MeterReading
from domain.setpoint import Decision
from domain.site import Phase, Site
from forecasting.files import read_series
from forecasting.live import LiveForecast
from headroom.control_loop import SiteController, Surroundings
from headroom.decider import InlineDecider
from headroom.feed import Feed
from headroom.question import Question
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.repository import save_site
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators import virtual_time
from simulators.demo_site import demo_site

START = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
EXCERPT = Path(__file__).parents[1] / "data" / "load_excerpts" / "hue_house1.csv.gz"
MAIN, HOURS = FeederId("main"), 3
RESPONSE_S = 5.0


def evening_a(site: Site) -> np.ndarray:
    """Second by second: the steepest three hours of three recorded months, scaled to fill the main panel."""
    load = read_series(str(EXCERPT), ["energy_kwh"], timezone="America/Vancouver").load
    starts = [at for at in range(len(load) - HOURS) if np.isfinite(load[at : at + HOURS + 1]).all()]
    steepest = max(starts, key=lambda at: load[at + HOURS - 1] - load[at])
    hourly = load[steepest : steepest + HOURS + 1]
    usable_a = site.feeder(MAIN).usable_a
    scaled = 0.35 * usable_a + 0.55 * usable_a * (hourly - hourly.min()) / (hourly.max() - hourly.min())
    seconds = np.arange(3600 * HOURS)
    ripple = 0.4 * np.sin(seconds / 37.0) + 0.3 * np.sin(seconds / 11.0)
    return np.interp(seconds / 3600.0, np.arange(HOURS + 1), scaled) + ripple


@dataclass(frozen=True)
class Asked:
    second: int
    trigger: str
    forecast_a: float


class Watching:
    """Decides as always, and keeps why and on what."""

    def __init__(self, site: Site) -> None:
        self._inner = InlineDecider(site)
        self.asked: list[Asked] = []

    async def decide(self, question: Question) -> Decision:
        view = question.snapshot.feeders[MAIN]
        second = int((question.snapshot.at - START).total_seconds())
        self.asked.append(Asked(second, question.trigger, view.forecast_a.get(Phase.A, 0.0)))
        return await self._inner.decide(question)


class Evening:
    """The live control loop; chargers that obey after a few seconds; the building's load as it was recorded."""

    def __init__(self, site: Site) -> None:
        self.site, self.clock = site, virtual_time.VirtualClock()
        self.decider, self.store = Watching(site), InlineStore()
        self.limits = {evse.id: 0.0 for evse in site.evses}
        self.draws = dict(self.limits)
        self.load_a = evening_a(site)
        self.most_a: list[float] = []
        picture = SitePicture(LiveState(site), LiveForecast(site.timezone), self.clock.now())
        around = Surroundings(
            clock=self.clock,
            mono=asyncio.get_running_loop().time,
            store=self.store,
            decider=self.decider,
            send=self.send,
            feed=Feed(),
            new_id=lambda: str(uuid.uuid4()),
        )
        self.controller = SiteController(picture, around)

    def send(self, command: Command) -> None:
        if isinstance(command, ApplySetpoint):
            asyncio.get_running_loop().call_later(1.0, self._obey, command)

    def _obey(self, command: ApplySetpoint) -> None:
        now = self.clock.now()
        self.controller.handle(SetpointAccepted(command.evse, now, command.limit_a, command.decision))
        loop = asyncio.get_running_loop()
        loop.call_later(RESPONSE_S, self.draws.__setitem__, command.evse, command.limit_a)

    async def run(self) -> None:
        await self.store.transact(lambda conn: save_site(conn, self.site, START))
        for number, charger in enumerate(self.site.chargers):
            now = self.clock.now()
            self.controller.handle(ChargerConnected(charger.id, now, "ocpp1.6"))
            self.controller.handle(SessionStarted(charger.id, 1, now, f"t{number}"))
        for second, base_a in enumerate(self.load_a.tolist()):
            now = self.clock.now()
            through = {p: sum(self.draws[e.id] for e in self.site.evses if p in e.phases) for p in Phase}
            self.most_a.append(base_a + max(through.values()))
            if second % 10 == 0:
                for evse in self.site.evses:
                    sample = EvseSample(at=now, received_at=now, current_a=self.draws[evse.id])
                    self.controller.handle(EvseMetered(evse.charger, evse.connector, now, sample))
            if second % 10 == 5:
                for feeder in self.site.feeders:
                    own = dict.fromkeys(Phase, base_a if feeder.id == MAIN else 5.0 + 0.01 * (second % 7))
                    amps = {p: own[p] + self._below(feeder.id, p) for p in Phase}
                    if feeder.meter is not None:
                        self.controller.handle(FeederMetered(now, MeterReading(feeder.meter, now, amps)))
            await self.clock.sleep(1.0)

    def _below(self, feeder: FeederId, phase: Phase) -> float:
        return sum(self.draws[evse.id] for evse in self.site.evses_below(feeder) if phase in evse.phases)


@pytest.fixture(scope="module")
def evening() -> Evening:
    site = parse_site(demo_site(4), "demo")
    main = replace(site.feeder(MAIN), rating_a=150.0)
    feeders = tuple(main if one.id == MAIN else one for one in site.feeders)
    # Nothing but a reason runs the EMS: its own interval is as long as a limit holds.
    site = replace(site, feeders=feeders, control=replace(site.control, interval_s=240.0))

    async def main_part() -> Evening:
        made = Evening(site)
        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(made.controller.run()), group.create_task(made.store.run())]
            await made.run()
            for part in parts:
                part.cancel()
        return made

    return virtual_time.run(main_part, start=START)


def test_the_ramp_never_meets_more_current_than_the_panel_takes(evening: Evening) -> None:
    usable_a = evening.site.feeder(MAIN).usable_a
    assert evening.load_a.max() > 0.85 * usable_a
    assert max(evening.draws.values()) <= 32.0
    assert max(evening.most_a[600:]) <= usable_a
    assert max(evening.most_a) > 0.8 * usable_a  # and the room was used


def test_the_forecast_runs_the_ems_before_the_load_arrives(evening: Evening) -> None:
    by_forecast = [one for one in evening.decider.asked if "forecast for main" in one.trigger and one.second > 1800]
    assert len(by_forecast) >= 10
    held = [
        one.forecast_a >= evening.load_a[one.second : one.second + 60].max()
        for one in by_forecast
        if one.second + 60 < len(evening.load_a)
    ]
    assert np.mean(held) >= 0.95
    # What each of them counted with came only later, if at all.
    ahead = [one.forecast_a > evening.load_a[max(0, one.second - 60) : one.second + 1].max() for one in by_forecast]
    assert np.mean(ahead) >= 0.95
