"""OCPP-J over one WebSocket: CALLs with own ids, one in flight, and replies to the other side's."""

import asyncio
import json
import random
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from simulators.frame_judge import FrameJudge, Side
from simulators.frame_schemas import InvalidFrameError, Version, check_frame
from simulators.wire import WebSocketEnd

Payload = Mapping[str, Any]
CALL_TIMEOUT_S = 30.0
"""P2 section 3.2 suggests 30 s."""
BROKEN = '[2,"broken","MeterValues",{"connectorId":1,"transactionId":,"meterValue":[,{"timest'
"""What has been seen in the field, in one frame."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a CALL: its result, an error with code and description, no answer in time, or a lost link."""

    kind: Literal["result", "error", "timeout", "lost"]
    payload: Mapping[str, Any]
    code: str = ""
    description: str = ""


LOST = Reply("lost", {})
Done = Callable[[Reply], None]


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A CALL of the other side; answer it once."""

    line: "OcppLine"
    call_id: str
    action: str
    payload: Mapping[str, Any]

    def reply(self, payload: Payload) -> None:
        """Send the CALLRESULT."""
        self.line.transmit([3, self.call_id, payload], answered=self.action)

    def refuse(self, code: str, description: str = "") -> None:
        """Send a CALLERROR."""
        self.line.transmit([4, self.call_id, code, description, {}])


class FrameWatch:
    """Checks a share of a simulator's outgoing frames against the schemas.

    Attributes:
        violations: what was found, in words; the first 50.
        checked: how many frames were looked at.
    """

    def __init__(self, version: Version, share: bool | float, seed: str) -> None:
        self.violations: list[str] = []
        self.checked = 0
        self._version, self._share = version, float(share)
        self._rng = random.Random(seed)

    def look(self, text: str, answered: str | None) -> None:
        """Check this frame, or let it pass unseen."""
        if self._share <= 0 or (self._share < 1 and self._rng.random() >= self._share):
            return
        self.checked += 1
        try:
            check_frame(self._version, text, answered)
        except InvalidFrameError as error:
            if len(self.violations) < 50:
                self.violations.append(str(error))


class MessageIds:
    """Ids that look like UUIDs and repeat with the seed; unique over all connections of one station."""

    def __init__(self, seed: str) -> None:
        self._rng = random.Random(seed)

    def __call__(self) -> str:
        """The next id."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """How one side of the conversation writes.

    Attributes:
        identity: the charger's.
        side: whose end this is.
        ids: makes message ids.
        watch: checks what goes out.
        judge: is told of every message.
        timeout_s: for a reply, by the loop's time.
        pipelined: send CALLs without waiting for replies.
        spaced_json: blanks after separators, non-ASCII letters escaped.
        malformed_every: each n-th message is followed by a broken one.
        answers_unreadable: 2.x: a message without readable id is answered with CALLERROR "-1" [P4 4.2.3].
    """

    identity: str
    side: Side
    ids: Callable[[], str]
    watch: FrameWatch
    judge: FrameJudge | None = None
    timeout_s: float = CALL_TIMEOUT_S
    pipelined: bool = False
    spaced_json: bool = False
    malformed_every: int | None = None
    answers_unreadable: bool = False


@dataclass(slots=True)
class _Waiting:
    action: str
    payload: Payload
    done: Done | None
    timer: asyncio.TimerHandle | None = None


class OcppLine:
    """One connection's conversation.

    Attributes:
        unreadable: messages that were no OCPP-J frame.
        unmatched: replies to no open CALL, late ones included.
        errors_received: codes of the CALLERRORs that came.
    """

    def __init__(self, end: WebSocketEnd, settings: LineSettings, on_call: Callable[[IncomingCall], None]) -> None:
        self.end = end
        self.unreadable = 0
        self.unmatched = 0
        self.errors_received: list[str] = []
        self._settings, self._on_call = settings, on_call
        self._queue: deque[_Waiting] = deque()
        self._open: dict[str, _Waiting] = {}
        self._closed = False
        self._sent = 0

    @property
    def busy(self) -> bool:
        """Whether a CALL of ours waits for its reply."""
        return bool(self._open)

    @property
    def waiting(self) -> int:
        """CALLs of ours that have not been sent yet."""
        return len(self._queue)

    def call(self, action: str, payload: Payload, done: Done | None = None) -> None:
        """Send a CALL when its turn comes; `done` gets the outcome exactly once, "lost" if the link ends first."""
        if self._closed:
            if done is not None:
                done(LOST)
            return
        self._queue.append(_Waiting(action, payload, done))
        self._next()

    async def ask(self, action: str, payload: Payload) -> Reply:
        """`call`, awaited."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.call(action, payload, lambda reply: None if future.done() else future.set_result(reply))
        return await future

    def transmit(self, frame: list[Any], *, answered: str | None = None) -> None:
        """Write one frame; for a CALLRESULT, `answered` is the action that it answers."""
        text = json.dumps(frame) if self._settings.spaced_json else msgspec.json.encode(frame).decode()
        self._settings.watch.look(text, answered)
        self.write(text)
        self._sent += 1
        if self._settings.malformed_every is not None and self._sent % self._settings.malformed_every == 0:
            self.write(BROKEN)

    def write(self, text: str) -> None:
        """Send any text at all, unchecked."""
        if not self.end.open:
            return
        if self._settings.judge is not None:
            self._settings.judge.sent(self._settings.identity, self._settings.side, text)
        self.end.send(text)

    def receive(self, text: str) -> None:
        """A message has come."""
        if self._settings.judge is not None:
            self._settings.judge.received(self._settings.identity, self._settings.side, text)
        try:
            frame = msgspec.json.decode(text)
        except msgspec.DecodeError:
            frame = None
        match frame:
            case [2, str(call_id), str(action), dict(payload)]:
                self._on_call(IncomingCall(self, call_id, action, payload))
            case [3, str(call_id), dict(payload)]:
                self._settle(call_id, Reply("result", payload))
            case [4, str(call_id), str(code), str(description), *_]:
                self.errors_received.append(code)
                self._settle(call_id, Reply("error", {}, code, description))
            case _:
                self.unreadable += 1
                if self._settings.answers_unreadable:
                    self.transmit([4, "-1", "RpcFrameworkError", "", {}])

    def closed(self) -> None:
        """The link is gone: every open or waiting CALL is lost."""
        self._closed = True
        lost = [*self._open.values(), *self._queue]
        self._open.clear()
        self._queue.clear()
        for waiting in lost:
            if waiting.timer is not None:
                waiting.timer.cancel()
            if waiting.done is not None:
                waiting.done(LOST)

    def _next(self) -> None:
        while self._queue and (self._settings.pipelined or not self._open):
            waiting = self._queue.popleft()
            call_id = self._settings.ids()
            loop = asyncio.get_running_loop()
            waiting.timer = loop.call_later(self._settings.timeout_s, self._settle, call_id, Reply("timeout", {}))
            self._open[call_id] = waiting
            self.transmit([2, call_id, waiting.action, waiting.payload])

    def _settle(self, call_id: str, reply: Reply) -> None:
        waiting = self._open.pop(call_id, None)
        if waiting is None:
            self.unmatched += 1
            return
        if waiting.timer is not None:
            waiting.timer.cancel()
        if waiting.done is not None:
            waiting.done(reply)
        self._next()
