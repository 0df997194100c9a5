"""The hub of one site: events in, decisions out, limits sent. Reductions first; increases once they are durable."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from domain.commands import ApplySetpoint, Command
from domain.events import Event, EvseMetered, SessionStarted, SetpointRefused, SetpointSent
from domain.ids import ChargerId, DecisionId, EvseId
from domain.ports import Clock
from domain.setpoint import Decision, Setpoint
from domain.site import Site
from domain.snapshot import SiteSnapshot
from ems.decide import compile_plan, recheck
from headroom.decider import Decider
from headroom.feed import Feed
from headroom.lookahead import NoPlans, Plans
from headroom.notices import alarm_notices, decision_notice, evse_notice, feeder_notice, told_triggers
from headroom.phase_probe import PhaseProbe
from headroom.question import Question
from headroom.resending import Resends, WriteBudgets, passed
from headroom.site_picture import Change, SitePicture
from headroom.statistics import Statistics, turns_passed
from headroom.trial_limits import TrialLimits
from headroom.waiting import Bell, in_handfuls, rest_s
from inventory.live import Records
from inventory.records import Record
from inventory.store import Store

log = structlog.get_logger()

_PAUSE_S = 1.0
"""How long control rests at the fall-backs after a fault of its own, before it tries again."""


@dataclass(frozen=True)
class Surroundings:
    """What a control loop is wired to."""

    clock: Clock
    mono: Callable[[], float]
    store: Store
    decider: Decider
    send: Callable[[Command], None]
    feed: Feed
    new_id: Callable[[], str]
    plans: Plans = field(default_factory=NoPlans)


@dataclass(frozen=True, slots=True)
class _Rise:
    """An increase that waits to be durable: the ledger counts it, the charger was told `before_a` and no more."""

    point: Setpoint
    decision: DecisionId
    before_a: float


class SiteController:
    """Decides for one site whenever something changed, and keeps the limits that are in force alive."""

    def __init__(self, picture: SitePicture, around: Surroundings) -> None:
        self.picture = picture
        self.site: Site = picture.site
        self.filed = self.site
        self.statistics = Statistics()
        self.latest: Decision | None = None
        self.decisions: deque[Decision] = deque(maxlen=500)
        self._around = around
        self._triggers: dict[str, None] = {"start": None}
        self._starts: list[float] = []
        self._wake, self._urgent = Bell(), Bell()
        self._wake.ring()
        self._setpoints: Mapping[EvseId, Setpoint] = {}
        self._resends = Resends()
        self._budgets = WriteBudgets()
        self._plan = compile_plan(self.site)
        self._took_s = 0.0
        self.trials = TrialLimits(around.clock.now)
        self.wiring = PhaseProbe(self.site, partial(around.feed.publish, self.site.id, "phase_mapping"))
        self._rising: dict[EvseId, _Rise] = {}
        self._rise = asyncio.Event()
        self._events = 0
        self._ended = False

    # What the bus calls.
    def handle(self, event: Event) -> None:
        """Take up an event of this site's chargers or meters; others are none of its business."""
        if not self.picture.concerns(event):
            return
        now = self._around.clock.now()
        self._events += 1
        self.statistics.heard(event)
        if isinstance(event, SessionStarted) and event.relayed_mono_s is not None:
            self._starts.append(event.relayed_mono_s)
        elif isinstance(event, SetpointSent):
            self._budgets.spend(self.site.evse(event.evse).charger, event.at)
        elif isinstance(event, SetpointRefused):
            log.warning("setpoint_refused", evse=event.evse, limit_a=event.limit_a, why=event.why)
        self._take(change := self.picture.apply(event, now), now)
        if change.triggers and not isinstance(event, EvseMetered):
            self._urgent.ring()

    def _take(self, change: Change, now: datetime) -> None:
        self._around.store.put(*change.records)
        self._tell_alarms(change.records)
        for evse in change.evses:
            notice = evse_notice(self.picture.view(evse, now), self.site.evse(evse), now)
            self._around.feed.publish(self.site.id, "evse", notice)
        for feeder in change.feeders:
            self._around.feed.publish(self.site.id, "feeder", feeder_notice(self.picture.feeders[feeder]))
        self.trigger(*change.triggers)
        if change.look:
            self._wake.ring()

    def _tell_alarms(self, records: Iterable[Record]) -> None:
        for notice in alarm_notices(records):
            self._around.feed.publish(self.site.id, "alarm", notice)

    def trigger(self, *reasons: str) -> None:
        """Decide soon, because of these; several before the next decision are answered by one."""
        for reason in reasons:
            self._triggers[reason] = None
        if reasons:
            self._wake.ring()

    # What the API asks.

    def change(self, records: Records, why: str) -> None:
        """Store what a person changed, and decide on it."""
        self._around.store.put(*records)
        self.trigger(why)
        self._urgent.ring()

    def tell_loads(self) -> None:
        """Store what is held back of loads, for somebody who asks about them now."""
        self._around.store.put(*self.picture.loads.rest())

    async def run_as(self, site: Site) -> None:
        """Decide by another strategy or scheduler from the next decision on; raises what the decider does."""
        await self._around.decider.switch(site)
        self.site = self.picture.site = self.picture.live.site = site
        self._plan = compile_plan(site)
        self._around.plans.look()

    def snapshot(self, now: datetime) -> SiteSnapshot:
        """All that a decision would look at now."""
        return self.picture.snapshot(now)

    def latest_setpoint(self, evse: EvseId) -> Setpoint | None:
        """The newest decision about an EVSE."""
        return self._setpoints.get(evse)

    def version(self, charger: ChargerId) -> str | None:
        """The OCPP version of a charger's newest link."""
        return self.picture.version(charger)

    # The loop.

    async def run(self) -> None:
        """Decide until cancelled, or until `fall_back`. A fault of ours costs one turn, never the control."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_deciding())
            group.create_task(self._keep_raising())
            group.create_task(self._around.plans.run())

    async def _keep_deciding(self) -> None:
        while not self._ended:
            await self._wake.wait_at_most(self._around.clock, self._quiet_s())
            self._wake.clear()
            decided = self.latest
            try:
                await self._turn()
                if self.latest is not decided:
                    await self._urgent.wait_at_most(self._around.clock, rest_s(len(self.site.evses), self._took_s))
            except Exception:
                log.exception("control_failed", site=self.site.id)
                self._lower_to_fall_backs()
                await self._around.clock.sleep(_PAUSE_S)
                self.trigger("a fault in control")

    async def _turn(self) -> None:
        if self._ended:
            return
        now = self._around.clock.now()
        self._take(self.picture.pass_time(now), now)
        if self.latest is None or self._triggers or self._is_due(now):
            self._urgent.clear()
            await self._decide(now)
        if not self._ended:
            self._renew(self._around.clock.now())

    def _is_due(self, now: datetime) -> bool:
        """Whether the last decision asked to be thought over, or is an interval old; or the clock was set back."""
        assert self.latest is not None
        at = self.latest.at + timedelta(seconds=self.site.control.interval_s)
        if self.latest.wake_at is not None:
            at = min(at, self.latest.wake_at)
        return now >= at or now < self.latest.at

    def _quiet_s(self) -> float:
        """How long nothing needs to be done if nothing happens, in seconds of the clock."""
        if self.latest is None:
            return 0.0
        now, interval_s = self._around.clock.now(), self.site.control.interval_s
        at = self.latest.at + timedelta(seconds=interval_s)
        if self.latest.wake_at is not None:
            at = min(at, max(self.latest.wake_at, now + timedelta(milliseconds=200)))
        return min(max(0.0, (at - now).total_seconds()), interval_s)

    async def _decide(self, now: datetime) -> None:
        around = self._around
        trigger = told_triggers(self._triggers)
        starts, self._starts, self._triggers = self._starts, [], {}
        decision_id = DecisionId(around.new_id())
        if starts:
            self.statistics.triggered_by_start(decision_id, min(starts))
        snapshot, events = self.trials.applied(self.wiring.tested(self.picture.snapshot(now))), self._events
        begun_s = around.mono()
        question = Question(snapshot, trigger, decision_id, around.plans.outlook(now))
        decision = await around.decider.decide(question)
        if self._ended:
            return
        decision = self.wiring.marked(decision)
        self._took_s, elapsed_ms = (around.clock.now() - now).total_seconds(), (around.mono() - begun_s) * 1000
        self.statistics.decided(decision.rung, elapsed_ms)
        records = self.picture.decided(decision, snapshot, elapsed_ms)
        around.store.put(*records)
        self._tell_alarms(records)
        changed = [point for point in decision.setpoints if self._differs(point)]
        stands = [point for point in decision.setpoints if not self._differs(point)]
        explained = [point for point in stands if self._setpoints[point.evse].reason.text != point.reason.text]
        self.statistics.rotations += turns_passed(self.latest, decision)
        self.latest = decision
        self._setpoints = {point.evse: point for point in decision.setpoints}
        if changed or decision.alarms:
            self.decisions.append(decision)
        if changed or explained or decision.alarms:
            notice = decision_notice(decision, changed, explained, elapsed_ms)
            around.feed.publish(self.site.id, "decision", notice)
        fresh = events == self._events
        await self._carry_out(decision, decision.setpoints if fresh else self._by_new_facts(decision, snapshot))

    def _by_new_facts(self, decision: Decision, asked: SiteSnapshot) -> tuple[Setpoint, ...]:
        """The set-points where something happened while they were thought out: rises only as far as that allows."""
        if all(point.limit_a <= self.picture.entry(point.evse).limit_a for point in decision.setpoints):
            return decision.setpoints
        now = self._around.clock.now()
        self._take(self.picture.pass_time(now), now)
        snapshot = self.picture.snapshot(now)
        allowed_a = recheck({point.evse: point.limit_a for point in decision.setpoints}, snapshot, self._plan, now)

        def as_allowed(point: Setpoint) -> Setpoint:
            in_force_a = snapshot.evses[point.evse].ledger.limit_a
            if point.limit_a <= in_force_a:
                return point
            same_car = snapshot.evses[point.evse].transaction_id == asked.evses[point.evse].transaction_id
            return replace(point, limit_a=max(in_force_a, allowed_a[point.evse]) if same_car else in_force_a)

        return tuple(as_allowed(point) for point in decision.setpoints)

    def _differs(self, point: Setpoint) -> bool:
        before = self._setpoints.get(point.evse)
        return before is None or before.limit_a != point.limit_a

    async def _carry_out(self, decision: Decision, points: tuple[Setpoint, ...]) -> None:
        """Send what changed: reductions at once, increases when they are durable (`_keep_raising`)."""
        now, lower = self._around.clock.now(), []
        for point in points:
            if not self.picture.linked(point.evse):
                continue
            rise = self._rising.get(point.evse)
            told_a = self._told_a(point.evse)
            if told_a > 0.0 and self.picture.wakes_up(point.evse, now):
                log.info("wake_up", evse=point.evse, limit_a=point.limit_a)
                lower.append(replace(point, limit_a=0.0))
            elif point.limit_a > told_a:
                news = rise is None or rise.point.limit_a != point.limit_a
                if news and self._may_raise(point.evse, now):
                    self._rising[point.evse] = _Rise(point, decision.id, told_a)
            elif point.limit_a < told_a or rise is not None or self._must_repeat(point, now):
                lower.append(point)
        for point in lower:
            self._rising.pop(point.evse, None)
        for evse, rise in self._rising.items():
            self._around.store.put(*self.picture.sent(evse, rise.point.limit_a, now))
        if self._rising:
            self._rise.set()
        async for point in in_handfuls(lower):
            if self.picture.linked(point.evse) and not self._ended:
                self._send(point, decision.id, urgent=True)

    def _told_a(self, evse: EvseId) -> float:
        """The newest limit that went out, or that a restart brought back."""
        rise = self._rising.get(evse)
        return self.picture.entry(evse).limit_a if rise is None else rise.before_a

    async def _keep_raising(self) -> None:
        """Send increases once they are durable. A slow disk delays increases alone: decisions go on meanwhile."""
        while not self._ended:
            await self._rise.wait()
            self._rise.clear()
            batch = tuple(self._rising.values())
            try:
                await self._around.store.flush()
            except Exception as error:  # whatever went wrong, it is not durable
                log.error("increase_withheld", why="it could not be made durable", error=str(error))
                self._finish(batch, self._withhold)
            else:
                async for rise in in_handfuls(batch):
                    self._finish([rise], self._send_rise)

    def _finish(self, batch: Iterable[_Rise], finish: Callable[[_Rise], None]) -> None:
        """Finish those of the increases that no newer decision has replaced meanwhile."""
        for rise in batch:
            if self._rising.get(rise.point.evse) is rise and not self._ended:
                del self._rising[rise.point.evse]
                finish(rise)

    def _send_rise(self, rise: _Rise) -> None:
        as_noted = self.picture.entry(rise.point.evse).limit_a == rise.point.limit_a
        if as_noted and self.picture.linked(rise.point.evse):
            self._send(rise.point, rise.decision, urgent=False)

    def _withhold(self, rise: _Rise) -> None:
        self._around.store.put(*self.picture.withhold(rise.point.evse, rise.point.limit_a, rise.before_a))

    def _must_repeat(self, point: Setpoint, now: datetime) -> bool:
        """A limit that was never sent on this link, or that was refused or not acknowledged, is sent again."""
        return self._resends.is_due(point.evse, self.picture.entry(point.evse), now)

    def _may_raise(self, evse: EvseId, now: datetime) -> bool:
        """Whether the charger's memory bears another write today."""
        charger = self.site.evse(evse).charger
        return self._budgets.may_raise(charger, self.picture.quirks(charger).write_budget_per_day, now)

    def _send(self, point: Setpoint, decision: DecisionId, *, urgent: bool) -> None:
        now = self._around.clock.now()
        self._around.store.put(*self.picture.sent(point.evse, point.limit_a, now))
        self._command(point.evse, point.limit_a, decision, urgent=urgent)

    def _renew(self, now: datetime) -> None:
        """Push the dead-man step of every limit in force away before it comes: down to a fall-back, or up to it."""
        if self.latest is None:
            return
        for evse, sent_at in self._resends.older_than(self.site.control.deadman_s / 3, now):  # no limit holds for less
            entry = self.picture.entry(evse)
            if evse in self._rising or entry.limit_a == self.site.evse(evse).failsafe_a or entry.sent_at is None:
                continue
            if entry.refused or entry.acknowledged_at is None:
                continue  # it is not in force, and sent again in its own time
            if passed(sent_at, self.picture.hold_s(evse) / 3, now) and self.picture.linked(evse):
                self._command(evse, entry.limit_a, self.latest.id, urgent=False)

    def _command(self, evse_id: EvseId, limit_a: float, decision: DecisionId, *, urgent: bool) -> None:
        now, evse = self._around.clock.now(), self.site.evse(evse_id)
        session = self.picture.view(evse_id, now).session
        self._resends.sent(evse_id, now)
        self._around.send(
            ApplySetpoint(
                charger=evse.charger,
                connector=evse.connector,
                evse=evse_id,
                limit_a=limit_a,
                failsafe_a=evse.failsafe_a,
                deadman_s=self.picture.hold_s(evse_id),
                decision=decision,
                at=now,
                urgent=urgent,
                transaction_id=None if session is None else session.transaction_id,
            )
        )

    def fall_back(self) -> None:
        """Before the service stops: every limit above its fall-back is lowered to it, and all is written down."""
        self._lower_to_fall_backs()
        self.hand_over()

    def hand_over(self) -> None:
        """Before another process goes on: all is written down, and limits in force stay. Nothing is decided after."""
        self._finish(tuple(self._rising.values()), self._withhold)
        self._ended = True
        self._wake.ring()
        self._urgent.ring()
        self._rise.set()
        self._around.plans.stop()
        self._around.store.put(*self.picture.checkpoint(self._around.clock.now()))

    def _lower_to_fall_backs(self) -> None:
        decision = DecisionId(self._around.new_id())
        self._finish(tuple(self._rising.values()), self._withhold)
        for evse in self.site.evses:
            if self.picture.linked(evse.id) and self.picture.entry(evse.id).limit_a > evse.failsafe_a:
                self._around.store.put(*self.picture.sent(evse.id, evse.failsafe_a, self._around.clock.now()))
                self._command(evse.id, evse.failsafe_a, decision, urgent=True)
