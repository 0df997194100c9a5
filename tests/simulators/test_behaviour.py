"""Every deviation that a charger can have shows, and only where it should."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from behaviour_world import charging, told
from bench_site import START, Bench, HungryCar, both, play

from simulators.behaviour import Behaviour
from simulators.charging_profiles import Kind, Purpose

STAMP = (START - timedelta(hours=1)).isoformat().replace("+00:00", "Z")


def profile_call(version: str, connector: int = 0, **more: Any) -> dict[str, Any]:
    """SetChargingProfile: a station cap of 10 A at level 0, unless `more` says otherwise."""
    unit = more.pop("unit", "A")
    limits = more.pop("limits", [10.0])
    profile_id = more.pop("profile_id", 1)
    periods = [{"startPeriod": 60 * n, "limit": limit} for n, limit in enumerate(limits)]
    schedule: dict[str, Any] = {"chargingRateUnit": unit, "chargingSchedulePeriod": periods}
    kind = more.get("chargingProfileKind", "Absolute")
    if kind != "Relative":
        schedule["startSchedule"] = STAMP
    if kind == "Recurring":
        more["recurrencyKind"] = "Daily"
    base = {"stackLevel": 0, "chargingProfileKind": "Absolute", "chargingProfilePurpose": Purpose.STATION_MAX} | more
    if version == "ocpp1.6":
        if base["chargingProfilePurpose"] == Purpose.STATION_MAX:
            base["chargingProfilePurpose"] = "ChargePointMaxProfile"
        profile = {"chargingProfileId": profile_id, **base, "chargingSchedule": schedule}
        return {"connectorId": connector, "csChargingProfiles": profile}
    profile = {"id": profile_id, **base, "chargingSchedule": [{"id": 1, **schedule}]}
    return {"evseId": connector, "chargingProfile": profile}


async def disobeys(table: Bench) -> None:
    await told(table, 10)
    await table.live(5)
    assert table.evse.current_a == 32.0
    assert table.evse.limit_a(table.clock.now()) == 10.0, "it knows, and does nothing"


async def is_stuck(table: Bench) -> None:
    for amps in (20, 6):
        await told(table, amps)
        await table.live(5)
        assert table.evse.current_a == 9.0


async def goes_full_after_zero(table: Bench) -> None:
    await told(table, 10)
    await table.live(2)
    assert table.evse.current_a == 10.0
    await told(table, 0)
    await table.live(2)
    assert table.evse.current_a == 0.0
    await told(table, 8)
    await table.live(60)
    assert table.evse.current_a == 32.0, "the first limit after 0 A is ignored"
    await told(table, 8)
    await table.live(2)
    assert table.evse.current_a == 8.0, "the second is not"


async def stays_paused(table: Bench) -> None:
    await told(table, 0)
    await table.live(2)
    await told(table, 16)
    await table.live(600)
    assert table.evse.current_a == 0.0
    table.evse.unplug()
    table.evse.plug(HungryCar(), "tag-2")
    await table.live(5)
    assert table.evse.current_a == 16.0


async def forgets_the_tail_offline(table: Bench) -> None:
    await told(table, 10)
    await table.live(2)
    table.charger.go_offline()
    await table.live(2)
    assert table.evse.current_a == 32.0


async def forgets_at_boot(table: Bench) -> None:
    await told(table, 10)
    table.charger.power_cycle()
    assert len(table.charger.profiles) == 0


async def answers_slowly(table: Bench) -> None:
    began = table.clock.now()
    await told(table, 10)
    assert (table.clock.now() - began).total_seconds() == pytest.approx(20, abs=1)


async def responds_late(table: Bench) -> None:
    await told(table, 10)
    await table.live(24)
    assert table.evse.current_a == 32.0
    await told(table, 12)
    await table.live(3)
    assert table.evse.current_a == 10.0
    await table.live(24)
    assert table.evse.current_a == 12.0


async def ramps(table: Bench) -> None:
    await table.live(10)
    assert table.evse.offered_a == 32.0
    await told(table, 20)
    seen = []
    for _ in range(5):
        await table.live(1)
        seen.append(table.evse.offered_a)
    assert seen == [28.0, 24.0, 20.0, 20.0, 20.0]
    await told(table, 0)
    await table.live(4)
    assert table.evse.offered_a == 0.0
    await told(table, 20)
    await table.live(1)
    assert table.evse.offered_a == 6.0, "between 0 and 6 A there is nothing"


async def rejects(table: Bench, **profile: Any) -> None:
    version = table.charger.version
    reply = await table.ask("SetChargingProfile", profile_call(version, **profile))
    assert reply.payload["status"] == "Rejected"


async def accepts(table: Bench, **profile: Any) -> None:
    version = table.charger.version
    reply = await table.ask("SetChargingProfile", profile_call(version, **profile))
    assert reply.payload["status"] == "Accepted", reply


async def refuses_caps(table: Bench) -> None:
    await rejects(table)
    await accepts(table, chargingProfilePurpose="TxDefaultProfile")


async def refuses_absolute(table: Bench) -> None:
    await rejects(table, chargingProfilePurpose="TxDefaultProfile")
    await accepts(table, chargingProfilePurpose="TxDefaultProfile", chargingProfileKind="Relative")


async def knows_level_zero_alone(table: Bench) -> None:
    await accepts(table)
    await rejects(table, stackLevel=1)


async def rejects_its_own_level(table: Bench) -> None:
    if table.charger.version == "ocpp1.6":
        reply = await table.ask("GetConfiguration", {"key": ["ChargeProfileMaxStackLevel"]})
        assert reply.payload["configurationKey"][0]["value"] == "9"
    await rejects(table, stackLevel=9)
    await accepts(table, stackLevel=8)


async def keeps_level_zero(table: Bench) -> None:
    await accepts(table)
    await accepts(table, stackLevel=1, profile_id=2)
    clear = {"id": 1} if table.charger.version == "ocpp1.6" else {"chargingProfileId": 1}
    assert (await table.ask("ClearChargingProfile", clear)).payload["status"] == "Unknown"
    assert len(table.charger.profiles) == 2


async def takes_watts_alone(table: Bench) -> None:
    await rejects(table)
    await accepts(table, unit="W", limits=[2080.0 * 3])
    await table.live(2)
    assert table.evse.current_a == 10.0


async def divides_by_its_own_phases(table: Bench) -> None:
    await accepts(table, unit="W", limits=[2080.0])
    await table.live(2)
    assert table.evse.current_a == 10.0


async def fills_up(table: Bench) -> None:
    await accepts(table)
    await accepts(table, stackLevel=1, profile_id=2)
    await rejects(table, stackLevel=2, profile_id=3)
    await rejects(table, limits=[12.0])
    await rejects(table, limits=[6.0, 7.0, 8.0], profile_id=1)


async def shows_its_composite(table: Bench, expected: Any) -> None:
    await accepts(table, limits=[10.0])
    old = table.charger.version == "ocpp1.6"
    reply = await table.ask("GetCompositeSchedule", {"connectorId" if old else "evseId": 1, "duration": 100})
    schedule = reply.payload.get("chargingSchedule" if old else "schedule")
    shown = None if schedule is None else [one["limit"] for one in schedule["chargingSchedulePeriod"]]
    assert (reply.payload["status"], shown) == expected


async def is_an_hour_ahead(table: Bench) -> None:
    assert (table.charger.own_now() - table.clock.now()).total_seconds() == 3600
    start = (START + timedelta(minutes=59)).isoformat().replace("+00:00", "Z")
    call = profile_call(table.charger.version, limits=[7.0])
    profile = call.get("csChargingProfiles") or call["chargingProfile"]
    schedule = profile["chargingSchedule"]
    (schedule if isinstance(schedule, dict) else schedule[0])["startSchedule"] = start
    await table.ask("SetChargingProfile", call)
    await table.live(2)
    assert table.evse.current_a == 7.0, "by its own clock the schedule has begun"


async def stays_silent(table: Bench) -> None:
    assert (await table.limit(10)).kind == "timeout"


async def comes_and_goes(table: Bench) -> None:
    await table.live(60)
    assert table.charger.link.connects > 10
    assert len(table.heard("BootNotification")) == 1


async def boots_every_time(table: Bench) -> None:
    table.charger.go_offline()
    table.charger.go_online()
    await table.until(lambda: len(table.heard("BootNotification")) == 2)


async def garbles(table: Bench) -> None:
    before = len(table.heard("MeterValues")) + len(table.heard("TransactionEvent"))
    await table.live(120)
    assert len(table.heard("MeterValues")) + len(table.heard("TransactionEvent")) > before, "the good ones still come"
    assert table.csms._lines["CP 001"].unreadable > 2
    assert table.judge.altered() == 0


async def spaces_out(table: Bench) -> None:
    frames: list[str] = []
    table.judge.received = lambda _, side, text: frames.append(text) if side == "csms" else None
    await table.live(70)
    assert frames
    assert all(frame.startswith("[2, ") for frame in frames if frame.startswith("[2"))


async def lies_about_its_size(table: Bench) -> None:
    reply = await table.ask("GetConfiguration", {"key": ["NumberOfConnectors"]})
    assert reply.payload["configurationKey"][0]["value"] == "1634030126"


async def decides_nothing_alone(table: Bench) -> None:
    table.evse.unplug()
    table.charger.go_offline()
    await table.live(2)
    table.evse.plug(HungryCar(), "tag-2")
    await table.live(60)
    assert table.evse.transaction is None


SCENES: list[tuple[str, Behaviour, Callable[[Bench], Awaitable[None]]]] = [
    ("obeys", Behaviour(obeys=False), disobeys),
    ("stuck", Behaviour(stuck_at_a=9.0), is_stuck),
    ("full after zero", Behaviour(full_current_after_zero=True), goes_full_after_zero),
    ("paused after zero", Behaviour(stays_paused_after_zero=True), stays_paused),
    ("tail void", Behaviour(ignores_profiles_offline=True), forgets_the_tail_offline),
    ("forgets", Behaviour(forgets_profiles_on_boot=True), forgets_at_boot),
    ("late answers", Behaviour(answers_late_s=20), answers_slowly),
    ("late response", Behaviour(response_delay_s=25), responds_late),
    ("ramp", Behaviour(ramp_a_per_s=4), ramps),
    ("no cap", Behaviour(refused_purposes=frozenset({Purpose.STATION_MAX})), refuses_caps),
    ("no absolute", Behaviour(refused_kinds=frozenset({Kind.ABSOLUTE})), refuses_absolute),
    ("level 0", Behaviour(max_stack_level=0), knows_level_zero_alone),
    ("level lie", Behaviour(reported_max_stack_level=9), rejects_its_own_level),
    ("level 0 stays", Behaviour(level_zero_stays=True), keeps_level_zero),
    ("watts", Behaviour(rate_units=frozenset({"W"})), takes_watts_alone),
    ("phases", Behaviour(ignores_number_phases=True), divides_by_its_own_phases),
    ("full store", Behaviour(max_profiles=2, counts_replacement=True, max_periods=2), fills_up),
    ("rejected", Behaviour(composite="rejected"), lambda t: shows_its_composite(t, ("Rejected", None))),
    ("bare", Behaviour(composite="bare"), lambda t: shows_its_composite(t, ("Accepted", None))),
    ("true", Behaviour(), lambda t: shows_its_composite(t, ("Accepted", [10.0]))),
    ("skew", Behaviour(clock_skew_s=3600, syncs_clock=False), is_an_hour_ahead),
    ("silent", Behaviour(never_answers=True), stays_silent),
    ("restless", Behaviour(reconnects_every_s=1.0), comes_and_goes),
    ("boots", Behaviour(boots_each_connect=True), boots_every_time),
    ("garbled", Behaviour(malformed_every=3), garbles),
    ("spaced", Behaviour(spaced_json=True), spaces_out),
    ("not alone", Behaviour(offline_start=False), decides_nothing_alone),
]


@both
@pytest.mark.parametrize(("behaviour", "scene"), [pytest.param(b, s, id=name) for name, b, s in SCENES])
def test_behaviour(version: str, behaviour: Behaviour, scene: Callable[[Bench], Awaitable[None]]) -> None:
    async def whole(table: Bench) -> None:
        await charging(table)
        await scene(table)
        assert table.charger.watch.violations == []
        assert table.judge.altered() == 0

    settings = {"retry_wait_s": 1.0} if behaviour.reconnects_every_s else {}
    play(version, whole, behaviour=behaviour, **settings)


def test_empty_composite_and_number_of_connectors_in_16() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        await lies_about_its_size(table)
        await shows_its_composite(table, ("Accepted", []))

    play("ocpp1.6", scene, behaviour=Behaviour(composite="empty", reported_connectors=1634030126))


def test_a_second_profile_in_the_same_slot_replaces_the_first_or_not() -> None:
    async def scene(table: Bench, survivors: set[int]) -> None:
        await table.online()
        await accepts(table, profile_id=1, limits=[6.0])
        await accepts(table, profile_id=2, limits=[20.0])
        assert {one.profile_id for one in table.charger.profiles} == survivors

    play("ocpp1.6", lambda table: scene(table, {2}))
    play("ocpp1.6", lambda table: scene(table, {1, 2}), behaviour=Behaviour(replaces_same_slot=False))


def test_a_slot_of_201_is_taken_once() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        default = {"chargingProfilePurpose": "TxDefaultProfile"}
        await accepts(table, profile_id=1)
        await rejects(table, profile_id=2)  # K01.FR.39
        await accepts(table, profile_id=1, limits=[6.0])
        await accepts(table, profile_id=3, connector=1, **default)
        await rejects(table, profile_id=4, connector=0, **default)  # K01.FR.52
        await accepts(table, profile_id=4, connector=0, stackLevel=1, **default)
        await rejects(table, profile_id=5, connector=1, stackLevel=1, **default)  # K01.FR.53
        await rejects(table, profile_id=6, stackLevel=5, chargingProfileKind="Relative")  # K01.FR.38
        await rejects(table, profile_id=7, stackLevel=5, connector=1)
        await rejects(table, profile_id=8, chargingProfilePurpose="ChargingStationExternalConstraints")  # K01.FR.22
        await rejects(table, profile_id=9, connector=4, **default)

    play("ocpp2.0.1", scene)


def test_no_subprotocol_is_closed_by_a_strict_server() -> None:
    async def scene(table: Bench) -> None:
        await table.live(60)
        assert (table.charger.link.connects, len(table.charger.link.refusals) > 1) == (0, True)

    play("ocpp1.6", scene, behaviour=Behaviour(offers_no_subprotocol=True))


@both
def test_pipelined_calls(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.csms.silent = True
        table.csms.journal.clear()
        for _ in range(3):
            table.charger.heartbeat()
        await table.live(2)
        assert len(table.csms.journal) == 3

    play(version, scene, behaviour=Behaviour(pipelines_calls=True))


def test_a_bad_identity_and_a_bad_password_are_seen_by_the_charger() -> None:
    async def scene(table: Bench, status: int) -> None:
        await table.live(30)
        assert set(table.charger.link.refusals) == {status}

    play("ocpp1.6", lambda table: scene(table, 404), csms={"identities": ["somebody else"]})
    play("ocpp1.6", lambda table: scene(table, 401), csms={"passwords": {"CP 001": "x"}}, password="y")


def test_back_off_grows() -> None:
    async def scene(table: Bench) -> None:
        table.csms.refuse_with = 503
        await table.live(1)
        table.csms.drop("CP 001")
        pauses: list[float] = []
        last, seen = table.clock.now(), 0
        while len(pauses) < 7:
            await table.live(0.5, dt_s=0.5)
            if len(table.charger.link.refusals) > seen:
                seen = len(table.charger.link.refusals)
                pauses.append((table.clock.now() - last).total_seconds())
                last = table.clock.now()
        assert pauses[-1] > 16 * 5.0 - 1
        assert pauses[-1] < 17 * 5.0 + 1
        assert pauses[2] < pauses[4]

    play("ocpp2.0.1", scene)
