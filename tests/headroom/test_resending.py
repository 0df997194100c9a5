"""Limits that are not taken come again, ever less often; worn memories are spared; a car is woken once."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.commands import ApplySetpoint, Command
from domain.events import (
    ChargerConnected,
    Event,
    EvseMetered,
    SessionStarted,
    SetpointAccepted,
    SetpointIgnored,
    SetpointRefused,
    SetpointSent,
)
from domain.ids import ChargerId, EvseId
from domain.ledger import LedgerEntry
from domain.metering import EvseSample
from domain.rotation import RotationState
from domain.setpoint import Decision, Reason, ReasonKind, Rung, Setpoint
from domain.site import Site
from ems.ledger import counted_a
from forecasting.persistence import Persistence
from headroom.control_loop import SiteController, Surroundings
from headroom.feed import Feed
from headroom.question import Question
from headroom.resending import FIRST_S, LONGEST_S, Resends, WriteBudgets, hold_s
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.repository import save_site
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators import virtual_time
from simulators.demo_site import demo_site

START = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
SITE = parse_site(demo_site(2), "demo")
EVSE = SITE.evses[0]
E1, CP1 = EvseId("E1"), ChargerId("CP1")
OUT_OF_FORCE = LedgerEntry(6.0, 32.0, sent_at=START, refused=True)


class Always:
    """Decides the same limit for everybody."""

    limit_a = 10.0

    async def decide(self, question: Question) -> Decision:
        points = tuple(Setpoint(e.id, self.limit_a, self.limit_a, Reason(ReasonKind.GRANTED)) for e in SITE.evses)
        at = question.snapshot.at
        return Decision(question.decision, at, question.trigger, points, Rung.STRATEGY, "", "test", RotationState())


class Charger:
    """A control loop, and a charger at its first EVSE that answers as `answer` says."""

    def __init__(self, answer: Callable[[ApplySetpoint, datetime], Event | None], site: Site = SITE) -> None:
        self.clock, self.store, self.decider = virtual_time.VirtualClock(), InlineStore(), Always()
        self.commands: list[ApplySetpoint] = []
        self.answer, self.site = answer, site
        around = Surroundings(
            clock=self.clock,
            mono=asyncio.get_running_loop().time,
            store=self.store,
            decider=self.decider,
            send=self.take,
            feed=Feed(),
            new_id=lambda: str(uuid.uuid4()),
        )
        self.controller = SiteController(SitePicture(LiveState(site), Persistence(), self.clock.now()), around)

    def take(self, command: Command) -> None:
        now = self.clock.now()
        self.commands.append(command)
        self.controller.handle(SetpointSent(command.evse, now, command.limit_a, command.decision))
        answer = self.answer(command, now)
        if answer is not None:
            self.controller.handle(answer)

    def metered(self, current_a: float) -> None:
        now = self.clock.now()
        self.controller.handle(EvseMetered(EVSE.charger, 1, now, EvseSample(now, now, current_a)))

    async def live(self, seconds: float, current_a: Callable[[], float] | None = None) -> None:
        await self.store.transact(lambda conn: save_site(conn, self.site, START))
        self.controller.handle(ChargerConnected(EVSE.charger, self.clock.now(), "ocpp1.6"))
        self.controller.handle(SessionStarted(EVSE.charger, 1, self.clock.now(), "7"))
        task = asyncio.get_running_loop().create_task(self.controller.run())
        for _ in range(int(seconds / 10)):
            await self.clock.sleep(10)
            if current_a is not None:
                self.metered(current_a())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def accepts(command: ApplySetpoint, at: datetime) -> Event:
    return SetpointAccepted(command.evse, at, command.limit_a, command.decision)


def refuses(command: ApplySetpoint, at: datetime) -> Event:
    return SetpointRefused(command.evse, at, command.limit_a, command.decision, "Rejected")


def test_a_refused_limit_is_tried_again_ever_less_often_and_never_given_up() -> None:
    async def main() -> None:
        charger = Charger(refuses)
        await charger.live(7200)
        apart = [(b.at - a.at).total_seconds() for a, b in zip(charger.commands, charger.commands[1:], strict=False)]
        assert 8 <= len(charger.commands) <= 30, "not at each decision of two hours"
        assert max(apart) >= LONGEST_S
        assert apart[:2] <= apart[-2:]

    virtual_time.run(main, start=START)


def test_a_reduction_goes_to_a_charger_that_refuses_as_soon_as_it_is_decided() -> None:
    async def main() -> None:
        charger = Charger(refuses)
        await charger.live(3600)
        charger.decider.limit_a = 6.0
        before = len(charger.commands)
        charger.controller.trigger("less")
        await charger.live(20)
        assert [c.limit_a for c in charger.commands[before:]][:1] == [6.0]

    virtual_time.run(main, start=START)


def test_a_charger_that_ignores_what_it_accepts_counts_full_is_told_again_and_remembered() -> None:
    async def main() -> None:
        charger = Charger(accepts)
        await charger.live(3600, lambda: EVSE.max_a)
        picture, now = charger.controller.picture, charger.clock.now()
        view = picture.view(EVSE.id, now)
        assert not view.ledger.trusted
        assert counted_a(view.ledger, EVSE, now) == EVSE.max_a
        assert view.quirks.obeys is False
        assert picture.live.setpoint(EVSE.id).ignored_a == 10.0
        assert 5 <= len(charger.commands) <= 40
        await charger.live(LONGEST_S * 2 + 120, lambda: 9.9)
        view = picture.view(EVSE.id, charger.clock.now())
        assert view.ledger.trusted, "a limit that was sent again is obeyed"
        assert view.ledger.settled

    virtual_time.run(main, start=START)


def test_a_schedule_that_says_otherwise_voids_the_limit_and_brings_it_again() -> None:
    async def main() -> None:
        charger = Charger(accepts)
        await charger.live(60)
        sent = len(charger.commands)
        now = charger.clock.now()
        charger.controller.handle(SetpointIgnored(EVSE.id, now, 10.0, None, 32.0, "schedule"))
        entry = charger.controller.picture.entry(EVSE.id)
        assert (entry.refused, entry.upper_a) == (True, EVSE.max_a)
        await charger.live(30)
        assert len(charger.commands) > sent
        assert not charger.controller.picture.entry(EVSE.id).refused
        charger.controller.handle(SetpointIgnored(EVSE.id, now, 16.0, None, 32.0, "schedule"))
        assert not charger.controller.picture.entry(EVSE.id).refused, "that was said of another limit"

    virtual_time.run(main, start=START)


def test_a_car_that_stays_away_after_a_pause_is_woken_once_then_an_alarm_has_its_facts() -> None:
    async def main() -> None:
        charger = Charger(accepts)
        await charger.live(120, lambda: 9.9)
        charger.decider.limit_a = 0.0
        await charger.live(120, lambda: 0.0)
        charger.decider.limit_a = 10.0
        del charger.commands[:]
        await charger.live(900, lambda: 0.0)
        told = [c.limit_a for c in charger.commands if c.evse == EVSE.id]
        changes = [a for i, a in enumerate(told) if i == 0 or told[i - 1] != a]
        assert changes == [10.0, 0.0, 10.0], "the offer, the wake-up, the offer anew, and no more"

    virtual_time.run(main, start=START)


def test_a_charger_with_few_writes_a_day_gets_few_long_lived_limits_and_every_reduction() -> None:
    async def main() -> None:
        site = replace(SITE, chargers=tuple(replace(one, profile_writes_per_day=10) for one in SITE.chargers))
        charger = Charger(accepts, site)
        rises = iter(range(10_000))

        def wobble() -> float:
            charger.decider.limit_a = 8.0 + next(rises) % 2 * 4.0
            charger.controller.trigger("wobble")
            return 6.0

        await charger.live(3600, wobble)
        told = [c.limit_a for c in charger.commands if c.evse == EVSE.id]
        assert len(told) <= 10
        assert told[-1] == 8.0, "the last that was written is the lower one"
        assert {c.deadman_s for c in charger.commands} == {3 * 86400 / 5}
        charger.decider.limit_a = 6.0
        charger.controller.trigger("less")
        await charger.live(20)
        assert charger.commands[-1].limit_a == 6.0

    virtual_time.run(main, start=START)


@given(st.lists(st.floats(0.5, 100.0), min_size=1, max_size=60))
def test_trials_are_never_closer_than_their_delay_and_the_delay_never_passes_its_bound(waits_s: list[float]) -> None:
    resends, now, trials = Resends(), START, [START]
    resends.sent(E1, now)
    for wait_s in waits_s:
        now += timedelta(seconds=wait_s)
        if resends.is_due(E1, OUT_OF_FORCE, now):
            apart_s = (now - trials[-1]).total_seconds()
            assert apart_s >= min(FIRST_S * 2 ** (len(trials) - 1), LONGEST_S)
            trials.append(now)
            resends.sent(E1, now)
    assert resends.is_due(E1, OUT_OF_FORCE, now + timedelta(seconds=LONGEST_S))


def test_one_that_is_in_force_again_begins_anew_and_one_never_sent_on_this_link_goes_at_once() -> None:
    resends = Resends()
    assert resends.is_due(E1, OUT_OF_FORCE, START)
    resends.sent(E1, START)
    assert resends.is_due(E1, OUT_OF_FORCE, START + timedelta(seconds=FIRST_S))
    resends.sent(E1, START)
    assert not resends.is_due(E1, OUT_OF_FORCE, START + timedelta(seconds=FIRST_S))
    good = replace(OUT_OF_FORCE, refused=False, acknowledged_at=START)
    assert not resends.is_due(E1, good, START + timedelta(days=1))
    assert resends.is_due(E1, OUT_OF_FORCE, START + timedelta(seconds=FIRST_S))
    assert resends.is_due(E1, replace(OUT_OF_FORCE, sent_at=None), START)


@given(st.integers(0, 500), st.floats(60, 1e5))
def test_renewals_never_use_more_than_half_of_a_days_writes(per_day: int, deadman_s: float) -> None:
    held_s = hold_s(deadman_s, per_day)
    assert held_s >= deadman_s
    assert 86400 / (held_s / 3) <= max(per_day / 2, 1.0) + 1e-9
    assert hold_s(deadman_s, None) == deadman_s


def test_writes_of_yesterday_are_forgotten() -> None:
    budgets = WriteBudgets()
    for _ in range(8):
        budgets.spend(CP1, START)
    assert not budgets.may_raise(CP1, 10, START + timedelta(hours=23))
    assert budgets.may_raise(CP1, 11, START + timedelta(hours=23))
    assert budgets.may_raise(CP1, 10, START + timedelta(hours=25))
    assert budgets.may_raise(CP1, None, START)
    assert not budgets.may_raise(CP1, 0, START)
