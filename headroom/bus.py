"""Events from the proxy and the meters to whoever must know: one process here, Redis Streams behind the same port."""

from collections.abc import Callable
from typing import Protocol

import structlog

from domain.events import Event

log = structlog.get_logger()

Handler = Callable[[Event], None]


class Bus(Protocol):
    """Carries events in the order in which they were published."""

    def publish(self, event: Event) -> None:
        """Hand the event to every subscriber; never blocks and never raises."""
        ...

    def subscribe(self, handler: Handler) -> None:
        """Every event from now on; `handler` must be quick and may not raise."""
        ...


class InProcessBus:
    """Calls the handlers at once, in the order of their subscription. An event published by a handler comes after.

    A handler that raises keeps the event from nobody else.
    """

    def __init__(self) -> None:
        self._handlers: list[Handler] = []
        self._waiting: list[Event] = []
        self._publishing = False

    def subscribe(self, handler: Handler) -> None:
        """Every event from now on."""
        self._handlers.append(handler)

    def publish(self, event: Event) -> None:
        """Hand the event to every subscriber, after those that are being handed out."""
        self._waiting.append(event)
        if self._publishing:
            return
        self._publishing = True
        try:
            while self._waiting:
                following = self._waiting.pop(0)
                for handler in self._handlers:
                    try:
                        handler(following)
                    except Exception:
                        log.exception("event_not_handled", kind=type(following).__name__)
        finally:
            self._publishing = False
