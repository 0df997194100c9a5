"""Single rules of the relay, each as a short conversation."""

from datetime import UTC, datetime, timedelta

import pytest

from proxy.protocol.effects import Count, Counted, Instant, ToCharger, ToCsms
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side
from proxy.protocol.frames import Binary
from proxy.protocol.relay import Relay
from proxy.protocol.turns import RelaySettings
from proxy.settings import Counters

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


class Talk:
    """A relay and what came out of it, as short words."""

    def __init__(self, **settings: float) -> None:
        self.s = 0.0
        self.serial = 0
        self.relay = Relay(self._new_id, RelaySettings(**settings))
        self.effects: list[object] = []

    def _new_id(self) -> str:
        self.serial += 1
        return f"own{self.serial}"

    @property
    def now(self) -> Instant:
        return Instant(EPOCH + timedelta(seconds=self.s), self.s, 50.0 + self.s)

    def charger(self, text: str) -> list[str]:
        return self._words(self.relay.from_charger(text.encode(), self.now))

    def csms(self, text: str) -> list[str]:
        return self._words(self.relay.from_csms(text.encode(), self.now))

    def own(self, token: str, *, slot: str = "", urgent: bool = False) -> list[str]:
        call = OwnCall("Set", {"t": token}, slot or token, token, urgent)
        return self._words(self.relay.inject(call, self.now))

    def wait(self, seconds: float) -> list[str]:
        self.s += seconds
        return self._words(self.relay.tick(self.now))

    def _words(self, effects: list[object]) -> list[str]:
        self.effects += effects
        words = []
        for effect in effects:
            if isinstance(effect, ToCharger):
                words.append(f"charger< {effect.raw.decode()}")
            elif isinstance(effect, ToCsms):
                words.append(f"csms< {effect.raw.decode()}")
            elif isinstance(effect, OwnOutcome):
                words.append(f"{effect.call.token} {effect.kind}")
            elif isinstance(effect, Counted):
                words.append(str(effect.kind))
            elif isinstance(effect, Exchange):
                words.append(f"exchange {effect.call.action}")
        return words


def ours(number: int, token: str) -> str:
    return f'charger< [2,"own{number}","Set",{{"t":"{token}"}}]'


def test_the_order_towards_a_charger():
    """Urgent limits, then the CSMS, then other limits, each kind in the order in which it came."""
    talk = Talk()
    talk.csms('[2,"c1","A",{}]')
    for waiting in ('[2,"c2","A",{}]', '[2,"c3","A",{}]'):
        assert talk.csms(waiting) == []
    assert talk.own("other") == []
    assert talk.own("urgent1", urgent=True) == []
    assert talk.own("urgent2", urgent=True) == []
    assert talk.charger('[3,"c1",{}]')[1:] == ["exchange A", ours(1, "urgent1"), "urgent1 sent"]
    assert talk.charger('[3,"own1",{}]') == ["swallowed", "urgent1 result", ours(2, "urgent2"), "urgent2 sent"]
    assert talk.charger('[3,"own2",{}]')[2:] == ['charger< [2,"c2","A",{}]']
    assert talk.charger('[3,"c2",{}]')[2:] == ['charger< [2,"c3","A",{}]']
    assert talk.charger('[3,"c3",{}]')[2:] == [ours(3, "other"), "other sent"]


def test_a_newer_limit_of_the_same_slot_takes_the_place_of_one_that_waits():
    talk = Talk()
    talk.csms('[2,"c1","A",{}]')
    talk.own("old", slot="evse1")
    talk.own("beside", slot="evse2")
    assert talk.own("new", slot="evse1") == ["old superseded"]
    assert talk.charger('[3,"c1",{}]')[2:] == [ours(1, "new"), "new sent"]


def test_a_limit_in_flight_is_not_replaced():
    talk = Talk()
    talk.own("first", slot="evse1")
    assert talk.own("second", slot="evse1") == []
    assert talk.charger('[3,"own1",{}]') == ["swallowed", "first result", ours(2, "second"), "second sent"]


def test_a_busy_charger_is_asked_once_more_a_second_later():
    talk = Talk()
    talk.own("limit")
    busy = '[4,"own1","RpcFrameworkError","Call already in progress",{}]'
    assert talk.charger(busy) == ["swallowed", "bounced"]
    assert talk.relay.next_deadline_s == 1.0
    assert talk.csms('[2,"c1","A",{}]') == ['charger< [2,"c1","A",{}]']  # others go meanwhile
    talk.charger('[3,"c1",{}]')
    assert talk.wait(1.0) == [ours(2, "limit")]
    assert talk.charger(busy.replace("own1", "own2")) == ["swallowed", "limit error"]


def test_a_bounced_limit_gives_way_to_a_newer_one():
    talk = Talk()
    talk.own("old", slot="evse1")
    talk.own("new", slot="evse1")
    bounce = '[4,"own1","RpcFrameworkError","",{}]'
    assert talk.charger(bounce) == ["swallowed", "old superseded", ours(2, "new"), "new sent"]


def test_an_error_and_its_words():
    talk = Talk()
    talk.own("limit")
    assert talk.charger('[4,"own1","NotSupported","no",{}]') == ["swallowed", "limit error"]
    assert talk.effects[-1].payload == b'["NotSupported","no",{}]'


def test_a_broken_reply_to_us_stays_inside_and_frees_the_line():
    talk = Talk()
    talk.own("limit")
    assert talk.charger('[3,"own1",{"status":}]') == ["swallowed", "limit error", "malformed"]
    assert talk.own("next") == [ours(2, "next"), "next sent"]


