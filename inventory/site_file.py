"""From a site file to a `Site`: read, validated whole, and either usable or refused with a line and a sentence."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from domain.errors import SiteFileError
from domain.ids import ChargerId, EvseId, FeederId, MeterId, SiteId
from domain.security import ChargerSecurity, MessageLogSettings, SiteSecurity
from domain.site import (
    PHASES,
    Charger,
    ClientCertificate,
    ControlSettings,
    CsmsSettings,
    CsmsTls,
    Electrical,
    Evse,
    Feeder,
    Meter,
    ModbusSource,
    MqttSource,
    Phase,
    SchedulerSettings,
    Site,
    Transformer,
)
from inventory.site_model import (
    ID_PATTERN,
    IDENTITY_PATTERN,
    ChargerModel,
    EvseModel,
    FeederModel,
    MeterModel,
    SecurityModel,
    SiteModel,
)
from inventory.site_rules import connector_of, did_you_mean, find_problems, line_to_line_v
from inventory.site_yaml import Document, Path, field_name, read_yaml

V = TypeVar("V")

IDENTITY = "{identity}"
"""What stands for a charger's identity in the name of a certificate file."""


def load_site(path: FilePath | str) -> Site:
    """The site that a YAML file describes; file names inside it are relative to its folder.

    Guarantees what `domain.site.Site` promises.

    Raises:
        SiteFileError: the first problem in the order of the file; `site_problems` tells all of them.
    """
    file = FilePath(path)
    return parse_site(_text(file), str(path), folder=file.parent)


def parse_site(text: str, name: str, *, folder: FilePath | None = None) -> Site:
    """The site of a YAML text; `name` stands for the file in errors. See `load_site`."""
    model, problems = _validate(text, name)
    if problems or model is None:
        raise problems[0]
    return _build(model, folder)


def site_problems(text: str, name: str) -> tuple[SiteFileError, ...]:
    """Everything that is wrong with a site file, in the order of its lines; empty when it is usable.

    What fields say of one another is judged only when each field alone is right.
    """
    return tuple(_validate(text, name)[1])


def load_sites(paths: Iterable[FilePath | str]) -> tuple[Site, ...]:
    """The sites of one service. Site, charger, EVSE and meter ids are unique over all of them (`SiteFileError`)."""
    sites: list[Site] = []
    owners: dict[tuple[str, str], str] = {}
    for path in paths:
        name, text = str(path), _text(FilePath(path))
        site = parse_site(text, name, folder=FilePath(path).parent)
        for kind, value, where in _shared_ids(site):
            other = owners.get((kind, value))
            if other is not None:
                line = read_yaml(text, name).line(where)
                message = f"{kind} '{value}' is in {other} too: ids are unique over all sites"
                raise SiteFileError(name, line, field_name(where), message)
        owners |= {(kind, value): name for kind, value, _ in _shared_ids(site)}
        sites.append(site)
    return tuple(sites)


def _shared_ids(site: Site) -> Iterable[tuple[str, str, Path]]:
    yield "site", site.id, ("site",)
    for place, charger in enumerate(site.chargers):
        yield "charger", charger.id, ("chargers", place, "id")
        for index, evse in enumerate(charger.evses):
            yield "EVSE", evse.id, ("chargers", place, "evses", index, "id")
    for index, meter in enumerate(site.meters):
        yield "meter", meter.id, ("meters", index, "id")


