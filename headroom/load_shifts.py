"""Which moves of the base loads since a decision are a reason for another one."""

from collections.abc import Iterator, Mapping

from domain.ids import FeederId
from domain.setpoint import Latitude
from domain.site import NO_AMPS, Feeder, Phase, PhaseAmps, Site
from domain.snapshot import FeederView
from ems.situation import held_by_a


def load_shifts(
    site: Site, views: Mapping[FeederId, FeederView], decided: Mapping[FeederId, FeederView], latitude: Latitude | None
) -> Iterator[str]:
    """In words, for each line whose load or forecast moved by more than the dead band, and to some effect.

    A rise has none while the limits still fit beside it, a fall none where nobody wants more than was given
    (`latitude`; without it there is no room, and everybody does). A change of what a view rests on always counts.

    Args:
        site: the building.
        views: the feeders now.
        decided: the feeders as the newest decision saw them; one that is missing is not compared.
        latitude: of that decision.
    """
    for name, view in views.items():
        before = decided.get(name)
        if before is None or before is view:
            continue
        if view.source is not before.source:
            yield f"load of {name} is {view.source}"
            continue
        yield from _of_feeder(site.feeder(name), view, before, site.control.dead_band_a, latitude)


def _of_feeder(
    feeder: Feeder, view: FeederView, before: FeederView, band_a: float, latitude: Latitude | None
) -> Iterator[str]:
    held_a, held_before_a = held_by_a(view, band_a), held_by_a(before, band_a)
    room_a = NO_AMPS if latitude is None else latitude.room_a.get(feeder.id, NO_AMPS)
    wanted = latitude is None or feeder.id in latitude.wanting
    for phase in feeder.phases:
        likely_a = _of(view.base_likely_a, phase) - _of(before.base_likely_a, phase)
        upper_a = _upper(view, phase) - _upper(before, phase)
        if _of(held_a, phase) - _of(held_before_a, phase) > max(band_a, _of(room_a, phase)):
            yield f"{'load on' if likely_a > band_a else 'forecast for'} {feeder.id} phase {phase}"
        elif wanted and min(likely_a, upper_a) < -band_a:
            yield f"{'load on' if likely_a < -band_a else 'forecast for'} {feeder.id} phase {phase}"


def _of(amps: PhaseAmps, phase: Phase) -> float:
    return amps.get(phase, 0.0)


def _upper(view: FeederView, phase: Phase) -> float:
    return max(_of(view.base_high_a, phase), _of(view.forecast_a, phase))
