"""A second reader of what a charger says (billing, analytics): it is told, and never heard.

It sees what goes to the CSMS, and the CSMS's replies, as they went. Nothing of it can disturb the first: what it does
not take is dropped and counted, what it says is ignored, and it is not told the charger's password.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from domain.ids import ChargerId
from proxy.closing import Ending
from proxy.legs import Leg
from proxy.redialling import redial
from proxy.settings import Counters, HoldSettings
from proxy.upstream import Refused, Unreachable

_log = structlog.get_logger()

_REFUSED_PAUSE_S: Final = 300.0
_MOST_AT_ONCE: Final = 256


class FanOut:
    """One charger's second reader, for as long as the charger's socket lives."""

    def __init__(
        self,
        charger: ChargerId,
        dial: Callable[[], Awaitable[Leg | Refused | Unreachable]],
        settings: HoldSettings,
        counters: Counters,
    ) -> None:
        self._charger, self._dial, self._settings, self._counters = charger, dial, settings, counters
        self._loop = asyncio.get_running_loop()
        self._chance = random.Random(charger)  # spreads chargers in time, the same way every time
        self._leg: Leg | None = None
        self._is_full = self._is_over = False
        self._unsent = 0
        self._dialling = self._loop.create_task(self._keep_dialling(), name=f"second reader of {charger}")

    def copy(self, raw: bytes) -> None:
        """Tell it this message, if it is there and has room."""
        leg = self._leg
        if leg is None or self._is_full or self._unsent >= _MOST_AT_ONCE or not leg.send(raw):
            self._counters.fan_out_dropped += 1
            return
        self._counters.fan_out += 1
        self._unsent += 1
        if self._unsent == 1:
            self._loop.call_soon(self._flush)

    def end(self) -> None:
        """The charger is gone."""
        self._is_over = True
        self._dialling.cancel()
        if self._leg is not None:
            self._leg.close(1001, "the charger is gone")

    def _flush(self) -> None:
        self._unsent = 0
        if self._leg is not None:
            self._leg.flush_messages()

    # What its leg calls.

    def leg_said(self, leg: Leg, messages: list[bytes]) -> None:
        """Not heard."""

    def leg_full(self, leg: Leg, full: bool) -> None:
        """What comes while it takes nothing is dropped."""
        if leg is self._leg:
            self._is_full = full

    def leg_ended(self, leg: Leg, ending: Ending) -> None:
        """It is gone: dial again."""
        if leg is not self._leg or self._is_over:
            return
        self._leg, self._is_full = None, False
        _log.info("second_reader_lost", charger=self._charger, why=ending.reason)
        self._dialling = self._loop.create_task(self._keep_dialling(), name=f"second reader of {self._charger}")

    async def _keep_dialling(self) -> None:
        settings = self._settings
        while isinstance(
            outcome := await redial(self._dial, self._chance, settings.redial_first_s, settings.redial_most_s), Refused
        ):
            _log.warning("second_reader_refuses", charger=self._charger, status=outcome.answer.status_code)
            await asyncio.sleep(_REFUSED_PAUSE_S)
        self._leg = outcome
        outcome.bind(self)