def _text(file: FilePath) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SiteFileError(str(file), None, "file", f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise SiteFileError(str(file), None, "file", f"is not UTF-8 text (byte {error.start})") from None


def _validate(text: str, name: str) -> tuple[SiteModel | None, list[SiteFileError]]:
    try:
        document = read_yaml(text, name)
    except SiteFileError as error:
        return None, [error]
    if not isinstance(document.value, dict):
        return None, [SiteFileError(name, 1, "file", "must be a mapping that starts with 'site: <name>'")]
    model: SiteModel | None = None
    try:
        model = SiteModel.model_validate(document.value)
    except ValidationError as error:
        # What a field says of itself comes first in the reader's own words: an empty value is no wrong type as well.
        known = {problem.field for problem in document.problems}
        for detail in error.errors(include_url=False):
            path, sentence = _explain(detail)
            _add(document, path, sentence, known)
    else:
        for path, sentence in find_problems(model):
            document.problem(path, sentence)
    # A misspelt field comes before the one that is missing because of it.
    return model, sorted(document.problems, key=lambda problem: (problem.line or 0, problem.message == "is missing"))


def _add(document: Document, path: Path, sentence: str, known: set[str]) -> None:
    before = len(document.problems)
    document.problem(path, sentence)
    if document.problems[-1].field in known:
        del document.problems[before:]


_SENTENCES = {
    "missing": "is missing",
    "literal_error": "found {found}, must be {expected}",
    "greater_than": "found {found}, must be more than {gt:g}",
    "greater_than_equal": "found {found}, must be at least {ge:g}",
    "less_than_equal": "found {found}, must be at most {le:g}",
    "string_too_long": "found {found}, must be at most {max_length} characters",
    "string_too_short": "is empty",
    "too_short": "is empty, must hold at least {min_length}",
    "too_long": "holds {actual_length}, must be at most {max_length}",
    "string_type": "found {found}, must be text (write it in quotes)",
    "float_type": "found {found}, must be a number",
    "int_type": "found {found}, must be a whole number",
    "int_from_float": "found {found}, must be a whole number",
    "bool_type": "found {found}, must be true or false",
    "list_type": "found {found}, must be a list ('- ...' lines, or [a, b])",
    "dict_type": "found {found}, must be a mapping (name: value)",
    "model_type": "found {found}, must be a mapping (name: value)",
}
_PATTERNS = {
    ID_PATTERN: "letters, digits and . _ : - only, and begin with a letter or digit",
    IDENTITY_PATTERN: "a name without '/' and control characters",
}


def _explain(detail: ErrorDetails) -> tuple[Path, str]:
    """One of pydantic's errors as a path and a sentence that names the value found and what is allowed."""
    path: Path = tuple(step for step in detail["loc"] if step != "[key]")
    found, context = _shown(detail["input"]), detail.get("ctx", {})
    if detail["type"] == "extra_forbidden":
        return path, f"is not a known field: {did_you_mean(str(path[-1]), _fields_at(path[:-1]))}"
    if detail["type"] == "string_pattern_mismatch":
        return path, f"found {found}, must be {_PATTERNS[context['pattern']]}"
    sentence = _SENTENCES.get(detail["type"])
    return path, sentence.format(found=found, **context) if sentence else f"found {found}: {detail['msg']}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fields_at(path: Path) -> list[str]:
    """The names that a mapping at this path may hold."""
    model: type[BaseModel] = SiteModel
    for step in path:
        field = model.model_fields.get(step) if isinstance(step, str) else None
        if field is not None:
            model = next(iter(_models_in(field.annotation)), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models_in(part)


def _build(model: SiteModel, folder: FilePath | None) -> Site:
    return Site(
        id=SiteId(model.site),
        timezone=model.timezone,
        csms=_csms(model, folder),
        feeders=tuple(_feeder(feeder, model) for feeder in model.feeders),
        chargers=tuple(_charger(charger) for charger in model.chargers),
        meters=tuple(_meter(meter, folder) for meter in (*model.meters, *_implied_meters(model))),
        electrical=Electrical(**model.electrical.model_dump()),
        strategy=model.strategy,
        scheduler=SchedulerSettings(**model.scheduler.model_dump()),
        control=ControlSettings(**model.control.model_dump()),
        accept_unproven_failsafe=model.accept_unproven_failsafe,
        security=_security(model.security, folder),
        message_log=MessageLogSettings(**model.message_log.model_dump()),
    )


def _csms(site: SiteModel, folder: FilePath | None) -> CsmsSettings:
    model = site.csms
    tls = model.tls
    fan_out_url = model.fan_out.url if model.fan_out is not None else None
    plain = CsmsSettings(
        model.url,
        model.outage,
        recognises_repeats=model.recognises_repeats,
        fan_out_url=fan_out_url,
        notify_limits=model.notify_limits,
    )
    if tls is None:
        return plain

    def pair(certificate: str, key: str) -> ClientCertificate:
        return ClientCertificate(_beside(folder, certificate), _beside(folder, key))

    own: dict[ChargerId, ClientCertificate] = {}
    shared: ClientCertificate | None = None
    if tls.certificate is not None and tls.key is not None:
        if IDENTITY in tls.certificate or IDENTITY in tls.key:
            for charger in site.chargers:
                names = (name.replace(IDENTITY, charger.id) for name in (tls.certificate, tls.key))
                own[ChargerId(charger.id)] = pair(*names)
        else:
            shared = pair(tls.certificate, tls.key)
    own |= {ChargerId(identity): pair(files.certificate, files.key) for identity, files in tls.chargers.items()}
    ca = _beside(folder, tls.ca) if tls.ca is not None else None
    return replace(plain, tls=CsmsTls(ca, shared, own))


def _security(model: SecurityModel, folder: FilePath | None) -> SiteSecurity:
    rest = model.model_dump(exclude={"allow", "revoked", "chargers"})
    return SiteSecurity(
        allow=tuple(model.allow),
        revoked=_beside(folder, model.revoked) if model.revoked is not None else None,
        chargers={ChargerId(name): ChargerSecurity(**asked.model_dump()) for name, asked in model.chargers.items()},
        **rest,
    )


def _beside(folder: FilePath | None, name: str) -> str:
    return str(folder / name) if folder is not None else name


def _feeder(model: FeederModel, site: SiteModel) -> Feeder:
    """Voltage is written out below a transformer, so that nobody takes the supply's for it."""
    voltage_v = line_to_line_v(model, site)
    if model.line_to_line_v is None and voltage_v == site.electrical.line_to_line_v:
        voltage_v = None
    base = model.base_load_max_a
    return Feeder(
        id=FeederId(model.id),
        rating_a=model.rating_a,
        usable=model.usable,
        parent=FeederId(model.parent) if model.parent is not None else None,
        phases=tuple(phase for phase in PHASES if phase in model.phases),
        meter=MeterId(model.meter) if model.meter is not None else None,
        line_to_line_v=voltage_v,
        transformer=Transformer(**model.transformer.model_dump()) if model.transformer else None,
        ac_limit_a=model.ac_limit_a,
        dc_limit_a=model.dc_limit_a,
        base_load_max_a=_by_phase(base.model_dump(exclude_none=True)) if base is not None else None,
    )


def _by_phase(values: Mapping[Any, V]) -> Mapping[Phase, V]:
    return {Phase(name): value for name, value in sorted(values.items())}


def _charger(model: ChargerModel) -> Charger:
    identity = ChargerId(model.id)
    evses = tuple(_evse(evse, identity) for evse in model.evses)
    return Charger(identity, evses, profile_writes_per_day=model.profile_writes_per_day)


def _evse(model: EvseModel, charger: ChargerId) -> Evse:
    connector = connector_of(model)
    if connector is None:
        raise ValueError(f"EVSE '{model.id}' was not validated")
    rest = model.model_dump(exclude={"id", "evse", "connector", "feeder", "phases"})
    return Evse(
        id=EvseId(model.id),
        charger=charger,
        connector=connector,
        feeder=FeederId(model.feeder),
        phases=tuple(Phase(phase) for phase in model.phases),
        **rest,
    )


def _implied_meters(model: SiteModel) -> Iterable[MeterModel]:
    """A meter that a feeder names and `meters` does not list is pushed over HTTP, with the defaults."""
    listed = {meter.id for meter in model.meters}
    return (MeterModel(id=feeder.meter) for feeder in model.feeders if feeder.meter and feeder.meter not in listed)


def _meter(model: MeterModel, folder: FilePath | None) -> Meter:
    mqtt = modbus = None
    if model.mqtt is not None:
        rest = model.mqtt.model_dump(exclude={"fields"})
        for name in ("password_file", "ca"):
            rest[name] = _beside(folder, rest[name]) if rest[name] is not None else None
        mqtt = MqttSource(fields=_by_phase(model.mqtt.fields), **rest)
    if model.modbus is not None:
        rest = model.modbus.model_dump(exclude={"registers"})
        modbus = ModbusSource(registers=_by_phase(model.modbus.registers), **rest)
    return Meter(MeterId(model.id), model.stale_after_s, mqtt, modbus)
