"""What differs between the versions of OCPP, as the charge point calls it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from simulators.behaviour import Behaviour
from simulators.configuration import Setting
from simulators.evse import EvseSpec, PlugState, SimulatedEvse, Transaction
from simulators.ocpp_line import Done, IncomingCall, Payload
from simulators.outbox import TransactionOutbox
from simulators.profile_store import ProfileStore


class StopReason(StrEnum):
    """Why a transaction ends, in 1.6's words; 2.x has its own for some."""

    EV_DISCONNECTED = "EVDisconnected"
    REMOTE = "Remote"
    LOCAL = "Local"
    DE_AUTHORIZED = "DeAuthorized"
    HARD_RESET = "HardReset"
    SOFT_RESET = "SoftReset"
    POWER_LOSS = "PowerLoss"


class Station(Protocol):
    """The charge point as a dialect sees it."""

    identity: str
    behaviour: Behaviour
    specs: tuple[EvseSpec, ...]
    evses: dict[int, SimulatedEvse]
    profiles: ProfileStore
    outbox: TransactionOutbox
    settings: dict[str, Setting]

    @property
    def online(self) -> bool:
        """Whether the CSMS can be reached."""
        ...

    def own_now(self) -> datetime:
        """The time by the charger's own clock."""
        ...

    def now(self) -> datetime:
        """The true time."""
        ...

    def send(self, action: str, payload: Payload, done: Done | None = None) -> None:
        """Send a CALL that may be lost."""
        ...

    def authorize(self, id_tag: str, accepted: Callable[[], None]) -> None:
        """Ask about a tag."""
        ...

    def begin(self, evse: SimulatedEvse, id_tag: str | None, *, remote_start_id: int | None = None) -> None:
        """Start a transaction."""
        ...

    def end(self, evse: SimulatedEvse, reason: StopReason) -> None:
        """End a transaction."""
        ...

    def touch(self) -> None:
        """Evaluate the limits anew."""
        ...

    def boot_again(self) -> None:
        """Send BootNotification."""
        ...

    def heartbeat(self) -> None:
        """Send a Heartbeat."""
        ...

    def reboot(self, reason: StopReason) -> None:
        """Restart."""
        ...

    def schedule(self, connector: int, duration_s: int) -> list[tuple[int, float]]:
        """The composite schedule in (s, A)."""
        ...

    def find_transaction(self, transaction_id: str) -> SimulatedEvse | None:
        """Where it runs."""
        ...


class Dialect(Protocol):
    """One version's messages."""

    heartbeat_key: str
    sample_key: str

    def settings(self, meter_interval_s: int) -> dict[str, Setting]:
        """The configuration at the factory."""
        ...

    def boot(self) -> Payload:
        """The payload of BootNotification."""
        ...

    def online(self) -> None:
        """The CSMS can be reached: tell it the states that it does not know."""
        ...

    def authorize(self, id_tag: str) -> Payload:
        """The payload of Authorize."""
        ...

    def is_authorized(self, reply: Mapping[str, object]) -> bool:
        """What its reply says."""
        ...

    def plugged(self, evse: SimulatedEvse) -> bool:
        """A car has come; True when a start was already asked for it."""
        ...

    def started(self, evse: SimulatedEvse, transaction: Transaction) -> None:
        """Tell of a start."""
        ...

    def identified(self, evse: SimulatedEvse, transaction: Transaction) -> None:
        """Tell whose a transaction is that began without a tag."""
        ...

    def state_changed(self, evse: SimulatedEvse, before: PlugState) -> None:
        """Tell of a state."""
        ...

    def sampled(self, evse: SimulatedEvse, transaction: Transaction) -> None:
        """Tell what the meter says."""
        ...

    def ended(self, evse: SimulatedEvse, transaction: Transaction, reason: StopReason) -> None:
        """Tell of an end."""
        ...

    def answer(self, call: IncomingCall) -> None:
        """Answer the CSMS."""
        ...


def stamp(instant: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as most chargers write it."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def one_decimal(value: float) -> float:
    """Rounded down: a limit that is reported must not be above the one that holds."""
    return int(value * 10 + 1e-6) / 10
