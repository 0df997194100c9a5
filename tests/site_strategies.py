"""Random buildings, loads and requests, for every property test of the EMS, and what currents really do in them."""

import cmath
import math
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import strategies as st

from domain.ids import ChargerId, EvseId, FeederId, MeterId, SiteId
from domain.ledger import LedgerEntry
from domain.quirks import Quirks
from domain.session import EvseState, Session
from domain.site import (
    PHASES,
    Charger,
    ControlSettings,
    CsmsSettings,
    Electrical,
    Evse,
    Feeder,
    Meter,
    SchedulerSettings,
    Site,
    Transformer,
)
from domain.snapshot import EvseView, FeederView, LoadSource, SiteSnapshot

T0 = datetime(2026, 1, 5, 18, 0, tzinfo=UTC)
A, B, C = PHASES
WIRINGS = ((A, B), (B, C), (C, A), (B, A), (A,), (B,), (C,), (A, B, C))


def seconds(value_s):
    return timedelta(seconds=value_s)


def make_site(feeders, evses, **options):
    """A site from feeders and EVSEs; every EVSE has a charger of its own."""
    meters = tuple(Meter(f.meter) for f in feeders if f.meter is not None)
    chargers = tuple(Charger(evse.charger, (evse,)) for evse in evses)
    return Site(
        id=SiteId("s"),
        timezone="America/Vancouver",
        csms=CsmsSettings(url="ws://127.0.0.1:9/ocpp"),
        feeders=tuple(feeders),
        chargers=chargers,
        meters=meters,
        **options,
    )


def make_evse(name, feeder="main", phases=(A, B), **options):
    return Evse(EvseId(name), ChargerId(f"CP-{name}"), 1, FeederId(feeder), tuple(phases), **options)


def make_feeder(name, rating_a, parent=None, **options):
    return Feeder(FeederId(name), rating_a, parent=None if parent is None else FeederId(parent), **options)


@st.composite
def sites(draw, max_evses=8, transformers=True, metered=None, models=("arithmetic", "phasor")):
    """One to four feeders in a tree, up to `max_evses` EVSEs of every wiring, either form of the constraints."""
    feeders = []
    for index in range(draw(st.integers(1, 4))):
        meter = MeterId(f"m{index}") if (draw(st.booleans()) if metered is None else metered) else None
        parent = None if index == 0 else f"f{draw(st.integers(0, index - 1))}"
        transformer = None
        if transformers and index and draw(st.integers(0, 3)) == 0:
            ratio = draw(st.sampled_from([1.0, 2.88, 0.5]))
            transformer = Transformer(ratio, draw(st.sampled_from(["none", "delta-wye"])))
        rating = draw(st.sampled_from([20.0, 40.0, 63.0, 100.0, 200.0]))
        feeders.append(make_feeder(f"f{index}", rating, parent, meter=meter, transformer=transformer))
    evses = []
    for index in range(draw(st.integers(1, max_evses))):
        feeder = draw(st.integers(0, len(feeders) - 1))
        phases = draw(st.sampled_from(WIRINGS))
        min_a = draw(st.sampled_from([6.0, 6.0, 8.0, 6.25]))
        proven = draw(st.booleans())
        max_a = draw(st.sampled_from([16.0, 32.0, 40.0]))
        evses.append(make_evse(f"e{index}", f"f{feeder}", phases, min_a=min_a, max_a=max_a, failsafe_proven=proven))
    return make_site(
        feeders,
        evses,
        electrical=Electrical(model=draw(st.sampled_from(models))),
        control=ControlSettings(dead_band_a=draw(st.sampled_from([0.5, 1.0, 2.0]))),
        scheduler=SchedulerSettings(kind=draw(st.sampled_from(["round_robin", "round_robin", "fcfs", "none"]))),
    )


