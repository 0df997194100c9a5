"""Chargers and cars as the field has them: who lives in a campaign's building, drawn by its seed.

None of these breaks what commissioning proves (limits are obeyed, the fall-back comes without a link): a charger that
does is a fault (`simulators.faults`), with a beginning and an end.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from domain.ids import ChargerId
from domain.site import Site
from simulators.arrivals import Arrival
from simulators.behaviour import ALL_MEASURANDS, Behaviour
from simulators.car import CarNature
from simulators.charging_profiles import Kind, Purpose

PECULIAR_SHARE = 0.3
"""How many chargers have a character."""
CHARACTERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "level 0 alone": {"max_stack_level": 0, "reported_max_stack_level": 0, "level_zero_stays": True},
    "boasts of its levels": {"max_stack_level": 3, "reported_max_stack_level": 8},
    "no station cap": {"refused_purposes": frozenset({Purpose.STATION_MAX})},
    "no profiles of transactions": {"refused_purposes": frozenset({Purpose.TX})},
    "nothing relative": {"refused_kinds": frozenset({Kind.RELATIVE})},
    "watts alone": {"rate_units": frozenset({"W"})},
    "amperes alone": {"rate_units": frozenset({"A"})},
    "keeps two of a slot": {"replaces_same_slot": False},
    "room for few profiles": {"max_profiles": 4, "counts_replacement": True},
    "caps each connector": {"cap_applies_to": "each"},
    "no composite schedule": {"composite": "rejected"},
    "an empty composite schedule": {"composite": "empty", "offered_constant_a": 90.0},
    "slow to follow": {"response_delay_s": 4.0, "ramp_a_per_s": 4.0},
    "a clock of its own": {"clock_skew_s": 3600.0, "syncs_clock": False},
    "current as a whole": {"phase_style": "overall"},
    "current of the lines to neutral": {"phase_style": "L1-N"},
    "current on the neutral": {"phase_style": "N"},
    "kilowatts": {"kilowatts": True, "reports_energy_in_kwh": False},
    "tells its energy alone": {"measurands": (ALL_MEASURANDS[3],)},
    "a measurand of its own": {"vendor_measurand": True},
    "no start without a link": {"offline_start": False},
    "begins with the plug": {"starts_at_plug": True},
    "answers late": {"answers_late_s": 3.0},
    "drops its link every hour": {"reconnects_every_s": 3600.0},
    "boots at each connection": {"boots_each_connect": True},
    "does not wait for answers": {"pipelines_calls": True},
    "breaks a message now and then": {"malformed_every": 40},
    "writes JSON with blanks": {"spaced_json": True},
    "counts its connectors wrong": {"reported_connectors": 1634030126},
}
NATURES: Final = (
    CarNature(),
    CarNature(),
    CarNature(response_s=5.0, ramp_up_a_per_s=1.0),
    CarNature(wake_s=60.0),
    CarNature(sleeps_after_s=1800.0),
    CarNature(refuses=True),
)


def characters_of(site: Site, seed: int, share: float = PECULIAR_SHARE) -> dict[ChargerId, Behaviour]:
    """The chargers that have a character; the others do all that OCPP says."""
    rng = random.Random(f"{seed}/characters")
    names = list(CHARACTERS)
    found = {}
    for charger in site.chargers:
        peculiar, name = rng.random() < share, rng.choice(names)
        if peculiar:
            found[charger.id] = Behaviour(**CHARACTERS[name])
    return found


def natures_of(arrivals: Iterable[Arrival], seed: int) -> tuple[Arrival, ...]:
    """The same cars, some slow, some asleep after a long wait, some that never charge, some on one phase of three."""
    rng = random.Random(f"{seed}/cars")
    found = []
    for arrival in arrivals:
        nature, alone = rng.choice(NATURES), rng.random() < 0.3
        share = (1.0, 0.0, 0.0) if arrival.three_phase and alone else arrival.phase_share
        found.append(replace(arrival, nature=nature, phase_share=share))
    return tuple(found)
