"""Random profiles of a CSMS's and limits of the EMS's crossing: the charger holds the lower of both, at every instant.

The charger, and what the CSMS believes to be in force, are evaluated by `simulators`, which shares no code with us.
"""

import math
from datetime import timedelta

from csms_payloads import T0, set_payload
from hypothesis import given, settings
from hypothesis import strategies as st
from merge_world import Bench

from simulators.behaviour import STANDARD, Behaviour
from simulators.charging_profiles import Purpose

MAX_A, MIN_A = 32.0, 6.0
AMPS = st.sampled_from([0.0, 5.0, 6.0, 6.3, 10.0, 16.0, 31.96, 40.0]) | st.floats(0.0, 40.0).map(lambda x: round(x, 1))


def written(amps: float | None) -> float:
    """One decimal, down; nothing between 0 and the minimum; at most the rating."""
    tenths = math.floor(min(math.inf if amps is None else amps, MAX_A) * 10 + 1e-5)
    return 0.0 if tenths < MIN_A * 10 else tenths / 10


PERIODS = st.lists(st.tuples(st.integers(1, 900), AMPS), max_size=3).map(
    lambda more: [(at, limit) for at, limit in sorted(dict(more).items())]
)


@st.composite
def profiles(draw, version: str, evses: int, phases: int) -> dict:
    """What a CSMS may send: no two profiles of one place under two ids, no relative cap (nobody knows its zero)."""
    purpose = draw(st.sampled_from(["cap", "cap", "default", "tx"]))
    level = draw(st.sampled_from([0, 1, 2, 5, 7, 8, 12]))
    connector = draw(st.integers(1, evses))
    if purpose == "cap" or (purpose == "default" and level % 2):
        connector = 0
    number = 100 + 50 * ["cap", "default", "tx"].index(purpose) + 10 * connector + level % 10
    if version == "ocpp1.6" and draw(st.integers(0, 9)) == 0:
        number = draw(st.sampled_from([9001, 9002, 9011]))
    kind = draw(st.sampled_from(["Absolute", "Absolute", "Recurring", "Relative"]))
    if purpose == "cap" and kind == "Relative":
        kind = "Absolute"
    periods = [(0, draw(AMPS)), *draw(PERIODS)]
    unit = draw(st.sampled_from(["A", "A", "W"]))
    named = None
    if unit == "W":
        scale = 208.0 if phases == 2 else 208.0 / math.sqrt(3.0) * phases
        periods = [(at, round(limit * scale, 1)) for at, limit in periods]
        named = 1 if phases < 3 else 3
    start = T0 + timedelta(seconds=draw(st.integers(-900, 600)))
    more: dict = {}
    if draw(st.integers(0, 4)) == 0:
        more["validTo"] = (T0 + timedelta(seconds=draw(st.integers(10, 1500)))).isoformat().replace("+00:00", "Z")
    return {
        "purpose": purpose,
        "periods": periods,
        "connector": connector,
        "number": number,
        "level": level,
        "start": start,
        "kind": kind,
        "duration": draw(st.none() | st.integers(30, 1200)),
        "unit": unit,
        "phases": named,
        "more": more,
    }


