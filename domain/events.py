"""What happened, in the past tense. The proxy speaks of chargers and connectors; the inventory knows the EVSEs.

`at` is our own clock, always aware UTC. `*_mono_s` are readings of one process's monotonic clock, for latencies only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from domain.ids import ChargerId, DecisionId, EvseId
from domain.metering import EvseSample, MeterReading
from domain.quirks import Model, Quirks
from domain.session import EvseState

OcppVersion = Literal["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]


@dataclass(frozen=True, slots=True)
class ChargerConnected:
    """A charger's socket is authenticated and relayed to its CSMS."""

    charger: ChargerId
    at: datetime
    version: OcppVersion


@dataclass(frozen=True, slots=True)
class ChargerDisconnected:
    """The charger's newest socket is gone; a replaced one is not told."""

    charger: ChargerId
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class CsmsLost:
    """A charger goes on without its CSMS: the proxy answers in its place, and keeps what it has to be told."""

    charger: ChargerId
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class CsmsReturned:
    """A charger's CSMS can be reached again."""

    charger: ChargerId
    at: datetime


@dataclass(frozen=True, slots=True)
class StartInDoubt:
    """A CSMS may hold a start twice, since it was sent again after a reply was lost; or, where it is `given_up`, not at
    all. `started_at` is the charger's own stamp.
    """

    charger: ChargerId
    at: datetime
    connector: int | None
    id_tag: str | None
    started_at: str | None
    given_up: bool


@dataclass(frozen=True, slots=True)
class ChargerBooted:
    """A BootNotification was answered."""

    charger: ChargerId
    at: datetime
    vendor: str
    model: str
    firmware: str | None
    accepted: bool


@dataclass(frozen=True, slots=True)
class EvseStatusChanged:
    """A status or charging state was reported. Connector 0 is the whole charger."""

    charger: ChargerId
    connector: int
    at: datetime
    state: EvseState


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A transaction began: in 1.6 born of the completed StartTransaction exchange.

    `relayed_mono_s`: when the CSMS's reply left the proxy towards the charger.
    """

    charger: ChargerId
    connector: int
    at: datetime
    transaction_id: str
    id_tag: str | None = None
    meter_start_wh: float | None = None
    relayed_mono_s: float | None = None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A transaction ended; `connector` is None where the message does not say."""

    charger: ChargerId
    connector: int | None
    at: datetime
    transaction_id: str
    meter_stop_wh: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class EvseMetered:
    """A charger reported what an EVSE draws."""

    charger: ChargerId
    connector: int
    at: datetime
    sample: EvseSample
    transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class CsmsLimitChanged:
    """The CSMS's own leading limit at an EVSE changed; None lifts it. Connector 0 is the whole charger."""

    charger: ChargerId
    connector: int
    at: datetime
    limit_a: float | None


@dataclass(frozen=True, slots=True)
class CsmsProfilesChanged:
    """The CSMS's own charging profiles at a charger, all of them, as JSON values: to be brought back after a restart.

    `version` is the protocol in whose words they are.
    """

    charger: ChargerId
    at: datetime
    version: OcppVersion
    profiles: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class CsmsCommandWithheld:
    """A command of the CSMS's was refused in the charger's name, or a part of it was: `why` is one reason for a person.

    `by_charger`: the charger did by itself what would have been refused; nobody can withhold that.
    """

    charger: ChargerId
    at: datetime
    action: str
    why: str
    by_charger: bool = False


@dataclass(frozen=True, slots=True)
class FeederMetered:
    """A building meter pushed a reading."""

    at: datetime
    reading: MeterReading


@dataclass(frozen=True, slots=True)
class SetpointSent:
    """A limit's frame is on the wire. `sent_mono_s` is when."""

    evse: EvseId
    at: datetime
    limit_a: float
    decision: DecisionId
    sent_mono_s: float | None = None


@dataclass(frozen=True, slots=True)
class SetpointAccepted:
    """The charger acknowledged a limit. Accepted is not applied."""

    evse: EvseId
    at: datetime
    limit_a: float
    decision: DecisionId


@dataclass(frozen=True, slots=True)
class SetpointRefused:
    """The charger rejected a limit, answered with an error, did not answer, or has no link.

    `voided`: it had accepted the limit, and then the CSMS took it away or overrode it: nothing of ours is in force.
    """

    evse: EvseId
    at: datetime
    limit_a: float
    decision: DecisionId
    why: str
    voided: bool = False


Evidence = Literal["schedule", "meter"]
"""What a verdict on a limit rests on: the charger's own composite schedule, or what is measured."""


@dataclass(frozen=True, slots=True)
class SetpointConfirmed:
    """A limit is seen to hold. A schedule that says so is evidence; only a meter settles it. `shown_a` is what the
    schedule allows: less than the limit where somebody else limits the EVSE too.
    """

    evse: EvseId
    at: datetime
    limit_a: float
    decision: DecisionId | None
    by: Evidence
    shown_a: float | None = None


@dataclass(frozen=True, slots=True)
class SetpointIgnored:
    """A limit that was accepted is not held: `shown_a` is what the schedule allows, or what the EVSE draws."""

    evse: EvseId
    at: datetime
    limit_a: float
    decision: DecisionId | None
    shown_a: float
    by: Evidence


@dataclass(frozen=True, slots=True)
class QuirksLearned:
    """A charger showed more of itself: what `quirks` knows takes the place of what was known before, field by field."""

    charger: ChargerId
    at: datetime
    quirks: Quirks
    model: Model | None = None


Event = (
    ChargerConnected
    | ChargerDisconnected
    | CsmsLost
    | CsmsReturned
    | StartInDoubt
    | ChargerBooted
    | EvseStatusChanged
    | SessionStarted
    | SessionEnded
    | EvseMetered
    | CsmsLimitChanged
    | CsmsProfilesChanged
    | CsmsCommandWithheld
    | FeederMetered
    | SetpointSent
    | SetpointAccepted
    | SetpointRefused
    | SetpointConfirmed
    | SetpointIgnored
    | QuirksLearned
)
