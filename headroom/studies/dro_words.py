"""What the DRO study says."""

from typing import Any

from headroom.studies.report import Beside, Claim, verdict

METHOD = (
    "Table 5.1: eight units with one EVSE each on sub-feeders of 40 A usable, a main panel of 250 A, EVSE maxima "
    "U(25, 32) A, an EV there 70 % of the time, 20 % from 08:00 to 15:00.",
    "Load: eight of twelve metered homes of Fontana, California (CityLearn; four weeks that the project carries), "
    "drawn anew in each run, because the thesis's Vancouver building is not published. "
    "Forecast of a day: the mean of the seven days before; samples: forecast plus the errors of past days. Days 22 "
    "to 28 are lived through and not seen by any plan.",
    "100 runs, each with a day, homes and EV presence of its own. Every method plans the 24 hours at midnight from "
    "the same samples by the live `ems.dro.solve_dro`; cars that are there draw their set-point; "
    "homes draw what they really drew. No guard and no re-planning, which would hide every overload.",
    "SO: samples taken literally (rho = 0, no margin). RO: every load at its highest sample and every car there. DRO "
    "as printed: rho = 0.1 on the mean, with the margin eps of eq. 5.2. "
    "DRO, CVaR: what the product runs, CVaR at 5 % plus the Wasserstein term.",
)
DEFINITIONS = (
    "Run-hour above the limit: non-EV load and drawn currents together above 250 A at the main panel (40 A at a "
    "sub-feeder).",
    "Delivered: A x h per conductor that the cars drew in a day, all EVSEs together; the less, the more capacity is "
    "wasted.",
    "|z| of an hour: size of the forecast's error over the standard deviation of the past errors of that home and "
    "hour.",
    "The thesis's objective is a minimisation, which as written sends every current to its lower bound; here the "
    "smallest expected current is maximised.",
)


def besides(values: dict[str, Any]) -> tuple[Beside, ...]:
    """The thesis prints few numbers here; its claims are below."""
    rmse = values["forecast_rmse_kw"]
    return (
        Beside(
            "RMSE of one unit's forecast, one day",
            "fig. 5.1",
            "0.3779 kW",
            f"{rmse['one_unit_one_day']:.4f} kW",
            "Another home, and here a mean of seven days instead of the NARX, which is study `narx`.",
        ),
        Beside(
            "RMSE, mean over days",
            "sec. 5.3",
            "0.5297 kW (30 days)",
            f"{rmse['mean_of_days']:.4f} kW (12 homes, 7 days)",
            "Other homes, in the week before Christmas.",
        ),
    )


def claims(values: dict[str, Any]) -> tuple[Claim, ...]:
    """The thesis's claims, judged by our numbers."""
    found = values["methods"]
    so, ro, printed, cvar = found["SO"], found["RO"], found["DRO as printed"], found["DRO, CVaR"]

    def over(one: dict[str, Any]) -> str:
        return f"{one['main_over_hours']} run-hours in {one['main_over_runs']} runs, worst {one['worst_main_a']} A"

    return (
        Claim(
            "in fig. 5.5 (mean and standard deviation of 100 runs) SO passes the main limit, DRO does not",
            verdict(so["highest_band_a"] > 250.0 >= max(printed["highest_band_a"], cvar["highest_band_a"])),
            "highest mean + standard deviation: "
            + ", ".join(f"{name} {one['highest_band_a']:.0f} A" for name, one in found.items()),
        ),
        Claim("SO passes the main limit at times", verdict(so["main_over_hours"] > 0), over(so)),
        Claim(
            "no single run of DRO as printed passes the main limit",
            verdict(printed["main_over_hours"] == 0, printed["main_over_hours"] < so["main_over_hours"]),
            f"{over(printed)}: it bounds the mean and not the overload, so it makes overloads rarer only",
        ),
        Claim(
            "no single run of DRO with CVaR, as built here, passes the main limit",
            verdict(cvar["main_over_hours"] == 0, cvar["main_over_hours"] < 0.01 * 24 * values["runs"]),
            f"{over(cvar)}; its promise is at most 5 % for each hour and feeder",
        ),
        Claim("RO never passes the main limit", verdict(ro["main_over_hours"] == 0), over(ro)),
        Claim(
            "RO wastes more capacity than DRO, and DRO more than SO",
            verdict(
                ro["delivered_ah_per_day"] < cvar["delivered_ah_per_day"] < so["delivered_ah_per_day"]
                and ro["delivered_ah_per_day"] < printed["delivered_ah_per_day"]
            ),
            ", ".join(f"{name} {one['delivered_ah_per_day']:.0f} Ah" for name, one in found.items()) + " a day",
        ),
        Claim(
            "in the evening DRO's band is thinner than SO's",
            verdict(cvar["evening_sd_a"] < so["evening_sd_a"]),
            ", ".join(f"{name} {one['evening_sd_a']:.0f} A" for name, one in found.items()) + " standard deviation, "
            "18:00 to 20:00",
        ),
    )
