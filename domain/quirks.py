"""What is known of a charger beyond what OCPP promises: found by asking, by trying, or told by a person.

`None` means not known; nobody may take it for an answer. The record of a charger begins as that of its model and
firmware, grows by what the charger itself shows, and a person's word stands above both.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from domain.ids import ChargerId

Unit = Literal["A", "W"]
Feedback = Literal["honest", "rejected", "bare", "empty", "constant", "wrong", "silent"]
AfterZero = Literal["resumes", "stays_paused", "full_current"]
Phases = Literal["lines", "overall", "none"]
Offline = Literal["proven", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """One charger's, or one model's.

    Limits:
        mode: "cap" (a station cap) or "tx" (profiles of the transaction) is what it takes.
        level: the stack level that it takes from us.
        timed: False: it takes only relative schedules, so it keeps no dead-man step.
        tx_profile, group_cap, fallback: False: it refused a TxProfile, a cap beside the connectors' profiles, the
            profile at level 0 under ours.
        proven: purposes that it has accepted on this rung ("station cap", "default profile", "transaction profile").
        unit: in which limits are written to it.
    What it says of itself:
        max_level: its highest stack level.
        rate_units: in which it says that it takes limits.
        max_profiles: how many it keeps.
        max_periods: in one schedule.
        switches_phases: whether it can change from three phases to one.
        number_phases: True: a limit in W must name the phases that it is for.
    Feedback:
        schedule: what its composite schedules are worth; all but "honest" are not asked for any more.
    Metering:
        measurands: what it was found to sample.
        sample_interval_s: how often; 0 never.
        takes_measurands: what it samples for us beyond what the CSMS configured.
        csms_measurands, csms_interval_s: what the CSMS configured, while we have it sample more (-1: the interval is
            the CSMS's).
        phases: how it reports current: "lines" one by one, "overall" one value, "none" only power or nothing.
    Behaviour:
        obeys: False: it was seen to draw more than it had accepted.
        after_zero: after a limit of 0 A it resumes by itself, stays paused, or charges at full current at first.
        offline: whether its fall-back without a link was proven by test, or failed.
        write_budget_per_day: how many profiles it may be sent a day; its memory wears.
    """

    mode: Literal["cap", "tx"] | None = None
    level: int | None = None
    timed: bool | None = None
    tx_profile: bool | None = None
    group_cap: bool | None = None
    fallback: bool | None = None
    proven: tuple[str, ...] | None = None
    unit: Unit | None = None
    max_level: int | None = None
    rate_units: tuple[Unit, ...] | None = None
    max_profiles: int | None = None
    max_periods: int | None = None
    switches_phases: bool | None = None
    number_phases: bool | None = None
    schedule: Feedback | None = None
    measurands: tuple[str, ...] | None = None
    sample_interval_s: int | None = None
    takes_measurands: tuple[str, ...] | None = None
    csms_measurands: tuple[str, ...] | None = None
    csms_interval_s: int | None = None
    phases: Phases | None = None
    obeys: bool | None = None
    after_zero: AfterZero | None = None
    offline: Offline | None = None
    write_budget_per_day: int | None = None
    probed_at: datetime | None = None
    """When it was last asked for all that it says of itself."""


UNKNOWN = Quirks()


@dataclass(frozen=True, slots=True)
class Model:
    """A kind of charger, as BootNotification names it. `firmware` is empty where the charger tells none."""

    vendor: str
    model: str
    firmware: str = ""


class KnownQuirks(Protocol):
    """Where a charger's record is looked up. Quick: answered from memory."""

    def of_charger(self, charger: ChargerId) -> Quirks:
        """What is known of it now, a person's word above all. The same object as long as nothing has changed."""
        ...

    def model_of(self, charger: ChargerId) -> Model | None:
        """Of which model it was when that was learnt; None where it never said."""
        ...

    def as_model(self, charger: ChargerId, model: Model) -> Quirks:
        """What would be taken for known if it were of this model: the model's record, and a person's word."""
        ...
