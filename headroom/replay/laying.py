"""Lays a recording on a grid: what span, whose load under whose cars, and what has to be assumed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from domain.ids import FeederId
from domain.site import PHASES, Feeder, Site
from headroom.replay.day_grid import Grid, cut, line_phasors
from headroom.replay.drawing import uncontrolled_a
from headroom.replay.recording import Amps, Reading, Recording, RecordingError, Stay
from simulators.arrivals import replayed_arrivals
from simulators.homes import UNSTATED_SHARE, building_load

_LONGEST, _BUSIEST = timedelta(days=35), timedelta(days=28)
_WEEK, _YEAR = timedelta(weeks=1), timedelta(weeks=52)


def on_grid(recording: Recording, site: Site, step: timedelta, days: float | None, seed: int) -> Grid:
    """Lay a recording on a grid.

    Args:
        recording: of one or several files.
        site: the building.
        step: of the grid.
        days: how many to take from its beginning; None: all, or the busiest four weeks of more than five.
        seed: of the cars, where the recording has none.

    Raises:
        RecordingError: it holds neither stays nor readings.
    """
    notes = list(recording.notes)
    if not recording.stays and not recording.readings:
        raise RecordingError(
            ", ".join(recording.sources),
            None,
            "",
            "; ".join(("holds no charging session and no reading of this site", *recording.notes)),
        )
    if recording.stays and recording.readings:
        recording, note = _over_one_another(recording)
        notes += note
    begins, ends = _span(recording, days)
    begins = begins.replace(second=0, microsecond=0)
    count = max(1, int((ends - begins) / step))
    ends = begins + count * step
    stays = cut(recording.stays, begins, ends)
    if not recording.stays:
        stays = _typical_cars(site, begins, count * step, seed)
        notes.append(
            "the recording has no cars: four weeks of a housing cooperative's sessions (Trondheim) stand in for them"
        )
    base_a, more = _base(recording, site, begins, step, count, stays)
    return Grid(site, begins, step, base_a, stays, (*notes, *more))


def _over_one_another(recording: Recording) -> tuple[Recording, list[str]]:
    """Load of another time is laid under the stays, moved by whole weeks, by whole years where that will do."""
    first, last = _ends_of(recording.readings)
    come = min(stay.arrives for stay in recording.stays)
    gone = max(stay.leaves for stay in recording.stays)
    if min(last, gone) - max(first, come) >= min(timedelta(days=1), last - first, gone - come):
        return recording, []
    middle = (come + (gone - come) / 2) - (first + (last - first) / 2)
    for unit in (_YEAR, _WEEK):
        by = round(middle / unit) * unit
        shared = min(last + by, gone) - max(first + by, come)
        if shared >= min(_WEEK, (last - first) / 2, (gone - come) / 2) or unit == _WEEK:
            break
    weeks = int(by / _WEEK)
    return recording.moved(by), [
        f"load and sessions are of different times: the load was moved by {weeks} weeks, weekdays kept"
    ]


def _ends_of(readings: Sequence[Reading]) -> tuple[datetime, datetime]:
    instants = [one.at for one in readings]
    return min(instants), max(instants)


def _span(recording: Recording, days: float | None) -> tuple[datetime, datetime]:
    spans = []
    if recording.stays:
        spans.append((min(s.arrives for s in recording.stays), max(s.leaves for s in recording.stays)))
    if recording.readings:
        spans.append(_ends_of(recording.readings))
    begins, ends = max(span[0] for span in spans), min(span[1] for span in spans)
    if days is not None:
        return begins, min(ends, begins + timedelta(days=days))
    if ends - begins <= _LONGEST or not recording.stays:
        return begins, min(ends, begins + _LONGEST)
    whole = begins.replace(hour=0, minute=0)
    starts = [whole + n * _WEEK for n in range(1, int((ends - begins - _BUSIEST) / _WEEK))]
    busiest = max(
        starts or [begins],
        key=lambda at: sum(s.energy_wh for s in recording.stays if at <= s.arrives < at + _BUSIEST),
    )
    return busiest, busiest + _BUSIEST


def _typical_cars(site: Site, begins: datetime, length: timedelta, seed: int) -> tuple[Stay, ...]:
    arrivals = replayed_arrivals(
        site, begins.astimezone(ZoneInfo(site.timezone)), length / timedelta(days=1), seed=seed
    )
    stays = (
        Stay(one.evse, one.at.astimezone(UTC), one.departure_at.astimezone(UTC), one.energy_wh, one.car.onboard_a)
        for one in arrivals
    )
    return cut(tuple(stays), begins, begins + length)


def _base(
    recording: Recording, site: Site, begins: datetime, step: timedelta, count: int, stays: Sequence[Stay]
) -> tuple[Amps, list[str]]:
    """[step, feeder, phase] non-EV load, and what had to be assumed for it."""
    by_feeder: dict[FeederId, list[Reading]] = defaultdict(list)
    for one in recording.readings:
        by_feeder[one.feeder].append(one)
    found = np.zeros((count, len(site.feeders), len(PHASES)))
    notes: list[str] = []
    ev_a: Amps | None = None
    for row, feeder in enumerate(site.feeders):
        readings = by_feeder.get(feeder.id)
        if readings:
            found[:, row] = _binned(readings, begins, step, count)
            if readings[0].includes_ev:
                ev_a = _ev_line_a(recording, site, begins, step, count, stays, notes) if ev_a is None else ev_a
                found[:, row] = np.maximum(0.0, found[:, row] - ev_a[:, row])
    if not by_feeder:
        notes.append(
            "the recording has no load: twelve metered homes (Fontana, California) stand in for it, scaled to the "
            "design "
            "load of the site file (base_load_max_a; 40 % of usable where none is written)"
        )
        homes = building_load(site)
        for place in range(count if homes.homes else 0):
            amps = homes.current_a(begins + (place + 0.5) * step)
            for row, feeder in enumerate(site.feeders):
                found[place, row] = [amps[feeder.id].get(phase, 0.0) for phase in PHASES]
        return found, notes
    for row, feeder in enumerate(site.feeders):
        if feeder.id not in by_feeder and feeder.meter is not None:
            found[:, row], note = _unread(site, feeder, found, by_feeder)
            notes.append(note)
    return found, list(dict.fromkeys(notes))


def _unread(site: Site, feeder: Feeder, found: Amps, by_feeder: Mapping[FeederId, object]) -> tuple[Amps, str]:
    """[step, phase] load of a metered feeder without readings. Unknown means full, as far as others' readings allow."""
    rows = {one.id: row for row, one in enumerate(site.feeders)}
    below = [rows[one.id] for one in site.children(feeder.id) if one.id in by_feeder]
    if below:
        text = f"feeder {feeder.id} has no reading: it counts with what is measured below it"
        return found[:, below].sum(axis=1), text
    above = next((rows[one.id] for one in site.path(feeder.id) if one.id in by_feeder), None)
    design_a = [
        (UNSTATED_SHARE * feeder.usable_a if feeder.base_load_max_a is None else feeder.base_load_max_a.get(phase, 0.0))
        * (phase in feeder.phases)
        for phase in PHASES
    ]
    most_a = np.broadcast_to(np.array(design_a), (len(found), len(PHASES)))
    if above is None:
        return most_a, f"feeder {feeder.id} has no reading: it carries its design load all the time"
    text = f"feeder {feeder.id} has no reading: all measured above it is taken to go through it, up to its design load"
    return np.minimum(found[:, above], most_a), text


