"""Chargers as they are met in the field, with a CSMS that limits them too: the fixtures' cases, and what field reports
tell of profiles.
"""

import json
import os
from pathlib import Path

import pytest
from csms_payloads import set_payload
from merge_world import Bench

from domain.events import CsmsLimitChanged
from simulators.behaviour import Behaviour
from simulators.charging_profiles import Kind, Purpose

EXCERPT = Path(__file__).parents[1] / "data"
FIXTURES = Path(os.environ.get("HEADROOM_TEST_DATA", EXCERPT)) / "ocpp_fixtures" / "ocpp16_field_quirks.jsonl"
CASES = {case["id"]: case for case in map(json.loads, FIXTURES.read_text(encoding="utf-8").splitlines())}


def held(bench: Bench) -> float | None:
    return bench.at_charger.limit_a(1, bench.now)


@pytest.mark.parametrize("case", ["profile-not-supported", "profile-rejected"])
@pytest.mark.parametrize("refused", [(Purpose.STATION_MAX, Purpose.TX), (Purpose.STATION_MAX,), (Purpose.TX,)])
def test_a_charger_that_refuses_as_in_the_fixture_is_held_by_what_it_takes(case, refused):
    """What it takes of the CSMS's still counts; what it refuses is refused to the CSMS as well, in its own words."""
    answer = CASES[case]["frame"][2]
    bench = Bench()
    names = {
        "ChargePointMaxProfile": Purpose.STATION_MAX,
        "TxDefaultProfile": Purpose.TX_DEFAULT,
        "TxProfile": Purpose.TX,
    }
    plain = bench.charger_answers

    def answers(action: str, payload: dict) -> dict | None:
        purpose = payload.get("csChargingProfiles", {}).get("chargingProfilePurpose")
        return dict(answer) if names.get(purpose) in refused else plain(action, payload)

    bench.charger_answers = answers
    bench.connect()
    bench.start()
    for limit in (16.0, 10.0):
        bench.ems(limit)
        assert held(bench) == limit
    reply = bench.csms("SetChargingProfile", set_payload("ocpp1.6", "default", [(0, 8.0)], connector=1, level=2))
    assert reply["status"] == "Accepted"
    assert held(bench) == 8.0
    reply = bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 7.0)], level=2))
    assert (reply["status"] == "Accepted") == (Purpose.STATION_MAX not in refused)
    assert held(bench) == (8.0 if Purpose.STATION_MAX in refused else 7.0)


QUIRKS = {
    "only stack level 0": Behaviour(max_stack_level=0),
    "its own reported level is refused": Behaviour(max_stack_level=3, reported_max_stack_level=5),
    "level 0 cannot be cleared": Behaviour(level_zero_stays=True),
    "no absolute schedules at all": Behaviour(refused_kinds=frozenset({Kind.ABSOLUTE})),
    "no cap": Behaviour(refused_purposes=frozenset({Purpose.STATION_MAX})),
    "no room for a replacement": Behaviour(max_profiles=6, counts_replacement=True),
    "few periods": Behaviour(max_periods=2),
}


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])
@pytest.mark.parametrize("quirk", QUIRKS)
def test_the_csmss_limit_holds_whatever_the_charger_is_like(quirk, version):
    bench = Bench(version, quirks=QUIRKS[quirk])
    bench.desk.charging.features.max_periods = QUIRKS[quirk].max_periods
    bench.connect()
    bench.start()
    for limit in (16.0, 6.0, 16.0):
        bench.ems(limit)
    ours = held(bench)
    periods = [(0, 9.0), (600, 7.0)]
    payload = set_payload(version, "default", periods, connector=1, level=1, kind="Relative", number=3)
    bench.csms("SetChargingProfile", payload)
    bench.csms("SetChargingProfile", set_payload(version, "cap", periods, level=6, number=4))
    theirs = bench.theirs.limit_a(1, bench.now)
    told = [event.limit_a for event in bench.events if isinstance(event, CsmsLimitChanged)]
    assert theirs is not None, "the charger takes one of the two, or we keep it"
    assert told[-1] == theirs
    assert held(bench) <= min(theirs, max(ours, 6.0))
    for _ in range(8):
        bench.wait(100.0)
        bench.ems(16.0)
        assert held(bench) <= bench.theirs.limit_a(1, bench.now)
