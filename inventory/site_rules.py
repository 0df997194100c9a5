"""What the fields of a site file say of one another: the panel tree, the wiring, the meters, the identities."""

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from ipaddress import ip_network
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from domain.password import PasswordHash, PasswordHashError
from inventory.site_model import EvseModel, FeederModel, MeterModel, SiteModel
from inventory.site_yaml import Path

Problem = tuple[Path, str]

VOLTAGE_TOLERANCE = 0.05
"""Nominal voltages of one level differ by less (208 to 200 V); two levels by more."""


def find_problems(model: SiteModel) -> Iterator[Problem]:
    """Every way in which the parts of a site do not fit together, as (path, sentence), in no particular order."""
    yield from _site(model)
    yield from _csms(model)
    yield from _security(model)
    yield from _unique(model)
    yield from _tree(model)
    for index, feeder in enumerate(model.feeders):
        yield from _feeder(model, feeder, ("feeders", index))
    feeders = {feeder.id: feeder for feeder in model.feeders}
    for place, charger in enumerate(model.chargers):
        taken: dict[int, str] = {}
        for index, evse in enumerate(charger.evses):
            path: Path = ("chargers", place, "evses", index)
            yield from _evse(evse, feeders, path)
            yield from _connector(evse, taken, path)
    yield from _meters(model)


