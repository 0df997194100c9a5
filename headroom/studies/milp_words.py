"""What the MILP study says."""

from typing import Any

from headroom.studies.report import Beside, Claim, verdict

METHOD = (
    "Table 4.1: one panel of 200 A per phase (160 A usable), eight units, six EVSEs on two phases each with 32, 22, "
    "24, 26, 28 and 30 A, minimum 1 A, equal priorities.",
    "Load: eight of the twelve metered homes that the project carries (CityLearn, Fontana), four weeks, scaled to "
    "the 46 kW that the thesis prints as its largest non-EV load; its own building is not published. "
    "Half of each home is spread over all three phases, half hangs on one pair of legs; power factor 0.97.",
    "Set-points: the live strategy `ems.milp.Milp` at every step, on the load of that step. The day shown is that of "
    "the largest load; from 18:00 to 07:00 all six ask, else each with 40 %.",
    "Month (table 4.2): away from U(07, 09) to U(17, 19), commute LN(4.08, 0.745) km, 0.15-0.22 kWh/km, 65-120 kWh, "
    "driving efficiency 0.8, charging efficiency 0.9, taper above 90 %, steps of 15 min.",
    "Time: CPU of one allocation, mean of 10 (4 beyond 200 EVSEs). `Who is on is given` is how the product runs "
    "(linear "
    "programs; the panel carries 60 % of what is asked); `free` adds the choice of who is served, minimum 6 A on a "
    "panel "
    "for 15 % of what is asked, so that not all can be (to 200 EVSEs). `Eq. 4.1 as printed` is the plain MILP with a "
    "current and a binary per EVSE (HiGHS); its total has to equal the live one.",
)
DEFINITIONS = (
    "Usable if balanced: 160 A x 120 V x 3 phases = 57.6 kW.",
    "State of charge at departure: what an EV leaves with in the morning; what lacks is carried to the next day.",
    "Exponent: slope of log time over log N; 1 is linear.",
)


def besides(values: dict[str, Any]) -> tuple[Beside, ...]:
    """The thesis's numbers."""
    times, free = values["ms_at"], values["ms_free_at"]
    leaves = values["mean_soc_at_departure_percent"]
    ours_50 = (
        f"{values['ms_printed_at'].get('50', 0):.1f} ms as printed; live: {times.get('50', 0):.1f} ms, who is on is "
        "given; "
        f"{free.get('50', 0):.1f} ms free"
    )
    return (
        Beside("largest non-EV load", "fig. 4.2", "about 46 kW", f"{values['peak_non_ev_kw']} kW", "Scaled to it."),
        Beside("usable power", "sec. 4.3", "57.6 kW", f"{values['usable_kw']} kW", "The same."),
        Beside(
            "Level II EVSEs at full power without EMS",
            "sec. 4.3",
            "about 2",
            f"{values['full_power_evses_without_ems']}",
            "57.6 - 46 = 11.6 kW over 6.66 kW is 1.7, rounded up as there.",
        ),
        Beside(
            "state of charge at departure, mean per EV",
            "fig. 4.5",
            "nearly full",
            f"{min(leaves)} to {max(leaves)} %",
            "The same: a night of 12 hours is long for six EVSEs.",
        ),
        Beside(
            "time of one allocation, 50 EVSEs",
            "fig. 4.6",
            "about 6 ms",
            ours_50,
            "Another machine and solver; ours also finds the fairest of all largest totals, which the thesis's MILP "
            "leaves open.",
        ),
    )


def _linear(exponent: float | None) -> bool:
    return exponent is not None and 0.7 <= exponent <= 1.3


def claims(values: dict[str, Any]) -> tuple[Claim, ...]:
    """The thesis's claims, judged by our numbers."""
    grows = values["exponents"]
    few, many = (grows[f"as printed, {span}"] for span in ("5 to 50", "from 50"))
    some = {n: t for n, t in values["ms_printed_at"].items() if int(n) in {50, 500, 2000}}
    return (
        Claim(
            "every phase stays within 160 A",
            verdict(values["largest_phase_a"] <= 160.001),
            f"largest phase current {values['largest_phase_a']:.2f} A over the day by the minute and the month",
        ),
        Claim(
            "EVSEs are curtailed at high non-EV load and get more at night",
            verdict(values["evse_kw_at_peak"] < values["evse_kw_night_mean"]),
            f"{values['evse_kw_at_peak']} kW at the peak hour, {values['evse_kw_night_mean']} kW from 18:00 to 07:00 "
            f"on average, {values['evse_kw_all_full']} kW at full power; "
            f"curtailed in {values['minutes_curtailed']} of the 120 minutes shown",
        ),
        Claim(
            "all EVs are nearly full at departure over 30 days",
            verdict(
                min(values["mean_soc_at_departure_percent"]) >= 95.0,
                min(values["mean_soc_at_departure_percent"]) >= 85.0,
            ),
            f"means {', '.join(str(v) for v in values['mean_soc_at_departure_percent'])} %; lowest single departure "
            f"{values['lowest_soc_at_departure_percent']} %",
        ),
        Claim(
            "computation time grows about linearly with N",
            verdict(_linear(few) and _linear(many), _linear(few) or _linear(many)),
            f"eq. 4.1 as printed: N^{grows['as printed, 5 to 50']} from 5 to 50 EVSEs, "
            f"N^{grows['as printed, from 50']} from "
            f"50 on ({', '.join(f'{n}: {t} ms' for n, t in some.items())}): in the thesis's own range, to 50, what a "
            f"call costs whatever N is hides most of the growth; the live strategy grows slower, because it "
            f"handles EVSEs of one kind together: N^{grows['given, from 50']} from 50 on, "
            f"{values['ms_at'].get('2000')} ms at 2,000",
        ),
    )
