"""A desk between CSMS and charger whose every set-point stands, and what each of the two hears."""

import json

from merge_world import Bench

from proxy.protocol.exchange import Call, Exchange, Side
from proxy.protocol.interception import Answered
from simulators.behaviour import Behaviour
from simulators.charging_profiles import Purpose

VERSIONS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
NO_CAP = Behaviour(refused_purposes=frozenset({Purpose.STATION_MAX}))


def bench_of(version: str = "ocpp1.6", limit_a: float = 16.0, **more) -> Bench:
    bench = Bench(version, **more)
    bench.connect()
    for connector in bench.connectors:
        bench.ems(limit_a, connector)
    return bench


def told(bench: Bench, kind: type) -> list:
    return [event for event in bench.events if isinstance(event, kind)]


def at_charger(bench: Bench) -> set[int]:
    """Ids of the profiles that stand at the charger and are not ours."""
    return {one.profile_id for one in bench.at_charger.store} - bench.desk.charging.profiles.own_ids


def ask(bench: Bench, action: str, payload: dict, reply: dict) -> dict:
    """A request of the CSMS's that the charger answers like this, as the CSMS hears it."""
    call = Call(Side.CSMS, "q", action, json.dumps(payload).encode(), bench.now)
    verdict, _ = bench.desk.on_intercepted(call)
    if isinstance(verdict, Answered):
        return json.loads(verdict.payload)
    raw = json.dumps(reply).encode()
    changed = bench.desk.on_reply(call, True, raw)
    bench._carry_out(bench.desk.on_exchange(Exchange(call, True, raw, bench.now)))
    heard = reply if changed is None else json.loads(changed.payload)
    bench.validate_reply(action, heard)
    return heard


def wanted(bench: Bench, payload: dict) -> dict:
    return payload.get("csChargingProfiles") or payload["chargingProfile"]
