"""The shape of a site file: one pydantic model from which validation and the published JSON schema are both made.

Only what one field can say for itself stands here; what fields say of one another is in `inventory.site_rules`.
Defaults are the domain's own, so that a site built in code and one read from a file mean the same.
"""

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from domain import security as security_words
from domain import site as words

PhaseName = Literal["A", "B", "C"]
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"
IDENTITY_PATTERN = r"^[^/\x00-\x1f\x7f]+$"
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=64)]
ChargerIdentity = Annotated[str, StringConstraints(pattern=IDENTITY_PATTERN, max_length=48)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
RatingAmps = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
Amps = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
Volts = Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Scale = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Phases = Annotated[list[PhaseName], Field(min_length=1, max_length=3, json_schema_extra={"uniqueItems": True})]
Port = Annotated[int, Field(ge=1, le=65_535)]
Unbalance = Annotated[float, Field(ge=1, le=3, allow_inf_nan=False)]
SecurityProfile = Annotated[int, Field(ge=0, le=3)]
RegisterAddress = Annotated[int, Field(ge=0, le=65_535)]
CONNECTOR_NUMBER = Field(default=None, ge=1, le=1_000, description="1.6 connectorId, or the plug of a 2.x EVSE.")


def _default(kind: type, name: str) -> Any:
    """The domain's default of a field: there is no second place for it."""
    entry = next(entry for entry in dataclasses.fields(kind) if entry.name == name)
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return entry.default


class Strict(BaseModel):
    """No unknown fields, no silent conversion: "32" is not 32, and yes is not 1."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ClientCertificateModel(Strict):
    """A certificate and its key."""

    certificate: Text = Field(description="PEM file; relative to the site file.")
    key: Text = Field(description="PEM file; relative to the site file.")


class CsmsTlsModel(Strict):
    """TLS towards the CSMS."""

    ca: Text | None = Field(default=None, description="PEM file of the CSMS's authority, in place of the system's.")
    certificate: Text | None = Field(
        default=None,
        description="Client certificate for every charger (PEM file); {identity} in the name stands for the charger's.",
    )
    key: Text | None = Field(
        default=None, description="Key of the client certificate (PEM file); {identity} as in `certificate`."
    )
    chargers: dict[ChargerIdentity, ClientCertificateModel] = Field(
        default_factory=dict, description="Client certificates of single chargers (security profile 3)."
    )


class FanOutModel(Strict):
    """A second reader, such as billing or analytics."""

    url: Text = Field(description="ws:// or wss:// address to which the charger's identity is appended.")


class CsmsModel(Strict):
    """Where the chargers belong."""

    url: Text = Field(description="ws:// or wss:// address to which the charger's identity is appended.")
    outage: Literal["close", "hold"] = Field(
        default=_default(words.CsmsSettings, "outage"),
        description="While the CSMS is unreachable: close the chargers' links, or hold them and store messages.",
    )
    recognises_repeats: bool = Field(
        default=_default(words.CsmsSettings, "recognises_repeats"),
        description="The CSMS knows a StartTransaction again that it holds already: hold may repeat it until answered.",
    )
    fan_out: FanOutModel | None = Field(
        default=None,
        description="Who gets a copy of what the chargers send and the CSMS answers; what it says itself is ignored.",
    )
    notify_limits: bool = Field(
        default=_default(words.CsmsSettings, "notify_limits"),
        description="Tell the CSMS of the building's limits (OCPP 2.x, NotifyChargingLimit).",
    )
    tls: CsmsTlsModel | None = None


class ElectricalModel(Strict):
    """The supply and the form of the constraints."""

    line_to_line_v: Volts = Field(default=_default(words.Electrical, "line_to_line_v"))
    model: Literal["arithmetic", "phasor"] = Field(
        default=_default(words.Electrical, "model"),
        description="arithmetic adds magnitudes (safe, up to 15.5 % conservative); phasor adds vectors.",
    )


class SchedulerModel(Strict):
    """Who charges when not all can."""

    kind: Literal["round_robin", "fcfs", "regular", "edf", "llf", "none"] = Field(
        default=_default(words.SchedulerSettings, "kind")
    )
    quantum_s: Seconds = Field(default=_default(words.SchedulerSettings, "quantum_s"))
    min_on_s: float = Field(default=_default(words.SchedulerSettings, "min_on_s"), ge=0, le=86_400, allow_inf_nan=False)


class ControlModel(Strict):
    """How often set-points rise, how fine they are, how long they hold."""

    interval_s: float = Field(default=_default(words.ControlSettings, "interval_s"), ge=1, le=3600, allow_inf_nan=False)
    dead_band_a: float = Field(default=_default(words.ControlSettings, "dead_band_a"), ge=0, le=10, allow_inf_nan=False)
    time_budget_ms: float = Field(
        default=_default(words.ControlSettings, "time_budget_ms"), gt=0, le=10_000, allow_inf_nan=False
    )
    deadman_s: float = Field(
        default=_default(words.ControlSettings, "deadman_s"), ge=10, le=86_400, allow_inf_nan=False
    )
    phase_detection: bool = Field(
        default=_default(words.ControlSettings, "phase_detection"),
        description="Test by small steps of a charging EVSE's current whether it is wired to the phases written here.",
    )
    meter_asks: Literal["auto", "always", "never"] = Field(
        default=_default(words.ControlSettings, "meter_asks"),
        description="Ask chargers for measurements that their CSMS did not configure (it does not see them): where no "
        "current per phase comes during a session, always, or never.",
    )


class TransformerModel(Strict):
    """Between this feeder and its parent."""

    ratio: float = Field(
        gt=0, le=1000, allow_inf_nan=False, description="Parent's line-to-line voltage over this feeder's."
    )
    winding: Literal["none", "delta-wye"] = Field(default=_default(words.Transformer, "winding"))
    vector_group: Literal["Dyn1", "Dyn11"] | None = Field(
        default=_default(words.Transformer, "vector_group"),
        description="Of a delta-wye, from its nameplate. Without it limits hold for both, at some cost in capacity.",
    )


class BaseLoadModel(Strict):
    """Design load per phase, without EV charging."""

    A: Amps | None = None
    B: Amps | None = None
    C: Amps | None = None


class FeederModel(Strict):
    """A panel or sub-panel. The one without `parent` is the main panel."""

    id: Id
    rating_a: RatingAmps = Field(description="The breaker's rating per phase.")
    usable: float = Field(
        default=_default(words.Feeder, "usable"),
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="The part of the rating that continuous load may use.",
    )
    parent: Id | None = None
    phases: Phases = Field(default_factory=lambda: [phase.value for phase in _default(words.Feeder, "phases")])
    meter: Id | None = Field(default=None, description="Without a meter the feeder carries EVSEs only.")
    line_to_line_v: Volts | None = None
    transformer: TransformerModel | None = None
    ac_limit_a: RatingAmps | None = Field(default=None, description="Cap on the AC EVSEs below this feeder.")
    dc_limit_a: RatingAmps | None = Field(default=None, description="Cap on the DC EVSEs below this feeder.")
    base_load_max_a: BaseLoadModel | None = Field(
        default=None,
        description="Design load per phase: the most it ever carries; the fail-safe proof stands on it.",
    )


class EvseModel(Strict):
    """One place to charge one car."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["connector"]}, {"required": ["evse"]}]})

    id: Id
    connector: int | None = CONNECTOR_NUMBER
    evse: int | None = Field(default=None, ge=1, le=1_000, description="2.x evseId; without it, `connector` is it.")
    feeder: Id
    phases: Phases = Field(description="As wired: the first is the charger's L1.")
    max_a: RatingAmps = Field(default=_default(words.Evse, "max_a"))
    min_a: Amps = Field(default=_default(words.Evse, "min_a"))
    failsafe_a: Amps = Field(
        default=_default(words.Evse, "failsafe_a"), description="Held with no link: 0, or at least min_a."
    )
    failsafe_proven: bool = Field(
        default=_default(words.Evse, "failsafe_proven"), description="A commissioning test has shown the fall-back."
    )
    kind: Literal["ac", "dc"] = Field(default=_default(words.Evse, "kind"))
    priority: float = Field(default=_default(words.Evse, "priority"), ge=1, le=1.5, allow_inf_nan=False)
    response_s: float = Field(default=_default(words.Evse, "response_s"), gt=0, le=3600, allow_inf_nan=False)


class ChargerModel(Strict):
    """A charger as it appears on the wire."""

    id: ChargerIdentity = Field(description="The last segment of the URL that the charger dials, percent-decoded.")
    evses: list[EvseModel] = Field(min_length=1, max_length=100)
    profile_writes_per_day: int | None = Field(
        default=None, ge=1, le=1_000_000, description="How many charging profiles a day its flash memory bears."
    )


_MEASURES = Field(
    default=_default(words.MqttSource, "measures"),
    description="What a number times `scale` is: A, or W (of which the current at a power factor of 0.95 is taken).",
)
_UNBALANCE = Field(
    default=None,
    description="Of a total: how many times its even share a phase may carry. Without it each phase counts as if it "
    "carried the whole.",
)


class MqttModel(Strict):
    """A meter that publishes JSON."""

    url: Text = Field(description="mqtt:// or mqtts:// address of the broker.")
    topic: Text
    fields: dict[PhaseName, Text] = Field(
        default_factory=dict, description="Dotted path to each phase's current; without it, the body of the HTTP push."
    )
    time_field: Text | None = None
    scale: Scale = _default(words.MqttSource, "scale")
    username: Text | None = None
    password_file: Text | None = Field(default=None, description="A file that holds the password alone.")
    ca: Text | None = None
    measures: Literal["current", "power"] = _MEASURES
    total_field: Text | None = Field(
        default=None, description="Dotted path of one number for all phases, instead of `fields`."
    )
    unbalance: Unbalance | None = _UNBALANCE


class ModbusModel(Strict):
    """A meter that is polled over Modbus TCP."""

    host: Text
    registers: dict[PhaseName, RegisterAddress] = Field(
        default_factory=dict, description="Address of each phase's first register, counted from 0."
    )
    port: Port = _default(words.ModbusSource, "port")
    unit: int = Field(default=_default(words.ModbusSource, "unit"), ge=0, le=255)
    interval_s: Seconds = _default(words.ModbusSource, "interval_s")
    table: Literal["holding", "input"] = _default(words.ModbusSource, "table")
    encoding: Literal["float32", "int16", "uint16", "int32", "uint32"] = _default(words.ModbusSource, "encoding")
    word_order: Literal["big", "little"] = _default(words.ModbusSource, "word_order")
    scale: Scale = _default(words.ModbusSource, "scale")
    measures: Literal["current", "power"] = _MEASURES
    total_register: RegisterAddress | None = Field(
        default=None, description="Address of one number for all phases, instead of `registers`."
    )
    unbalance: Unbalance | None = _UNBALANCE


class MeterModel(Strict):
    """A meter on a feeder: pushed over HTTP unless `mqtt` or `modbus` says otherwise."""

    id: Id
    stale_after_s: Seconds = Field(default=_default(words.Meter, "stale_after_s"))
    mqtt: MqttModel | None = None
    modbus: ModbusModel | None = None


class ChargerSecurityModel(Strict):
    """What is asked of one charger."""

    profile: SecurityProfile | None = Field(default=None, description="Least security profile, in place of the site's.")
    key: Text | None = Field(
        default=None,
        description="Hash of its password as `headroom key` prints it: checked here before the CSMS is asked.",
    )
    common_name: Text | None = Field(
        default=None, description="CN of its client certificate (a serial number), where that is not its identity."
    )


class SecurityModel(Strict):
    """How chargers prove who they are, and how much they may say."""

    profile: SecurityProfile = Field(
        default=_default(security_words.SiteSecurity, "profile"),
        description="Least security profile: 0 none, 1 password, 2 TLS and password, 3 TLS and client certificate.",
    )
    allow: list[Text] = Field(
        default_factory=list, max_length=1_000, description="Networks (CIDR) that chargers may come from; all without."
    )
    organization: Text | None = Field(
        default=None, description="The O that client certificates must name: the operator's."
    )
    revoked: Text | None = Field(
        default=None,
        description="File of revoked client certificates: a CRL (PEM or DER) or serial numbers in hexadecimal, one a "
        "line; relative to the site file, read again when it changes.",
    )
    messages_per_s: float = Field(
        default=_default(security_words.SiteSecurity, "messages_per_s"),
        gt=0,
        le=100_000,
        allow_inf_nan=False,
        description="How much one charger may say in the long run; what exceeds that waits.",
    )
    message_burst: int = Field(
        default=_default(security_words.SiteSecurity, "message_burst"),
        ge=1,
        le=1_000_000,
        description="How much one charger may say at once.",
    )
    chargers: dict[ChargerIdentity, ChargerSecurityModel] = Field(
        default_factory=dict, description="What is asked of single chargers."
    )


class MessageLogModel(Strict):
    """What is kept of the OCPP messages, without secrets and with id tags hashed."""

    enabled: bool = Field(default=_default(security_words.MessageLogSettings, "enabled"))
    days: float = Field(
        default=_default(security_words.MessageLogSettings, "days"), gt=0, le=3_650, allow_inf_nan=False
    )
    max_mb: float = Field(
        default=_default(security_words.MessageLogSettings, "max_mb"), gt=0, le=1_000_000, allow_inf_nan=False
    )


class SiteModel(Strict):
    """A whole building."""

    site: Id
    timezone: Text = Field(description="IANA name, such as America/Vancouver.")
    csms: CsmsModel
    electrical: ElectricalModel = Field(default_factory=ElectricalModel)
    strategy: Literal["milp", "dro", "stackelberg"] = _default(words.Site, "strategy")
    scheduler: SchedulerModel = Field(default_factory=SchedulerModel)
    control: ControlModel = Field(default_factory=ControlModel)
    feeders: list[FeederModel] = Field(min_length=1, max_length=1_000)
    chargers: list[ChargerModel] = Field(max_length=10_000)
    meters: list[MeterModel] = Field(default_factory=list, max_length=1_000)
    accept_unproven_failsafe: bool = Field(
        default=_default(words.Site, "accept_unproven_failsafe"),
        description="Accepts in writing that unproven fall-backs are counted as if they held.",
    )
    security: SecurityModel = Field(default_factory=SecurityModel)
    message_log: MessageLogModel = Field(default_factory=MessageLogModel)


def site_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of a site file, as published in docs/site.schema.json.

    A site file never holds an empty value, so the schema knows no null.
    """
    body: dict[str, Any] = _without_null(SiteModel.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body, "title": "Headroom site file"}


def _without_null(part: Any) -> Any:
    if isinstance(part, list):
        return [_without_null(item) for item in part]
    if not isinstance(part, dict):
        return part
    part = {key: _without_null(value) for key, value in part.items() if not (key == "default" and value is None)}
    choices = part.get("anyOf")
    if choices and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del part["anyOf"]
        part |= rest[0] if len(rest) == 1 else {"anyOf": rest}
    return part