def _binned(readings: Sequence[Reading], begins: datetime, step: timedelta, count: int) -> Amps:
    """[step, phase] mean of the readings of each step; steps without one lie on the line between their neighbours."""
    place = np.array([(one.at - begins) / step for one in readings])
    values = np.array([[one.current_a.get(phase, 0.0) for phase in PHASES] for one in readings])
    inside = (place >= 0) & (place < count)
    order = np.argsort(place)
    sums, numbers = np.zeros((count, len(PHASES))), np.zeros(count)
    np.add.at(sums, place[inside].astype(int), values[inside])
    np.add.at(numbers, place[inside].astype(int), 1.0)
    between = np.column_stack(
        [np.interp(np.arange(count) + 0.5, place[order] + 0.5, values[order, n]) for n in range(len(PHASES))]
    )
    means = sums / np.maximum(numbers, 1.0)[:, None]
    return np.where((numbers > 0.0)[:, None], means, between)


def _ev_line_a(
    recording: Recording,
    site: Site,
    begins: datetime,
    step: timedelta,
    count: int,
    stays: Sequence[Stay],
    notes: list[str],
) -> Amps:
    """[step, feeder, phase] what the EVSEs drew while the meters were read, A."""
    column = {evse.id: place for place, evse in enumerate(site.evses)}
    drawn = np.zeros((count, len(site.evses)))
    if recording.currents:
        for one in sorted(recording.currents, key=lambda current: current.at):
            place = (one.at - begins) / step
            if 0 <= place < count:
                drawn[int(place) :, column[one.evse]] = one.current_a
        here = np.zeros_like(drawn, dtype=np.bool_)
        for stay in stays:
            first, last = (int((at - begins) / step) for at in (stay.arrives, stay.leaves))
            here[max(0, first) : last + 1, column[stay.evse]] = True
        drawn *= here
    else:
        notes.append(
            "the meters include EV charging and no EVSE currents are recorded: cars are taken to have "
            "charged at full power from plug-in on"
        )
        drawn = uncontrolled_a(Grid(site, begins, step, np.zeros((count, len(site.feeders), 3)), tuple(stays), ()))
    return np.asarray(np.abs(np.einsum("fpe,te->tfp", line_phasors(site), drawn)))
