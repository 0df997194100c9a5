"""Getting to know a charger: inherited guesses, own questions in their time, and the news that is told of it."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.commands import ApplySetpoint
from domain.events import ChargerBooted, Event, EvseMetered, QuirksLearned, SetpointAccepted, SetpointConfirmed
from domain.ids import ChargerId, DecisionId, EvseId, FeederId
from domain.metering import EvseSample
from domain.quirks import UNKNOWN, Model, Quirks
from domain.site import PHASES, Charger, Evse
from proxy.protocol.attentive import CALM_S, AttentiveDesk
from proxy.protocol.capability import Capability
from proxy.protocol.composite import Purpose
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side
from proxy.protocol.interception import WakeUp

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CP = ChargerId("CP1")
EVSE = Evse(EvseId("E1"), CP, 1, FeederId("main"), PHASES[:2])
CHARGER = Charger(CP, (EVSE,))
TERRA = Model("ABB", "Terra", "1.8")
SETTINGS = [{"key": "ChargeProfileMaxStackLevel", "value": "3"}, {"key": "MaxChargingProfilesInstalled", "value": "9"}]


class Book:
    """A record that a test writes."""

    def __init__(self, quirks: Quirks = UNKNOWN, model: Model | None = None, models: dict[Model, Quirks] | None = None):
        self.quirks, self.model, self.models = quirks, model, models or {}

    def of_charger(self, charger: ChargerId) -> Quirks:
        assert charger == CP
        return self.quirks

    def model_of(self, charger: ChargerId) -> Model | None:
        return self.model

    def as_model(self, charger: ChargerId, model: Model) -> Quirks:
        return self.models.get(model, UNKNOWN)

    def learn(self, event: QuirksLearned) -> None:
        self.quirks, self.model = event.quirks, event.model


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class Bench:
    """The desk, and a charger that takes limits at level 3 and says so."""

    def __init__(self, book: Book, charger: Charger = CHARGER, highest: int = 3) -> None:
        ids = itertools.count()
        self.book, self.now, self.highest = book, NOW, highest
        new_token = lambda: f"t{next(ids)}"  # noqa: E731 - a name for a port
        self.inner = ChargerDesk(charger, "ocpp1.6", new_token)
        self.desk = AttentiveDesk(self.inner, charger, "ocpp1.6", new_token, book)
        self.events: list[Event] = []
        self.asked: list[OwnCall] = []
        self.wake_at: datetime | None = None

    def take(self, told: Sequence[object]) -> None:
        for one in told:
            if isinstance(one, OwnCall):
                self.answer(one)
            elif isinstance(one, WakeUp):
                self.wake_at = one.at
            else:
                self.events.append(one)  # type: ignore[arg-type]
                if isinstance(one, QuirksLearned):
                    self.book.learn(one)

    def answer(self, call: OwnCall) -> None:
        self.asked.append(call)
        for kind, payload in (("sent", None), ("result", self.reply(call))):
            events, orders = self.desk.on_outcome(OwnOutcome(call, kind, self.now, json.dumps(payload).encode()))  # type: ignore[arg-type]
            self.take([*events, *orders])

    def reply(self, call: OwnCall) -> Any:
        if call.action == "GetConfiguration":
            return {"configurationKey": SETTINGS}
        if call.action == "GetCompositeSchedule":
            newest = next(one for one in reversed(self.events) if isinstance(one, SetpointAccepted))
            periods = [{"startPeriod": 0, "limit": newest.limit_a}]
            return {
                "status": "Accepted",
                "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": periods},
            }
        level = call.payload["csChargingProfiles"]["stackLevel"]  # type: ignore[index]
        return {"status": "Accepted" if level <= self.highest else "Rejected"}

    def boot(self, firmware: str = "1.8") -> None:
        payload = {"chargePointVendor": "ABB", "chargePointModel": "Terra", "firmwareVersion": firmware}
        reply = {"status": "Accepted", "currentTime": self.now.isoformat(), "interval": 300}
        call = Call(Side.CHARGER, "b", "BootNotification", json.dumps(payload).encode(), self.now)
        self.take(self.desk.on_exchange(Exchange(call, True, json.dumps(reply).encode(), self.now)))

    def pass_to(self, seconds: float) -> None:
        self.now = later(seconds)
        while self.wake_at is not None and self.wake_at <= self.now:
            self.wake_at = None
            self.take(self.desk.tick(self.now))

    def tell(self, limit_a: float) -> None:
        command = ApplySetpoint(CP, 1, EVSE.id, limit_a, 6.0, 300.0, DecisionId("d"), self.now, urgent=False)
        self.take(self.desk.apply(command))

    def actions(self, action: str) -> list[OwnCall]:
        return [call for call in self.asked if call.action == action]

    @property
    def learned(self) -> Quirks:
        return next(one.quirks for one in reversed(self.events) if isinstance(one, QuirksLearned))


def test_a_stranger_is_asked_once_it_is_calm_and_what_it_says_is_told() -> None:
    bench = Bench(Book())
    bench.take(bench.desk.connected(NOW))
    bench.boot()
    bench.pass_to(CALM_S - 1)
    assert bench.actions("GetConfiguration") == []
    bench.pass_to(CALM_S)
    assert len(bench.actions("GetConfiguration")) == 1
    assert (bench.learned.max_level, bench.learned.max_profiles, bench.learned.probed_at) == (3, 9, bench.now)
    assert bench.book.model == TERRA
    assert not any(call.urgent for call in bench.actions("GetConfiguration"))
    bench.take(bench.desk.connected(later(60)))
    bench.pass_to(200)
    assert len(bench.actions("GetConfiguration")) == 1, "once"


def test_the_level_that_it_says_is_the_first_that_is_tried() -> None:
    bench = Bench(Book())
    bench.take(bench.desk.connected(NOW))
    bench.pass_to(CALM_S)
    bench.asked.clear()
    bench.tell(10.0)
    levels = [call.payload["csChargingProfiles"]["stackLevel"] for call in bench.actions("SetChargingProfile")]  # type: ignore[index]
    assert levels[0] == 3
    assert bench.learned.proven == ("station cap",)
    assert bench.learned.level == 3


def test_each_set_point_is_followed_by_the_chargers_own_schedule() -> None:
    bench = Bench(Book(Quirks(probed_at=NOW)))
    bench.take(bench.desk.connected(NOW))
    for limit_a in (10.0, 12.0):
        bench.tell(limit_a)
    assert len(bench.actions("GetCompositeSchedule")) == 2
    verdicts = [one for one in bench.events if isinstance(one, SetpointConfirmed)]
    assert [one.limit_a for one in verdicts] == [10.0, 12.0]
    assert bench.learned.schedule == "honest"
    dumb = Bench(Book(Quirks(probed_at=NOW, schedule="bare")))
    dumb.tell(10.0)
    assert dumb.actions("GetCompositeSchedule") == []


def test_a_charger_of_a_known_model_begins_where_the_others_ended() -> None:
    guess = Quirks(mode="tx", level=1, tx_profile=False, after_zero="resumes")
    bench = Bench(Book(models={TERRA: guess}))
    bench.boot()
    assert (bench.inner.capability.mode, bench.inner.capability.level) == ("tx", 1)
    assert bench.inner.capability.proven == frozenset()
    assert bench.learned.mode is None, "nothing was tried yet, so nothing is told of it"


def test_another_firmware_is_a_stranger_and_the_same_one_is_not() -> None:
    known = Quirks(mode="cap", level=3, proven=("station cap",), schedule="bare", probed_at=NOW)
    bench = Bench(Book(known, TERRA))
    bench.boot("1.8")
    bench.pass_to(60)
    assert bench.actions("GetConfiguration") == []
    assert bench.inner.capability.proven == {Purpose.CAP}
    bench.inner.capability = replace(bench.inner.capability, firmware="1.8")
    bench.boot("1.9")
    bench.pass_to(120)
    assert len(bench.actions("GetConfiguration")) == 1
    assert bench.book.model == replace(TERRA, firmware="1.9")
    assert bench.learned.schedule is None


def test_a_persons_word_counts_from_the_next_set_point_on() -> None:
    bench = Bench(Book(Quirks(probed_at=NOW)))
    bench.take(bench.desk.connected(NOW))
    bench.tell(10.0)
    bench.book.quirks = replace(bench.book.quirks, level=1)
    bench.asked.clear()
    bench.tell(8.0)
    (write, *_) = bench.actions("SetChargingProfile")
    assert write.payload["csChargingProfiles"]["stackLevel"] == 1  # type: ignore[index]


def test_several_evses_never_share_one_cap_whatever_the_record_says() -> None:
    two = Charger(CP, (EVSE, replace(EVSE, id=EvseId("E2"), connector=2)))
    bench = Bench(Book(Quirks(mode="cap")), two)
    assert bench.inner.capability.mode == "tx"


@pytest.mark.parametrize(
    ("samples", "phases"),
    [
        ([EvseSample(NOW, NOW, 10.0, (10.0, 10.0))], "lines"),
        ([EvseSample(NOW, NOW, 10.0)], "overall"),
        ([EvseSample(NOW, NOW, None, energy_wh=5.0)], "none"),
        ([EvseSample(NOW, NOW, 10.0, (10.0,)), EvseSample(NOW, NOW, None)], "lines"),
        ([EvseSample(NOW, NOW, None), EvseSample(NOW, NOW, 10.0)], "overall"),
    ],
)
def test_how_it_reports_current_is_seen(samples: list[EvseSample], phases: str) -> None:
    bench = Bench(Book())
    for sample in samples:
        bench.take(bench.desk._attend([EvseMetered(CP, 1, NOW, sample)], NOW))
    assert bench.learned.phases == phases
    told = len(bench.events)
    bench.take(bench.desk._attend([EvseMetered(CP, 1, NOW, samples[-1])], NOW))
    assert not any(isinstance(one, QuirksLearned) for one in bench.events[told:]), "news once"


def test_a_refused_boot_tells_nothing_of_the_model() -> None:
    bench = Bench(Book())
    bench.take(bench.desk._attend([ChargerBooted(CP, NOW, "ABB", "Terra", "1.8", accepted=False)], NOW))
    assert bench.book.model is None
    assert isinstance(bench.inner.capability, Capability)


def test_a_charger_that_names_itself_with_signs_that_no_database_takes_is_kept_without_them() -> None:
    bench = Bench(Book())
    bench.take(bench.desk._attend([ChargerBooted(CP, NOW, "A\0BB", "Terra\n", None, accepted=True)], NOW))
    assert bench.book.model == Model("ABB", "Terra", "")
