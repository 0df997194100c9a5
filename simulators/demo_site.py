"""The demo's building as a site file: a panel that is too small for all its chargers, and safe all the same.

For every 24 chargers a pair of sub-panels: `p1` (`p3`, ..) serves homes and chargers and has a meter, `p2` (`p4`, ..)
serves chargers only and has none. Ratings are the smallest standard sizes (NEC 240.6) that carry the homes; a sub-panel
without homes carries 6 A for only two thirds of its chargers, so that they must take turns. Base loads are measured on
the load that is replayed (`simulators.homes`), with its margin.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from domain.ids import ChargerId, EvseId, FeederId, MeterId, SiteId
from domain.site import PHASES, Charger, CsmsSettings, Electrical, Evse, Feeder, Meter, Phase, Site
from simulators.building import BuildingLoad
from simulators.homes import LOAD_MARGIN, homes_for

STANDARD_RATINGS_A = (
    *(15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100, 110, 125, 150, 175, 200, 225, 250, 300, 350, 400, 450, 500),
    *(600, 700, 800, 1000, 1200, 1600, 2000, 2500, 3000, 4000, 5000, 6000),
)
USABLE = 0.8
MIN_A = 6.0
MAX_A = 32.0
PER_PAIR_OF_PANELS = 24
LEG_PAIRS = ((Phase.A, Phase.B), (Phase.B, Phase.C), (Phase.C, Phase.A))
MAIN = FeederId("main")


@dataclass(frozen=True, slots=True)
class _Frame:
    """What the file says besides the panels."""

    csms_url: str
    timezone: str
    strategy: str
    scheduler: str
    outage: str
    three_phase: bool


def demo_site(
    chargers: int = 12,
    *,
    csms_url: str = "ws://127.0.0.1:9100/ocpp",
    timezone: str = "America/Vancouver",
    strategy: str = "milp",
    scheduler: str = "round_robin",
    outage: str = "close",
    three_phase: bool = False,
) -> str:
    """YAML text of a site file with `chargers` single-EVSE chargers, CP001 on.

    Guarantees that the fail-safe proof holds on every phase of every feeder, with fall-backs of 6 A for the first
    EVSEs that they fit for and 0 for the others, and that the base load alone never passes the usable rating.

    With `three_phase` every EVSE has three phases at 400 V; else two legs at 208 V.

    Raises:
        ValueError: fewer than 1 or more than 500 chargers.
    """
    if not 1 <= chargers <= 500:
        raise ValueError(f"the demo's building has 1 to 500 chargers, not {chargers}")
    bare = _bare_site(chargers, timezone, three_phase=three_phase)
    peak_a = BuildingLoad(bare, homes_for(bare)).peak_a()
    base_a = {
        feeder.id: {phase: ceil(LOAD_MARGIN * peak_a[row, column]) for column, phase in enumerate(PHASES)}
        for row, feeder in enumerate(bare.feeders)
        if feeder.meter
    }
    feeders = tuple(_rated(bare, feeder, base_a.get(feeder.id)) for feeder in bare.feeders)
    failsafes = _failsafes(replace(bare, feeders=feeders), base_a)
    return _as_yaml(
        feeders, bare, base_a, failsafes, _Frame(csms_url, timezone, strategy, scheduler, outage, three_phase)
    )


def _bare_site(chargers: int, timezone: str, *, three_phase: bool) -> Site:
    """The building without ratings: panels, meters and where each EVSE hangs."""
    pairs = ceil(chargers / PER_PAIR_OF_PANELS)
    feeders, meters = [Feeder(MAIN, 0, USABLE, meter=MeterId("m-main"))], [Meter(MeterId("m-main"))]
    for number in range(1, 2 * pairs + 1):
        meter = MeterId(f"m-p{number}") if number % 2 else None
        feeders.append(Feeder(FeederId(f"p{number}"), 0, USABLE, parent=MAIN, meter=meter))
        meters += [Meter(meter)] if meter else []
    panels = [feeder.id for feeder in feeders[1:]]
    counts = dict.fromkeys(panels, 0)
    listed: list[Charger] = []
    for number in range(chargers):
        panel = panels[number * len(panels) // chargers]
        counts[panel] += 1
        charger, evse = ChargerId(f"CP{number + 1:03d}"), EvseId(f"{panel.upper()}-{counts[panel]:02d}")
        legs = PHASES if three_phase else LEG_PAIRS[(counts[panel] - 1) % 3]
        listed.append(Charger(charger, (Evse(evse, charger, 1, panel, legs, min_a=MIN_A, response_s=10.0),)))
    electrical = Electrical(line_to_line_v=_volts(three_phase))
    csms = CsmsSettings("ws://x")
    return Site(SiteId("demo"), timezone, csms, tuple(feeders), tuple(listed), tuple(meters), electrical=electrical)


def _volts(three_phase: bool) -> float:
    return 400.0 if three_phase else 208.0


def _rated(site: Site, feeder: Feeder, base_a: Mapping[Phase, float] | None) -> Feeder:
    if base_a is not None:
        needed_a = max(base_a.values())
    else:
        per_phase = [sum(phase in evse.phases for evse in site.evses_below(feeder.id)) for phase in PHASES]
        most = max(per_phase)
        needed_a = MIN_A * max(1, min(most - 1, ceil(most * 2 / 3)))
    return replace(feeder, rating_a=next(a for a in STANDARD_RATINGS_A if USABLE * a >= needed_a))


def _failsafes(site: Site, base_a: Mapping[FeederId, Mapping[Phase, float]]) -> dict[EvseId, float]:
    """6 A for each EVSE, in order, for which the proof still holds; Dedicated panels keep all they have for turns."""
    room = {(f.id, p): f.usable_a - base_a.get(f.id, {}).get(p, 0.0) for f in site.feeders for p in PHASES}
    failsafes = {}
    for evse in site.evses:
        rows = [(feeder.id, phase) for feeder in site.path(evse.feeder) for phase in evse.phases]
        fits = site.feeder(evse.feeder).meter is not None and all(room[row] >= MIN_A for row in rows)
        failsafes[evse.id] = MIN_A if fits else 0.0
        for row in rows:
            room[row] -= failsafes[evse.id]
    return failsafes


def _as_yaml(
    feeders: tuple[Feeder, ...],
    site: Site,
    base_a: Mapping[FeederId, Mapping[Phase, float]],
    failsafes: Mapping[EvseId, float],
    frame: _Frame,
) -> str:
    lines = [
        "site: demo",
        f"timezone: {frame.timezone}",
        f'csms: {{url: "{frame.csms_url}", outage: {frame.outage}}}',
        f"electrical: {{line_to_line_v: {_volts(frame.three_phase):g}, model: arithmetic}}",
        f"strategy: {frame.strategy}",
        f"scheduler: {{kind: {frame.scheduler}, quantum_s: 1200, min_on_s: 300}}",
        "control: {interval_s: 15, dead_band_a: 1, time_budget_ms: 200, deadman_s: 300}",
        "feeders:",
    ]
    for feeder in feeders:
        fields = [f"id: {feeder.id}", *([f"parent: {feeder.parent}"] if feeder.parent else [])]
        fields += [f"rating_a: {feeder.rating_a:g}", f"usable: {feeder.usable:g}"]
        if feeder.meter:
            load = ", ".join(f"{phase}: {amps:g}" for phase, amps in base_a[feeder.id].items())
            fields += [f"meter: {feeder.meter}", f"base_load_max_a: {{{load}}}"]
        lines.append(f"  - {{{', '.join(fields)}}}")
    max_a = {feeder.id: min(MAX_A, float(int(feeder.usable_a))) for feeder in feeders}
    lines.append("chargers:")
    for charger in site.chargers:
        lines += [f"  - id: {charger.id}", "    evses:"]
        for evse in charger.evses:
            lines.append(
                f"      - {{id: {evse.id}, connector: {evse.connector}, feeder: {evse.feeder},"
                f" phases: [{', '.join(evse.phases)}], max_a: {max_a[evse.feeder]:g}, min_a: {evse.min_a:g},"
                f" failsafe_a: {failsafes[evse.id]:g}, failsafe_proven: true, response_s: {evse.response_s:g}}}"
            )
    lines.append("meters:")
    lines += [f"  - {{id: {meter.id}, stale_after_s: {meter.stale_after_s:g}}}" for meter in site.meters]
    return "\n".join(lines) + "\n"
