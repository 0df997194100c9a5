"""Hypothesis strategies: small buildings with everything that a panel tree may have, and problems on them."""

import numpy as np
from hypothesis import strategies as st

from domain.ids import ChargerId, EvseId, FeederId, SiteId
from domain.site import PHASES, Charger, CsmsSettings, Electrical, Evse, Feeder, Site, Transformer
from ems.panel import capacity, compile_panel
from ems.problem import Problem

LEGS = ((PHASES[0], PHASES[1]), (PHASES[1], PHASES[2]), (PHASES[2], PHASES[0]))
WIRINGS = (*LEGS, (PHASES[1], PHASES[0]), *((phase,) for phase in PHASES), PHASES, (PHASES[2], PHASES[0], PHASES[1]))


def building(feeders, evses, model="arithmetic", **settings):
    """A site of these feeders and EVSEs, one charger for each EVSE."""
    chargers = tuple(Charger(evse.charger, (evse,)) for evse in evses)
    where = CsmsSettings("ws://127.0.0.1:9100/ocpp")
    return Site(SiteId("s"), "UTC", where, tuple(feeders), chargers, electrical=Electrical(model=model), **settings)


def evse(number, feeder, phases, **more):
    return Evse(EvseId(f"E{number}"), ChargerId(f"C{number}"), 1, FeederId(feeder), tuple(phases), **more)


def main_panel(rating_a=100.0, **more):
    return Feeder(FeederId("main"), rating_a, **{"usable": 1.0} | more)


@st.composite
def sites(draw, model=None, wirings=WIRINGS, transformers=True, most_evses=8):
    count = draw(st.integers(1, 4))
    feeders = [main_panel(draw(st.floats(40.0, 200.0)), ac_limit_a=draw(st.none() | st.floats(20.0, 80.0)))]
    for number in range(1, count):
        parent = feeders[draw(st.integers(0, number - 1))].id
        windings = st.builds(
            Transformer, st.sampled_from([1.0, 2.0, 480 / 208]), st.sampled_from(["none", "delta-wye"])
        )
        between = draw(st.none() | windings) if transformers else None
        rating_a = draw(st.floats(20.0, 120.0))
        feeders.append(Feeder(FeederId(f"f{number}"), rating_a, parent=parent, transformer=between))
    evses = [
        evse(
            number,
            draw(st.sampled_from(feeders)).id,
            draw(st.sampled_from(wirings)),
            kind=draw(st.sampled_from(["ac", "ac", "dc"])),
        )
        for number in range(draw(st.integers(1, most_evses)))
    ]
    return building(feeders, evses, draw(st.sampled_from(["arithmetic", "phasor"])) if model is None else model)


@st.composite
def problems(draw, free=False, base_frac=0.6, **of_site):
    """Any problem; who is on (unless z is free) is drawn so that the minima fit."""
    site = draw(sites(**of_site))
    panel = compile_panel(site)
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    base_a = {f.id: {phase: f.usable_a * generator.uniform(0.0, base_frac) for phase in PHASES} for f in site.feeders}
    count = len(panel.evses)
    min_a = generator.choice([0.0, 6.0, 6.0, 8.0], count)
    upper_a = generator.choice([0.0, 5.0, 10.0, 16.0, 32.0, 32.0, 40.0], count)
    alpha = generator.choice([1.0, 1.0, 1.2, 1.5], count)
    capacity_a = capacity(panel, site, base_a)
    on = np.zeros(count, dtype=np.bool_)
    left_a = np.maximum(capacity_a, 0.0)
    for column in generator.permutation(count):
        load_a = panel.matrix[:, column] * min_a[column] * (upper_a[column] >= min_a[column])
        if generator.random() < 0.85 and (load_a <= left_a).all():
            on[column] = True
            left_a -= load_a
    order = tuple(generator.permutation(count).tolist())
    return Problem(panel, capacity_a, min_a, upper_a, alpha, None if free else on, order)
