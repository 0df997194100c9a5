"""A CSMS that accepts chargers, answers everything, keeps books, and can misbehave."""

import asyncio
import ssl as tls
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from domain.ports import Clock
from simulators.charging_profiles import STATION_MAX_16
from simulators.csms_answers import Registrar, answers_16, answers_201
from simulators.csms_ledger import Ledger
from simulators.dialect import stamp
from simulators.frame_judge import FrameJudge
from simulators.frame_schemas import Version
from simulators.network import Listener, Network
from simulators.ocpp_line import LOST, FrameWatch, IncomingCall, LineSettings, MessageIds, OcppLine, Payload, Reply
from simulators.wire import Opening, Refusal, ServerEnd, serve_websockets

JOURNAL_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """One CALL that came."""

    identity: str
    action: str
    payload: Mapping[str, Any]


class SimulatedCsms:
    """One server for all chargers of a site.

    Args:
        network: where to listen.
        clock: the time that it tells.
        host: address to bind.
        port: 0 takes any; a restart takes the same again.
        identities: who may connect; None lets everybody in. Others get 404.
        passwords: for Basic authentication, by identity; a wrong or missing one gets 401.
        versions: subprotocols in order of preference.
        heartbeat_s: that BootNotification is answered with.
        refused_tags: id tags that are Invalid.
        ssl: serve wss.
        seed: of message ids.
        judge: is told of every message.
        validate: share of outgoing frames that is checked against the schemas; True checks all.

    Attributes:
        silent: True: it reads and never answers.
        delay_s: how long it thinks before each answer.
        loses_replies_to: actions that it books and whose replies never arrive.
        refuses_calls: answers every CALL with this error code.
        clock_wrong_s: so far ahead is the time that it tells.
        one_call_both_ways: refuses CALLs while one of its own is open, as one public CSMS does.
        refuse_with: answers every handshake with this HTTP status.
        registrar: what answers depend on; its `ledger` holds the transactions.
        journal: the last 1000 CALLs.
        states: the last reported status by (identity, connector).
    """

    def __init__(
        self,
        network: Network,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        identities: Collection[str] | None = None,
        passwords: Mapping[str, str | bytes] | None = None,
        versions: Sequence[Version] = ("ocpp2.0.1", "ocpp1.6"),
        heartbeat_s: int = 300,
        refused_tags: Collection[str] = (),
        ssl: tls.SSLContext | None = None,
        seed: int = 0,
        judge: FrameJudge | None = None,
        validate: bool | float = 0.0,
    ) -> None:
        self.silent = False
        self.delay_s = 0.0
        self.loses_replies_to: frozenset[str] = frozenset()
        self.one_call_both_ways = False
        self.refuses_calls: str | None = None
        self.clock_wrong_s = 0.0
        self.refuse_with: int | None = None
        self.registrar = Registrar(self._told_time, heartbeat_s, refused_tags)
        self.journal: deque[Heard] = deque(maxlen=JOURNAL_LENGTH)
        self.states: dict[tuple[str, int], str] = {}
        self._network, self._clock, self._host, self._port = network, clock, host, port
        self._identities = None if identities is None else frozenset(identities)
        self._passwords = dict(passwords or {})
        self._versions, self._ssl, self._judge = tuple(versions), ssl, judge
        self._ids = MessageIds(f"{seed}/csms")
        self._watches = {version: FrameWatch(version, validate, f"{seed}/csms/{version}") for version in versions}
        self._answers = {"ocpp1.6": answers_16(self.registrar), "ocpp2.0.1": answers_201(self.registrar)}
        self._listener: Listener | None = None
        self._lines: dict[str, OcppLine] = {}
        self._life = 0

    def _told_time(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self.clock_wrong_s)

    @property
    def ledger(self) -> Ledger:
        """The books."""
        return self.registrar.ledger

    @property
    def port(self) -> int:
        """Where it listens or last listened."""
        return self._port

    @property
    def url(self) -> str:
        """Base URL: chargers append `/<identity>`."""
        return f"{'ws' if self._ssl is None else 'wss'}://{self._host}:{self._port}/ocpp"

    @property
    def connected(self) -> frozenset[str]:
        """Identities with an open connection."""
        return frozenset(self._lines)

    @property
    def violations(self) -> list[str]:
        """What the schema check found in frames of ours."""
        return [found for watch in self._watches.values() for found in watch.violations]

    async def start(self) -> int:
        """Listen; returns the port. `OSError` when it is taken."""
        self._listener = await serve_websockets(
            self._network,
            self._host,
            self._port,
            subprotocols=self._versions,
            on_open=self._opened,
            decide=self._decide,
            ssl=self._ssl,
        )
        self._port = self._listener.port
        return self._port

    def stop(self, *, crash: bool = False) -> None:
        """Stop listening and end every connection: with a close frame, or in a crash without a word."""
        self._life += 1
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for line in list(self._lines.values()):
            if crash:
                line.end.abort()
            else:
                line.end.close(1001, "going away")

    def drop(self, identity: str, *, crash: bool = False) -> None:
        """End one charger's connection."""
        if (line := self._lines.get(identity)) is not None:
            if crash:
                line.end.abort()
            else:
                line.end.close(1000)

    async def ask(self, identity: str, action: str, payload: Payload) -> Reply:
        """Send a CALL and wait for its outcome; "lost" at once when the charger is not connected."""
        line = self._lines.get(identity)
        return LOST if line is None else await line.ask(action, payload)

    async def remote_start(self, identity: str, connector: int, id_tag: str) -> Reply:
        """RemoteStartTransaction or RequestStartTransaction."""
        if self._version(identity) == "ocpp1.6":
            return await self.ask(identity, "RemoteStartTransaction", {"connectorId": connector, "idTag": id_tag})
        token = {"idToken": id_tag, "type": "Central"}
        payload = {"evseId": connector, "idToken": token, "remoteStartId": self.registrar.next_remote_start()}
        return await self.ask(identity, "RequestStartTransaction", payload)

    async def remote_stop(self, identity: str, transaction_id: str) -> Reply:
        """RemoteStopTransaction or RequestStopTransaction."""
        if self._version(identity) == "ocpp1.6":
            return await self.ask(identity, "RemoteStopTransaction", {"transactionId": int(transaction_id)})
        return await self.ask(identity, "RequestStopTransaction", {"transactionId": transaction_id})

    async def limit_station(self, identity: str, limit_a: float, *, profile_id: int = 1, level: int = 0) -> Reply:
        """SetChargingProfile: a station cap that holds from now on for ever."""
        periods = [{"startPeriod": 0, "limit": limit_a}]
        schedule = {
            "startSchedule": stamp(self._clock.now()),
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": periods,
        }
        common = {"stackLevel": level, "chargingProfileKind": "Absolute"}
        if self._version(identity) == "ocpp1.6":
            profile = {"chargingProfileId": profile_id, "chargingProfilePurpose": STATION_MAX_16, **common}
            payload: Payload = {"connectorId": 0, "csChargingProfiles": {**profile, "chargingSchedule": schedule}}
        else:
            profile = {"id": profile_id, "chargingProfilePurpose": "ChargingStationMaxProfile", **common}
            payload = {"evseId": 0, "chargingProfile": {**profile, "chargingSchedule": [{"id": 1, **schedule}]}}
        return await self.ask(identity, "SetChargingProfile", payload)

    def _version(self, identity: str) -> str | None:
        line = self._lines.get(identity)
        return None if line is None else line.end.subprotocol

    def _decide(self, opening: Opening) -> Refusal | None:
        if self.refuse_with is not None:
            return Refusal(self.refuse_with)
        if self._identities is not None and opening.identity not in self._identities:
            return Refusal(404, "unknown charger")
        password = self._passwords.get(opening.identity)
        if password is None:
            return None
        expected = password.encode() if isinstance(password, str) else password
        if opening.user == opening.identity and opening.password == expected:
            return None
        return Refusal(401, "wrong user or password")

    def _opened(self, end: ServerEnd) -> None:
        identity = end.opening.identity
        version = cast(Version, end.subprotocol)
        settings = LineSettings(
            identity=identity,
            side="csms",
            ids=self._ids,
            watch=self._watches[version],
            judge=self._judge,
            answers_unreadable=version != "ocpp1.6",
        )
        line = OcppLine(end, settings, lambda call: self._take_call(identity, version, call))
        end.on_text = line.receive
        end.on_closed = lambda _code, _reason: self._closed(identity, line)
        if (old := self._lines.get(identity)) is not None:
            # The newest connection wins; the old one's end must not touch it.
            old.end.close(1000, "replaced")
        self._lines[identity] = line
        if self._judge is not None:
            self._judge.link_changed(identity)

    def _closed(self, identity: str, line: OcppLine) -> None:
        if self._lines.get(identity) is line:
            del self._lines[identity]
        line.closed()
        if self._judge is not None:
            self._judge.link_changed(identity)

    def _take_call(self, identity: str, version: Version, call: IncomingCall) -> None:
        self.journal.append(Heard(identity, call.action, call.payload))
        if self.silent:
            return
        if self.one_call_both_ways and call.line.busy:
            call.refuse("RpcFrameworkError", "Call already in progress")
        elif self.delay_s > 0:
            asyncio.get_running_loop().call_later(self.delay_s, self._answer_later, self._life, identity, version, call)
        else:
            self._answer(identity, version, call)

    def _answer_later(self, life: int, identity: str, version: Version, call: IncomingCall) -> None:
        if life == self._life:  # what it thought about when it was stopped is forgotten
            self._answer(identity, version, call)

    def _answer(self, identity: str, version: Version, call: IncomingCall) -> None:
        if self.refuses_calls is not None:
            call.refuse(self.refuses_calls, "a bad day")
            return
        answer = self._answers[version].get(call.action)
        if answer is None:
            call.refuse("NotImplemented", f"{call.action} is not known to this CSMS")
            return
        try:
            result = answer(identity, call.payload)
            self._note_state(identity, call)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            code = "FormationViolation" if version == "ocpp1.6" else "FormatViolation"
            call.refuse(code, f"{type(error).__name__}: {error}"[:255])
            return
        if call.action not in self.loses_replies_to:
            call.reply(result)

    def _note_state(self, identity: str, call: IncomingCall) -> None:
        if call.action == "StatusNotification":
            connector = call.payload.get("evseId", call.payload.get("connectorId", 0))
            self.states[identity, connector] = call.payload.get("status") or call.payload["connectorStatus"]
