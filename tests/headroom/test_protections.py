"""Each protection matters: without it the judges find what they find nothing of with it.

A protection is switched off by taking it out of the code, here and nowhere else; a schedule of a few minutes that needs
it is played with and without.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from domain.ids import EvseId
from domain.site import Site
from ems import decide, draws, situation
from headroom import twin
from headroom.campaign import day as campaign_day
from headroom.campaign.day import Run, Verdict, run
from headroom.campaign.failing_store import FailingStore
from headroom.campaign.incarnations import Incarnations
from inventory.site_file import parse_site
from proxy.protocol.schedules import Draft
from simulators.arrivals import Arrival
from simulators.car_models import CarModel
from simulators.faults import Fault, FaultKind
from simulators.phasors import Phasors

MINUTE = 60.0
CHARGERS = {**dict.fromkeys(("CP001", "CP002", "CP003", "CP004"), "garage"), "CP005": "main", "CP006": "main"}
EVSES = "\n".join(
    f"  - {{id: {charger}, evses: [{{id: E{charger[-1]}, connector: 1, feeder: {feeder}, phases: [A, B], max_a: 32,"
    f" min_a: 6, failsafe_a: 0, failsafe_proven: true, response_s: 10}}]}}"
    for charger, feeder in CHARGERS.items()
)
SITE = parse_site(
    f"""
site: tight
timezone: America/Vancouver
csms: {{url: "ws://127.0.0.1:9100/ocpp", outage: close}}
electrical: {{line_to_line_v: 208, model: arithmetic}}
strategy: milp
scheduler: {{kind: round_robin, quantum_s: 1200, min_on_s: 300}}
control: {{interval_s: 15, dead_band_a: 1, time_budget_ms: 200, deadman_s: 300}}
feeders:
  - {{id: main, rating_a: 100, usable: 0.8, meter: m-main, base_load_max_a: {{A: 50, B: 50, C: 50}}}}
  - {{id: garage, parent: main, rating_a: 40, usable: 0.8}}
chargers:
{EVSES}
meters:
  - {{id: m-main, stale_after_s: 60}}
""",
    "tight.yaml",
)
WIDE = replace(SITE, feeders=(replace(SITE.feeders[0], rating_a=400.0), SITE.feeders[1]))
"""The same where nothing but the garage is tight."""
OPENS_AT = datetime(2026, 3, 2, 17, 0)  # noqa: DTZ001 - the site's own wall clock
THIRSTY = CarModel("a car that takes all it gets", 90.0, 32, 32, (0.9, 0.9), (0.9, 0.9), 1.0)


def car(evse: int, after_s: float) -> Arrival:
    came = OPENS_AT.replace(tzinfo=ZoneInfo(SITE.timezone)).astimezone(UTC) + timedelta(seconds=after_s)
    away = came + timedelta(hours=5)
    return Arrival(EvseId(f"E{evse}"), came, away, 40_000.0, THIRSTY, 90.0, 0.3, f"TAG{evse}")


class Load:
    """The building's other load: next to nothing, and from an instant on all that it was designed for."""

    rises_after_s = 1e6

    def __init__(self, site: Site) -> None:
        self.site = site
        self._opens_at = OPENS_AT.replace(tzinfo=ZoneInfo(site.timezone))

    def phasors(self, at: datetime) -> Phasors:
        load_a = 5.0 if (at - self._opens_at).total_seconds() < self.rises_after_s else 49.0
        angles = np.exp(-2j * np.pi / 3 * np.arange(3))
        return np.array([load_a * angles, 0.0 * angles])


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_day, "TELL_ALL_S", 2 * MINUTE)
    monkeypatch.setattr(campaign_day, "OPENS_AT", OPENS_AT)
    monkeypatch.setattr(twin, "building_load", lambda site, seed: Load(site))


def played(*faults: Fault, cars: tuple[Arrival, ...], minutes: float, site: Site = WIDE) -> Verdict:
    return run(Run(site, faults, minutes / 1440, 3, arrivals=cars))


def without_guard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "guard", lambda wiring, proposed_a, facts: (dict(proposed_a), frozenset()))


def without_ledger(patch: pytest.MonkeyPatch) -> None:
    """What was told counts, not what may still be drawn."""
    for module, name in ((situation, "counted_a"), (situation, "holding_a"), (draws, "counted_a")):
        patch.setattr(module, name, lambda entry, evse, now: entry.limit_a)


