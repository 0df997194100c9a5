"""The CSMS's own profiles over a restart, and the record of what was withheld from a charger."""

from collections.abc import Iterator

import pytest
from inventory_world import T0, after, site
from sqlalchemy import Connection, create_engine, select
from sqlalchemy.pool import StaticPool

from domain.events import CsmsCommandWithheld, CsmsProfilesChanged
from domain.ids import ChargerId
from inventory import tables
from inventory.live import LiveState
from inventory.migrations import upgrade
from inventory.repository import load_state, save_site, write
from inventory.spelling import dump_json

CP = ChargerId("CP1")
ROW = {
    "connector": 0,
    "body": {"chargingProfileId": 5, "stackLevel": 30, "chargingSchedule": {"chargingRateUnit": "A"}},
    "transaction_id": None,
    "received_at": "2026-03-01T12:00:00Z",
    "owned": True,
    "starts": False,
}


@pytest.fixture
def conn() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool, json_serializer=dump_json)
    with engine.begin() as connection:
        upgrade(connection)
        save_site(connection, site(), T0)
        yield connection
    engine.dispose()


def test_the_shadow_comes_back_whole_in_the_words_of_its_version(conn: Connection) -> None:
    live = LiveState(site())
    write(conn, live.apply(CsmsProfilesChanged(CP, after(1), "ocpp1.6", (ROW, {**ROW, "connector": 1})), after(1)))
    write(conn, live.apply(CsmsProfilesChanged(CP, after(2), "ocpp1.6", (ROW,)), after(2)))
    again = LiveState(site(), restored=load_state(conn, site()))
    assert again.csms_profiles(CP, "ocpp1.6") == live.csms_profiles(CP, "ocpp1.6") == (ROW,)
    assert again.csms_profiles(CP, "ocpp2.0.1") == ()
    assert again.durable().csms_profiles == live.durable().csms_profiles


def test_a_command_that_was_withheld_is_an_alarm_that_is_over_with_its_moment(conn: Connection) -> None:
    live = LiveState(site())
    write(conn, live.apply(CsmsCommandWithheld(CP, after(1), "SetVariables", "it would lift the limits"), after(1)))
    (row,) = conn.execute(select(tables.alarms)).all()
    assert (row.kind, row.subject, row.raised_at, row.cleared_at) == ("csms_command_withheld", CP, after(1), after(1))
    assert row.text == "SetVariables: it would lift the limits"
    assert not live.alarms
