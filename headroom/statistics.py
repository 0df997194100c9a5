"""Counts and latencies of one site's control, as `demo` and `simulate` report them and /metrics shows them."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from domain.events import Event, SetpointAccepted, SetpointRefused, SetpointSent
from domain.ids import DecisionId
from domain.setpoint import Decision

_KEPT = 20_000


@dataclass
class Latencies:
    """The newest values of one latency, in real milliseconds; how many there were since the start, and their sum."""

    values_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    count: int = 0
    total_ms: float = 0.0

    def add(self, milliseconds: float) -> None:
        """One more value."""
        self.values_ms.append(milliseconds)
        self.count += 1
        self.total_ms += milliseconds

    def summary(self) -> dict[str, float | None]:
        """p50, p99 and maximum by nearest rank; None without values."""
        return summarise(self.values_ms)


def summarise(values_ms: Iterable[float]) -> dict[str, float | None]:
    """p50, p99 and maximum by nearest rank; None without values."""
    ordered = sorted(values_ms)
    if not ordered:
        return {"p50": None, "p99": None, "max": None}
    return {"p50": _rank(ordered, 0.50), "p99": _rank(ordered, 0.99), "max": ordered[-1]}


def _rank(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


@dataclass
class Statistics:
    """What the control loop of one site did since it started."""

    decisions: int = 0
    decisions_by_rung: dict[str, int] = field(default_factory=dict)
    setpoints_sent: int = 0
    setpoints_accepted: int = 0
    setpoints_refused: int = 0
    rotations: int = 0
    least_nonzero_a: float | None = None
    decision_ms: Latencies = field(default_factory=Latencies)
    start_to_limit_ms: Latencies = field(default_factory=Latencies)
    _starts: dict[DecisionId, float] = field(default_factory=dict)

    def heard(self, event: Event) -> None:
        """What became of a limit is counted."""
        match event:
            case SetpointSent():
                self.sent(event.decision, event.limit_a, event.sent_mono_s)
            case SetpointAccepted():
                self.setpoints_accepted += 1
            case SetpointRefused():
                self.setpoints_refused += 1

    def decided(self, rung: str, took_ms: float) -> None:
        """A decision was made."""
        self.decisions += 1
        self.decisions_by_rung[rung] = self.decisions_by_rung.get(rung, 0) + 1
        self.decision_ms.add(took_ms)

    def triggered_by_start(self, decision: DecisionId, relayed_mono_s: float) -> None:
        """The decision answers a StartTransaction whose reply left the proxy at `relayed_mono_s`."""
        self._starts[decision] = relayed_mono_s
        while len(self._starts) > 1000:
            self._starts.pop(next(iter(self._starts)))

    def sent(self, decision: DecisionId, limit_a: float, sent_mono_s: float | None) -> None:
        """A limit's frame is on the wire: the first one of a decision ends its start-to-limit time."""
        self.setpoints_sent += 1
        if limit_a > 0 and (self.least_nonzero_a is None or limit_a < self.least_nonzero_a):
            self.least_nonzero_a = limit_a
        relayed_mono_s = self._starts.pop(decision, None)
        if relayed_mono_s is not None and sent_mono_s is not None:
            self.start_to_limit_ms.add((sent_mono_s - relayed_mono_s) * 1000)

    def as_json(self) -> dict[str, object]:
        """The names of the contract."""
        return {
            "decisions": self.decisions,
            "decisions_by_rung": dict(self.decisions_by_rung),
            "setpoints_sent": self.setpoints_sent,
            "setpoints_accepted": self.setpoints_accepted,
            "setpoints_refused": self.setpoints_refused,
            "rotations": self.rotations,
            "least_nonzero_a": self.least_nonzero_a,
            "decision_ms": self.decision_ms.summary(),
            "start_to_limit_ms": self.start_to_limit_ms.summary(),
        }


def turns_passed(before: Decision | None, after: Decision) -> int:
    """How many EVSEs got their turn in a decision because another one's was over."""
    if before is None:
        return 0
    was, now = before.rotation.turns, after.rotation.turns
    began = sum(1 for e, t in now.items() if e in was and t.admitted_since and not was[e].admitted_since)
    ended = sum(1 for e, t in now.items() if e in was and was[e].admitted_since and not t.admitted_since)
    return min(began, ended)