@st.composite
def stories(draw) -> dict:
    version = draw(st.sampled_from(["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]))
    evses, phases = draw(st.sampled_from([(1, 1), (1, 2), (1, 3), (2, 2), (2, 3)]))
    steps = []
    for _ in range(draw(st.integers(2, 9))):
        what = draw(st.sampled_from(["ems", "ems", "set", "set", "set", "clear", "clear all", "wait", "restart"]))
        if what == "ems":
            steps.append((what, draw(AMPS), draw(st.integers(1, evses))))
        elif what == "set":
            steps.append((what, draw(profiles(version, evses, phases))))
        elif what == "clear":
            steps.append((what, draw(st.integers(0, 5))))
        elif what == "clear all":
            steps.append(
                (what, draw(st.sampled_from([None, "cap", "default", "tx"])), draw(st.none() | st.integers(0, 2)))
            )
        elif what == "restart":
            steps.append((what, draw(st.integers(1, evses))))
        else:
            steps.append((what, draw(st.floats(1.0, 400.0))))
    return {"version": version, "evses": evses, "phases": phases, "steps": steps}


class Judge:
    """Between two settled instants no frame may pass through more than the larger of the two; settled is exact."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.allowed_a: dict[int, float] = {}
        bench.check, bench.hears = self.on_frame, self.on_answer

    def should_a(self, connector: int, at=None) -> float:
        at = at or self.bench.now
        limit_a, since, hold_s = self.bench.told.get(connector, (6.0, self.bench.now, 1e9))
        ems_a = limit_a if at < since + timedelta(seconds=hold_s) else 6.0
        theirs = self.bench.theirs.limit_a(connector, at)
        return written(min(written(ems_a), math.inf if theirs is None else theirs))

    def is_a(self, connector: int, at=None) -> float:
        return written(self.bench.at_charger.limit_a(connector, at or self.bench.now))

    def before(self) -> None:
        self.allowed_a = {connector: self.should_a(connector) for connector in self.bench.at_charger.charges}

    def next_ems(self, connector: int, limit_a: float) -> None:
        """The EMS is about to tell a limit: what it adds to what may be allowed meanwhile."""
        theirs = self.bench.theirs.limit_a(connector, self.bench.now)
        soon_a = written(min(written(limit_a), math.inf if theirs is None else theirs))
        self.allowed_a[connector] = max(self.allowed_a[connector], soon_a)

    def on_frame(self) -> None:
        for connector, allowed_a in self.allowed_a.items():
            if connector in self.bench.at_charger.charges:
                now_a = max(allowed_a, self.should_a(connector))
                assert self.is_a(connector) <= now_a, f"more than before and after, at {connector}"

    def on_answer(self) -> None:
        """Whatever the CSMS is told is true when it is told: not one frame later."""
        for connector in self.bench.at_charger.charges:
            assert self.is_a(connector) <= self.should_a(connector), "the CSMS was told of a limit that does not hold"

    def settled(self) -> None:
        bench = self.bench
        for connector in bench.at_charger.charges:
            assert self.is_a(connector) <= self.should_a(connector)
            if len(bench.connectors) == 1:
                assert self.is_a(connector) == self.should_a(connector)
            for ahead_s in (5.0, 61.0, 200.0, 290.0, 361.0, 900.0, 4000.0, 90000.0):
                at = bench.now + timedelta(seconds=ahead_s)
                if not self.near_an_edge(connector, at):
                    assert self.is_a(connector, at) <= self.should_a(connector, at), f"in {ahead_s} s"

    def near_an_edge(self, connector: int, at) -> bool:
        """Schedules count in whole seconds: within two of a step either side of it is right."""
        near = (at + timedelta(seconds=s) for s in (-2, 2))
        return len({self.should_a(connector, one) for one in (*near, at)}) > 1


def play(story: dict, quirks: Behaviour = STANDARD) -> Bench:
    version = story["version"]
    bench = Bench(version, evses=story["evses"], phases=story["phases"], quirks=quirks)
    bench.connect()
    transactions = {connector: bench.start(connector) for connector in bench.connectors}
    for connector in bench.connectors:
        bench.ems(6.0, connector)
    judge = Judge(bench)
    sent: list[dict] = []
    for what, *details in story["steps"]:
        judge.before()
        if what == "ems":
            judge.next_ems(details[1], details[0])
            bench.ems(details[0], details[1])
        elif what == "set":
            made = dict(details[0])
            tx = transactions[made["connector"]] if made["purpose"] == "tx" else None
            payload = set_payload(version, made.pop("purpose"), made.pop("periods"), tx=tx, **made.pop("more"), **made)
            judge.on_frame()
            judge.allowed_a = {c: max(a, _after(bench, judge, c, payload)) for c, a in judge.allowed_a.items()}
            if bench.csms("SetChargingProfile", payload)["status"] == "Accepted":
                sent.append(payload)
        elif what == "clear" and sent:
            payload = sent[details[0] % len(sent)]
            body = payload.get("csChargingProfiles") or payload["chargingProfile"]
            number = body.get("chargingProfileId", body.get("id"))
            judge.allowed_a = dict.fromkeys(judge.allowed_a, MAX_A)  # whatever the CSMS frees, the EMS holds
            bench.csms("ClearChargingProfile", {"id" if version == "ocpp1.6" else "chargingProfileId": number})
        elif what == "clear all":
            judge.allowed_a = dict.fromkeys(judge.allowed_a, MAX_A)
            bench.csms("ClearChargingProfile", _criteria(version, *details))
        elif what == "restart":
            bench.end(details[0])
            transactions[details[0]] = bench.start(details[0])
            bench.ems(bench.told[details[0]][0], details[0])  # as a control loop does when a session begins
        elif what == "wait":
            for connector in bench.connectors:
                judge.allowed_a[connector] = MAX_A
            bench.wait(details[0])
        judge.allowed_a = {}
        bench.wait(3.0)
        judge.settled()
    return bench


def _after(bench: Bench, judge: Judge, connector: int, payload: dict) -> float:
    """What is allowed once the CSMS's change is in force."""
    keep = list(bench.theirs.store._profiles)
    bench.theirs.set(payload, bench.now)
    after_a = judge.should_a(connector)
    bench.theirs.store._profiles = keep
    return after_a


def _criteria(version: str, purpose: str | None, connector: int | None) -> dict:
    names = {"cap": "ChargePointMaxProfile", "default": "TxDefaultProfile", "tx": "TxProfile"}
    if version == "ocpp1.6":
        found = {"chargingProfilePurpose": names.get(purpose or ""), "connectorId": connector}
        return {name: value for name, value in found.items() if value is not None}
    names["cap"] = "ChargingStationMaxProfile"
    found = {"chargingProfilePurpose": names.get(purpose or "default"), "evseId": connector}
    return {"chargingProfileCriteria": {name: value for name, value in found.items() if value is not None}}


@settings(max_examples=120, deadline=None)
@given(stories())
def test_the_charger_holds_the_lower_of_both_at_every_instant(story):
    play(story)


NO_CAP = Behaviour(refused_purposes=frozenset({Purpose.STATION_MAX}))
LOW = Behaviour(max_stack_level=1)
ONE_LEVEL = Behaviour(max_stack_level=0)


@settings(max_examples=60, deadline=None)
@given(stories(), st.sampled_from([NO_CAP, LOW, ONE_LEVEL]))
def test_so_does_one_that_takes_no_cap_or_few_levels(story, quirks):
    play(story, quirks)
