"""What a charger's meter says, in the many ways that chargers say it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simulators.behaviour import Behaviour
from simulators.evse import SimulatedEvse

OVER_LEGS = 2
"""Conductors of a line-to-line load."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sampled value; `phase` None is an overall value."""

    measurand: str
    value: float
    unit: str
    phase: str | None = None


def samples(evse: SimulatedEvse, quirks: Behaviour, measurands: Iterable[str]) -> Iterator[Sample]:
    """Read the meter of `evse` now, for the measurands that are configured and known to this charger."""
    for measurand in measurands:
        match measurand:
            case "Current.Import":
                yield from _currents(evse, quirks)
            case "Voltage":
                yield from _voltages(evse, quirks)
            case "Power.Active.Import":
                yield from _powers(evse, quirks)
            case "Energy.Active.Import.Register":
                yield _energy(evse, quirks)
            case "Current.Offered":
                offered = evse.offered_a if quirks.offered_constant_a is None else quirks.offered_constant_a
                yield Sample(measurand, round(offered, 1), "A")
    if quirks.vendor_measurand:
        yield Sample("Vendor.Pilot.DutyCycle", round(evse.offered_a / 0.6, 1), "Percent")


def _currents(evse: SimulatedEvse, quirks: Behaviour) -> Iterator[Sample]:
    name, unit = "Current.Import", "A"
    match quirks.phase_style:
        case "overall":
            yield Sample(name, round(evse.current_a, 2), unit)
        case "N":
            yield Sample(name, round(evse.current_a, 2), unit, "N")
        case "L1 only":
            yield Sample(name, round(evse.current_a, 2), unit, "L1")
        case style:
            suffix = "-N" if style == "L1-N" else ""
            for line, amps in enumerate(evse.line_a, start=1):
                yield Sample(name, round(amps, 2), unit, f"L{line}{suffix}")


def _voltages(evse: SimulatedEvse, quirks: Behaviour) -> Iterator[Sample]:
    volts = round(evse.spec.voltage_v, 1)
    if quirks.phase_style == "overall":
        yield Sample("Voltage", volts, "V")
    elif evse.spec.conductors == OVER_LEGS:
        yield Sample("Voltage", volts, "V", "L1-L2")
    else:
        # Chargers that measure one current still tell the voltage of every line.
        for line in range(1, evse.spec.conductors + 1):
            yield Sample("Voltage", volts, "V", f"L{line}-N")


def _powers(evse: SimulatedEvse, quirks: Behaviour) -> Iterator[Sample]:
    name = "Power.Active.Import"
    if not quirks.kilowatts:
        yield Sample(name, round(evse.power_w, 1), "W")
        return
    lines = evse.line_a
    total = sum(lines) or 1.0
    for line, amps in enumerate(lines, start=1):
        yield Sample(name, round(evse.power_w * amps / total / 1000, 3), "kW", f"L{line}")


def _energy(evse: SimulatedEvse, quirks: Behaviour) -> Sample:
    name = "Energy.Active.Import.Register"
    if quirks.reports_energy_in_kwh:
        return Sample(name, round(evse.register_wh / 1000, 3), "kWh")
    return Sample(name, round(evse.register_wh, 1), "Wh")
