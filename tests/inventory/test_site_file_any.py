"""Site files of every shape: what is written is read again, and no text does more than be refused."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.site import Charger, CsmsSettings, Evse, Feeder, Meter, Phase, Site
from inventory.site_file import parse_site


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Any building whose feeders form a tree."""
    count = draw(st.integers(1, 5))
    feeders: list[Feeder] = []
    for n in range(count):
        parent = feeders[draw(st.integers(0, n - 1))] if n else None
        carried = parent.phases if parent else tuple(Phase)
        phases = tuple(p for p in carried if draw(st.booleans())) or carried
        rating = float(draw(st.integers(40, 400)))
        meter = f"m{n}" if draw(st.booleans()) else None
        feeders.append(
            Feeder(
                f"f{n}", rating, draw(st.sampled_from([0.5, 0.8, 1.0])), parent.id if parent else None, phases, meter
            )  # type: ignore[arg-type]
        )
    chargers = []
    for n in range(draw(st.integers(0, 4))):
        evses = []
        for connector in range(1, draw(st.integers(1, 2)) + 1):
            feeder = draw(st.sampled_from(feeders))
            phases = tuple(draw(st.permutations(feeder.phases)))[: draw(st.integers(1, 3))]
            minimum = float(draw(st.integers(0, 10)))
            failsafe = draw(st.sampled_from([0.0, minimum, 32.0]))
            evses.append(
                Evse(f"e{n}-{connector}", f"c{n}", connector, feeder.id, phases, 32.0, minimum, failsafe)  # type: ignore[arg-type]
            )
        chargers.append(Charger(f"c{n}", tuple(evses)))  # type: ignore[arg-type]
    meters = tuple(Meter(feeder.meter) for feeder in feeders if feeder.meter)
    return Site("any", "UTC", CsmsSettings("wss://csms.example/ocpp"), tuple(feeders), tuple(chargers), meters)  # type: ignore[arg-type]


def written(site: Site) -> str:
    """A site as a person would write it."""
    feeders = [
        {"id": f.id, "rating_a": f.rating_a, "usable": f.usable, "phases": [p.value for p in f.phases]}
        | ({"parent": f.parent} if f.parent else {})
        | ({"meter": f.meter} if f.meter else {})
        for f in site.feeders
    ]
    chargers = [
        {
            "id": c.id,
            "evses": [
                {
                    "id": e.id,
                    "connector": e.connector,
                    "feeder": e.feeder,
                    "phases": [p.value for p in e.phases],
                    "min_a": e.min_a,
                    "failsafe_a": e.failsafe_a,
                }
                for e in c.evses
            ],
        }
        for c in site.chargers
    ]
    meters = [{"id": m.id} for m in site.meters]
    document = {"site": site.id, "timezone": site.timezone, "csms": {"url": site.csms.url}}
    return yaml.safe_dump(document | {"feeders": feeders, "chargers": chargers, "meters": meters})


@settings(deadline=None)
@given(sites())
def test_any_site_survives_being_written_and_read(site: Site) -> None:
    assert parse_site(written(site), "any.yaml") == site
