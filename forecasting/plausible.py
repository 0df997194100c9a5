"""Which readings a forecast may learn from: a poisoned meter must not make the load look small.

What is held back neither teaches nor lowers anything: for the forecast the meter is silent, and the longer it is silent
the further ahead the bound has to look.
"""

import math
from collections import deque
from enum import StrEnum

FROZEN_CHANCE = 1e-3
"""A reading that repeats to the last digit so often that a run as long is less likely than this is frozen."""
JUMP_S = 3600.0
"""A time stamp this far after the newest is held until the next reading confirms it."""
MOST_A = 1e5
"""No feeder of a building carries more; what is said to is not shown either."""

_TOO_LOW = 0.05
_TOO_HIGH = 10.0
_SLACK_A = 20.0
_TRUSTED = 60
_BLOCK_S = 600.0
_BLOCKS = 7 * 144


class Verdict(StrEnum):
    """What a reading is taken for."""

    FINE = "fine"
    NOT_FINITE = "not a number"
    ABSURD = "beyond what any feeder carries"
    NEGATIVE = "negative"
    TOO_LOW = "a twentieth of the lowest seen"
    TOO_HIGH = "ten times the highest seen"
    FROZEN = "frozen"
    FROM_FUTURE = "stamped ahead"
    OLD = "older than the newest"


class Plausibility:
    """One phase of one feeder. No clock: times are those of the readings, s."""

    def __init__(self, frozen_chance: float = FROZEN_CHANCE) -> None:
        """`frozen_chance`: how unlikely a run of equal readings must be to be taken for frozen."""
        self._frozen_chance = frozen_chance
        self._newest_s: float | None = None
        self._held_s: float | None = None
        self._value: float | None = None
        self._run = 0
        self._fine = 0
        self._repeats = 0
        # Lowest and highest fine value of each ten minutes, over a week; and of all of them but the newest.
        self._blocks: deque[tuple[float, float, float]] = deque(maxlen=_BLOCKS)
        self._low, self._high = math.inf, -math.inf
        self._recalled_low = 0.0

    @property
    def trusted(self) -> bool:
        """Whether enough has been seen to judge by; until then what is recalled stands for it."""
        return self._fine >= _TRUSTED

    def recall(self, lowest_a: float) -> None:
        """The lowest mean of an hour in an earlier run: it stands for what was seen until enough has been.

        A restart is when a meter's scale is changed; the first readings after it are not to be taken on trust.
        """
        self._recalled_low = lowest_a

    def judge(self, at_s: float, value_a: float) -> Verdict:
        """Whether the reading is to be learned from; a fine one is remembered."""
        if not math.isfinite(value_a):
            return Verdict.NOT_FINITE
        if not 0.0 <= value_a <= MOST_A:
            return Verdict.NEGATIVE if value_a < 0.0 else Verdict.ABSURD
        if self._newest_s is not None and at_s < self._newest_s:
            return Verdict.OLD
        if self._ahead(at_s):
            return Verdict.FROM_FUTURE
        verdict = self._sized(value_a)
        if verdict in {Verdict.TOO_LOW, Verdict.TOO_HIGH}:
            return verdict
        self._newest_s = at_s
        if verdict is Verdict.FINE:
            self._remember(at_s, value_a)
        return verdict

    def _ahead(self, at_s: float) -> bool:
        """A stamp far ahead counts once a second follows it: a clock that jumped once is wrong, a silence is not."""
        if self._newest_s is None or at_s - self._newest_s <= JUMP_S:
            self._held_s = None
            return False
        confirmed = self._held_s is not None and 0.0 < at_s - self._held_s <= JUMP_S
        if not confirmed:
            self._held_s = at_s
        return not confirmed

    def _sized(self, value_a: float) -> Verdict:
        if self.trusted:
            _, low, high = self._blocks[-1]
            if value_a < _TOO_LOW * min(low, self._low):
                return Verdict.TOO_LOW
            if value_a > _TOO_HIGH * max(high, self._high) + _SLACK_A:
                return Verdict.TOO_HIGH
        elif value_a < _TOO_LOW * self._recalled_low:
            return Verdict.TOO_LOW
        self._run = self._run + 1 if value_a == self._value else 0
        self._value = value_a
        # How often this meter repeats itself, from the runs so far, each counted up to where it is taken for frozen.
        usual = (self._repeats + 1.0) / (self._fine + 20.0)
        return Verdict.FROZEN if self.trusted and usual**self._run < self._frozen_chance else Verdict.FINE

    def _remember(self, at_s: float, value_a: float) -> None:
        self._fine += 1
        self._repeats += int(self._run > 0)
        block_s = at_s - at_s % _BLOCK_S
        if self._blocks and self._blocks[-1][0] == block_s:
            _, low, high = self._blocks[-1]
            self._blocks[-1] = (block_s, min(low, value_a), max(high, value_a))
        else:
            self._low = min((block[1] for block in self._blocks), default=math.inf)
            self._high = max((block[2] for block in self._blocks), default=-math.inf)
            self._blocks.append((block_s, value_a, value_a))
