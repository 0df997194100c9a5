"""How fairly turns were shared."""

from collections.abc import Iterable, Sequence
from datetime import datetime


def jain(shares: Sequence[float]) -> float:
    """Jain's index (sum x)^2 / (n sum x^2): 1 when all are equal, 1/n when one has everything.

    1 for nobody, and where nobody got anything: all are equal.
    """
    square = sum(share * share for share in shares)
    return 1.0 if square == 0.0 else sum(shares) ** 2 / (len(shares) * square)


def smallest_share(shares: Sequence[float]) -> float:
    """The smallest share over the mean share: 1 when all are equal, 0 when somebody got nothing; 1 for nobody."""
    total = sum(shares)
    return 1.0 if total == 0.0 else min(shares) * len(shares) / total


def longest_wait_s(served: Sequence[tuple[datetime, bool]]) -> float:
    """The longest unserved stretch, in seconds, of one EVSE that wants current.

    `served` tells from which instant on it was served or not, in order of time; the last entry ends the record.
    """
    longest = 0.0
    begun: datetime | None = None
    for at, is_served in served:
        if begun is not None:
            longest = max(longest, (at - begun).total_seconds())
        if is_served:
            begun = None
        elif begun is None:
            begun = at
    return longest


def switches(limits_a: Iterable[float]) -> int:
    """How often a limit went from 0 to non-zero or back."""
    count = 0
    previous: bool | None = None
    for limit_a in limits_a:
        on = limit_a > 0.0
        if previous is not None and on != previous:
            count += 1
        previous = on
    return count
