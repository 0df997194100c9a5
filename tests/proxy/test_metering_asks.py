"""Measurements that the CSMS did not ask for: fetched from the charger, and kept from the CSMS."""

import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.messages import Call as OcppCall
from ocpp.messages import _validate_payload

from domain.events import EvseMetered
from domain.ids import ChargerId, EvseId, FeederId
from domain.metering import EvseSample
from domain.quirks import UNKNOWN, Model, Quirks
from domain.site import PHASES, Charger, Evse
from proxy.protocol.attentive import AttentiveDesk
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side
from proxy.protocol.interception import Answered, Rewritten, WakeUp
from proxy.protocol.metering_asks import AFTER_S, OFTEN_S, STRIKES, Ask
from proxy.protocol.metering_view import NEEDED

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CP = ChargerId("CP1")
THREE = Evse(EvseId("E1"), CP, 1, FeederId("main"), PHASES)
_OF_LIMITS = ("SetChargingProfile", "GetChargingProfiles")
REGISTER = "Energy.Active.Import.Register"


class Book:
    def __init__(self, quirks: Quirks) -> None:
        self.quirks = quirks

    def of_charger(self, charger: ChargerId) -> Quirks:
        return self.quirks

    def model_of(self, charger: ChargerId) -> Model | None:
        return None

    def as_model(self, charger: ChargerId, model: Model) -> Quirks:
        return UNKNOWN


