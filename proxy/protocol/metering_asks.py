"""Asks a charger for the measurements that we need, where it does not report them by itself; pure.

Asked for only where no current per phase was reported for a while during a session. First what the CSMS configured is
read; then the list of measurands is extended, never shortened: all at once, and where the charger rejects that (one
unsupported measurand rejects the whole list, 1.6 section 3.16.4) one by one. 1.6 also samples more often where the
CSMS's interval is none or long. What then is still missing, and in 2.x always, is fetched with TriggerMessage: a 2.x
station's TransactionEvents are never asked for more, because none of them may be kept from the CSMS. Never is anything
triggered but MeterValues.

What the CSMS sees of all this is `metering_view`'s part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from domain.events import EvseMetered, OcppVersion
from domain.quirks import Quirks
from domain.site import Charger, Evse
from proxy.protocol.exchange import OwnCall, OwnOutcome
from proxy.protocol.metering_view import INTERVAL_16, MEASURANDS, NEEDED, MeteringView
from proxy.protocol.probe import question, settings_of, variable, words
from proxy.protocol.tolerant import as_int, as_objects, read_object

Ask = Literal["auto", "always", "never"]

AFTER_S = 120.0
"""So long into a session without a current per phase, it is asked for."""
OFTEN_S = 30
"""How often a sample is asked for."""
SELDOM_S = 60
"""A CSMS's interval up to this is left alone."""
EXPECT_S = 20.0
"""A triggered sample comes within this."""
STRIKES = 3
"""So many triggers in vain: it takes none."""
SLOT = "metering"
_OWN_INTERVAL = -1
"""In the record: the interval that the CSMS set is in force."""
_TAKEN = ("Accepted", "RebootRequired")


