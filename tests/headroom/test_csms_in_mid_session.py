"""A CSMS reserves, takes out of service, updates and resets a 1.6 charger that charges: its word and ours both hold."""

from peculiar_site import Quay, live

from domain.ids import ChargerId
from domain.session import EvseState
from simulators.behaviour import Behaviour
from simulators.charge_point import SimulatedChargePoint
from simulators.dialect import stamp
from simulators.ocpp_line import IncomingCall

CP1 = ChargerId("CP1")
RESERVATION = {"connectorId": 1, "expiryDate": "2026-03-02T20:00:00Z", "idTag": "OTHER", "reservationId": 5}
UPDATE = {"location": "https://example.org/1.1.bin", "retrieveDate": "2026-03-02T12:00:00Z"}


def accepting(charger: SimulatedChargePoint, firmware: list[str]) -> None:
    """Give it what it does not have of its own: reservations, changes of availability to come, and firmware."""
    answers: dict[str, dict[str, object]] = {
        "ReserveNow": {"status": "Occupied"},
        "ChangeAvailability": {"status": "Scheduled"},
        "UpdateFirmware": {},
    }
    own, boot = charger.dialect.answer, charger.dialect.boot

    def answer(call: IncomingCall) -> None:
        if call.action in answers:
            call.reply(answers[call.action])
        else:
            own(call)

    charger.dialect.answer = answer  # type: ignore[method-assign]
    charger.dialect.boot = lambda: {**boot(), "firmwareVersion": firmware[-1]}  # type: ignore[method-assign]


def status(quay: Quay, connector_status: str) -> dict[str, object]:
    at = stamp(quay.twin.chargers[CP1].own_now())
    return {"connectorId": 1, "errorCode": "NoError", "status": connector_status, "timestamp": at}


async def limit_holds(quay: Quay) -> None:
    """The charger's own profiles allow no more than it was told, looked at every five seconds of a minute."""
    charger = quay.twin.chargers[CP1]
    for _ in range(12):
        await quay.pass_s(5.0)
        entry = quay.view("E1").ledger
        assert charger.allowed_a(1, quay.now()) <= max(entry.limit_a, entry.upper_a) + 0.05


async def told(quay: Quay, action: str, payload: dict[str, object]) -> dict[str, object]:
    """What the CSMS hears to a request."""
    reply = await quay.twin.csms.ask(CP1, action, payload)
    assert reply.kind == "result", action
    return dict(reply.payload)


async def script(quay: Quay) -> None:
    charger, firmware = quay.twin.chargers[CP1], ["1.0"]
    accepting(charger, firmware)
    await quay.pass_s(400)
    session = quay.view("E1").session
    assert session is not None

    assert await told(quay, "ReserveNow", dict(RESERVATION)) == {"status": "Occupied"}
    assert await told(quay, "ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}) == {"status": "Scheduled"}
    assert await told(quay, "UpdateFirmware", dict(UPDATE)) == {}
    for stage in ("Downloading", "Downloaded", "Installing"):
        charger.send("FirmwareStatusNotification", {"status": stage})
        await limit_holds(quay)
    now = quay.view("E1").session
    assert now is not None
    assert now.transaction_id == session.transaction_id, "none of that ends a session"

    writes = charger.profile_writes
    firmware.append("1.1")
    assert await told(quay, "Reset", {"type": "Hard"}) == {"status": "Accepted"}
    await quay.pass_s(180)
    assert charger.online
    assert charger.profile_writes > writes, "the new firmware has forgotten our limits, and has them again"
    model = quay.controller.picture.live.quirks.model_of(CP1)
    assert model is not None
    assert model.firmware == "1.1"
    await limit_holds(quay)

    charger.send("StatusNotification", status(quay, "Unavailable"))
    await quay.pass_s(10)
    assert quay.view("E1").state is EvseState.UNAVAILABLE
    charger.send("StatusNotification", status(quay, "Reserved"))
    await quay.pass_s(10)
    assert quay.view("E1").state is EvseState.RESERVED
    await limit_holds(quay)


def test_a_session_is_reserved_for_another_scheduled_out_of_service_updated_and_cut_off_by_a_reset() -> None:
    quay = live({1: Behaviour(forgets_profiles_on_boot=True)}, script)
    report = quay.world.report().as_json()
    assert report["overload_seconds"] == report["breaker_trips"] == 0
    assert quay.twin.judge.altered() == quay.twin.judge.leaked() == 0
    assert quay.twin.violations == []
    assert quay.service.proxy.counters.desk_errors == 0
    assert min(map(quay.energy_kwh, (2, 3, 4))) > 0.3
