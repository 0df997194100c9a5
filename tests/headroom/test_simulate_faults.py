"""`headroom simulate --faults`: the schedule of a file is played, judged, told, and shrunk to its culprit."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from domain.errors import HeadroomError
from headroom.campaign import day as campaign_day
from headroom.campaign.command import under_faults
from headroom.campaign.fault_file import read_file, written
from inventory.site_file import parse_site
from proxy.protocol import lanes
from proxy.protocol.effects import ToCsms
from simulators.demo_site import demo_site
from simulators.faults import Fault, FaultKind

SITE = parse_site(demo_site(2), "site.yaml")
CSMS_GONE = Fault(FaultKind.CSMS_GONE, 240.0, 64.0)
FAULTS = (
    Fault(FaultKind.METER_SILENT, 60.0, 30.0, "m-main"),
    CSMS_GONE,
    Fault(FaultKind.STORE_SLOW, 400.0, 60.0, "", 1.0),
)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_day, "TELL_ALL_S", 60.0)
    monkeypatch.setattr(campaign_day, "OPENS_AT", datetime(2026, 3, 2, 17, 0))  # noqa: DTZ001 - the site's own wall clock


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    path = tmp_path / "faults.yaml"
    path.write_text(written(FAULTS, seed=3, days=0.01), encoding="utf-8")
    return path


def test_a_file_is_played_and_told_to_machines(schedule: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert under_faults(SITE, schedule, None, seed=None, days=None, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["faults_by_kind"] == {"csms-gone": 1, "meter-silent": 1, "store-slow": 1}
    assert (told["violations"], told["building_days"], told["breaker_trips"]) == ([], 0.01, 0)
    assert told["setpoints_sent"] >= 0
    assert told["frames_altered"] == 0


def test_people_are_told_the_tally_last(schedule: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert under_faults(SITE, schedule, None, seed=4, days=0.005, as_json=False) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "0.005 building-days, 3 faults, 0 violations"


def test_the_smallest_schedule_that_fails_is_written(
    schedule: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A relay that is unfaithful once the CSMS was away: of three faults one is to blame."""
    seen: list[FaultKind] = []
    original = ToCsms

    def spoilt(raw: bytes) -> ToCsms:
        spoils = b"StatusNotification" in raw and FaultKind.CSMS_GONE in seen
        return original(raw.replace(b"Available", b"available") if spoils else raw)

    playing = campaign_day._Day.__init__

    def noted(day: campaign_day._Day, run: campaign_day.Run, told: object) -> None:
        seen[:] = [fault.kind for fault in run.faults]
        playing(day, run, told)  # type: ignore[arg-type]

    monkeypatch.setattr(lanes, "ToCsms", spoilt)
    monkeypatch.setattr(campaign_day._Day, "__init__", noted)
    smallest = tmp_path / "smallest.yaml"
    assert under_faults(SITE, schedule, smallest, seed=None, days=None, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["smallest"] == ["csms-gone at 240 s for 1 s"]
    found = read_file(smallest, SITE)
    assert [fault.kind for fault in found.faults] == [FaultKind.CSMS_GONE]
    assert (found.seed, found.days) == (3, 0.01)
    assert "not sent so" in found.about


def test_nothing_is_shrunk_where_nothing_was_broken(schedule: Path, tmp_path: Path) -> None:
    with pytest.raises(HeadroomError, match="nothing to shrink"):
        under_faults(SITE, schedule, tmp_path / "smallest.yaml", seed=None, days=0.005, as_json=True)
