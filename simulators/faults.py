"""What goes wrong, when and to whom: a schedule, drawn from a seed or read from a file.

A schedule is all that a run under faults needs besides the site and the seed of the world: the same schedule goes wrong
in the same way. `FaultKind` lists what there is.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from domain.site import Site

Victim = Literal["charger", "meter", "csms", "service", "store"]


class FaultKind(StrEnum):
    """What can go wrong. See `KINDS` for what each hits, how long it lasts and what its value means."""

    CABLE_PULLED = "cable-pulled"
    HALF_OPEN = "half-open"
    LINK_SLOW = "link-slow"
    LINK_FROZEN = "link-frozen"
    LINK_FLAPS = "link-flaps"
    LINK_OVERTAKEN = "link-overtaken"
    POWER_CYCLE = "power-cycle"
    CLOCK_STEP = "clock-step"
    CLOCK_DRIFT = "clock-drift"
    MUTE = "mute"
    ANSWERS_LATE = "answers-late"
    IGNORES_LIMITS = "ignores-limits"
    STUCK = "stuck"
    FULL_AFTER_ZERO = "full-after-zero"
    CSMS_GONE = "csms-gone"
    CSMS_UNREACHABLE = "csms-unreachable"
    CSMS_SILENT = "csms-silent"
    CSMS_SLOW = "csms-slow"
    CSMS_REFUSES = "csms-refuses"
    CSMS_LIMITS = "csms-limits"
    CSMS_ERRORS = "csms-errors"
    CSMS_CLOCK = "csms-clock"
    METER_SILENT = "meter-silent"
    METER_FROZEN = "meter-frozen"
    METER_LATE = "meter-late"
    METER_NOISY = "meter-noisy"
    METER_ZERO = "meter-zero"
    SERVICE_KILLED = "service-killed"
    SERVICE_PAUSED = "service-paused"
    SERVICE_POWER = "service-power"
    SERVICE_REPLACED = "service-replaced"
    SERVICE_CLOCK = "service-clock"
    STORE_FULL = "store-full"
    STORE_SLOW = "store-slow"
    STORE_LOCKED = "store-locked"


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of fault is drawn: whom it hits, for how long (s), and with what value (`unit` names it)."""

    victim: Victim
    for_s: tuple[float, float]
    values: tuple[float, float] | None = None
    unit: str = ""
    what: str = ""