def base_loads(site, top=1.2):
    """A non-EV load per phase of every feeder, up to `top` times what it may carry."""
    return st.fixed_dictionaries(
        {
            feeder.id: st.fixed_dictionaries(
                {phase: st.floats(0.0, top).map(lambda x, u=feeder.usable_a: round(x * u, 2)) for phase in PHASES}
            )
            for feeder in site.feeders
        }
    )


def currents(site, top=1.0):
    """A current per EVSE, 0 or anything up to `top` times its rating."""
    return st.fixed_dictionaries({e.id: st.one_of(st.just(0.0), st.floats(0.0, top * e.max_a)) for e in site.evses})


def settled(limit_a, at=T0, measured_a=None):
    """A ledger entry whose limit is known to be obeyed."""
    early = at - seconds(600)
    return LedgerEntry(
        limit_a=limit_a,
        upper_a=limit_a,
        sent_at=early,
        acknowledged_at=early,
        settled_at=early + seconds(60),
        measured_a=measured_a,
        measured_at=None if measured_a is None else at,
    )


def session(evse_id, at=T0, **options):
    return Session(evse=evse_id, transaction_id=f"t-{evse_id}", started_at=at - seconds(3600), **options)


def view(evse_id, limit_a=0.0, *, charging=True, at=T0, linked=True, ledger=None, **options):
    """A settled, linked EVSE, with a session unless told otherwise."""
    options.setdefault("session", session(evse_id, at) if charging else None)
    state = EvseState.CHARGING if options["session"] is not None else EvseState.AVAILABLE
    return EvseView(evse=evse_id, state=state, linked=linked, ledger=ledger or settled(limit_a, at), **options)


def snapshot(site, evses, base=None, at=T0, **options):
    """A snapshot with fresh meters; `base` per feeder id, `evses` those that are not idle."""
    base = base or {}
    feeders = {}
    for feeder in site.feeders:
        load = base.get(feeder.id, dict.fromkeys(PHASES, 0.0))
        feeders[feeder.id] = FeederView(
            feeder.id, base_high_a=load, base_likely_a=load, source=LoadSource.MEASURED, reading_at=at - seconds(5)
        )
    views = {e.id: evses.get(e.id) or view(e.id, charging=False, at=at) for e in site.evses}
    return SiteSnapshot(site=site, at=at, evses=views, feeders=options.pop("feeders", feeders), **options)


TURN = [cmath.exp(-2j * math.pi * k / 3) for k in range(3)]


def line_currents(site, draws, group, *, arithmetic, groups=(0, 1)):
    """Largest |I| per (feeder, phase) over vector groups (0: Dyn1, 1: Dyn11). `draws`: per EVSE each conductor's."""
    worst = {}
    for before in groups:
        total = {(f.id, p): 0j for f in site.feeders for p in PHASES}
        size = dict.fromkeys(total, 0.0)
        for evse in site.evses:
            if group and evse.kind != group:
                continue
            i = np.zeros(3, dtype=complex)
            at = [PHASES.index(p) for p in evse.phases]
            if len(at) == 2:
                v = TURN[at[0]] - TURN[at[1]]
                i[at[0]], i[at[1]] = v / abs(v) * draws[evse.id][0], -v / abs(v) * draws[evse.id][0]
            else:
                for k, p in enumerate(at):
                    i[p] = TURN[p] * draws[evse.id][k]
            for feeder in site.path(evse.feeder):
                for k, p in enumerate(PHASES):
                    total[feeder.id, p] += i[k]
                    size[feeder.id, p] += abs(i[k])
                if feeder.transformer is not None:
                    i = i / feeder.transformer.ratio
                    if feeder.transformer.winding == "delta-wye":
                        i = (
                            (i - np.roll(i, -1 if before == 0 else 1))
                            / math.sqrt(3)
                            * cmath.exp(1j * math.pi / 6 * (-1 if before == 0 else 1))
                        )
        for line, phasor in total.items():
            worst[line] = max(worst.get(line, 0.0), size[line] if arithmetic else abs(phasor))
    return worst


