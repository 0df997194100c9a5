"""What each alarm means and what to do: the words of docs/runbook.md, for the API and the page."""

from collections.abc import Mapping

ADVICE: Mapping[str, tuple[str, str]] = {
    "base_overload": (
        "the building alone is above what a panel may carry; all EVSEs below it are at 0 A",
        "look at the building's load; the EVSEs come back by themselves",
    ),
    "design_load_exceeded": (
        "the building draws more, beside its EVs, than the design load that the fail-safe proof stands on; limits "
        "still hold while links do",
        "correct `base_load_max_a` in the site file and run `headroom check`: fall-backs may have to be 0",
    ),
    "stale_meter": (
        "a meter has been silent for longer than `stale_after_s`; its panel is taken as loaded as the forecast's upper "
        "bound, then as its design load",
        "see whether the meter, its gateway or the network is down; readings are taken up again at once",
    ),
    "untrusted_evse": (
        "an EVSE draws more than its limit after it accepted it; it counts at its full rating and others get less",
        "look at the charger; power-cycle it; if it stays so, take it out of service",
    ),
    "guard_lowered": (
        "the guard lowered what a strategy proposed",
        "nothing at once: the limit held. Report it with the decision's id: a strategy should not need it",
    ),
    "reduction_unacknowledged": (
        "a charger did not acknowledge a lower limit within 5 s; others are lowered in its place",
        "see whether the charger's link is slow or dead",
    ),
    "ladder_fell": (
        "the strategy gave no answer in time and a simpler rung decided",
        "once is nothing; if it repeats, the machine is too slow or a solver fails: see `rung_why`",
    ),
    "charger_refused_limit": (
        "a charger rejects charging profiles",
        "see the charger's smart charging settings; it counts at what it may draw until it accepts",
    ),
    "stays_paused": (
        "a car may draw current again after a pause at 0 A, and neither that nor one wake-up brought it back although "
        "it does not refuse by itself",
        "unplug the car and plug it in again; the charger is remembered (`after_zero: stays_paused` in its quirks)",
    ),
    "phase_mapping": (
        "steps of an EVSE's current answer on other phases of its panel than the site file says, or on none",
        "have the wiring checked; correct `feeder` and `phases` in the site file: until then the panel is not "
        "protected as it should be",
    ),
    "failsafe_unproven": (
        "the site accepted fall-backs that no test has shown",
        "commission the chargers (`headroom commission`), then set `failsafe_proven`",
    ),
    "csms_command_withheld": (
        "the CSMS sent a command that would have lifted the building's limits or cut the charger off; it was refused "
        "in the charger's name",
        "tell the CSMS's operator; what it wants has to be done in the site file, or at the charger itself",
    ),
    "csms_unreachable": (
        "a charger goes on without its CSMS, which cannot be reached; what the CSMS has to know is kept on disk",
        "see whether the network or the CSMS is down; all is told in order when it returns. Keep the disk",
    ),
    "start_in_doubt": (
        "a start was sent to the CSMS again because its reply was lost: one that does not recognise repeats may hold "
        "it twice; or it was given up, and the CSMS does not hold it at all",
        "compare the session with the CSMS's books and correct the bill",
    ),
}