def test_an_error_without_a_readable_id_is_ours_if_nothing_else_can_be_meant():
    talk = Talk()
    talk.own("limit")
    assert talk.charger('[4,"-1","GenericError","",{}]') == ["swallowed", "limit error"]
    talk.csms("{broken")
    talk.own("limit")
    assert talk.charger('[4,"-1","GenericError","",{}]')[0].startswith("csms< ")
    assert talk.charger('[3,"own2",{}]') == ["swallowed", "limit result"]


def test_a_reply_that_comes_after_its_time_is_relayed_and_told():
    talk = Talk()
    talk.charger('[2,"1","StartTransaction",{"connectorId":1}]')
    talk.charger('[2,"2","MeterValues",{}]')
    assert talk.wait(30.0) == ["gave_up", 'csms< [2,"2","MeterValues",{}]']
    assert talk.csms('[3,"1",{"transactionId":7}]') == [
        'charger< [3,"1",{"transactionId":7}]',
        "exchange StartTransaction",
    ]
    assert talk.csms('[3,"1",{"transactionId":7}]') == ['charger< [3,"1",{"transactionId":7}]', "unmatched"]


def test_the_line_of_a_peer_that_never_answered_is_free_for_who_comes_later():
    talk = Talk()
    talk.csms('[2,"c1","A",{}]')
    talk.s = 60.0
    assert talk.own("limit") == ["gave_up", ours(1, "limit"), "limit sent"]


def test_what_needs_no_answer_keeps_its_place():
    talk = Talk()
    assert talk.charger('[6,"s1","Stream",{}]') == ['csms< [6,"s1","Stream",{}]']
    talk.charger('[2,"1","A",{}]')
    assert talk.charger('[6,"s2","Stream",{}]') == ['csms< [6,"s2","Stream",{}]']
    assert talk.charger('[2,"2","A",{}]') == []
    assert talk.charger('[6,"s3","Stream",{}]') == []
    assert talk.charger("broken") == ["malformed"]
    assert talk.charger('[3,"x",{}]') == ['csms< [3,"x",{}]', "unmatched"]
    assert talk.csms('[3,"1",{}]') == [
        'charger< [3,"1",{}]',
        "exchange A",
        'csms< [2,"2","A",{}]',
        'csms< [6,"s3","Stream",{}]',
        "csms< broken",
    ]
    sends = [effect for effect in talk.effects if isinstance(effect, Call) and effect.action == "Stream"]
    assert [call.call_id for call in sends] == ["s1", "s2", "s3"]


def test_a_result_error_passes_and_frees_nothing():
    talk = Talk()
    talk.csms('[2,"1","A",{}]')
    assert talk.charger('[5,"1","FormatViolation","",{}]') == ['csms< [5,"1","FormatViolation","",{}]']
    assert talk.csms('[2,"2","A",{}]') == []


def test_what_is_told_of_an_exchange():
    talk = Talk()
    talk.charger('[2, "1", "DataTransfer", {"v": 1.50}]')
    talk.s = 2.0
    talk.csms('[4,"1","NotImplemented","no such","x"]')
    call, exchange = (effect for effect in talk.effects if isinstance(effect, Call | Exchange))
    assert call == Call(Side.CHARGER, "1", "DataTransfer", b'{"v": 1.50}', EPOCH)
    assert exchange == Exchange(
        call, False, b'["NotImplemented","no such","x"]', EPOCH + timedelta(seconds=2), relayed_mono_s=52.0
    )


def test_overflow_lets_the_oldest_go_and_bounds_what_waits():
    talk = Talk(max_waiting_frames=2)
    for number in range(3):
        talk.charger(f'[2,"{number}","A",{{}}]')
    assert talk.charger('[2,"3","A",{}]') == ['csms< [2,"1","A",{}]', "overflow"]
    # The one that holds the line still does: after its reply the next goes.
    assert talk.csms('[3,"0",{}]') == ['charger< [3,"0",{}]', "exchange A", 'csms< [2,"2","A",{}]']
    assert talk.csms('[3,"1",{}]') == ['charger< [3,"1",{}]', "exchange A"]


def test_too_many_of_our_own_are_not_taken():
    talk = Talk(max_own_waiting=1)
    talk.own("flying")
    talk.own("waiting")
    assert talk.own("too many") == ["too many lost"]
    assert talk.own("newer", slot="waiting") == ["waiting superseded"]


@pytest.mark.parametrize("side", ["charger", "csms"])
def test_the_end(side):
    talk = Talk()
    talk.own("flying")
    talk.own("waiting")
    talk.csms('[2,"c1","A",{}]')
    gone = talk.relay.charger_gone if side == "charger" else talk.relay.csms_gone
    assert talk._words(gone(talk.now)) == ["dropped", "flying lost", "waiting lost"]
    assert talk.own("late") == ["late lost"]
    assert talk.relay.next_deadline_s is None


def test_a_binary_message_stays_one():
    talk = Talk()
    (effect, _) = talk.relay.from_charger(Binary(b'[2,"1","A",{}]'), talk.now)
    assert type(effect.raw) is Binary
    talk.relay.from_charger(Binary(b'[2,"2","A",{}]'), talk.now)
    effects = talk.relay.from_csms(b'[3,"1",{}]', talk.now)
    assert [type(effect.raw) for effect in effects if isinstance(effect, ToCsms)] == [Binary]


def test_counts_are_the_servers_counters():
    assert {str(kind) for kind in Count} <= set(Counters.__slots__)
