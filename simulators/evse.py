"""The physical side of an EVSE: a car on a cable, the pilot signal, the contactor and the meter."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from simulators.behaviour import Behaviour
from simulators.composite import Charge, Supply

PATIENCE_S = 10.0
"""A car that is offered current and draws none for this long counts as suspended by itself."""
DRAWS_A = 0.1


class Vehicle(Protocol):
    """A car, as an EVSE sees it. `power_factor_sum` and `phase_share` of `simulators.car` are used where present."""

    @property
    def wants(self) -> bool:
        """Whether it would take more energy."""
        ...

    def step(self, offered_a: float, dt_s: float, conductors: int, voltage_v: float) -> float:
        """Live through `dt_s` seconds at an offer per conductor; returns what it drew, A per conductor."""
        ...


class PlugState(StrEnum):
    """The states of a connector in 1.6's words."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EVSE = "SuspendedEVSE"
    SUSPENDED_EV = "SuspendedEV"
    FINISHING = "Finishing"
    UNAVAILABLE = "Unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvseSpec:
    """How an EVSE is built.

    Attributes:
        connector: 1.6 connectorId, 2.x evseId.
        max_a: per conductor.
        min_a: least that it offers; less is nothing (IEC 61851: 6 A).
        conductors: 1 line-to-neutral, 2 line-to-line, 3 three-phase.
        voltage_v: across each load: line-to-line for two conductors, else line-to-neutral.
    """

    connector: int = 1
    max_a: float = 32.0
    min_a: float = 6.0
    conductors: int = 2
    voltage_v: float = 208.0


@dataclass(slots=True)
class Transaction:
    """A transaction as its charger keeps it.

    Attributes:
        local_id: the charger's own id: 2.x sends it, 1.6 uses it only inside.
        csms_id: 1.6: what the CSMS's reply told; None until then.
        started_at: by the charger's clock.
        seq_no: number of the next TransactionEvent.
        meter_stop_wh: the register at its end; None while it runs.
    """

    connector: int
    local_id: str
    id_tag: str | None
    started_at: datetime
    meter_start_wh: float
    csms_id: int | None = None
    seq_no: int = 0
    remote_start_id: int | None = None
    meter_stop_wh: float | None = None


@dataclass(frozen=True, slots=True)
class EvseSession:
    """A car's stay and its energy. `transaction_id` and `started_at` are None while nothing is authorised."""

    id_tag: str | None
    plugged_at: datetime
    energy_wh: float
    transaction_id: str | None
    started_at: datetime | None


class EvseHost(Protocol):
    """What an EVSE needs of its charger."""

    @property
    def online(self) -> bool:
        """Whether the CSMS can be reached."""
        ...

    @property
    def profile_writes(self) -> int:
        """Accepted profile writes so far."""
        ...

    def now(self) -> datetime:
        """The true time."""
        ...

    def allowed_a(self, connector: int, now: datetime) -> float:
        """What the profiles allow, A."""
        ...

    def on_plugged(self, evse: "SimulatedEvse", id_tag: str | None) -> None:
        """A cable was plugged in."""
        ...

    def on_unplugged(self, evse: "SimulatedEvse") -> None:
        """The cable was pulled; the car is still known."""
        ...

    def on_state(self, evse: "SimulatedEvse", before: PlugState) -> None:
        """The state has changed."""
        ...


