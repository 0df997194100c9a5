"""Records that wait to be written: facts replace one another, history queues up, and no queue grows without end."""

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from inventory.records import ReadingRecord, Record, SampleRecord, record_key

SAMPLES = (SampleRecord, ReadingRecord)
MAX_BATCH = 5_000


@dataclass(slots=True)
class StoreCounts:
    """What the store has done, for the metrics.

    `dropped_samples` and `dropped_history` were given up because the database did not keep up; `rejected` are records
    that it refuses for good.
    """

    written: int = 0
    batches: int = 0
    failures: int = 0
    rejected: int = 0
    dropped_samples: int = 0
    dropped_history: int = 0


class Mark(NamedTuple):
    """Up to where something waits: how many takes of the facts, and how many of the rest, it is until all is gone."""

    facts: int
    history: int
    samples: int


class Pending:
    """Records that wait. Facts replace one another, history queues up: only samples are dropped lightly.

    Guarantee: sessions, limits and all else that a restart needs is never dropped; there are only as many as there are
    things. Samples and readings beyond `capacity` push out the oldest of their kind, and so do decisions and steps of
    set-points, of which `capacity` is hours.
    """

    def __init__(self, capacity: int, counts: StoreCounts) -> None:
        self._counts = counts
        self._capacity = capacity
        self._facts: dict[Hashable, Record] = {}
        self._history: deque[Record] = deque()
        self._samples: deque[Record] = deque()
        self._gone = Mark(0, 0, 0)

    def mark(self) -> Mark:
        """Stands for all that waits now."""
        facts, history, samples = self._gone
        return Mark(facts + bool(self._facts), history + len(self._history), samples + len(self._samples))

    def holds(self, mark: Mark) -> bool:
        """Whether any of what waited then waits still."""
        return any(gone < asked for gone, asked in zip(self._gone, mark, strict=True))

    def _go(self, facts: int, history: int, samples: int) -> None:
        self._gone = Mark(self._gone.facts + facts, self._gone.history + history, self._gone.samples + samples)

    def __len__(self) -> int:
        return len(self._facts) + len(self._history) + len(self._samples)

    def add(self, record: Record) -> None:
        """Takes one record."""
        key = record_key(record)
        if key is not None:
            self._facts[key] = record
        elif isinstance(record, SAMPLES):
            self._samples.append(record)
        else:
            self._history.append(record)
        self._drop()

    def waiting(self) -> Iterator[Record]:
        """All records that wait."""
        return chain(self._facts.values(), self._history, self._samples)

    def take(self) -> list[Record]:
        """All facts and the oldest of the rest, to be written together."""
        batch = list(self._facts.values())
        self._facts = {}
        history, samples = len(self._history), len(self._samples)
        for queue in (self._history, self._samples):
            while queue and len(batch) < MAX_BATCH:
                batch.append(queue.popleft())
        self._go(1, history - len(self._history), samples - len(self._samples))
        return batch

    def give_back(self, batch: list[Record]) -> None:
        """Returns a batch that was not written: in its old place, and only where nothing newer has come."""
        facts: dict[Hashable, Record] = {}
        history, samples = len(self._history), len(self._samples)
        for record in reversed(batch):
            key = record_key(record)
            if key is not None:
                facts[key] = record
            elif isinstance(record, SAMPLES):
                self._samples.appendleft(record)
            else:
                self._history.appendleft(record)
        self._facts = facts | self._facts
        self._go(-1, history - len(self._history), samples - len(self._samples))
        self._drop()

    def _drop(self) -> None:
        while len(self._samples) > self._capacity:
            self._samples.popleft()
            self._go(0, 0, 1)
            self._counts.dropped_samples += 1
        while len(self._history) > self._capacity:
            self._history.popleft()
            self._go(0, 1, 0)
            self._counts.dropped_history += 1