@dataclass
class MeteringAsks:
    """One charger's. `view` is told what the CSMS configured and what was added to it."""

    charger: Charger
    version: OcppVersion
    new_token: Callable[[], str]
    view: MeteringView
    ask: Ask = "auto"
    _since: dict[int, datetime] = field(default_factory=dict)
    """Per connector in a session: since when no current per phase came."""
    _asked: tuple[str, str, tuple[str, ...]] | None = None
    """Token, key and value of the question that is open; the key is empty where settings are read."""
    _waiting: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Key and words to add one by one."""
    _settled: bool = False
    _trigger_at: datetime | None = None
    _triggers: dict[str, int] = field(default_factory=dict)
    _in_vain: int = 0

    def session(self, connector: int, now: datetime, *, runs: bool) -> None:
        """A session began or ended at a connector."""
        if runs:
            self._since.setdefault(connector, now)
        else:
            self._since.pop(connector, None)

    def metered(self, event: EvseMetered) -> None:
        """A sample came: whether it tells enough."""
        since = self._since.get(event.connector)
        if since is None or event.at <= since:
            return
        evse = next((one for one in self.charger.evses if one.connector == event.connector), None)
        if evse is not None and _tells_enough(evse, event):
            self._since[event.connector] = event.at

    def connected(self, now: datetime) -> None:
        """A new socket: what was asked on the old one is not answered any more, and the time without a link says
        nothing of what the charger reports.
        """
        self._asked, self._waiting = None, []
        self._triggers.clear()
        self._since = dict.fromkeys(self._since, now)

    @property
    def due_at(self) -> datetime | None:
        """When `pass_time` may have something to ask."""
        if self.ask == "never":
            return None
        if self._trigger_at is not None:
            return self._trigger_at
        if self._asked is not None or self._in_vain >= STRIKES:
            return None
        return min((self._needed_at(at) for at in self._since.values()), default=None)

    def pass_time(self, now: datetime) -> list[OwnCall]:
        """What is to be asked now."""
        due_at = self.due_at
        if due_at is None or now < due_at:
            return []
        fetching, self._trigger_at = self._trigger_at is not None, None
        # Once fetched, always fetched until the session ends: what comes then is what was fetched.
        missing = [connector for connector, at in self._since.items() if fetching or now >= self._needed_at(at)]
        if not missing or self._in_vain >= STRIKES:
            return []
        if not self._settled:
            return [self._read()]
        self._trigger_at = now + timedelta(seconds=OFTEN_S)
        return [self._trigger(connector) for connector in missing]

    def give_back(self) -> list[OwnCall]:
        """Put the charger's settings back to what the CSMS configured, where we were told to ask no more."""
        view = self.view
        if self.ask != "never" or not view.differs:
            return []
        calls = []
        if view.csms_measurands is not None:
            calls.append(self._write(MEASURANDS[self.version], ",".join(view.csms_measurands), self.new_token()))
        if view.csms_interval_s is not None:
            calls.append(self._write(INTERVAL_16, str(view.csms_interval_s), self.new_token(), slot=f"{SLOT}:interval"))
        view.forget()
        return calls

    def on_outcome(self, outcome: OwnOutcome) -> list[OwnCall]:
        """An answer to one of our questions: the next one."""
        token = outcome.call.token
        if token in self._triggers:
            self._triggered(token, outcome)
            return []
        if self._asked is None or token != self._asked[0] or outcome.kind == "sent":
            return []
        (_, key, value), self._asked = self._asked, None
        if outcome.kind in ("lost", "superseded"):
            self._waiting = []
            return []
        if not key:
            return self._plan(outcome)
        self._written(key, value, taken=_taken(self.version, outcome))
        return self._next(outcome.at)

    # Inside.

    def _needed_at(self, since: datetime) -> datetime:
        return since + timedelta(seconds=0 if self.ask == "always" and not self._settled else AFTER_S)

    def _read(self) -> OwnCall:
        token = self.new_token()
        self._asked = (token, "", ())
        keys = [MEASURANDS[self.version], *([INTERVAL_16] if self.version == "ocpp1.6" else [])]
        return question(self.version, keys, SLOT, token)

    def _plan(self, outcome: OwnOutcome) -> list[OwnCall]:
        """The CSMS's settings are known: what to add to them."""
        found = settings_of(self.version, outcome.payload) if outcome.kind == "result" else {}
        measurands, view = found.get(MEASURANDS[self.version]), self.view
        if measurands is not None:
            have = words(measurands)
            if view.csms_measurands is None:
                view.read_measurands(have)
            missing = tuple(one for one in NEEDED if one not in have)
            if missing:
                self._waiting.append((MEASURANDS[self.version], missing))
        interval_s = as_int(found.get(INTERVAL_16))
        if interval_s is not None and not 0 < interval_s <= SELDOM_S:
            if view.csms_interval_s is None:
                view.read_interval(interval_s)
            self._waiting.append((INTERVAL_16, (str(OFTEN_S),)))
        return self._next(outcome.at)

    def _next(self, at: datetime) -> list[OwnCall]:
        if not self._waiting:
            self._settled = True
            self._since = dict.fromkeys(self._since, at)  # what comes by itself from now on has its time
            if not self.view.extra:
                self.view.nothing_added()
            return []
        key, value = self._waiting.pop(0)
        token = self.new_token()
        self._asked = (token, key, value)
        text = value[0] if key == INTERVAL_16 else ",".join((*self.view.in_force, *value))
        return [self._write(key, text, token)]

    def _written(self, key: str, value: tuple[str, ...], *, taken: bool) -> None:
        if key == INTERVAL_16:
            self.view.wrote_interval(OFTEN_S if taken else None)
        elif taken:
            self.view.added(value)
        elif len(value) > 1:
            self._waiting = [(key, (one,)) for one in value] + self._waiting

    def _write(self, key: str, value: str, token: str, slot: str = SLOT) -> OwnCall:
        if self.version == "ocpp1.6":
            return OwnCall("ChangeConfiguration", {"key": key, "value": value}, slot, token)
        data = [{**variable(key), "attributeValue": value}]
        return OwnCall("SetVariables", {"setVariableData": data}, slot, token)

    def _trigger(self, connector: int) -> OwnCall:
        token = self.new_token()
        self._triggers[token] = connector
        where: dict[str, Any] = {"connectorId": connector} if self.version == "ocpp1.6" else {"evse": {"id": connector}}
        return OwnCall("TriggerMessage", {"requestedMessage": "MeterValues", **where}, f"trigger:{connector}", token)

    def _triggered(self, token: str, outcome: OwnOutcome) -> None:
        connector = self._triggers[token]
        if outcome.kind == "sent":
            self.view.expect(connector, outcome.at + timedelta(seconds=EXPECT_S))
            return
        del self._triggers[token]
        status = (read_object(outcome.payload) or {}).get("status") if outcome.kind == "result" else None
        if status == "Accepted":
            self._in_vain = 0
        elif outcome.kind not in ("lost", "superseded"):
            self.view.expect(connector, None)
            self._in_vain = STRIKES if status == "NotImplemented" else self._in_vain + 1


def quirks_of(view: MeteringView) -> dict[str, Any]:
    """What is to be remembered over a restart, as fields of `Quirks`; empty where the charger is as the CSMS set it."""
    return {
        "takes_measurands": view.extra,
        "csms_measurands": view.csms_measurands or (),
        "csms_interval_s": _OWN_INTERVAL if view.csms_interval_s is None else view.csms_interval_s,
    }


def view_of(version: OcppVersion, quirks: Quirks) -> MeteringView:
    """The view as an earlier run left it."""
    interval_s = None if quirks.csms_interval_s == _OWN_INTERVAL else quirks.csms_interval_s
    extra = quirks.takes_measurands or ()
    view = MeteringView(version, quirks.csms_measurands if extra else None, interval_s, extra)
    view.remembered(OFTEN_S)
    return view


def _tells_enough(evse: Evse, event: EvseMetered) -> bool:
    """Two legs, and one line, carry one current; three lines are told one by one or not at all."""
    sample = event.sample
    return sample.current_a is not None and (evse.conductors < 3 or len(sample.line_a) >= evse.conductors)


def _taken(version: OcppVersion, outcome: OwnOutcome) -> bool:
    if outcome.kind != "result":
        return False
    reply = read_object(outcome.payload) or {}
    if version == "ocpp1.6":
        return reply.get("status") in _TAKEN
    results: Sequence[Any] = as_objects(reply.get("setVariableResult"), 1)
    return bool(results) and results[0].get("attributeStatus") in _TAKEN