KINDS: Final[dict[FaultKind, Kind]] = {
    FaultKind.CABLE_PULLED: Kind("charger", (20, 1800), what="the charger's network cable is out"),
    FaultKind.HALF_OPEN: Kind("charger", (0, 0), what="the link dies and neither end is told"),
    FaultKind.LINK_SLOW: Kind("charger", (60, 1800), (0.5, 20), "s", "every byte takes this long, each way"),
    FaultKind.LINK_FROZEN: Kind("charger", (5, 300), what="nothing arrives, and all of it later"),
    FaultKind.LINK_FLAPS: Kind("charger", (60, 900), (5, 60), "s", "the cable is out and in again, this often"),
    FaultKind.LINK_OVERTAKEN: Kind("charger", (5, 120), what="a new socket, and the old one's last frames after it"),
    FaultKind.POWER_CYCLE: Kind("charger", (0, 0), what="power fails and returns"),
    FaultKind.CLOCK_STEP: Kind("charger", (0, 0), (-7200, 7200), "s", "the charger's clock jumps"),
    FaultKind.CLOCK_DRIFT: Kind("charger", (3600, 14400), (-0.01, 0.01), "s/s", "the charger's clock runs wrong"),
    FaultKind.MUTE: Kind("charger", (30, 900), what="the charger answers no CALL"),
    FaultKind.ANSWERS_LATE: Kind("charger", (60, 1800), (1, 25), "s", "the charger takes this long for each answer"),
    FaultKind.STUCK: Kind("charger", (300, 3600), (6, 16), "A", "accepts every limit and offers this"),
    FaultKind.FULL_AFTER_ZERO: Kind("charger", (600, 7200), what="the first limit after 0 A is taken for the maximum"),
    FaultKind.IGNORES_LIMITS: Kind("charger", (300, 3600), what="accepts every limit and changes nothing"),
    FaultKind.CSMS_GONE: Kind("csms", (10, 1800), what="its process is gone; then it is started again"),
    FaultKind.CSMS_UNREACHABLE: Kind("csms", (30, 1800), what="packets to it vanish"),
    FaultKind.CSMS_SILENT: Kind("csms", (30, 600), what="it reads and answers nothing"),
    FaultKind.CSMS_SLOW: Kind("csms", (60, 1800), (1, 25), "s", "it thinks this long before each answer"),
    FaultKind.CSMS_REFUSES: Kind("csms", (30, 900), (500, 503), "HTTP status", "it refuses every handshake"),
    FaultKind.CSMS_LIMITS: Kind("charger", (300, 3600), (0, 20), "A", "the CSMS caps the station by itself"),
    FaultKind.CSMS_ERRORS: Kind("csms", (30, 600), what="it answers every CALL with an error"),
    FaultKind.CSMS_CLOCK: Kind("csms", (300, 7200), (-7200, 7200), "s", "the time that it tells is wrong"),
    FaultKind.METER_SILENT: Kind("meter", (30, 7200), what="no readings"),
    FaultKind.METER_FROZEN: Kind("meter", (60, 3600), what="new time stamps, the same values for ever"),
    FaultKind.METER_LATE: Kind("meter", (300, 3600), (5, 45), "s", "readings come this late"),
    FaultKind.METER_NOISY: Kind("meter", (300, 3600), (0.02, 0.1), "of the reading", "its readings scatter"),
    FaultKind.METER_ZERO: Kind("meter", (60, 3600), what="new time stamps, and 0 A on every phase"),
    FaultKind.SERVICE_KILLED: Kind("service", (1, 300), what="kill -9, and a start after a while"),
    FaultKind.SERVICE_PAUSED: Kind("service", (1, 120), what="the process is stopped and goes on"),
    FaultKind.SERVICE_POWER: Kind("service", (30, 900), what="the machine loses power: nobody is told"),
    FaultKind.SERVICE_REPLACED: Kind("service", (10, 600), what="stopped, replaced by another, then on beside it"),
    FaultKind.SERVICE_CLOCK: Kind("service", (60, 3600), (-900, 900), "s", "its machine's clock jumps, and back"),
    FaultKind.STORE_FULL: Kind("store", (30, 1800), what="the disk is full: every write fails"),
    FaultKind.STORE_SLOW: Kind("store", (60, 1800), (0.5, 10), "s", "every transaction takes this long"),
    FaultKind.STORE_LOCKED: Kind("store", (5, 300), what="another holds the database's lock: writes wait, and fail"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. `target` is the charger or meter, empty where the kind has only one victim."""

    kind: FaultKind
    at_s: float
    for_s: float = 0.0
    target: str = ""
    value: float = 0.0

    @property
    def ends_s(self) -> float:
        """When it is over."""
        return self.at_s + self.for_s

    def __str__(self) -> str:
        """In words: `meter-silent m-main at 3600 s for 120 s`."""
        parts = [self.kind, self.target, f"at {self.at_s:g} s", f"for {self.for_s:g} s" if self.for_s else ""]
        unit = KINDS[self.kind].unit
        return " ".join(part for part in (*parts, f"({self.value:g} {unit})" if unit else "") if part)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a schedule is drawn: `calm_s` passes between two faults, and at the end of the run; `kinds` limits them.

    With `at_once` above 1 that many schedules are laid over one another: faults meet.
    """

    calm_s: float = 900.0
    at_once: int = 1
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)


def drawn(site: Site, days: float, seed: int, drawing: Drawing | None = None) -> tuple[Fault, ...]:
    """The schedule of a seed: at most one fault at a time with `at_once` 1, each kind equally likely."""
    drawing = drawing or Drawing()
    found: list[Fault] = []
    for layer in range(drawing.at_once):
        rng = random.Random(f"{seed}/faults/{layer}")
        at_s, ends_s = rng.uniform(60.0, 2 * drawing.calm_s), days * 86400 - drawing.calm_s
        while True:
            fault = _draw(rng, site, rng.choice(drawing.kinds), round(at_s, 1))
            if fault.ends_s > ends_s:
                break
            found.append(fault)
            at_s = fault.ends_s + drawing.calm_s + rng.expovariate(1 / drawing.calm_s)
    return tuple(sorted(found, key=lambda fault: (fault.at_s, fault.kind, fault.target)))


def _draw(rng: random.Random, site: Site, kind: FaultKind, at_s: float) -> Fault:
    how = KINDS[kind]
    targets = targets_of(site, how.victim)
    shortest, longest = how.for_s
    # Short ones are as likely as long ones: what matters lies at many scales.
    for_s = 0.0 if longest == 0 else shortest * (longest / shortest) ** rng.random()
    value = 0.0 if how.values is None else round(rng.uniform(*how.values), 3)
    return Fault(kind, at_s, round(for_s, 1), rng.choice(targets) if targets else "", value)


def targets_of(site: Site, victim: Victim) -> Sequence[str]:
    """Whom a kind of fault can hit at a site; nobody where there is only one victim."""
    if victim == "charger":
        return [charger.id for charger in site.chargers]
    if victim == "meter":
        return [feeder.meter for feeder in site.feeders if feeder.meter is not None]
    return []