class SimulatedEvse:
    """One place to charge.

    Attributes:
        spec: how it is built.
        vehicle: the car that is plugged in.
        state: of the connector.
        transaction: the running one; the contactor is closed once it has a driver.
        current_a: what the car draws now, A in the conductor with most.
        offered_a: what the pilot signal offers now, A.
        register_wh: the meter's reading since it was built in.
    """

    def __init__(self, spec: EvseSpec, behaviour: Behaviour, host: EvseHost) -> None:
        self.spec = spec
        self.vehicle: Vehicle | None = None
        self.state = PlugState.AVAILABLE
        self.transaction: Transaction | None = None
        self.current_a = 0.0
        self.offered_a = 0.0
        self.register_wh = 0.0
        self.supply = Supply(spec.conductors, spec.voltage_v, behaviour.ignores_number_phases)
        self._behaviour, self._host = behaviour, host
        self._stay: tuple[str | None, datetime, float] | None = None
        self._forget_car()

    @property
    def connector(self) -> int:
        """1.6 connectorId, 2.x evseId."""
        return self.spec.connector

    @property
    def max_a(self) -> float:
        """What it is built for, A per conductor."""
        return self.spec.max_a

    @property
    def min_a(self) -> float:
        """The least that it can offer, A."""
        return self.spec.min_a

    @property
    def charge(self) -> Charge | None:
        """The running transaction, as profiles refer to it."""
        tx = self.transaction
        return None if tx is None else Charge(self.transaction_id, tx.started_at)

    @property
    def transaction_id(self) -> str | None:
        """The running transaction's id on the wire; None without one, and in 1.6 until the CSMS has told it."""
        tx = self.transaction
        if tx is None:
            return None
        if tx.csms_id is not None:
            return str(tx.csms_id)
        return None if self._numbered_by_csms else tx.local_id

    @property
    def session(self) -> EvseSession | None:
        """The stay of the car that is plugged in."""
        if self._stay is None:
            return None
        id_tag, plugged_at, register_wh = self._stay
        tx = self.transaction
        if tx is not None and tx.id_tag is not None:
            id_tag = tx.id_tag
        started_at = None if tx is None else tx.started_at
        return EvseSession(id_tag, plugged_at, self.register_wh - register_wh, self.transaction_id, started_at)

    @property
    def closed(self) -> bool:
        """Whether the contactor is: a transaction runs and its driver is known."""
        return self.transaction is not None and self.transaction.id_tag is not None

    @property
    def line_a(self) -> tuple[float, ...]:
        """Current in each conductor, A: the charger's L1, L2, L3."""
        if self.spec.conductors == 3:
            return tuple(self.current_a * share for share in self._phase_share)
        return (self.current_a,) * self.spec.conductors

    @property
    def power_w(self) -> float:
        """Active power drawn, W (power factor 1)."""
        return self.current_a * self.spec.voltage_v * self._loads

    def number_by_csms(self) -> None:
        """1.6: the transaction's id is the CSMS's to give."""
        self._numbered_by_csms = True

    _numbered_by_csms = False

    def change(self, behaviour: Behaviour) -> None:
        """From now on it behaves like this (how it is wired stays)."""
        self._behaviour = behaviour

    def plug(self, vehicle: Vehicle, id_tag: str | None) -> None:
        """A driver arrives: the cable goes in and, with an `id_tag`, the card is shown. `RuntimeError` when taken."""
        if self.vehicle is not None:
            raise RuntimeError(f"connector {self.connector} already has a car: unplug it first")
        self._forget_car()
        self.vehicle = vehicle
        share = getattr(vehicle, "phase_share", (1.0, 1.0, 1.0))
        self._phase_share = (float(share[0]), float(share[1]), float(share[2]))
        self._loads = sum(self._phase_share) if self.spec.conductors == 3 else 1.0
        self._stay = (id_tag, self._host.now(), self.register_wh)
        if self.state is not PlugState.UNAVAILABLE:
            self.enter(PlugState.PREPARING)
            self._host.on_plugged(self, id_tag)

    def unplug(self) -> None:
        """The cable is pulled: the current stops at once and the transaction ends."""
        if self.vehicle is None:
            return
        self.current_a = self.offered_a = 0.0
        self._host.on_unplugged(self)
        self.vehicle = None
        self._stay = None
        self._forget_car()
        if self.state is not PlugState.UNAVAILABLE:
            self.enter(PlugState.AVAILABLE)

    def limit_a(self, now: datetime) -> float:
        """What the charger's profiles allow at this instant, A, whether or not it obeys; 0 to `max_a`."""
        return self._host.allowed_a(self.connector, now)

    def step(self, now: datetime, dt_s: float) -> None:
        """Live through `dt_s` seconds that end at `now`: follow the limit, let the car draw, read the meter."""
        vehicle = self.vehicle
        if vehicle is None:
            return
        closed = self.closed
        self.offered_a = self._offer_a(now, dt_s) if closed else 0.0
        drawn_a = vehicle.step(self.offered_a, dt_s, self.spec.conductors, self.spec.voltage_v)
        # Behind an open contactor there is no current, whatever the car would still draw.
        self.current_a = drawn_a if closed else 0.0
        self.register_wh += self.power_w * dt_s / 3600
        if closed:
            self._watch(vehicle, dt_s)

    def begin(self, transaction: Transaction) -> None:
        """A transaction begins."""
        self.transaction = transaction
        self._due.clear()
        self._idle_s = 0.0

    def refresh(self, now: datetime) -> None:
        """Show the state that follows from the limit right after a start."""
        if self.closed:
            limited = self._wanted_a(now) < self.min_a
            self.enter(PlugState.SUSPENDED_EVSE if limited else PlugState.CHARGING)

    def end(self) -> None:
        """Open the contactor."""
        self.transaction = None
        self.current_a = self.offered_a = 0.0

    def enter(self, state: PlugState) -> None:
        """Change state and tell the charger."""
        before, self.state = self.state, state
        if state is not before:
            self._host.on_state(self, before)

    def _forget_car(self) -> None:
        self._phase_share = (1.0, 1.0, 1.0)
        self._loads = float(self.supply.loads)
        self._due: deque[tuple[datetime, float]] = deque()
        self._aim_a = 0.0
        self._idle_s = 0.0
        self._has_charged = self._paused = self._was_zero = False
        self._defies_until_write: int | None = None

    def _watch(self, vehicle: Vehicle, dt_s: float) -> None:
        self._has_charged = self._has_charged or self.current_a >= DRAWS_A
        self._idle_s = 0.0 if self.current_a >= DRAWS_A else self._idle_s + dt_s
        if self.offered_a < self.min_a:
            self._idle_s = 0.0
            # 1.6 section 4.9: when both refuse, SuspendedEVSE wins.
            self.enter(PlugState.SUSPENDED_EVSE)
        elif not vehicle.wants or self._idle_s > PATIENCE_S:
            self.enter(PlugState.SUSPENDED_EV)
        elif self.current_a >= DRAWS_A or self.state is PlugState.SUSPENDED_EVSE:
            self.enter(PlugState.CHARGING)

    def _offer_a(self, now: datetime, dt_s: float) -> float:
        """The pilot's offer: the limit after the charger's delay, reached at the charger's pace."""
        wanted = self._wanted_a(now)
        delay_s = self._behaviour.response_delay_s
        if delay_s <= 0:
            self._aim_a = wanted
        else:
            if (self._due[-1][1] if self._due else self._aim_a) != wanted:
                self._due.append((now, wanted))
            while self._due and (now - self._due[0][0]).total_seconds() >= delay_s:
                self._aim_a = self._due.popleft()[1]
        pace = self._behaviour.ramp_a_per_s
        if pace is None:
            return self._aim_a
        return self._ramped(self._aim_a, pace * dt_s)

    def _ramped(self, aim_a: float, most_a: float) -> float:
        """One step towards `aim_a`; between 0 and the minimum there is nothing."""
        if aim_a > self.offered_a:
            return min(aim_a, max(self.offered_a + most_a, self.min_a))
        lower = max(aim_a, self.offered_a - most_a)
        return lower if lower >= self.min_a else 0.0

    def _wanted_a(self, now: datetime) -> float:
        """The limit that this charger makes of its profiles, 0 or `min_a` to `max_a`."""
        quirks = self._behaviour
        if quirks.stuck_at_a is not None:
            return min(quirks.stuck_at_a, self.max_a)
        if not quirks.obeys or (quirks.ignores_profiles_offline and not self._host.online):
            return self.max_a
        limit = self.limit_a(now)
        if limit < self.min_a:
            self._was_zero = True
            self._defies_until_write = None
            self._paused = self._paused or (quirks.stays_paused_after_zero and self._has_charged)
            return 0.0
        if self._paused:
            return 0.0
        if quirks.full_current_after_zero and self._was_zero:
            self._defies_until_write = self._host.profile_writes
        self._was_zero = False
        return self.max_a if self._defies_until_write == self._host.profile_writes else limit
