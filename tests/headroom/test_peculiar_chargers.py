"""Chargers that do not do as they say: their neighbours keep their service, and no feeder is overloaded."""

import pytest
from peculiar_site import Quay, live

from domain.setpoint import AlarmKind
from ems.ledger import counted_a
from simulators.behaviour import Behaviour

SPOKEN = [1, 2]
"""Charger 1 speaks 1.6, charger 2 speaks 2.0.1: each of them is the peculiar one once."""


async def a_while(quay: Quay) -> None:
    await quay.pass_s(1200)


def nobody_else_suffers(quay: Quay, bad: int, least_kwh: float) -> None:
    """The panel held, frames passed unchanged, and the others charged."""
    report = quay.world.report().as_json()
    assert report["overload_seconds"] == 0, report
    assert report["breaker_trips"] == 0
    assert quay.twin.judge.altered() == 0
    assert quay.service.proxy.counters.desk_errors == 0
    assert quay.twin.violations == []
    others = [number for number in range(1, 5) if number != bad]
    assert min(map(quay.energy_kwh, others)) > least_kwh
    assert all(quay.view(f"E{number}").ledger.trusted for number in others)


@pytest.mark.parametrize("bad", SPOKEN)
def test_one_that_accepts_and_ignores_counts_at_its_full_rating(bad: int) -> None:
    quay = live({bad: Behaviour(obeys=False)}, a_while)
    nobody_else_suffers(quay, bad, 0.8)
    view = quay.view(f"E{bad}")
    assert not view.ledger.trusted
    assert counted_a(view.ledger, quay.site.evse(view.evse), quay.now()) >= 32.0
    assert (AlarmKind.UNTRUSTED_EVSE, f"E{bad}") in quay.alarms
    assert view.quirks.obeys is False
    assert quay.controller.picture.live.setpoint(view.evse).ignored_a is not None
    writes = quay.twin.chargers[quay.site.chargers[bad - 1].id].profile_writes
    assert writes < 40, "it is told again, ever less often"


@pytest.mark.parametrize("bad", SPOKEN)
def test_one_that_is_stuck_is_found_by_its_meter_though_its_own_schedule_agrees(bad: int) -> None:
    quay = live({bad: Behaviour(stuck_at_a=30.0)}, a_while)
    nobody_else_suffers(quay, bad, 0.8)
    assert not quay.view(f"E{bad}").ledger.trusted


@pytest.mark.parametrize("bad", SPOKEN)
def test_one_that_charges_at_full_after_0_a_is_told_again_and_remembered(bad: int) -> None:
    async def script(quay: Quay) -> None:
        await quay.pass_s(400)
        for _ in range(2):
            quay.limit(4.0, 120)
            await quay.pass_s(400)
        entry = quay.view(f"E{bad}").ledger
        assert entry.trusted, "the limit that was sent again holds"
        assert entry.settled

    quay = live({bad: Behaviour(full_current_after_zero=True)}, script)
    nobody_else_suffers(quay, bad, 0.8)
    assert quay.view(f"E{bad}").quirks.after_zero == "full_current"


@pytest.mark.parametrize("bad", SPOKEN)
def test_one_that_never_answers_counts_at_its_full_rating(bad: int) -> None:
    quay = live({bad: Behaviour(never_answers=True)}, a_while)
    nobody_else_suffers(quay, bad, 0.8)
    view = quay.view(f"E{bad}")
    assert counted_a(view.ledger, quay.site.evse(view.evse), quay.now()) >= 32.0
    refused = {AlarmKind.CHARGER_REFUSED_LIMIT, AlarmKind.REDUCTION_UNACKNOWLEDGED}
    assert any((kind, f"E{bad}") in quay.alarms for kind in refused)
    assert quay.energy_kwh(bad) > 1.0, "its driver charges all the same"


@pytest.mark.parametrize("bad", SPOKEN)
def test_one_that_reconnects_every_second_takes_nothing_from_its_neighbours(bad: int) -> None:
    quay = live({bad: Behaviour(reconnects_every_s=1.0)}, a_while)
    nobody_else_suffers(quay, bad, 0.8)
    assert quay.service.proxy.counters.connected > 60


