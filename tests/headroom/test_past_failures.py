"""What once broke a promise does so no more: each file in `failures` is a schedule that a campaign or a test found."""

from datetime import datetime
from pathlib import Path

import pytest

from headroom.campaign import day as campaign_day
from headroom.campaign.day import Run, run
from headroom.campaign.fault_file import read_file
from headroom.campaign.soak import METER_NOISE, building

FILES = sorted((Path(__file__).parent / "failures").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_survived(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_day, "TELL_ALL_S", 600.0)
    monkeypatch.setattr(campaign_day, "OPENS_AT", datetime(2026, 3, 2, 17, 0))  # noqa: DTZ001 - when people come home
    schedule = read_file(file, building())
    assert schedule.about
    assert schedule.seed is not None
    assert schedule.days is not None
    site = building(schedule.seed)
    verdict = run(Run(site, schedule.faults, schedule.days, schedule.seed, meter_noise=METER_NOISE, characters=True))
    assert verdict.violations == ()
    assert verdict.frames > 100


def test_there_are_files() -> None:
    assert FILES
