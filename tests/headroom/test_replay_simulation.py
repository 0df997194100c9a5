"""A simulated building's own database, replayed: stays and energy are those that the simulated world measured."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headroom import simulation
from headroom.bootstrap import Outside, build
from headroom.replay.laying import on_grid
from headroom.replay.run import read_recording
from headroom.replay.shadow import run_shadow
from headroom.service import Service
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators.demo_site import demo_site


def kept_in(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation's store is a file, and its message log is written."""

    async def built(*given: Any, **named: Any) -> Service:
        service = await build(*given, **named)
        close: Callable[[float], Any] = service.proxy.close

        async def closing(grace_s: float) -> None:
            assert service.messages is not None
            await service.messages.flush()
            await service.store.flush()
            await close(grace_s)

        monkeypatch.setattr(service.proxy, "close", closing)
        return service

    monkeypatch.setattr(simulation, "InlineStore", lambda: InlineStore(f"sqlite:///{file}"))
    monkeypatch.setattr(simulation, "Outside", partial(Outside, keeps_messages=True))
    monkeypatch.setattr(simulation, "build", built)


def test_what_the_service_kept_says_what_the_simulated_world_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "headroom.db"
    kept_in(file, monkeypatch)
    site = parse_site(demo_site(2), "demo")
    report: dict[str, Any] = simulation.run(simulation.Simulation(site, days=0.105, seed=11))
    recording = read_recording([file], site)
    energy_kwh = sum(stay.energy_wh for stay in recording.stays) / 1000.0
    assert len(recording.stays) == report["sessions"] == 1
    assert energy_kwh == pytest.approx(report["energy_delivered_kwh"], rel=0.01)
    grid = on_grid(recording, site, timedelta(minutes=5), None, 0)
    again = run_shadow(grid, site.strategy, lambda _: None)
    assert again.judge.overload_s == 0.0
    assert sum(one.delivered_wh for one in again.served) == pytest.approx(1000.0 * energy_kwh, rel=0.05)
