"""The smallest schedule that still fails: Zeller and Hildebrandt's ddmin over the faults, then shorter faults."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from simulators.faults import Fault

SHORTEST_S = 1.0


def shrunk(
    faults: Sequence[Fault], fails: Callable[[Sequence[Fault]], bool], *, most_runs: int = 60
) -> tuple[Fault, ...]:
    """Reduce a schedule that fails.

    Args:
        faults: the schedule.
        fails: runs a schedule; whether the violation is still there.
        most_runs: gives up looking for a smaller one after so many runs.

    Returns:
        a schedule that fails, none of whose faults could be left out within `most_runs` (1-minimal where they
        suffice), each as short as halving made it.
    """
    budget = _Budget(fails, most_runs)
    least = _fewest(list(faults), budget)
    return tuple(_shortest(least, budget))


class _Budget:
    def __init__(self, fails: Callable[[Sequence[Fault]], bool], runs: int) -> None:
        self._fails, self.left = fails, runs

    def fails(self, faults: Sequence[Fault]) -> bool:
        if self.left <= 0:
            return False
        self.left -= 1
        return self._fails(faults)


def _fewest(faults: list[Fault], budget: _Budget) -> list[Fault]:
    pieces = 2
    while len(faults) >= 2 and budget.left > 0:
        size = -(-len(faults) // pieces)
        for begin in range(0, len(faults), size):
            rest = faults[:begin] + faults[begin + size :]
            if rest and budget.fails(rest):
                faults, pieces = rest, max(2, pieces - 1)
                break
        else:
            if pieces >= len(faults):
                break
            pieces = min(len(faults), 2 * pieces)
    return faults


def _shortest(faults: list[Fault], budget: _Budget) -> list[Fault]:
    for place in range(len(faults)):
        while faults[place].for_s > SHORTEST_S:
            shorter = replace(faults[place], for_s=round(faults[place].for_s / 2, 1))
            if not budget.fails([*faults[:place], shorter, *faults[place + 1 :]]):
                break
            faults[place] = shorter
    return faults
