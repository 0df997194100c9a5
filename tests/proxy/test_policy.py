"""The forwarding table is complete and says what the code does."""

from collections import Counter

import pytest
from ocpp.v16.enums import Action as Action16
from ocpp.v21.enums import Action as Action21
from ocpp.v201.enums import Action as Action201

from domain.ids import ChargerId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.protocol.charger_clock import ChargerClock
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Side
from proxy.protocol.policy import INTERCEPTED, POLICY, Treatment, rule
from proxy.protocol.transactions import Transactions
from proxy.protocol.translate16 import Translator16
from proxy.protocol.translate201 import Translator201

CHARGER = Charger(ChargerId("CP"), (Evse(EvseId("E"), ChargerId("CP"), 1, FeederId("main"), PHASES),))


@pytest.mark.parametrize(
    ("version", "actions"), [("ocpp1.6", Action16), ("ocpp2.0.1", Action201), ("ocpp2.1", Action21)]
)
def test_every_action_of_the_specification_has_its_row(version, actions):
    beyond_the_package = {"NotifyPeriodicEventStream"}  # a SEND, which the package does not know
    assert set(POLICY[version]) - beyond_the_package == {action.value for action in actions}


@pytest.mark.parametrize(("version", "translator"), [("ocpp1.6", Translator16), ("ocpp2.0.1", Translator201)])
def test_what_is_read_is_listed(version, translator):
    reads = translator(CHARGER, 208.0, Transactions(), ChargerClock(), Counter())
    for action in {*reads.at_call, *reads.at_exchange}:
        assert rule(version, action).treatment is not Treatment.RELAY


@pytest.mark.parametrize("version", POLICY)
def test_what_is_intercepted_is_listed_and_nothing_else(version):
    desk = ChargerDesk(CHARGER, version, lambda: "t")
    listed = {action for action, row in POLICY[version].items() if row.treatment is Treatment.INTERCEPT}
    assert listed <= INTERCEPTED
    asked = {action for action in POLICY[version] if any(desk.intercepts(side, action) for side in Side)}
    assert asked <= listed
    assert listed - asked <= {"MeterValues"}  # intercepted where the site asks for samples of its own
    assert not any(desk.intercepts(side, "VendorThing") for side in Side)


@pytest.mark.parametrize("version", POLICY)
def test_a_reason_stands_where_and_only_where_more_than_relaying_is_done(version):
    for row in POLICY[version].values():
        assert bool(row.why) is (row.treatment is not Treatment.RELAY)
    assert rule(version, "VendorThing").treatment is Treatment.RELAY