@pytest.mark.parametrize("bad", SPOKEN)
def test_one_that_stays_paused_is_woken_once_and_told_to_a_person(bad: int) -> None:
    async def script(quay: Quay) -> None:
        await quay.pass_s(400)
        quay.limit(4.0, 120)
        await quay.pass_s(700)

    quay = live({bad: Behaviour(stays_paused_after_zero=True)}, script)
    nobody_else_suffers(quay, bad, 0.8)
    assert (AlarmKind.STAYS_PAUSED, f"E{bad}") in quay.alarms
    assert quay.view(f"E{bad}").quirks.after_zero == "stays_paused"
    others = {subject for kind, subject in quay.alarms if kind is AlarmKind.STAYS_PAUSED}
    assert others == {f"E{bad}"}


def test_all_of_them_on_one_panel() -> None:
    """The same at once: what counts at its full rating is all that there is, so the rest gets what is left, safely."""
    behaviours = {
        1: Behaviour(obeys=False),
        2: Behaviour(never_answers=True),
        3: Behaviour(reconnects_every_s=1.0),
    }
    quay = live(behaviours, a_while, rating_a=200.0)
    report = quay.world.report().as_json()
    assert report["overload_seconds"] == 0, report
    assert quay.energy_kwh(4) > 0.8


@pytest.mark.parametrize("bad", SPOKEN)
@pytest.mark.parametrize(
    ("character", "worth"),
    [("true", "honest"), ("bare", "bare"), ("empty", ("empty", "rejected")), ("rejected", "rejected")],
)
def test_what_their_own_schedules_are_worth_is_learnt_from_what_they_answer(
    bad: int, character: str, worth: str | tuple[str, str]
) -> None:
    async def script(quay: Quay) -> None:
        await quay.pass_s(200)
        quay.limit(50.0, 120)
        await quay.pass_s(300)

    quay = live({bad: Behaviour(composite=character)}, script)  # type: ignore[arg-type]
    assert quay.view(f"E{bad}").quirks.schedule in worth
    assert quay.twin.violations == []


REGISTER = "Energy.Active.Import.Register"


@pytest.mark.parametrize("bad", SPOKEN)
def test_one_that_samples_too_little_is_asked_for_more_and_its_csms_sees_none_of_it(bad: int) -> None:
    async def script(quay: Quay) -> None:
        settings = quay.twin.chargers[quay.site.chargers[bad - 1].id].settings
        if bad == 1:
            settings["MeterValuesSampledData"].value = REGISTER
            settings["MeterValueSampleInterval"].value = "300"
        else:
            settings["SampledDataCtrlr.TxUpdatedMeasurands"].value = REGISTER
            settings["AlignedDataCtrlr.Measurands"].value = ""
        await quay.pass_s(900)
        samples = quay.controller.picture.live.samples(quay.site.evses[bad - 1].id)
        assert sum(one.current_a is not None for one in samples) >= 4, "in the last three minutes"
        assert quay.view(f"E{bad}").ledger.trusted
        if bad == 1:
            told = "MeterValuesSampledData", "MeterValueSampleInterval"
            assert "Current.Import" in settings[told[0]].value
            answer = await quay.twin.csms.ask("CP1", "GetConfiguration", {"key": list(told)})
            assert [item["value"] for item in answer.payload["configurationKey"]] == [REGISTER, "300"]

    quay = live({}, script)
    nobody_else_suffers(quay, bad, 0.5)


@pytest.mark.parametrize("bad", SPOKEN)
def test_one_that_takes_watts_alone_is_written_to_in_watts(bad: int) -> None:
    quay = live({bad: Behaviour(rate_units=frozenset({"W"}))}, a_while)
    nobody_else_suffers(quay, bad, 0.8)
    view = quay.view(f"E{bad}")
    assert (view.quirks.unit, view.quirks.rate_units, view.quirks.number_phases) == ("W", ("W",), True)
    assert view.quirks.obeys
    assert quay.alarms == set()
    assert quay.energy_kwh(bad) > 0.8
    other = quay.view("E4")
    assert (other.quirks.unit, other.quirks.fallback) == ("A", True), "what a peer was still trying is no guess"
