"""What operators must know of a site's CSMS: who is without it, and which starts it may hold twice or not at all."""

from collections.abc import Iterable
from dataclasses import replace

from domain import events as e
from domain.ids import ChargerId, SiteId
from domain.setpoint import Alarm, AlarmKind
from inventory.records import AlarmRecord, Record

OfCsms = e.CsmsLost | e.CsmsReturned | e.StartInDoubt | e.CsmsCommandWithheld


class CsmsAlarms:
    """One alarm per charger that is without its CSMS, cleared when that returns; others are over with their moment."""

    def __init__(self, site: SiteId) -> None:
        self._site = site
        self._lost: dict[ChargerId, AlarmRecord] = {}

    @property
    def standing(self) -> Iterable[AlarmRecord]:
        """The alarms that stand."""
        return self._lost.values()

    def hear(self, event: OfCsms) -> list[Record]:
        """What is to be recorded."""
        match event:
            case e.CsmsLost() if event.charger not in self._lost:
                alarm = Alarm(AlarmKind.CSMS_UNREACHABLE, event.charger, event.why)
                self._lost[event.charger] = record = AlarmRecord(self._site, alarm, event.at)
                return [record]
            case e.CsmsReturned() if event.charger in self._lost:
                return [replace(self._lost.pop(event.charger), cleared_at=event.at)]
            case e.StartInDoubt():
                return [self._momentary(AlarmKind.START_IN_DOUBT, event, _doubt(event))]
            case e.CsmsCommandWithheld():
                return [self._momentary(AlarmKind.CSMS_COMMAND_WITHHELD, event, f"{event.action}: {event.why}")]
            case _:
                return []

    def _momentary(self, kind: AlarmKind, event: OfCsms, text: str) -> AlarmRecord:
        return AlarmRecord(self._site, Alarm(kind, event.charger, text), event.at, cleared_at=event.at)


def _doubt(event: e.StartInDoubt) -> str:
    where = f"the start at connector {event.connector} of {event.started_at}"
    if event.given_up:
        return f"{where} was given up: the CSMS does not hold it"
    return f"{where} was sent again after its reply was lost: the CSMS may hold it twice"
