"""What a charger's meter says in each dialect."""

from typing import Any

import pytest
from behaviour_world import charging, told
from bench_site import Bench, HungryCar, both, play

from simulators.behaviour import Behaviour
from simulators.evse import EvseSpec


def values(payload: dict[str, Any]) -> list[tuple[str, str | None, float, str]]:
    found = []
    for value in payload["meterValue"][0]["sampledValue"]:
        unit = value.get("unit") or value["unitOfMeasure"]["unit"]
        found.append((value["measurand"], value.get("phase"), float(value["value"]), unit))
    return found


METERS: list[tuple[Behaviour, EvseSpec, set[tuple[str, str | None, float, str]]]] = [
    (
        Behaviour(measurands=("Current.Import", "Voltage"), phase_style="L1"),
        EvseSpec(conductors=2, voltage_v=208),
        {("Current.Import", "L1", 10, "A"), ("Current.Import", "L2", 10, "A"), ("Voltage", "L1-L2", 208, "V")},
    ),
    (
        Behaviour(measurands=("Current.Import", "Voltage"), phase_style="L1-N"),
        EvseSpec(conductors=1, voltage_v=230),
        {("Current.Import", "L1-N", 10, "A"), ("Voltage", "L1-N", 230, "V")},
    ),
    (
        Behaviour(measurands=("Current.Import", "Voltage"), phase_style="L1 only"),
        EvseSpec(conductors=3, voltage_v=230),
        {("Current.Import", "L1", 10, "A"), *(("Voltage", f"L{n}-N", 230, "V") for n in (1, 2, 3))},
    ),
    (
        Behaviour(measurands=("Current.Import",), phase_style="N"),
        EvseSpec(),
        {("Current.Import", "N", 10, "A")},
    ),
    (
        Behaviour(measurands=("Current.Import", "Voltage", "Power.Active.Import"), phase_style="overall"),
        EvseSpec(conductors=3, voltage_v=230),
        {
            ("Current.Import", None, 10, "A"),
            ("Voltage", None, 230, "V"),
            ("Power.Active.Import", None, 6900, "W"),
        },
    ),
    (
        Behaviour(measurands=("Power.Active.Import",)),
        EvseSpec(conductors=2, voltage_v=208),
        {("Power.Active.Import", None, 2080, "W")},
    ),
    (
        Behaviour(measurands=("Power.Active.Import",), kilowatts=True),
        EvseSpec(conductors=3, voltage_v=230),
        {("Power.Active.Import", f"L{n}", 2.3, "kW") for n in (1, 2, 3)},
    ),
    (
        Behaviour(measurands=("Current.Offered",), offered_constant_a=90.0),
        EvseSpec(),
        {("Current.Offered", None, 90, "A")},
    ),
    (
        Behaviour(measurands=("Current.Offered",), vendor_measurand=True),
        EvseSpec(),
        {("Current.Offered", None, 10, "A"), ("Vendor.Pilot.DutyCycle", None, 16.7, "Percent")},
    ),
]


@both
@pytest.mark.parametrize(("behaviour", "spec", "expected"), METERS)
def test_meters(
    version: str, behaviour: Behaviour, spec: EvseSpec, expected: set[tuple[str, str | None, float, str]]
) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.evse.plug(HungryCar(10.0), "tag-1")
        await told(table, 10)
        await table.live(100)
        action = "MeterValues" if version == "ocpp1.6" else "TransactionEvent"
        samples = [values(payload) for payload in table.heard(action) if "meterValue" in payload]
        assert set(samples[-1]) == expected
        assert len(samples[-1]) == len(expected)

    play(version, scene, behaviour=behaviour, evses=(spec,))


@both
def test_energy_in_kwh(version: str) -> None:
    async def scene(table: Bench) -> None:
        await charging(table)
        await table.live(3600)
        (entry,) = table.csms.ledger.entries.values()
        assert entry.energy_wh == pytest.approx(32 * 208, rel=0.02)

    play(version, scene, behaviour=Behaviour(reports_energy_in_kwh=True))
