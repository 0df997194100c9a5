"""A small building: two panels, two chargers, three EVSEs."""

from domain.site import Site
from inventory.site_file import parse_site

SITE_TEXT = """\
site: court
timezone: America/Vancouver
csms: {url: "ws://127.0.0.1:9100/ocpp"}
feeders:
  - {id: main, rating_a: 100, meter: m-main, base_load_max_a: {A: 1, B: 1, C: 1}}
  - {id: p1, parent: main, rating_a: 60, phases: [A, B]}
chargers:
  - id: CP1
    evses:
      - {id: E1, connector: 1, feeder: p1, phases: [A, B]}
      - {id: E2, connector: 2, feeder: p1, phases: [B, A]}
  - id: CP2
    evses:
      - {id: E3, connector: 1, feeder: main, phases: [A, B, C]}
"""


def site() -> Site:
    """Three EVSEs at two chargers."""
    return parse_site(SITE_TEXT, "court.yaml")
