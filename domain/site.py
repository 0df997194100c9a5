"""A building as its one-line diagram shows it: feeders, chargers, EVSEs, meters, and how they are run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Literal, TypeVar

from domain.errors import UnknownIdError
from domain.ids import ChargerId, EvseId, FeederId, MeterId, SiteId
from domain.security import MessageLogSettings, SiteSecurity

K = TypeVar("K", bound=str)
V = TypeVar("V")


class Phase(StrEnum):
    """One line conductor of a feeder, by the building's own letters."""

    A = "A"
    B = "B"
    C = "C"


PHASES = (Phase.A, Phase.B, Phase.C)
PhaseAmps = Mapping[Phase, float]
"""Current per phase in A (RMS magnitude); a phase that is absent carries nothing."""

NO_AMPS: PhaseAmps = {}


@dataclass(frozen=True, slots=True)
class Transformer:
    """Between a feeder (secondary) and its parent (primary).

    `ratio` is the primary over the secondary line-to-line voltage. `vector_group` is on a delta-wye transformer's
    nameplate: Dyn1, its secondary 30 degrees behind (the North American standard), or Dyn11, 30 degrees ahead; None
    where nobody has looked: then limits hold for both.
    """

    ratio: float
    winding: Literal["none", "delta-wye"] = "none"
    vector_group: Literal["Dyn1", "Dyn11"] | None = None


@dataclass(frozen=True, slots=True)
class Feeder:
    """A panel or sub-panel: a breaker with a rating per phase. One without `meter` carries EVSEs only (Dedicated)."""

    id: FeederId
    rating_a: float
    usable: float = 0.8
    parent: FeederId | None = None
    phases: tuple[Phase, ...] = PHASES
    meter: MeterId | None = None
    line_to_line_v: float | None = None
    transformer: Transformer | None = None
    ac_limit_a: float | None = None
    dc_limit_a: float | None = None
    base_load_max_a: PhaseAmps | None = None
    """Design load per phase, where there is no history yet; without it a metered feeder fails the proof."""

    @property
    def usable_a(self) -> float:
        """What continuous load may use of the rating, per phase."""
        return self.usable * self.rating_a


@dataclass(frozen=True, slots=True)
class Evse:
    """One place to charge one car. `phases` are written as wired: the n-th is the charger's Ln."""

    id: EvseId
    charger: ChargerId
    connector: int
    feeder: FeederId
    phases: tuple[Phase, ...]
    max_a: float = 32.0
    min_a: float = 6.0
    failsafe_a: float = 0.0
    failsafe_proven: bool = False
    kind: Literal["ac", "dc"] = "ac"
    priority: float = 1.0
    """The strategies' alpha, 1 to 1.5."""
    response_s: float = 30.0
    """How long the charger and a car may take to follow a new limit."""

    @property
    def conductors(self) -> int:
        """Line conductors: 1 line-to-neutral, 2 line-to-line, 3 three-phase."""
        return len(self.phases)


@dataclass(frozen=True, slots=True)
class Charger:
    """A charger as it appears on the wire: one identity, one or more EVSEs."""

    id: ChargerId
    evses: tuple[Evse, ...]
    profile_writes_per_day: int | None = None
    """Write budget of the charger's flash; None means unlimited."""


@dataclass(frozen=True, slots=True)
class MqttSource:
    """A meter that publishes JSON: `fields` are dotted paths to each phase's number, times `scale` in A (or W).

    `time_field` is the path of an RFC 3339 time; without it a reading is as old as its arrival. `total_field` instead
    of `fields`: one number for all phases, of which each is taken to carry `unbalance` times its even share (None: all
    of it on every phase).
    """

    url: str
    topic: str
    fields: Mapping[Phase, str] = field(default_factory=dict)
    time_field: str | None = None
    scale: float = 1.0
    username: str | None = None
    password_file: str | None = None
    ca: str | None = None
    measures: Literal["current", "power"] = "current"
    total_field: str | None = None
    unbalance: float | None = None


