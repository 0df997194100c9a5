"""Set-points -> SetChargingProfile calls, and what their outcomes mean.

Mode A ("cap", one EVSE): a station cap at the reserved top level, which min-combines with whatever the CMS sets and
needs no transaction, and under it a second cap at level 0 with the fall-back, which leads only while the first is not
defined (lost, cleared, or the charger's clock is before its start). Mode B ("tx", several EVSEs or no cap): a
TxDefaultProfile per connector that never allows more than the fall-back while a transaction runs, and a TxProfile for
that transaction; over several EVSEs also a station cap with the sum. Source: local-controller.md sections 2, 3 and 6.

Dead-man schedule: `[0: allocated][M+N: fall-back]`, absolute, startSchedule = now - M in the charger's clock, no
duration. No order of the calls of one plan allows a car more than max(before, allocated): the default never exceeds
the allocation, so what a charger holds between two of them is at most one of the two ends.

Every profile also respects those of the CSMS's that it stands above (`merge`). Where they change, ours are written
again (`remerge`), and `respects` says when the charger has taken them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from domain.commands import ApplySetpoint
from domain.errors import UnknownIdError
from domain.events import Event, SetpointAccepted, SetpointRefused, SetpointSent
from domain.ids import DecisionId, EvseId
from domain.site import Charger, Evse
from proxy.protocol.capability import Capability, Why
from proxy.protocol.charger_clock import ChargerClock
from proxy.protocol.composite import ChargingProfile, Kind, Purpose
from proxy.protocol.csms_profiles import CsmsProfiles
from proxy.protocol.dialects import ClearCriteria, Dialect
from proxy.protocol.exchange import OwnCall, OwnOutcome
from proxy.protocol.features import Features
from proxy.protocol.own_calls import Writer
from proxy.protocol.plan import Plan, Planner, Standing
from proxy.protocol.schedules import Slot, same_from, wire_amps
from proxy.protocol.transactions import Transactions
from proxy.protocol.writes import Pending, Step, Write, refusal_of

MAX_PENDING = 32


class Profiles:
    """The profiles that we hold at one charger. Pure: `now` comes with every command and outcome."""

    def __init__(
        self,
        charger: Charger,
        dialect: Dialect,
        new_token: Callable[[], str],
        clock: ChargerClock,
        transactions: Transactions,
        csms: CsmsProfiles,
        features: Features,
        capability: Capability,
        line_to_line_v: float = 208.0,
    ) -> None:
        self._charger, self._dialect, self._new_token = charger, dialect, new_token
        self._clock, self._csms, self._features = clock, csms, features
        self._writer = Writer(charger, dialect, line_to_line_v)
        self.capability = self._for_charger(capability)
        self._standing: dict[str, Standing] = {}
        self._planner = Planner(charger, dialect, clock, transactions, csms, features, self._standing)
        self._main: dict[EvseId, frozenset[str]] = {}
        self._plans: dict[EvseId, Plan] = {}
        self._awaited: int | None = None
        self._failed = -1
        self._writes: dict[str, Write] = {}
        self._pending: list[Pending] = []
        self._latest: dict[EvseId, Pending] = {}

    def connected(self) -> list[OwnCall]:
        """A new socket: what was in flight is lost, what the charger still holds is not known; first the fall-backs.

        A charger with a budget of profile writes keeps the fall-backs that it acknowledged.
        """
        self._writes.clear()
        self._pending.clear()
        self._main.clear()
        self._awaited, self._failed = None, -1
        self.forget(keep_fallbacks=self._charger.profile_writes_per_day is not None)
        writes = self._planner.fallbacks(self.capability)
        return [self._write(slot, profile, urgent=False)[0] for slot, profile in writes]

    def booted(self, firmware: str | None) -> None:
        """A boot was accepted: profiles may be gone, and another firmware may accept others."""
        self.forget(keep_fallbacks=False)
        changed = firmware is not None and self.capability.firmware not in (None, firmware)
        if changed or not self.capability.timed:
            self.capability = self._for_charger(self.capability.restarted(firmware))
        elif firmware is not None:
            self.capability = replace(self.capability, firmware=firmware)
        self.capability = replace(self.capability, fallback=True)

    def forget(self, keep_fallbacks: bool) -> None:
        """What the charger holds is no longer known."""
        for standing in self._standing.values():
            if not (keep_fallbacks and standing.slot.fallback):
                standing.held = None

    def apply(self, command: ApplySetpoint) -> list[OwnCall]:
        """The calls for a set-point, in sending order; an unsent older one for the same EVSE is dropped.

        `UnknownIdError` where the command names no EVSE of this charger.
        """
        evse = self._evse(command)
        self._pending = [p for p in self._pending if p.sent or p.command.evse != evse.id][1 - MAX_PENDING :]
        pending = Pending(command, Plan(0.0), {})
        self._latest[evse.id] = pending
        self._pending.append(pending)
        return self._plan(pending, command.at)

    def on_outcome(self, outcome: OwnOutcome) -> tuple[list[Event], list[OwnCall]]:
        """What became of an injected call; one that is not ours, or of an older socket, means nothing."""
        write = self._writes.get(outcome.call.token)
        if write is None:
            return [], []
        if outcome.kind == "sent":
            return self._sent(write, outcome), []
        del self._writes[outcome.call.token]
        if outcome.kind == "superseded":
            return [], []
        step = Step()
        refusal = refusal_of(outcome)
        if refusal is None:
            self._accepted(write, outcome.at, step)
        else:
            self._refused(write, *refusal, outcome.at, step)
        return step.events, step.calls

    # The CSMS's own profiles.

    @property
    def own_ids(self) -> frozenset[int]:
        """The profile ids that are kept for us."""
        return self._planner.own_ids

    @property
    def fallback_level(self) -> int:
        """The stack level of our fall-back."""
        return self._planner.fallback_level(self.capability)

    @property
    def exact_until(self) -> datetime | None:
        """From when on (our clock) a profile of ours may allow less than the CSMS does, for want of periods."""
        return min((plan.exact_until for plan in self._plans.values() if plan.exact_until is not None), default=None)

    @property
    def lapses_at(self) -> datetime | None:
        """When a limit that the EMS has not renewed has to be lowered by us (our clock)."""
        return min((plan.ends_at for plan in self._plans.values() if plan.ends_at is not None), default=None)

    def plan_of(self, evse: EvseId) -> Plan | None:
        """The newest plan for an EVSE."""
        return self._plans.get(evse)

    def held(self) -> list[ChargingProfile]:
        """The profiles of ours that the charger is known to hold."""
        return [standing.held for standing in self._standing.values() if standing.held is not None]

    def remerge(self, now: datetime) -> list[OwnCall]:
        """The CSMS's profiles have changed, or are about to: what has to be written for ours to respect them.

        What the EMS allows holds no longer for it; an EVSE that was not told anything is held at its fall-back.
        """
        calls = []
        for evse in self._charger.evses:
            latest = self._latest.get(evse.id)
            command = latest.command if latest is not None else self._at_fallback(evse, now)
            plan = self._planner.plan(self.capability, evse, command, self._told(), now)
            self._note(evse, plan)
            for slot, profile in plan.writes:
                standing = self._standing.get(slot.name)
                if standing is not None and self._holds(standing, profile, now):
                    standing.revision = self._csms.shadow.revision
                else:
                    calls.append(self._rewrite(slot, profile))
        self._awaited = self._csms.shadow.revision
        return calls

    def respects(self, revision: int) -> bool | None:
        """Whether all that leads at the charger respects the shadow of that revision; None: not yet known."""
        names = set().union(*self._main.values()) if self._main else set()
        if names and all(self._is_settled(name) and self._standing[name].revision >= revision for name in names):
            return True
        return False if self._failed >= revision else None

    def _is_settled(self, name: str) -> bool:
        standing = self._standing.get(name)
        return standing is not None and standing.held is not None and standing.held is standing.asked

    def _holds(self, standing: Standing, profile: ChargingProfile, now: datetime) -> bool:
        held = standing.held
        return held is not None and held is standing.asked and same_from(held, profile, self._clock.now(now))

    def _at_fallback(self, evse: Evse, now: datetime) -> ApplySetpoint:
        charger, safe_a = self._charger.id, evse.failsafe_a
        return ApplySetpoint(charger, evse.connector, evse.id, safe_a, safe_a, 0.0, DecisionId(""), now, urgent=True)

    def _note(self, evse: Evse, plan: Plan) -> None:
        """Remember what a plan needs to hold."""
        self._main[evse.id] = plan.main | {slot.name for slot, _ in plan.writes if slot.group and not slot.fallback}
        self._plans[evse.id] = plan
        for name in plan.good & set(self._standing):
            self._standing[name].revision = self._csms.shadow.revision

    def _rewrite(self, slot: Slot, profile: ChargingProfile) -> OwnCall:
        """Write a slot again without a new set-point: one that waits to be sent goes with it."""
        call, version = self._write(slot, profile, urgent=True)
        for pending in self._pending:
            if not pending.sent and slot.name in pending.needs:
                pending.needs[slot.name] = version
        return call

    def cleared(self, at: datetime, criteria: ClearCriteria) -> list[Event]:
        """The CMS cleared profiles, ours perhaps among them: those set-points are not in force any more."""
        events: list[Event] = []
        for standing in self._standing.values():
            if standing.held is not None and criteria.matches(standing.held):
                standing.held = None
                if not standing.slot.fallback:
                    events += self._void(standing.slot, at, "the CSMS cleared our profile")
        return events

    def _for_charger(self, capability: Capability) -> Capability:
        """Several EVSEs need limits of their own: there the ladder begins at mode B."""
        if len(self._charger.evses) > 1 and capability.mode == "cap":
            return replace(capability, mode="tx")
        return capability

    def _void(self, slot: Slot, at: datetime, why: str) -> list[Event]:
        hit = [p for p in self._latest.values() if slot.purpose is not Purpose.CAP or self.capability.mode == "cap"]
        hit = [p for p in hit if slot.connector in (0, p.command.connector) and slot.name in p.plan.main]
        return [
            SetpointRefused(p.command.evse, at, p.plan.told_a, p.command.decision, why, voided=True)
            for p in hit
            if p.sent and p not in self._pending
        ]

    def _evse(self, command: ApplySetpoint) -> Evse:
        for evse in self._charger.evses:
            if evse.id == command.evse:
                return evse
        raise UnknownIdError(f"EVSE of charger '{self._charger.id}'", command.evse)

    def _plan(self, pending: Pending, now: datetime) -> list[OwnCall]:
        """Plan a set-point on the present rung and write it."""
        command, evse = pending.command, self._evse(pending.command)
        plan = self._planner.plan(self.capability, evse, command, self._told(), now)
        pending.plan, pending.needs = plan, {}
        self._note(evse, plan)
        calls = []
        for slot, profile in plan.writes:
            call, version = self._write(slot, profile, command.urgent)
            calls.append(call)
            pending.needs[slot.name] = version
        return calls

    def _told(self) -> Mapping[EvseId, tuple[float, datetime, float]]:
        """Per EVSE the limit told last, when, and for how long."""
        return {
            evse_id: (
                wire_amps(p.command.limit_a, self._evse(p.command)),
                p.command.at,
                p.command.deadman_s,
            )
            for evse_id, p in self._latest.items()
        }

    def _write(self, slot: Slot, profile: ChargingProfile, urgent: bool) -> tuple[OwnCall, int]:
        standing = self._standing.setdefault(slot.name, Standing(slot))
        held = standing.held if standing.held is standing.asked else None
        standing.version += 1
        standing.asked = profile
        token = self._new_token()
        self._writes[token] = Write(slot, standing.version, profile, self.capability, self._csms.shadow.revision)
        action, payload = self._writer.message(slot, profile, held, watts=self.capability.unit == "W")
        return OwnCall(action, payload, slot.name, token, urgent), standing.version

    def _sent(self, write: Write, outcome: OwnOutcome) -> list[Event]:
        events: list[Event] = []
        for pending in self._pending:
            if not pending.sent and write.slot.name in pending.plan.main and self._needs(pending, write):
                pending.sent = True
                command, told_a = pending.command, pending.plan.told_a
                events.append(SetpointSent(command.evse, outcome.at, told_a, command.decision, outcome.mono_s))
        return events

    @staticmethod
    def _needs(pending: Pending, write: Write) -> bool:
        return pending.needs.get(write.slot.name) == write.version

    def _accepted(self, write: Write, at: datetime, step: Step) -> None:
        standing = self._standing[write.slot.name]
        standing.accepted_version = max(standing.accepted_version, write.version)
        standing.held, standing.revision = write.profile, write.revision
        if self.capability.same_rung(write.rung) and not write.slot.fallback:
            self.capability = self.capability.accepted(write.profile.purpose)
        self._settle(at, step)

    def _settle(self, at: datetime, step: Step) -> None:
        """Tell of every set-point whose calls have all been accepted."""
        for pending in list(self._pending):
            if not all(self._standing[name].accepted_version >= v for name, v in pending.needs.items()):
                continue
            self._pending.remove(pending)
            command, told_a, short = pending.command, pending.plan.told_a, pending.plan.short
            if short is None:
                step.events.append(SetpointAccepted(command.evse, at, told_a, command.decision))
                step.calls += self._clear_left_behind()
            else:
                step.events.append(SetpointRefused(command.evse, at, command.limit_a, command.decision, short))

    def _clear_left_behind(self) -> list[OwnCall]:
        """A fall-back cap that a charger took before it refused caps holds every session down: away with it."""
        standing = self._standing.get("cap-fallback")
        if self.capability.mode == "cap" or standing is None or standing.held is None:
            return []
        payload = self._dialect.write_clear(ClearCriteria(id=standing.held.id))
        standing.held = None
        return [OwnCall("ClearChargingProfile", payload, "cap-fallback-clear", self._new_token())]

    def _refused(self, write: Write, why: Why | None, text: str, at: datetime, step: Step) -> None:
        if not self.capability.same_rung(write.rung):
            return  # Of an older rung: what it was for has been planned anew.
        if write.profile.kind is Kind.DYNAMIC and why is not None:
            # It knows no dynamic profiles, or has lost ours: an absolute one needs neither.
            self._features.dynamic = False
            self._replan(at, step)
            return
        if write.slot.fallback or write.slot.group:
            if not self._optional_refused(write, why):
                self._fail(write, text, at, step)
                return
            self._replan(at, step)
            return
        if self._unbind(write, why) or (why is not None and self._climb(write.profile.purpose, why)):
            self._replan(at, step)
        else:
            self._fail(write, text, at, step)

    def _climb(self, purpose: Purpose, why: Why) -> bool:
        """Go to the ladder's next rung; False where there is none (after the last the next trial starts anew)."""
        before, climbed = self.capability, self.capability.refused(purpose, why)
        if climbed is None:
            self.capability = before if before.proven else self._for_charger(before.restarted())
            return False
        self.capability = climbed
        return not before.same_rung(climbed)

    def _optional_refused(self, write: Write, why: Why | None) -> bool:
        """A fall-back or the group cap was refused: whether set-points can go on without it."""
        if why is None or why == "silent":
            return False
        proven = write.profile.purpose in self.capability.proven
        if write.slot.group:
            if proven:
                return False
            self.capability = replace(self.capability, group_cap=False)
            return True
        climbed = None
        if why == "not supported" and self.capability.mode == "cap":
            climbed = self.capability.refused(write.profile.purpose, why)
        self.capability = climbed or replace(self.capability, fallback=False)
        return True

    def _unbind(self, write: Write, why: Why | None) -> bool:
        """A proven TxProfile was refused for a transaction that has none yet: the default must hold that one."""
        profile, held = write.profile, self._standing[write.slot.name].held
        if why in (None, "silent") or profile.purpose is not Purpose.TX or Purpose.TX not in self.capability.proven:
            return False
        if held is not None and held.transaction_id == profile.transaction_id:
            return False
        self._planner.unbindable[profile.connector] = profile.transaction_id or ""
        return True

    def _replan(self, at: datetime, step: Step) -> None:
        """Plan the newest unanswered set-point of every EVSE anew; without any, the fall-backs of the new rung."""
        self._pending = [p for p in self._pending if self._latest.get(p.command.evse) is p]
        for pending in self._pending:
            step.calls += self._plan(pending, at)
        if self._awaited is not None and self.respects(self._awaited) is None:
            step.calls += self.remerge(at)
        elif not self._pending:
            writes = self._planner.fallbacks(self.capability)
            step.calls += [self._write(slot, profile, urgent=False)[0] for slot, profile in writes]
        self._settle(at, step)

    def _fail(self, write: Write, text: str, at: datetime, step: Step) -> None:
        """Tell of every set-point that needed this call; older ones than the newest of their EVSE end in silence."""
        self._failed = max(self._failed, write.revision)
        for pending in list(self._pending):
            version = pending.needs.get(write.slot.name)
            if version is None or version > write.version:
                continue
            self._pending.remove(pending)
            command = pending.command
            if self._latest.get(command.evse) is pending:
                told_a = pending.plan.told_a
                step.events.append(SetpointRefused(command.evse, at, told_a, command.decision, text))
