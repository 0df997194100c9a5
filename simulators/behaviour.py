"""How a charger deviates from the specification, or stays within it in its own way: one flag for each thing seen."""

from dataclasses import dataclass, field
from typing import Literal

from simulators.charging_profiles import Kind, Purpose, Unit

ALL_MEASURANDS = (
    "Current.Import",
    "Voltage",
    "Power.Active.Import",
    "Energy.Active.Import.Register",
    "Current.Offered",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A charger's character; the defaults are a charger that does all that OCPP says.

    Limits and profiles:
        obeys: False: accepts every profile and changes nothing.
        stuck_at_a: accepts every profile and always offers this.
        full_current_after_zero: the first limit after 0 A is accepted, and the car gets the full current.
        stays_paused_after_zero: once paused by 0 A, no current until the car is plugged in anew.
        ignores_profiles_offline: without a link the car gets the full current.
        forgets_profiles_on_boot: profiles do not survive a reboot (errata 1.6 3.37 wants them to).
        max_stack_level: the highest that is accepted; 0 for chargers that know only one.
        reported_max_stack_level: what the configuration says instead.
        level_zero_stays: level 0 cannot be cleared.
        refused_purposes: of these every profile is rejected.
        refused_kinds: Absolute, Recurring or Relative profiles that are rejected.
        rate_units: in which limits are taken.
        ignores_number_phases: W are divided by the phases that are wired, whatever the profile says.
        replaces_same_slot: False: in 1.6 a second profile of the same purpose and level stays beside the first.
        max_profiles: how many can be installed.
        counts_replacement: a full store rejects even the replacement of a profile.
        max_periods: in one schedule.
        cap_applies_to: the station cap holds for the sum of the connectors, or for each.
        composite: answer to GetCompositeSchedule: the truth, Rejected, no schedule, or an empty schedule.

    Time:
        response_delay_s: from a new limit to its effect.
        ramp_a_per_s: how fast the offered current moves; None jumps.
        clock_skew_s: how far the charger's clock is ahead of the true time after power-up.
        syncs_clock: takes over the CSMS's currentTime.

    Metering:
        measurands: what is sampled.
        phase_style: currents as overall value, per L1.., per L1-N.., all under N, or L1 alone.
        kilowatts: power per phase in kW, no total.
        offered_constant_a: Current.Offered is always this.
        reports_energy_in_kwh: the register in kWh.
        vendor_measurand: adds one that the schema does not know.

    Transactions:
        offline_start: a car may charge without the CSMS's word while there is no link.
        starts_at_plug: 2.x: the transaction begins when the cable is plugged in (TxStartPoint EVConnected).

    Wire:
        never_answers: CALLs from the CSMS stay without reply.
        answers_late_s: replies come this much later.
        reconnects_every_s: drops its link this often.
        boots_each_connect: sends BootNotification on every connection.
        pipelines_calls: does not wait for a reply before its next CALL.
        malformed_every: each n-th message is followed by a broken one.
        spaced_json: writes JSON with blanks and escaped letters, as many libraries do.
        offers_no_subprotocol: connects without naming a version.
        reported_connectors: NumberOfConnectors, if not the truth.
    """

    obeys: bool = True
    stuck_at_a: float | None = None
    full_current_after_zero: bool = False
    stays_paused_after_zero: bool = False
    ignores_profiles_offline: bool = False
    forgets_profiles_on_boot: bool = False
    max_stack_level: int = 8
    reported_max_stack_level: int | None = None
    level_zero_stays: bool = False
    refused_purposes: frozenset[Purpose] = frozenset()
    refused_kinds: frozenset[Kind] = frozenset()
    rate_units: frozenset[Unit] = frozenset({"A", "W"})
    ignores_number_phases: bool = False
    replaces_same_slot: bool = True
    max_profiles: int = 20
    counts_replacement: bool = False
    max_periods: int = 24
    cap_applies_to: Literal["sum", "each"] = "sum"
    composite: Literal["true", "rejected", "bare", "empty"] = "true"

    response_delay_s: float = 0.0
    ramp_a_per_s: float | None = None
    clock_skew_s: float = 0.0
    syncs_clock: bool = True

    measurands: tuple[str, ...] = field(default=ALL_MEASURANDS)
    phase_style: Literal["overall", "L1", "L1-N", "N", "L1 only"] = "L1"
    kilowatts: bool = False
    offered_constant_a: float | None = None
    reports_energy_in_kwh: bool = False
    vendor_measurand: bool = False

    offline_start: bool = True
    starts_at_plug: bool = False

    never_answers: bool = False
    answers_late_s: float = 0.0
    reconnects_every_s: float | None = None
    boots_each_connect: bool = False
    pipelines_calls: bool = False
    malformed_every: int | None = None
    spaced_json: bool = False
    offers_no_subprotocol: bool = False
    reported_connectors: int | None = None


STANDARD = Behaviour()
"""A charger that does all that OCPP says."""