@st.composite
def ledgers(draw, evse, at=T0):
    """Any state that the ledger of an EVSE can be in."""
    levels = [a for a in (0.0, 6.0, 8.0, 10.0, 16.0, 24.0, 32.0) if a == 0.0 or evse.min_a <= a <= evse.max_a]
    limit_a = draw(st.sampled_from(levels))
    kind = draw(
        st.sampled_from(
            ["settled", "settled", "settled", "falling", "late", "rising", "untrusted", "refused", "unknown"]
        )
    )
    before_a = max(limit_a, draw(st.sampled_from(levels)))
    match kind:
        case "settled":
            return settled(limit_a, at, measured_a=draw(st.sampled_from([None, 0.0, limit_a])))
        case "falling":
            sent_at = at - seconds(draw(st.sampled_from([1, 3])))
            return LedgerEntry(limit_a, before_a, sent_at, draw(st.sampled_from([None, at])))
        case "late":
            return LedgerEntry(limit_a, before_a, at - seconds(8), None)
        case "rising":
            sent_at = at - seconds(draw(st.sampled_from([1, 14, 16])))
            return LedgerEntry(limit_a, limit_a, sent_at, sent_at, raised_at=sent_at)
        case "untrusted":
            return LedgerEntry(limit_a, evse.max_a, at - seconds(90), None, trusted=False, measured_a=evse.max_a)
        case "refused":
            return LedgerEntry(limit_a, before_a, at - seconds(8), None, refused=True)
    return LedgerEntry(evse.max_a, evse.max_a)


@st.composite
def snapshots(draw, site, at=T0, disturbed=True):
    """Any snapshot of a site; undisturbed: all linked, settled and measured."""
    evses = {}
    told = draw(st.booleans())
    for evse in site.evses:
        stay = draw(st.sampled_from(["charging", "charging", "charging", "full", "none"]))
        options = {"session": None}
        if stay != "none":
            full_since = at - seconds(300) if stay == "full" else None
            priority = draw(st.sampled_from([None, None, 1.5]))
            wishes = {}
            if told:
                hours = draw(st.sampled_from([0.2, 2.0, 9.0]))
                wishes = {
                    "departure_at": at + seconds(3600 * hours),
                    "energy_wanted_wh": draw(st.sampled_from([2e3, 2e4])),
                }
            options["session"] = session(evse.id, at, full_since=full_since, priority=priority, **wishes)
        options["csms_limit_a"] = draw(st.sampled_from([None, None, None, 4.0, 12.0]))
        if draw(st.sampled_from([False] * 5 + [True])):
            options["quirks"] = Quirks(after_zero="full_current")
        options["seen_max_a"] = draw(st.sampled_from([None, None, 7.5, 16.0]))
        if disturbed:
            options["ledger"] = draw(ledgers(evse, at))
            options["linked"] = draw(st.sampled_from([True, True, True, True, False]))
        else:
            levels = [0.0, *(a for a in (6.3, 8.0, 16.0) if evse.min_a <= a <= evse.max_a)]
            options["ledger"] = settled(draw(st.sampled_from(levels)), at)
        evses[evse.id] = view(evse.id, at=at, **options)
    likely = draw(base_loads(site, 1.1 if disturbed else 0.9))
    feeders = {}
    for feeder in site.feeders:
        above = draw(st.sampled_from([0.0, 0.0, 0.5, 10.0]))
        foreseen = draw(st.sampled_from([0.0, 0.0, 0.4, 5.0]))
        sources = [LoadSource.MEASURED] * 6 + ([LoadSource.FORECAST, LoadSource.FAILSAFE] if disturbed else [])
        feeders[feeder.id] = FeederView(
            feeder.id,
            base_high_a={p: a + above for p, a in likely[feeder.id].items()},
            base_likely_a=likely[feeder.id],
            forecast_a={p: a + foreseen for p, a in likely[feeder.id].items()} if foreseen else {},
            source=draw(st.sampled_from(sources)),
            reading_at=at - seconds(5),
        )
    return SiteSnapshot(site=site, at=at, evses=evses, feeders=feeders)
