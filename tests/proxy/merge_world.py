"""A desk between a CSMS and a charger that evaluates profiles with code of its own (`simulators`), frame by frame."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from csms_payloads import T0, wire_stamp
from ocpp.messages import Call as OcppCall
from ocpp.messages import CallResult, _validate_payload

from domain.commands import ApplySetpoint
from domain.events import Event
from domain.ids import ChargerId, DecisionId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side
from proxy.protocol.interception import Answered, Order, Release, Rewritten, Waits, WakeUp
from simulators.behaviour import STANDARD, Behaviour
from simulators.charging_profiles import Profile, ProfileError, Purpose, profile_16, profile_201
from simulators.composite import Charge, Supply, cap_a, transaction_limit_a
from simulators.profile_store import ProfileStore

VOLTS = 208.0
SCHEMA = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1", "ocpp2.1": "2.1"}
FREE = Behaviour(max_stack_level=10**6, max_profiles=10**6)


def charger_of(evses: int = 1, phases: int = 2, failsafe_a: float = 6.0) -> Charger:
    identity = ChargerId("CP")
    made = (
        Evse(EvseId(f"P{n}"), identity, n, FeederId("p"), PHASES[:phases], failsafe_a=failsafe_a)
        for n in range(1, evses + 1)
    )
    return Charger(identity, tuple(made))


@dataclass
class Station:
    """Profiles as a charger keeps them, and what they allow."""

    version: str
    quirks: Behaviour
    connectors: tuple[int, ...]
    conductors: int
    charges: dict[int, Charge] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = ProfileStore(self.quirks, self.connectors, ocpp16=self.version == "ocpp1.6")
        volts = VOLTS if self.conductors == 2 else VOLTS / 3**0.5
        self.supply = Supply(self.conductors, volts)

    def read(self, payload: dict, at: datetime) -> Profile:
        if self.version == "ocpp1.6":
            return profile_16(payload["connectorId"], payload["csChargingProfiles"], at)
        return profile_201(payload["evseId"], payload["chargingProfile"], at)

    def set(self, payload: dict, at: datetime) -> str:
        try:
            profile = self.read(payload, at)
        except (ProfileError, ValueError):
            return "Rejected"
        charge = self.charges.get(profile.connector)
        return "Accepted" if self.store.install(profile, charge) is None else "Rejected"

    def clear(self, payload: dict) -> str:
        if self.version == "ocpp1.6":
            by_id, where = payload.get("id"), payload
            connector = payload.get("connectorId")
        else:
            by_id, where = payload.get("chargingProfileId"), payload.get("chargingProfileCriteria", {})
            connector = where.get("evseId")
        purpose = where.get("chargingProfilePurpose")
        purpose = Purpose.STATION_MAX if purpose == "ChargePointMaxProfile" else purpose

        def matches(profile: Profile) -> bool:
            if by_id is not None:
                return profile.profile_id == by_id
            return (
                connector in (None, profile.connector)
                and purpose in (None, profile.purpose)
                and where.get("stackLevel") in (None, profile.stack_level)
            )

        return "Accepted" if self.store.clear(matches) else "Unknown"

    def limit_a(self, connector: int, at: datetime) -> float | None:
        """What the running transaction at a connector may draw; None: no limit."""
        cap = cap_a(self.store, at, self.supply)
        own = transaction_limit_a(self.store, connector, self.charges[connector], at, self.supply)
        return min((one for one in (cap, own) if one is not None), default=None)


class Bench:
    """`theirs` is what the CSMS was told to be in force, kept by the same independent rules.

    `check` is called after each frame that the charger got, `hears` when the CSMS has its answer.
    """

    def __init__(
        self,
        version: str = "ocpp1.6",
        *,
        evses: int = 1,
        phases: int = 2,
        failsafe_a: float = 6.0,
        quirks: Behaviour = STANDARD,
        stored: tuple = (),
        **options: object,
    ) -> None:
        self.version, self.charger = version, charger_of(evses, phases, failsafe_a)
        self.now = T0
        self.connectors = tuple(evse.connector for evse in self.charger.evses)
        self.at_charger = Station(version, quirks, self.connectors, phases)
        self.theirs = Station(version, FREE, self.connectors, phases)
        self.told: dict[int, tuple[float, datetime, float]] = {}
        self.events: list[Event] = []
        self.up: list[OwnCall] = []
        self.frames: list[tuple[str, dict]] = []
        self.answers: dict[str, dict] = {}
        self.check: Callable[[], None] = lambda: None
        self.hears: Callable[[], None] = lambda: None
        self._queue: list[OwnCall] = []
        self._ids, self._tokens = count(1), count(1)
        self._wakes: list[datetime] = []
        self._waiting: dict[str, Call] = {}
        self.desk = ChargerDesk(
            self.charger,
            version,
            lambda: f"t{next(self._tokens)}",
            line_to_line_v=VOLTS,
            csms_profiles=stored,
            **options,
        )
        self._heartbeat()

    # Driving.

    def connect(self) -> None:
        self._carry_out(self.desk.connected(self.now))
        self.settle()

    def start(self, connector: int = 1) -> object:
        """A transaction begins; its id as the protocol writes it."""
        number = next(self._ids)
        tx: object = number if self.version == "ocpp1.6" else f"tx-{number}"
        charge = Charge(str(tx), self.now)
        self.at_charger.charges[connector] = self.theirs.charges[connector] = charge
        if self.version == "ocpp1.6":
            payload = {"connectorId": connector, "idTag": "T", "meterStart": 0, "timestamp": wire_stamp(self.now)}
            self._said("StartTransaction", payload, {"transactionId": tx, "idTagInfo": {"status": "Accepted"}})
        else:
            info = {"transactionId": tx, "chargingState": "Charging"}
            payload = {"eventType": "Started", "transactionInfo": info, "evse": {"id": connector}}
            self._said("TransactionEvent", payload, {})
        self.settle()
        return tx

    def end(self, connector: int = 1) -> None:
        charge = self.at_charger.charges.pop(connector)
        self.theirs.charges.pop(connector)
        self.at_charger.store.end_transaction(connector)
        self.theirs.store.end_transaction(connector)
        if self.version == "ocpp1.6":
            self._said("StopTransaction", {"transactionId": int(charge.transaction_id)}, {})
        else:
            payload = {"eventType": "Ended", "transactionInfo": {"transactionId": charge.transaction_id}}
            self._said("TransactionEvent", payload, {})
        self.settle()

    def ems(self, limit_a: float, connector: int = 1, deadman_s: float = 300.0) -> None:
        evse = next(one for one in self.charger.evses if one.connector == connector)
        decision = DecisionId(f"d{next(self._ids)}")
        self._carry_out(
            self.desk.apply(
                ApplySetpoint(
                    self.charger.id,
                    connector,
                    evse.id,
                    limit_a,
                    evse.failsafe_a,
                    deadman_s,
                    decision,
                    self.now,
                    urgent=False,
                )
            )
        )
        self.told[connector] = (limit_a, self.now, deadman_s)
        self.settle()

    def wait(self, seconds: float) -> None:
        """Time passes; the desk is woken when it asked for it."""
        end = self.now + timedelta(seconds=seconds)
        while due := [at for at in self._wakes if at <= end]:
            self.now = max(self.now, min(due))
            self._wakes.remove(min(due))
            self._carry_out(self.desk.tick(self.now))
            self.settle()
        self.now = end

    def csms(self, action: str, payload: dict) -> dict:
        """The CSMS asks, and is answered."""
        call_id = f"c{next(self._ids)}"
        call = Call(Side.CSMS, call_id, action, json.dumps(payload).encode(), self.now)
        assert self.desk.intercepts(Side.CSMS, action)
        verdict, orders = self.desk.on_intercepted(call)
        self._carry_out(orders)
        if isinstance(verdict, Waits):
            self._waiting[call_id] = call
        else:
            self._decided(call, verdict)
        self.settle()
        self.wait(0.0)
        if call_id not in self.answers:
            self.wait(30.0)
        return self.answers[call_id]

    def settle(self) -> None:
        """Everything that waits for the charger is answered, one CALL after the other."""
        while self._queue:
            call = self._queue.pop(0)
            self.validate(call.action, dict(call.payload))
            self._carry(self.desk.on_outcome(OwnOutcome(call, "sent", self.now)))
            reply = self.charger_answers(call.action, json.loads(json.dumps(call.payload)))
            self.check()
            kind, raw = ("result", json.dumps(reply).encode()) if reply is not None else ("timeout", b"")
            self._carry(self.desk.on_outcome(OwnOutcome(call, kind, self.now, raw)))
            if self.reports:
                self._send_reports()

    # The charger.

    reports: tuple[dict, ...] = ()
    features: tuple[str, ...] = ()

    def charger_answers(self, action: str, payload: dict) -> dict | None:
        self.frames.append((action, payload))
        if action == "SetChargingProfile":
            return {"status": self.at_charger.set(payload, self.now)}
        if action == "ClearChargingProfile":
            return {"status": self.at_charger.clear(payload)}
        if action == "GetChargingProfiles":
            return self._report_profiles(payload)
        if action in ("RemoteStartTransaction", "RequestStartTransaction"):
            return {"status": "Accepted"}
        if action == "GetVariables":
            return {"getVariableResult": [self._variable(one) for one in payload["getVariableData"]]}
        raise AssertionError(f"the charger knows no {action}")

    def _variable(self, asked: dict) -> dict:
        if asked["variable"].get("instance") in self.features:
            return {**asked, "attributeStatus": "Accepted", "attributeValue": "true"}
        return {**asked, "attributeStatus": "UnknownVariable"}

    def _report_profiles(self, payload: dict) -> dict:
        asked = payload["chargingProfile"]
        ids = asked.get("chargingProfileId")
        found = [
            one
            for one in self.at_charger.store
            if payload.get("evseId") in (None, one.connector)
            and asked.get("chargingProfilePurpose") in (None, one.purpose)
            and asked.get("stackLevel") in (None, one.stack_level)
            and (ids is None or one.profile_id in ids)
        ]
        places = sorted({one.connector for one in found})
        self.reports = tuple(
            {
                "requestId": payload["requestId"],
                "chargingLimitSource": "CSO",
                "evseId": place,
                "chargingProfile": [one.wire for one in found if one.connector == place],
                "tbc": place != places[-1],
            }
            for place in places
        )
        return {"status": "Accepted" if found else "NoProfiles"}

    def _send_reports(self) -> None:
        reports, self.reports = self.reports, ()
        for report in reports:
            call = Call(
                Side.CHARGER, f"r{next(self._ids)}", "ReportChargingProfiles", json.dumps(report).encode(), self.now
            )
            verdict, orders = self.desk.on_intercepted(call)
            self._carry_out(orders)
            if not isinstance(verdict, Answered):
                sent = report if verdict is None else json.loads(verdict.payload)
                self.up.append(OwnCall("ReportChargingProfiles", sent, "", ""))

    # Carrying out.

    def _decided(self, call: Call, verdict: Rewritten | Answered | None) -> None:
        if isinstance(verdict, Answered):
            ok, raw = verdict.ok, verdict.payload
            self.validate_reply(call.action, json.loads(raw))
            self._carry_out(self.desk.on_call(call))
        else:
            payload = json.loads(call.payload if verdict is None else verdict.payload)
            if verdict is not None:
                self.validate(call.action, payload)
            self._carry_out(self.desk.on_call(call))
            reply = self.charger_answers(call.action, payload)
            self.check()
            ok, raw = True, json.dumps(reply).encode()
            changed = self.desk.on_reply(call, ok, raw)
            told = raw if changed is None else changed.payload
            self._heard(call, json.loads(told))
            self._carry_out(self.desk.on_exchange(Exchange(call, ok, raw, self.now)))
            if self.reports:
                self._send_reports()
            return
        self._heard(call, json.loads(raw))
        self._carry_out(self.desk.on_exchange(Exchange(call, ok, raw, self.now)))

    def _heard(self, call: Call, reply: dict) -> None:
        """The CSMS hears what became of it: from now on it is what it believes to be in force."""
        self.answers[call.call_id] = reply
        payload = json.loads(call.payload)
        if reply.get("status") == "Accepted" and call.action == "SetChargingProfile":
            assert self.theirs.set(payload, self.now) == "Accepted", "the CSMS was told that nonsense is in force"
        elif call.action == "ClearChargingProfile":
            had = self.theirs.clear(payload) == "Accepted"
            assert had == (reply["status"] == "Accepted"), "cleared or unknown, but not the truth"
        self.hears()

    def _carry(self, told) -> None:
        events, orders = told
        self._carry_out([*events, *orders])

    def _carry_out(self, wants) -> None:
        for want in wants:
            if isinstance(want, Release):
                self._decided(self._waiting.pop(want.call_id), want.verdict)
            elif isinstance(want, WakeUp):
                self._wakes.append(want.at)
            elif isinstance(want, OwnCall):
                if want.towards is Side.CSMS:
                    self.validate(want.action, json.loads(json.dumps(want.payload)))
                    self.up.append(want)
                else:
                    self._queue = [one for one in self._queue if one.slot != want.slot]
                    self._queue.append(want)
            else:
                assert not isinstance(want, Order)
                self.events.append(want)

    def _said(self, action: str, payload: dict, reply: dict) -> None:
        """A message of the charger's and the CSMS's answer."""
        call = Call(Side.CHARGER, f"x{next(self._ids)}", action, json.dumps(payload).encode(), self.now)
        self._carry_out(self.desk.on_call(call))
        self._carry_out(self.desk.on_exchange(Exchange(call, True, json.dumps(reply).encode(), self.now)))

    def _heartbeat(self) -> None:
        self._said("Heartbeat", {}, {"currentTime": wire_stamp(self.now)})

    def validate(self, action: str, payload: dict) -> None:
        _validate_payload(OcppCall("id", action, json.loads(json.dumps(payload))), SCHEMA[self.version])

    def validate_reply(self, action: str, payload: dict) -> None:
        _validate_payload(CallResult("id", payload, action=action), SCHEMA[self.version])