class Bench:
    """A desk between a CSMS and a charger with settings, which supports some measurands."""

    def __init__(
        self, version: str = "ocpp1.6", supports: Sequence[str] = NEEDED, ask: Ask = "auto", quirks: Quirks = UNKNOWN
    ) -> None:
        ids = itertools.count()
        new_token = lambda: f"t{next(ids)}"  # noqa: E731 - a name for a port
        charger = Charger(CP, (THREE,))
        self.old = version == "ocpp1.6"
        self.version, self.supports, self.now = version, supports, NOW
        self.measurands = "MeterValuesSampledData" if self.old else "AlignedDataCtrlr.Measurands"
        self.settings = {self.measurands: REGISTER, "MeterValueSampleInterval": "300"}
        self.inner = ChargerDesk(charger, version, new_token)  # type: ignore[arg-type]
        known = Book(Quirks(probed_at=NOW) if quirks == UNKNOWN else quirks)
        self.desk = AttentiveDesk(self.inner, charger, version, new_token, known, ask=ask)  # type: ignore[arg-type]
        self.asked: list[OwnCall] = []
        self.learned = UNKNOWN
        self.wake_at: datetime | None = None
        self.take(self.desk.connected(NOW))
        self.at_first = len(self.asked) if ask != "never" else 0

    # The charger.

    def take(self, told: Sequence[object]) -> None:
        for one in told:
            if isinstance(one, OwnCall):
                self.asked.append(one)
                self.outcome(one, "sent")
                self.outcome(one, "result", self.reply(one.action, one.payload))
            elif isinstance(one, WakeUp):
                self.wake_at = one.at if self.wake_at is None else min(one.at, self.wake_at)
            elif hasattr(one, "quirks"):
                self.learned = one.quirks

    def outcome(self, call: OwnCall, kind: str, payload: Any = None) -> None:
        raw = json.dumps(payload).encode()
        events, orders = self.desk.on_outcome(OwnOutcome(call, kind, self.now, raw))  # type: ignore[arg-type]
        self.take([*events, *orders])

    def reply(self, action: str, payload: Any) -> dict[str, Any]:
        if action == "GetConfiguration":
            known = [
                {"key": k, "readonly": False, "value": self.settings[k]} for k in payload["key"] if k in self.settings
            ]
            return {"configurationKey": known, "unknownKey": []}
        if action == "ChangeConfiguration":
            return {"status": self.write(payload["key"], payload["value"])}
        if action == "GetVariables":
            return {"getVariableResult": [self.variable(item) for item in payload["getVariableData"]]}
        if action == "SetVariables":
            (item,) = payload["setVariableData"]
            status = self.write(self.measurands, item["attributeValue"])
            return {
                "setVariableResult": [
                    {"component": item["component"], "variable": item["variable"], "attributeStatus": status}
                ]
            }
        return {"status": "Accepted"}

    def variable(self, item: dict[str, Any]) -> dict[str, Any]:
        if item["variable"]["name"] != "Measurands":
            return {**item, "attributeStatus": "UnknownVariable"}
        return {**item, "attributeStatus": "Accepted", "attributeValue": self.settings[self.measurands]}

    def write(self, key: str, value: str) -> str:
        listed = key == self.measurands
        if listed and not set(value.split(",") if value else []) <= {*self.supports, REGISTER}:
            return "Rejected"
        self.settings[key] = value
        return "Accepted"

    def sample(self, *, lines: int = 0, at_s: float | None = None) -> None:
        at = self.now if at_s is None else NOW + timedelta(seconds=at_s)
        sample = EvseSample(at, at, 10.0 if lines else None, (10.0,) * lines, energy_wh=1.0)
        self.take(self.desk._attend([EvseMetered(CP, 1, at, sample, "7")], at))

    def up(self, context: str | None = None, at_s: float = 0.0) -> bool:
        """Whether a MeterValues of the charger reaches the CSMS."""
        where = {"connectorId": 1} if self.old else {"evseId": 1}
        value = {"value": "1" if self.old else 1.0} | ({} if context is None else {"context": context})
        payload = {**where, "meterValue": [{"timestamp": NOW.isoformat(), "sampledValue": [value]}]}
        return self.passes(Side.CHARGER, "MeterValues", payload, at_s) == payload

    # The CSMS.

    def passes(self, side: Side, action: str, payload: dict[str, Any], at_s: float = 0.0) -> dict[str, Any] | None:
        """The payload as it arrives at the other side; None where it does not."""
        call = Call(side, "c", action, json.dumps(payload).encode(), NOW + timedelta(seconds=at_s))
        if not self.desk.intercepts(side, action):
            return payload
        verdict, _ = self.desk.on_intercepted(call)
        if isinstance(verdict, Answered):
            assert json.loads(verdict.payload) == {}
            return None
        return json.loads(verdict.payload) if isinstance(verdict, Rewritten) else payload

    def csms(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The CSMS asks; what it is told."""
        arrives = self.passes(Side.CSMS, action, payload)
        assert arrives is not None
        _validate_payload(OcppCall("c", action, arrives), self.version.removeprefix("ocpp"))
        call = Call(Side.CSMS, "c", action, json.dumps(payload).encode(), self.now)
        raw = json.dumps(self.reply(action, arrives)).encode()
        answered = self.desk.on_reply(call, True, raw) if self.desk.intercepts(Side.CSMS, action) else None
        told = raw if answered is None else answered.payload
        self.take(self.desk.on_exchange(Exchange(call, True, raw, self.now)))
        found: dict[str, Any] = json.loads(told)
        return found

    def reads(self, key: str) -> str:
        if self.old:
            (item,) = self.csms("GetConfiguration", {"key": [key]})["configurationKey"]
            return str(item["value"])
        data = [{"component": {"name": "AlignedDataCtrlr"}, "variable": {"name": "Measurands"}}]
        (item,) = self.csms("GetVariables", {"getVariableData": data})["getVariableResult"]
        return str(item["attributeValue"])

    def session(self, *, runs: bool = True) -> None:
        self.desk._asks.session(1, self.now, runs=runs)
        self.take(self.desk._attend([], self.now))

    def pass_to(self, seconds: float) -> None:
        end = NOW + timedelta(seconds=seconds)
        while self.wake_at is not None and self.wake_at <= end:
            self.now, self.wake_at = max(self.now, self.wake_at), None
            self.take(self.desk.tick(self.now))
        self.now = end

    def actions(self) -> list[str]:
        """What was asked of the charger, but for what limits need."""
        return [call.action for call in self.asked[self.at_first :] if call.action not in _OF_LIMITS]


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_the_csms_goes_on_seeing_what_it_set_while_the_charger_samples_more(version: str) -> None:
    bench = Bench(version)
    bench.session()
    bench.pass_to(AFTER_S - 1)
    assert bench.actions() == []
    bench.pass_to(AFTER_S)
    assert set(bench.settings[bench.measurands].split(",")) == {REGISTER, *NEEDED}
    assert bench.settings[bench.measurands].startswith(REGISTER), "the CSMS's own come first"
    assert bench.reads(bench.measurands) == REGISTER
    for call in bench.asked:
        _validate_payload(OcppCall("c", call.action, dict(call.payload)), version.removeprefix("ocpp"))
        assert not call.urgent
    told = bench.learned
    assert told.csms_measurands == (REGISTER,)
    assert set(told.takes_measurands or ()) == set(NEEDED) - {REGISTER}


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_one_that_reports_every_line_is_asked_for_nothing(lines: int) -> None:
    bench = Bench()
    bench.session()
    for second in range(60, 1200, 60):
        bench.pass_to(second)
        bench.sample(lines=lines)
    assert (bench.actions() == []) is (lines == 3)


def test_the_time_without_a_link_is_no_silence_of_the_charger() -> None:
    bench = Bench()
    bench.session()
    bench.pass_to(AFTER_S - 1)
    bench.take(bench.desk.connected(bench.now))
    bench.pass_to(2 * AFTER_S - 2)
    assert bench.actions() == []
    bench.pass_to(2 * AFTER_S)
    assert bench.actions() != []


def test_one_unsupported_measurand_costs_none_of_the_others() -> None:
    bench = Bench(supports=("Voltage", "Current.Import"))
    bench.session()
    bench.pass_to(AFTER_S)
    assert set(bench.settings[bench.measurands].split(",")) == {REGISTER, "Voltage", "Current.Import"}
    assert bench.learned.takes_measurands == ("Current.Import", "Voltage")
    assert bench.settings["MeterValueSampleInterval"] == str(OFTEN_S)


def test_a_charger_that_takes_no_more_measurands_is_left_as_it_was() -> None:
    bench = Bench(supports=())
    bench.settings["MeterValueSampleInterval"] = "60"
    bench.session()
    bench.pass_to(AFTER_S)
    assert bench.settings[bench.measurands] == REGISTER
    assert bench.desk._view.differs is False
    assert bench.up()


def test_periodic_samples_go_up_at_the_csmss_own_interval_and_all_others_always() -> None:
    bench = Bench()
    bench.session()
    bench.pass_to(AFTER_S)
    passed = [second for second in range(0, 3000, OFTEN_S) if bench.up(at_s=second)]
    apart = [later - earlier for earlier, later in itertools.pairwise(passed)]
    assert set(apart) == {300 - OFTEN_S / 2 + OFTEN_S / 2}
    for context in ("Transaction.Begin", "Transaction.End", "Sample.Clock", "Trigger", "Interruption.Begin", "Other"):
        assert bench.up(context, at_s=3000)


def test_a_csms_that_wanted_no_samples_gets_none() -> None:
    bench = Bench()
    bench.settings["MeterValueSampleInterval"] = "0"
    bench.session()
    bench.pass_to(AFTER_S)
    assert not any(bench.up(at_s=second) for second in range(0, 600, OFTEN_S))
    assert bench.reads("MeterValueSampleInterval") == "0"


def test_what_the_csms_writes_itself_is_extended_on_its_way_and_is_its_own_from_then_on() -> None:
    bench = Bench()
    bench.session()
    bench.pass_to(AFTER_S)
    assert bench.csms("ChangeConfiguration", {"key": bench.measurands, "value": "Voltage"}) == {"status": "Accepted"}
    assert set(bench.settings[bench.measurands].split(",")) == set(NEEDED)
    assert bench.reads(bench.measurands) == "Voltage"
    bench.csms("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "10"})
    assert (bench.settings["MeterValueSampleInterval"], bench.reads("MeterValueSampleInterval")) == ("10", "10")
    bench.csms("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "900"})
    assert (bench.settings["MeterValueSampleInterval"], bench.reads("MeterValueSampleInterval")) == (
        str(OFTEN_S),
        "900",
    )
    refused = {"key": bench.measurands, "value": "Nonsense"}
    assert bench.csms("ChangeConfiguration", refused) == {"status": "Rejected"}
    assert bench.reads(bench.measurands) == "Voltage"
    assert bench.passes(Side.CSMS, "ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}) == {
        "key": "HeartbeatInterval",
        "value": "60",
    }


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])
def test_what_still_is_missing_is_fetched_and_each_fetched_sample_stays_here(version: str) -> None:
    bench = Bench(version)
    bench.session()
    bench.pass_to(AFTER_S * 2 + 5)
    assert bench.actions().count("TriggerMessage") == 1
    assert not bench.up("Trigger", at_s=AFTER_S * 2 + 6)
    assert bench.up("Trigger", at_s=AFTER_S * 2 + 7), "one for one"
    bench.pass_to(AFTER_S * 2 + 5 + 10 * OFTEN_S)
    assert bench.actions().count("TriggerMessage") == 11
    assert {call.payload["requestedMessage"] for call in bench.asked if call.action == "TriggerMessage"} == {
        "MeterValues"
    }
    bench.csms("TriggerMessage", {"requestedMessage": "MeterValues"})
    assert bench.up("Trigger", at_s=AFTER_S * 2 + 6 + 10 * OFTEN_S), "that one may be the CSMS's"
    bench.session(runs=False)
    bench.pass_to(5000)
    assert bench.actions().count("TriggerMessage") <= 12


def test_a_charger_that_takes_no_triggers_is_left_alone() -> None:
    bench = Bench()
    answer = bench.reply
    bench.reply = lambda action, payload: (
        {"status": "Rejected"} if action == "TriggerMessage" else answer(action, payload)
    )  # type: ignore[method-assign]
    bench.session()
    bench.pass_to(10_000)
    assert bench.actions().count("TriggerMessage") == STRIKES


def test_always_asks_as_soon_as_a_session_begins_and_never_never() -> None:
    eager = Bench(ask="always")
    eager.session()
    eager.pass_to(1)
    assert "ChangeConfiguration" in eager.actions()
    never = Bench(ask="never")
    never.session()
    never.pass_to(10_000)
    assert never.actions() == []


def test_a_restart_remembers_what_is_whose_and_never_gives_it_back() -> None:
    first = Bench()
    first.session()
    first.pass_to(AFTER_S)
    again = Bench(quirks=first.learned)
    again.settings = first.settings
    assert (again.reads(again.measurands), again.reads("MeterValueSampleInterval")) == (REGISTER, "300")
    never = Bench(quirks=first.learned, ask="never")
    assert never.settings == {never.measurands: REGISTER, "MeterValueSampleInterval": "300"}
    assert not never.desk._view.differs
    assert never.learned.takes_measurands == ()
    once = Bench(quirks=never.learned, ask="never")
    assert once.actions() == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "value", "context"]), inner),
    max_leaves=8,
)


@given(
    st.sampled_from(["MeterValues", "ChangeConfiguration", "GetConfiguration", "SetVariables", "GetVariables"]),
    st.dictionaries(
        st.sampled_from(["connectorId", "meterValue", "key", "value", "configurationKey", "setVariableData"]), _JSON
    ),
)
def test_nonsense_passes_as_it_is(action: str, payload: dict[str, Any]) -> None:
    bench = _ASKED
    side = Side.CHARGER if action == "MeterValues" else Side.CSMS
    raw = json.dumps(payload).encode()
    verdict = bench.desk._view.on_meter_values(Call(side, "c", action, raw, NOW)) if side is Side.CHARGER else None
    assert verdict is None or isinstance(verdict, Answered)
    rewritten = bench.desk._view.on_write(raw)
    assert rewritten is None or payload.get("key") in ("MeterValuesSampledData", "MeterValueSampleInterval")
    bench.desk._view.on_read(raw)


_ASKED = Bench()
_ASKED.session()
_ASKED.pass_to(AFTER_S)
