"""What time a charger believes it is, learnt from what passes by: schedules are written in its clock, not in ours."""

from collections import deque
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HISTORIC_S = 300.0
"""A stamp further behind is of an old message (a queue that is being emptied) or of another clock than was known."""
_STAMPS = 8
_AGREE_S = 30.0
"""Stamps and settings that differ by less tell of the same clock: network, queues and rounding explain the rest."""


class ChargerClock:
    """The offset of one charger's clock from ours: its time minus our time, in seconds.

    A charger's stamp is never later than its own clock when we receive it, so every stamp is a lower bound of the
    offset, and the largest of the last few is the estimate: an estimate that is too low only makes a dead-man step
    early, which is safe. A `currentTime` relayed to the charger sets its clock (1.6 sections 4.2 and 4.6, 2.0.1 B01
    and G02): older stamps are then void, unless the charger is seen to ignore it. Stamps far behind count only when
    they stay the same distance behind for 30 s: those of an emptied queue catch up with the present instead.
    """

    def __init__(self) -> None:
        self._stamps_s: deque[float] = deque(maxlen=_STAMPS)
        self._suspect: tuple[float, datetime] | None = None
        self._set_s: float | None = None
        self._before_s: float | None = None
        self._obeys = True

    @property
    def known(self) -> bool:
        """Whether anything told the charger's time; without it our own is assumed."""
        return bool(self._stamps_s) or self._set_s is not None

    @property
    def offset_s(self) -> float:
        """The charger's clock minus ours; 0 while unknown."""
        if self._stamps_s:
            return max(self._stamps_s)
        return self._set_s if self._set_s is not None else 0.0

    def stamped(self, stamp: datetime, at: datetime) -> bool:
        """A message of the charger bore this stamp and reached us at `at`; whether it tells of the present."""
        offset_s = (stamp - at).total_seconds()
        if offset_s < self.offset_s - HISTORIC_S:
            if self._suspect is None or abs(offset_s - self._suspect[0]) > _AGREE_S:
                self._suspect = (offset_s, at)
            if (at - self._suspect[1]).total_seconds() < _AGREE_S:
                return False
            self._stamps_s.clear()
        self._suspect = None
        if self._set_s is not None and self._before_s is not None:
            agrees_with_set = abs(offset_s - self._set_s) <= _AGREE_S
            if agrees_with_set or abs(offset_s - self._before_s) <= _AGREE_S:
                self._obeys = agrees_with_set
        self._stamps_s.append(offset_s)
        return True

    def was_set(self, current_time: datetime, at: datetime) -> None:
        """A reply that carries the CSMS's `currentTime` was handed to the charger at `at`."""
        offset_s = (current_time - at).total_seconds()
        if self.known:
            differs = abs(self.offset_s - offset_s) > _AGREE_S
            if differs:
                self._before_s = self.offset_s
            if differs and self._obeys:
                self._stamps_s.clear()
        self._set_s = offset_s

    def now(self, at: datetime) -> datetime:
        """The charger's time at our time `at`."""
        return at + timedelta(seconds=self.offset_s)
