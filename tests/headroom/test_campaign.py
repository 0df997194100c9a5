"""Buildings under faults: what goes wrong is survived, the same run has the same verdict, and the judges can say no."""

from dataclasses import replace
from datetime import datetime

import pytest

from headroom.campaign import day as campaign_day
from headroom.campaign import soak
from headroom.campaign.day import Run, Verdict, run
from inventory.site_file import parse_site
from proxy.protocol import lanes
from simulators.demo_site import demo_site
from simulators.faults import KINDS, Fault, FaultKind, targets_of

SITE = parse_site(demo_site(12), "site.yaml")
METER = next(feeder.meter for feeder in SITE.feeders if feeder.meter is not None)
MINUTES = 60.0


def played(*faults: Fault, days: float = 0.035, seed: int = 3) -> Verdict:
    return run(Run(SITE, faults, days, seed))


@pytest.fixture(autouse=True)
def _short_evening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_day, "TELL_ALL_S", 15 * MINUTES)
    monkeypatch.setattr(campaign_day, "OPENS_AT", datetime(2026, 3, 2, 17, 0))  # noqa: DTZ001 - when people come home


def test_service_csms_and_meter_may_fail_and_nothing_is_lost() -> None:
    verdict = played(
        Fault(FaultKind.CSMS_GONE, 6 * MINUTES, 3 * MINUTES),
        Fault(FaultKind.SERVICE_KILLED, 14 * MINUTES, 60.0),
        Fault(FaultKind.METER_SILENT, 22 * MINUTES, 5 * MINUTES, METER),
        Fault(FaultKind.SERVICE_PAUSED, 31 * MINUTES, 45.0),
        Fault(FaultKind.STORE_FULL, 36 * MINUTES, 2 * MINUTES),
        Fault(FaultKind.SERVICE_POWER, 42 * MINUTES, 30.0),
    )
    assert verdict.violations == ()
    assert (verdict.faults, verdict.calm_overload_s) == (6, 0.0)
    assert verdict.transactions > 0
    assert verdict.frames > 400


def test_every_kind_of_fault_can_be_played_and_nothing_trips() -> None:
    """All of them within the hour, several at a time: more than is promised to be survived in full."""
    faults = []
    for number, kind in enumerate(FaultKind):
        how = KINDS[kind]
        target = next(iter(targets_of(SITE, how.victim)), "")
        value = 0.0 if how.values is None else how.values[1]
        faults.append(Fault(kind, 180.0 + 60.0 * number, min(45.0, how.for_s[1]), target, value))
    verdict = played(*faults, days=0.04)
    assert set(verdict.by_kind) == set(FaultKind)
    assert not any("trip" in text for text in verdict.violations)
    assert verdict.frames > 100


def test_the_same_run_gives_the_same_verdict() -> None:
    faults = (Fault(FaultKind.LINK_FLAPS, 300.0, 300.0, "CP001", 20.0), Fault(FaultKind.SERVICE_KILLED, 900.0, 30.0))
    first, second = played(*faults, days=0.02), played(*faults, days=0.02)
    assert first == second
    other = played(*faults, days=0.02, seed=4)
    assert replace(other, violations=()) != replace(first, violations=())


def test_frames_that_are_lost_on_the_way_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of frames is no part of what it judges: a relay that writes something else after a while is caught."""
    number, original = iter(range(10**9)), lanes.ToCsms
    monkeypatch.setattr(lanes, "ToCsms", lambda raw: original(raw + b" " if next(number) > 5 else raw))
    assert any("frame" in text for text in played(days=0.03).violations)


def test_a_ledger_adds_up(tmp_path) -> None:
    verdict = Verdict(0.5, 3, {"mute": 3}, ("a breaker tripped",), 1.4, 12.0, 0.0, 4, 4, 100, 10.0, 60.0)
    ledger, tally = tmp_path / "ledger.csv", soak.Tally()
    for seed in (7, 8):
        day = soak.Day(seed, verdict)
        soak.note(ledger, day)
        tally.add(day)
    assert soak.seeds_in(ledger) == {7, 8}
    assert str(tally) == str(soak.total_of(ledger)) == "1 building-days, 6 faults, 2 violations"
    assert soak.kinds_of([soak.Day(1, verdict)]) == {"mute": 3}
