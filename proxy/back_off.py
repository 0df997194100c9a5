"""Who has failed to prove itself waits longer each time."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Record:
    failures: int
    last_s: float


class BackOff:
    """Counts failures of each key: after `free` of them the next one is heard after `base_s`, and after twice as long
    with each more, `most_s` at most. What was not heard of for `most_s` is forgotten; never more than `capacity` keys
    are kept, the oldest going first.
    """

    def __init__(self, free: int, base_s: float, most_s: float, capacity: int = 10_000) -> None:
        self._free, self._base_s, self._most_s, self._capacity = free, base_s, most_s, capacity
        self._records: OrderedDict[Hashable, _Record] = OrderedDict()

    def failed(self, key: Hashable, now_s: float) -> None:
        """One more failure."""
        record = self._records.pop(key, None)
        if record is None or now_s - record.last_s > self._most_s:
            record = _Record(0, now_s)
        record.failures += 1
        record.last_s = now_s
        self._records[key] = record
        while len(self._records) > self._capacity:
            self._records.popitem(last=False)

    def succeeded(self, key: Hashable) -> None:
        """All is forgiven."""
        self._records.pop(key, None)

    def wait_s(self, key: Hashable, now_s: float) -> float:
        """How long this key is not heard yet, in s; 0 where it is."""
        record = self._records.get(key)
        if record is None or record.failures < self._free:
            return 0.0
        pause_s = min(self._base_s * 2.0 ** min(record.failures - self._free, 30), self._most_s)
        return max(0.0, record.last_s + pause_s - now_s)
