"""The wiring test in the twin: a charger on other phases than written is found, and nothing trips."""

from dataclasses import replace

import pytest

from domain.ids import EvseId
from domain.site import Phase, Site
from headroom.simulation import Simulation, run
from inventory.site_file import parse_site
from simulators.demo_site import demo_site


def building(**control: object) -> Site:
    site = parse_site(demo_site(4), "demo")
    return replace(site, control=replace(site.control, **control))  # type: ignore[arg-type]


def moved(site: Site, evse_id: str) -> Site:
    """The site as its cables really run: one EVSE on the next phases."""
    after = dict(zip(Phase, [*list(Phase)[1:], Phase.A], strict=True))
    chargers = tuple(
        replace(
            charger,
            evses=tuple(
                replace(evse, phases=tuple(after[p] for p in evse.phases)) if evse.id == evse_id else evse
                for evse in charger.evses
            ),
        )
        for charger in site.chargers
    )
    return replace(site, chargers=chargers)


FIRST_TO_CHARGE = "P2-02"


@pytest.mark.parametrize(("is_moved", "verdict"), [(True, "wrong"), (False, "as_written")])
def test_a_charger_on_other_phases_than_written_is_found(is_moved: bool, verdict: str) -> None:
    site = building(phase_detection=True)
    wired = moved(site, FIRST_TO_CHARGE) if is_moved else site
    report = run(Simulation(site, days=0.03, seed=29, wired=wired))
    wiring = report["wiring"]
    assert isinstance(wiring, list)
    assert [(found["evse"], found["verdict"]) for found in wiring] == [(FIRST_TO_CHARGE, verdict)]
    assert set(wiring[0]["found"]) == set(wired.evse(EvseId(FIRST_TO_CHARGE)).phases)
    assert report["overload_seconds"] == report["breaker_trips"] == 0


def test_without_the_option_nothing_is_stepped() -> None:
    assert run(Simulation(building(), days=0.03, seed=29))["wiring"] == []