def without_dead_man(patch: pytest.MonkeyPatch) -> None:
    """Profiles without the step to the fall-back: they hold, link or none."""
    original = Draft.profile

    def profile(draft: Draft, slot: Any, scope: Any, limit_a: float, failsafe_a: float, *more: Any) -> Any:
        made = original(draft, slot, scope, limit_a, failsafe_a, *more)
        return replace(made, periods=made.periods[:1])

    patch.setattr(Draft, "profile", profile)


def the_load_rises(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Load, "rises_after_s", 14 * MINUTE)


def without_staleness(patch: pytest.MonkeyPatch) -> None:
    """The last reading counts for ever."""
    eternal = tuple(replace(meter, stale_after_s=1e6) for meter in SITE.meters)
    patch.setattr("test_protections.SITE", replace(SITE, meters=eternal))


def without_fencing(patch: pytest.MonkeyPatch) -> None:
    async def unfenced(service: Any, life: int) -> FailingStore:
        store = FailingStore(service._disk, life, service._engine)
        service._engine = store.engine
        return store

    patch.setattr(Incarnations, "_store", unfenced)


def a_wrong_decision(patch: pytest.MonkeyPatch) -> None:
    """A defect in what shares the current out: everybody gets everything."""
    full_a = np.array([evse.max_a for evse in SITE.evses])
    patch.setattr(decide, "_send_now", lambda now, wished_a, first: np.where(now.asking & ~now.held, full_a, 0.0))


def a_charger_that_ignores_limits() -> Verdict:
    ignores = Fault(FaultKind.IGNORES_LIMITS, 4 * MINUTE, 25 * MINUTE, "CP001")
    return played(ignores, cars=(car(1, 60.0), car(2, 6 * MINUTE)), minutes=35)


def a_charger_that_loses_its_link() -> Verdict:
    pulled = Fault(FaultKind.CABLE_PULLED, 6 * MINUTE, 20 * MINUTE, "CP001")
    return played(pulled, cars=(car(1, 60.0), car(2, 8 * MINUTE)), minutes=35)


def a_meter_that_falls_silent_before_the_load_rises() -> Verdict:
    silent = Fault(FaultKind.METER_SILENT, 10 * MINUTE, 25 * MINUTE, "m-main")
    return played(silent, cars=(car(1, 60.0), car(5, 70.0), car(6, 80.0)), minutes=40, site=SITE)


def a_life_that_goes_on_beside_its_successor() -> Verdict:
    replaced = Fault(FaultKind.SERVICE_REPLACED, 5 * MINUTE, 3 * MINUTE)
    return played(replaced, cars=(car(1, 60.0), car(2, 9 * MINUTE)), minutes=20)


def cars_and_a_defect() -> Verdict:
    return played(cars=(car(1, 60.0), car(2, 90.0), car(3, 120.0)), minutes=20)


Off = Callable[[pytest.MonkeyPatch], None]
PROTECTIONS: Mapping[str, tuple[Off, Off | None, Callable[[], Verdict], str]] = {
    # What is switched off, what else is wrong, the schedule, and what the judges then find.
    "guard": (without_guard, a_wrong_decision, cars_and_a_defect, "trip"),
    "ledger": (without_ledger, None, a_charger_that_ignores_limits, "trip"),
    "dead-man": (without_dead_man, None, a_charger_that_loses_its_link, "trip"),
    "stale is full": (without_staleness, the_load_rises, a_meter_that_falls_silent_before_the_load_rises, "trip"),
    "fencing": (without_fencing, None, a_life_that_goes_on_beside_its_successor, "fencing"),
}


@pytest.mark.parametrize("name", PROTECTIONS)
def test_a_schedule_that_is_survived(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, besides, schedule, _ = PROTECTIONS[name]
    if besides is not None:
        besides(monkeypatch)
    verdict = schedule()
    assert verdict.violations == ()
    assert verdict.energy_kwh > 0.5


@pytest.mark.parametrize("name", PROTECTIONS)
def test_and_is_not_without_the_protection(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    off, besides, schedule, finding = PROTECTIONS[name]
    if besides is not None:
        besides(monkeypatch)
    off(monkeypatch)
    assert any(finding in text for text in schedule().violations)