def did_you_mean(value: str, allowed: Iterable[str]) -> str:
    """What is allowed, the nearest first named where one is near."""
    names = list(allowed)
    near = get_close_matches(value, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    if not names:
        return "there is none"
    listed = ", ".join(f"'{name}'" for name in names[:12])
    return f"must be one of {listed}{', ...' if len(names) > 12 else ''}"


def connector_of(evse: EvseModel) -> int | None:
    """The number by which the charger's messages name this EVSE: 2.x evseId, else 1.6 connectorId."""
    return evse.evse if evse.evse is not None else evse.connector


def _site(model: SiteModel) -> Iterator[Problem]:
    try:
        ZoneInfo(model.timezone)
    except (ValueError, OSError, KeyError):  # a missing zone, a path, a folder
        hint = did_you_mean(model.timezone, sorted(available_timezones()))
        hint = hint if hint.startswith("did") else "must be an IANA name such as America/Vancouver"
        yield ("timezone",), f"found '{model.timezone}', {hint}"
    if model.scheduler.min_on_s > model.scheduler.quantum_s:
        found, limit = model.scheduler.min_on_s, model.scheduler.quantum_s
        yield ("scheduler", "min_on_s"), f"found {found:g} s, must be at most quantum_s ({limit:g} s)"
    if model.control.deadman_s <= model.control.interval_s:
        found, limit = model.control.deadman_s, model.control.interval_s
        yield ("control", "deadman_s"), f"found {found:g} s, must be longer than interval_s ({limit:g} s)"


def _csms(model: SiteModel) -> Iterator[Problem]:
    problem = url_problem(model.csms.url, ("ws", "wss"))
    if problem:
        yield ("csms", "url"), problem
    fan_out = model.csms.fan_out
    if fan_out is not None and (problem := url_problem(fan_out.url, ("ws", "wss"))):
        yield ("csms", "fan_out", "url"), problem
    tls = model.csms.tls
    if tls is None:
        return
    if model.csms.url.lower().startswith("ws://"):
        yield ("csms", "tls"), f"is given, but the url '{model.csms.url}' is not encrypted: use wss://"
    if (tls.certificate is None) != (tls.key is None):
        missing = "key" if tls.key is None else "certificate"
        yield ("csms", "tls"), f"has no '{missing}': certificate and key go together"
    yield from _known_chargers(model, tls.chargers, ("csms", "tls", "chargers"))


def _known_chargers(model: SiteModel, named: Iterable[str], path: Path) -> Iterator[Problem]:
    known = [charger.id for charger in model.chargers]
    for identity in named:
        if identity not in known:
            yield (*path, identity), f"unknown charger '{identity}', {did_you_mean(identity, known)}"


def _security(model: SiteModel) -> Iterator[Problem]:
    for index, network in enumerate(model.security.allow):
        try:
            ip_network(network)
        except ValueError as error:
            yield (
                ("security", "allow", index),
                f"found '{network}' ({error}), must be a network such as 10.20.0.0/16 or an address",
            )
    yield from _known_chargers(model, model.security.chargers, ("security", "chargers"))
    for identity, asked in model.security.chargers.items():
        if asked.key is not None:
            try:
                PasswordHash.parse(asked.key)
            except PasswordHashError as error:
                yield ("security", "chargers", identity, "key"), str(error)


def url_problem(url: str, schemes: Sequence[str]) -> str | None:
    """What is wrong with a URL to which a path is to be appended: None if nothing."""
    wanted = f"must look like {schemes[-1]}://host.example:port/path"
    if re.search(r"\s", url):
        return f"found '{url}', which holds a space: {wanted}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"found '{url}' ({error}): {wanted}"
    if parts.scheme not in schemes:
        return f"found '{url}', must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if not parts.hostname or port == 0:
        return f"found '{url}', which names no host or a bad port: {wanted}"
    if parts.query or parts.fragment or parts.username is not None:
        return f"found '{url}', must have no user, no '?' and no '#': each charger brings its own credentials"
    return None


def _unique(model: SiteModel) -> Iterator[Problem]:
    evses = [
        (("chargers", place, "evses", index), evse.id)
        for place, charger in enumerate(model.chargers)
        for index, evse in enumerate(charger.evses)
    ]
    yield from _repeated("feeder", [(("feeders", index), feeder.id) for index, feeder in enumerate(model.feeders)])
    yield from _repeated("charger", [(("chargers", index), charger.id) for index, charger in enumerate(model.chargers)])
    yield from _repeated("EVSE", evses)
    yield from _repeated("meter", [(("meters", index), meter.id) for index, meter in enumerate(model.meters)])
    for index, charger in enumerate(model.chargers):
        if charger.id in {".", ".."} or charger.id != charger.id.strip():
            yield (
                ("chargers", index, "id"),
                f"found '{charger.id}', must be a name without spaces at its ends, and not '.' or '..'",
            )


def _repeated(kind: str, ids: Sequence[tuple[Path, str]]) -> Iterator[Problem]:
    seen: set[str] = set()
    for path, value in ids:
        if value in seen:
            yield (*path, "id"), f"{kind} '{value}' is given twice: every {kind} needs an id of its own"
        seen.add(value)


def _tree(model: SiteModel) -> Iterator[Problem]:
    """One root, no cycle, every parent known."""
    feeders = {feeder.id: feeder for feeder in model.feeders}
    roots = [(index, feeder) for index, feeder in enumerate(model.feeders) if feeder.parent is None]
    in_a_circle: set[str] = set()
    for index, feeder in enumerate(model.feeders):
        if feeder.parent is not None and feeder.parent not in feeders:
            hint = did_you_mean(feeder.parent, feeders)
            yield ("feeders", index, "parent"), f"unknown feeder '{feeder.parent}', {hint}"
        elif feeder.id not in in_a_circle:
            circle = _circle(feeder, feeders)
            if circle:
                in_a_circle.update(circle)
                drawn = " -> ".join([*circle, circle[0]])
                yield ("feeders", index, "parent"), f"is a circle ({drawn}): the main panel has no parent"
    for index, feeder in roots[1:]:
        other = roots[0][1].id
        yield ("feeders", index), f"'{feeder.id}' has no parent, nor has '{other}': only one main panel is allowed"
    if not roots and not in_a_circle:
        yield ("feeders",), "has no main panel: one feeder must have no parent"


def _circle(start: FeederModel, feeders: dict[str, FeederModel]) -> list[str]:
    path = [start.id]
    parent = start.parent
    while parent is not None and parent in feeders:
        if parent == start.id:
            return path
        if parent in path:
            return []  # it leads into somebody else's circle, which is told there
        path.append(parent)
        parent = feeders[parent].parent
    return []


def _feeder(model: SiteModel, feeder: FeederModel, path: Path) -> Iterator[Problem]:
    parent = next((other for other in model.feeders if other.id == feeder.parent), None)
    yield from _phases(feeder.phases, path)
    for name in ("ac_limit_a", "dc_limit_a"):
        limit = getattr(feeder, name)
        if limit is not None and limit > feeder.rating_a:
            yield (*path, name), f"found {limit:g} A, must be at most rating_a ({feeder.rating_a:g} A)"
    if parent is not None:
        absent = [phase for phase in feeder.phases if phase not in parent.phases]
        if absent:
            carried = ", ".join(parent.phases)
            yield (
                (*path, "phases"),
                f"found {', '.join(absent)}, which the parent '{parent.id}' does not carry ({carried})",
            )
    yield from _transformer(model, feeder, parent, path)
    yield from _base_load(feeder, path)


def _phases(phases: Sequence[str], path: Path) -> Iterator[Problem]:
    if len(set(phases)) != len(phases):
        yield (*path, "phases"), f"found {', '.join(phases)}: each phase may stand once"


def _transformer(model: SiteModel, feeder: FeederModel, parent: FeederModel | None, path: Path) -> Iterator[Problem]:
    transformer = feeder.transformer
    if transformer is not None and feeder.parent is None:
        yield (*path, "transformer"), "is on the main panel: it belongs to the feeder on its secondary side"
        return
    if transformer is not None and transformer.winding == "delta-wye" and len(feeder.phases) != 3:
        yield (*path, "transformer", "winding"), f"is delta-wye, which needs phases A, B, C (found {feeder.phases})"
    if parent is None or feeder.line_to_line_v is None or parent is feeder:
        return
    above_v = line_to_line_v(parent, model)
    wanted_v = above_v / (transformer.ratio if transformer else 1.0) if above_v else None
    if wanted_v and abs(feeder.line_to_line_v - wanted_v) > VOLTAGE_TOLERANCE * wanted_v:
        why = f"a transformer of ratio {transformer.ratio:g}" if transformer else "no transformer"
        yield (
            (*path, "line_to_line_v"),
            f"found {feeder.line_to_line_v:g} V, but {why} below '{parent.id}' ({above_v:g} V) makes {wanted_v:g} V",
        )


def line_to_line_v(feeder: FeederModel, model: SiteModel) -> float | None:
    """The nominal voltage at a feeder: its own, else its parent's through the transformer; None inside a circle."""
    ratio = 1.0
    by_id = {other.id: other for other in model.feeders}
    for _ in model.feeders:
        if feeder.line_to_line_v is not None:
            return feeder.line_to_line_v / ratio
        if feeder.transformer is not None:
            ratio *= feeder.transformer.ratio
        if feeder.parent is None or feeder.parent not in by_id:
            return model.electrical.line_to_line_v / ratio
        feeder = by_id[feeder.parent]
    return None


def _base_load(feeder: FeederModel, path: Path) -> Iterator[Problem]:
    base = feeder.base_load_max_a
    if base is None:
        return
    given = base.model_dump(exclude_none=True)
    for phase in given:
        if phase not in feeder.phases:
            carried = ", ".join(feeder.phases)
            yield (*path, "base_load_max_a", phase), f"found phase {phase}, but the feeder carries {carried}"
    missing = [phase for phase in feeder.phases if phase not in given]
    if missing:
        yield (*path, "base_load_max_a"), f"has no phase {', '.join(missing)}: write 0 where there is no load"
    if feeder.meter is None and any(given.values()):
        yield (
            (*path, "base_load_max_a"),
            f"is given, but '{feeder.id}' has no meter and so carries EVSEs only: name its meter, or remove the load",
        )


def _evse(evse: EvseModel, feeders: dict[str, FeederModel], path: Path) -> Iterator[Problem]:
    yield from _phases(evse.phases, path)
    if evse.min_a > evse.max_a:
        yield (*path, "min_a"), f"found {evse.min_a:g} A, must be at most max_a ({evse.max_a:g} A)"
    if 0 < evse.failsafe_a < evse.min_a:
        yield (*path, "failsafe_a"), f"found {evse.failsafe_a:g} A, must be 0 or at least min_a ({evse.min_a:g} A)"
    if evse.failsafe_a > evse.max_a:
        yield (*path, "failsafe_a"), f"found {evse.failsafe_a:g} A, must be at most max_a ({evse.max_a:g} A)"
    feeder = feeders.get(evse.feeder)
    if feeder is None:
        yield (*path, "feeder"), f"unknown feeder '{evse.feeder}', {did_you_mean(evse.feeder, feeders)}"
        return
    if evse.max_a > feeder.rating_a:
        yield (*path, "max_a"), f"found {evse.max_a:g} A, but feeder '{feeder.id}' is rated {feeder.rating_a:g} A"
    absent = [phase for phase in evse.phases if phase not in feeder.phases]
    if absent:
        carried = ", ".join(feeder.phases)
        yield (*path, "phases"), f"found {', '.join(absent)}, which feeder '{feeder.id}' does not carry ({carried})"


def _connector(evse: EvseModel, taken: dict[int, str], path: Path) -> Iterator[Problem]:
    number = connector_of(evse)
    if number is None:
        yield path, "has no 'connector': write 1.6's connectorId, or 2.x's evseId as 'evse'"
        return
    name = "connector" if evse.evse is None else "evse"
    if number in taken:
        yield (
            (*path, name),
            f"{number} is '{taken[number]}' already: plugs that serve one car at a time are one EVSE, written once",
        )
    taken.setdefault(number, evse.id)


def _meters(model: SiteModel) -> Iterator[Problem]:
    """One meter, one feeder, and none idle.

    A name that `meters` does not list stands for a meter with the defaults, unless a listed one of a similar name is
    idle: then it is a misspelling. (A meter that never speaks is stale, and stale is full: the mistake is a safe one.)
    """
    users: dict[str, str] = {}
    for index, feeder in enumerate(model.feeders):
        if feeder.meter in users:
            other = users[feeder.meter]
            yield ("feeders", index, "meter"), f"'{feeder.meter}' already measures '{other}': one meter, one feeder"
        elif feeder.meter is not None:
            users[feeder.meter] = feeder.id
    listed = [meter.id for meter in model.meters]
    idle = [meter for meter in listed if meter not in users]
    for index, feeder in enumerate(model.feeders):
        if feeder.meter is not None and feeder.meter not in listed and get_close_matches(feeder.meter, idle):
            yield ("feeders", index, "meter"), f"unknown meter '{feeder.meter}', {did_you_mean(feeder.meter, idle)}"
    for index, meter in enumerate(model.meters):
        if meter.id in idle:
            yield (
                ("meters", index, "id"),
                f"'{meter.id}' measures no feeder: name it in a feeder's 'meter' (a feeder without one counts as free "
                "of other loads), or remove it",
            )
        phases = next((feeder.phases for feeder in model.feeders if feeder.meter == meter.id), [])
        yield from _meter_source(meter, phases, ("meters", index))


def _meter_source(meter: MeterModel, phases: Sequence[str], path: Path) -> Iterator[Problem]:
    if meter.mqtt is not None and meter.modbus is not None:
        yield (*path, "modbus"), "is given beside mqtt: a meter has one source"
    if meter.mqtt is not None:
        problem = url_problem(meter.mqtt.url, ("mqtt", "mqtts"))
        if problem:
            yield (*path, "mqtt", "url"), problem
        if meter.mqtt.fields and meter.mqtt.total_field is not None:
            yield (*path, "mqtt", "total_field"), "is given beside fields: a meter tells its phases or a total"
    if meter.modbus is not None and bool(meter.modbus.registers) == (meter.modbus.total_register is not None):
        yield (*path, "modbus", "registers"), "must be given, or total_register in its place"
    maps: list[tuple[Path, Iterable[str]]] = []
    if meter.mqtt is not None and meter.mqtt.fields:
        maps.append(((*path, "mqtt", "fields"), meter.mqtt.fields))
    if meter.modbus is not None and meter.modbus.registers:
        maps.append(((*path, "modbus", "registers"), meter.modbus.registers))
    for where, given in maps:
        missing = [phase for phase in phases if phase not in set(given)]
        if missing:
            yield where, f"has no phase {', '.join(missing)}, which the meter's feeder carries"
