"""Messages that must not be lost: a charger keeps them in order, through outages, until they are answered."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from simulators.ocpp_line import OcppLine, Payload, Reply

BUSY_RETRY_S = 1.0
"""Pause after a CSMS that answered `RpcFrameworkError: Call already in progress`."""


@dataclass(slots=True)
class _Message:
    action: str
    payload: Callable[[], Payload]
    on_reply: Callable[[Reply], None]
    attempts: int = 0


class TransactionOutbox:
    """One message at a time, oldest first.

    A lost link costs no attempt. An error does (and in 2.x a time-out as well, E13); after `attempts` of them the
    message is discarded, as 1.6 section 3.7.1 says, each retry waiting `interval_s` longer than the one before.

    Attributes:
        discarded: messages given up.
        attempts: how often an answer in error is tried.
        interval_s: the first pause between two attempts, by the loop's time.
    """

    def __init__(self, *, timeouts_count: bool, attempts: int = 3, interval_s: float = 60.0) -> None:
        self.discarded = 0
        self.attempts, self.interval_s = attempts, interval_s
        self._timeouts_count = timeouts_count
        self._messages: deque[_Message] = deque()
        self._line: OcppLine | None = None
        self._sending = False
        self._retry: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, action: str, payload: Callable[[], Payload], on_reply: Callable[[Reply], None]) -> None:
        """Queue a message.

        Args:
            action: of the CALL.
            payload: made when it is sent, since it may need an earlier message's reply.
            on_reply: gets the result, or the last error before the message is discarded.
        """
        self._messages.append(_Message(action, payload, on_reply))
        self._send()

    def attach(self, line: OcppLine) -> None:
        """There is a link again: go on with the oldest message."""
        self._line = line
        self._send()

    def detach(self) -> None:
        """The link is gone."""
        self._line = None
        self._sending = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _send(self) -> None:
        if self._line is None or self._sending or not self._messages or self._retry is not None:
            return
        self._sending = True
        head, line = self._messages[0], self._line
        line.call(head.action, head.payload(), lambda reply: self._answered(line, head, reply))

    def _answered(self, line: OcppLine, message: _Message, reply: Reply) -> None:
        if line is not self._line or reply.kind == "lost":
            return
        self._sending = False
        if reply.kind == "result":
            self._messages.popleft()
            message.on_reply(reply)
            self._send()
            return
        if reply.code == "RpcFrameworkError":
            self._again_after(BUSY_RETRY_S)
            return
        if reply.kind == "error" or self._timeouts_count:
            message.attempts += 1
        if message.attempts >= self.attempts:
            self._messages.popleft()
            self.discarded += 1
            message.on_reply(reply)
            self._send()
        else:
            self._again_after(max(1, message.attempts) * self.interval_s)

    def _again_after(self, seconds: float) -> None:
        self._retry = asyncio.get_running_loop().call_later(seconds, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._send()