@dataclass(frozen=True, slots=True)
class ModbusSource:
    """A meter that is polled over Modbus TCP: one register address per phase, value times `scale` in A (or W).

    `total_register` instead of `registers`, and `unbalance`: as `MqttSource`.
    """

    host: str
    registers: Mapping[Phase, int]
    port: int = 502
    unit: int = 1
    interval_s: float = 5.0
    table: Literal["holding", "input"] = "holding"
    encoding: Literal["float32", "int16", "uint16", "int32", "uint32"] = "float32"
    word_order: Literal["big", "little"] = "big"
    scale: float = 1.0
    measures: Literal["current", "power"] = "current"
    total_register: int | None = None
    unbalance: float | None = None


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter on a feeder; silent for `stale_after_s` it counts as stale, never as zero.

    Readings come by HTTP push unless `mqtt` or `modbus` says where to fetch them.
    """

    id: MeterId
    stale_after_s: float = 60.0
    mqtt: MqttSource | None = None
    modbus: ModbusSource | None = None


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Files (PEM) that prove to the CSMS who dials."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class CsmsTls:
    """TLS towards the CSMS: `ca` replaces the system's roots; `chargers` have certificates of their own."""

    ca: str | None = None
    client: ClientCertificate | None = None
    chargers: Mapping[ChargerId, ClientCertificate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CsmsSettings:
    """Where the site's chargers belong, and what happens while that cannot be reached.

    `recognises_repeats`: the CSMS knows a StartTransaction again that it holds already (by connector, idTag, meterStart
    and timestamp), so that one whose reply was lost may be sent until it is answered. `fan_out_url`: who sees a copy.
    `notify_limits`: it is told of the EMS's limits (2.x, NotifyChargingLimit).
    """

    url: str
    outage: Literal["close", "hold"] = "close"
    tls: CsmsTls | None = None
    recognises_repeats: bool = False
    fan_out_url: str | None = None
    notify_limits: bool = False


@dataclass(frozen=True, slots=True)
class Electrical:
    """The supply and the form of the constraints."""

    line_to_line_v: float = 208.0
    model: Literal["arithmetic", "phasor"] = "arithmetic"


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """Who charges when not all can: `quantum_s` is t_q, `min_on_s` the shortest slice."""

    kind: Literal["round_robin", "fcfs", "regular", "edf", "llf", "none"] = "round_robin"
    quantum_s: float = 3600.0
    min_on_s: float = 600.0


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """How often set-points may rise, how fine they are, how long a decision may take and how long limits hold."""

    interval_s: float = 15.0
    dead_band_a: float = 1.0
    time_budget_ms: float = 200.0
    deadman_s: float = 300.0
    phase_detection: bool = False
    """Whether the wiring of EVSEs that charge is tested by small steps of their current."""
    meter_asks: Literal["auto", "always", "never"] = "auto"
    """Whether chargers are asked for measurements that their CSMS did not configure: where they are missing, always,
    never."""


Strategy = Literal["milp", "dro", "stackelberg", "so", "ro", "equal", "fcfs", "none"]


@dataclass(frozen=True)
class Site:
    """A whole building. Built by `inventory.site_file`, which guarantees: one root feeder, no cycle, every id known
    and unique, every EVSE's phases among its feeder's phases and those among the parent's, 0 <= min_a <= max_a,
    fall-back 0 or at least the minimum.
    """

    id: SiteId
    timezone: str
    csms: CsmsSettings
    feeders: tuple[Feeder, ...]
    chargers: tuple[Charger, ...]
    meters: tuple[Meter, ...] = ()
    electrical: Electrical = field(default_factory=Electrical)
    strategy: Strategy = "milp"
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    accept_unproven_failsafe: bool = False
    security: SiteSecurity = field(default_factory=SiteSecurity)
    message_log: MessageLogSettings = field(default_factory=MessageLogSettings)

    @cached_property
    def evses(self) -> tuple[Evse, ...]:
        """All EVSEs, in the order of the site file."""
        return tuple(evse for charger in self.chargers for evse in charger.evses)

    @cached_property
    def root(self) -> Feeder:
        """The main panel."""
        return next(feeder for feeder in self.feeders if feeder.parent is None)

    @cached_property
    def _feeders(self) -> Mapping[FeederId, Feeder]:
        return {feeder.id: feeder for feeder in self.feeders}

    @cached_property
    def _evses(self) -> Mapping[EvseId, Evse]:
        return {evse.id: evse for evse in self.evses}

    @cached_property
    def _chargers(self) -> Mapping[ChargerId, Charger]:
        return {charger.id: charger for charger in self.chargers}

    @cached_property
    def _plugs(self) -> Mapping[tuple[ChargerId, int], Evse]:
        return {(evse.charger, evse.connector): evse for evse in self.evses}

    @cached_property
    def _meters(self) -> Mapping[MeterId, Meter]:
        return {meter.id: meter for meter in self.meters}

    def feeder(self, feeder_id: FeederId) -> Feeder:
        """The feeder of that id; `UnknownIdError` if there is none."""
        return _look_up(self._feeders, "feeder", feeder_id)

    def evse(self, evse_id: EvseId) -> Evse:
        """The EVSE of that id; `UnknownIdError` if there is none."""
        return _look_up(self._evses, "EVSE", evse_id)

    def charger(self, charger_id: ChargerId) -> Charger:
        """The charger of that identity; `UnknownIdError` if there is none."""
        return _look_up(self._chargers, "charger", charger_id)

    def meter(self, meter_id: MeterId) -> Meter:
        """The meter of that id; `UnknownIdError` if there is none."""
        return _look_up(self._meters, "meter", meter_id)

    def evse_at(self, charger_id: ChargerId, connector: int) -> Evse | None:
        """The EVSE behind a charger's connector (1.6 connectorId, 2.x evseId), or None."""
        return self._plugs.get((charger_id, connector))

    def path(self, feeder_id: FeederId) -> Iterator[Feeder]:
        """The feeder and its ancestors, up to and including the root."""
        current: FeederId | None = feeder_id
        while current is not None:
            feeder = self.feeder(current)
            yield feeder
            current = feeder.parent

    def children(self, feeder_id: FeederId) -> tuple[Feeder, ...]:
        """The feeders directly below."""
        return tuple(feeder for feeder in self.feeders if feeder.parent == feeder_id)

    def evses_below(self, feeder_id: FeederId) -> tuple[Evse, ...]:
        """Every EVSE that is supplied through the feeder, at any depth."""
        return tuple(e for e in self.evses if any(f.id == feeder_id for f in self.path(e.feeder)))


def _look_up(table: Mapping[K, V], kind: str, key: K) -> V:
    try:
        return table[key]
    except KeyError:
        raise UnknownIdError(kind, key) from None
