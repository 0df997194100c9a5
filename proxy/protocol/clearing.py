"""Clears profiles of the CSMS's in its name, so that none of ours goes with them (pure).

One clear by criteria becomes one for each profile that is known, and where others may stand at the charger, one for
each purpose and stack level that is not ours (local-controller.md section 3, item 4).
"""

from collections.abc import Callable, Iterable

from proxy.protocol.dialects import ClearCriteria, Dialect, read_status
from proxy.protocol.exchange import OwnCall, OwnOutcome
from proxy.protocol.placing import Placing
from proxy.protocol.shadow import Book, Kept, Shadow

MOST_PIECES = 40
"""More levels than so many are not gone through: then what is known is cleared."""


class Clearing:
    """One clear at a time, and the removal of single profiles in between."""

    def __init__(self, dialect: Dialect, new_token: Callable[[], str]) -> None:
        self._dialect, self._new_token = dialect, new_token
        self._asked = ClearCriteria()
        self._open: dict[str, ClearCriteria] = {}
        self._failed: list[ClearCriteria] = []
        self._hit = False
        self._leaving: dict[str, int] = {}
        self.left: frozenset[int] = frozenset()
        """Profiles that should have gone from the charger, and have not."""

    def begin(self, criteria: ClearCriteria, shadow: Shadow, placing: Placing) -> list[OwnCall]:
        """The calls that clear at the charger what matches; none where only the shadow has any of it."""
        self._asked, self._failed, self._hit = criteria, [], False
        pieces = [
            ClearCriteria(id=kept.profile.id)
            for kept in shadow.book
            if not kept.owned and criteria.matches(kept.profile)
        ]
        if not shadow.complete:
            by_level = list(placing.pieces(criteria))
            pieces = by_level if len(by_level) <= MOST_PIECES else pieces
        calls = [self._call(piece) for piece in pieces]
        self._open = {call.token: piece for call, piece in zip(calls, pieces, strict=True)}
        return calls

    def stop(self) -> None:
        """Nobody waits for it any more."""
        self._open.clear()

    @property
    def is_under_way(self) -> bool:
        """Whether answers are waited for."""
        return bool(self._open)

    def took(self, outcome: OwnOutcome) -> bool:
        """Whether this answered one of its calls."""
        if outcome.kind != "sent" and (leaving := self._leaving.pop(outcome.call.token, None)) is not None:
            if not _is_gone(outcome):
                self.left |= {leaving}
            return False
        piece = self._open.get(outcome.call.token)
        if piece is None or outcome.kind == "sent":
            return False
        del self._open[outcome.call.token]
        status = read_status(outcome.payload) if outcome.kind == "result" else None
        if status == "Accepted":
            self._hit = True
        elif status != "Unknown":
            self._failed.append(piece)
        return True

    def result(self, book: Book) -> tuple[Book, bool]:
        """What is left of the book, and whether anything was cleared."""

        def stays(kept: Kept) -> bool:
            if not self._asked.matches(kept.profile):
                return True
            return not kept.owned and any(piece.matches(kept.profile) for piece in self._failed)

        owned = any(kept.owned and self._asked.matches(kept.profile) for kept in book)
        return tuple(kept for kept in book if stays(kept)), self._hit or owned

    def evict(self, gone: Iterable[Kept]) -> list[OwnCall]:
        """Take single profiles from the charger: the shadow has them, or nobody wants them any more."""
        return self._leave(kept.profile.id for kept in gone)

    def again(self) -> list[OwnCall]:
        """Try once more with those that have not gone."""
        left, self.left = self.left, frozenset()
        return self._leave(sorted(left))

    def _leave(self, ids: Iterable[int]) -> list[OwnCall]:
        calls = []
        for number in ids:
            calls.append(self._call(ClearCriteria(id=number)))
            self._leaving[calls[-1].token] = number
        return calls

    def _call(self, piece: ClearCriteria) -> OwnCall:
        token = self._new_token()
        return OwnCall("ClearChargingProfile", self._dialect.write_clear(piece), f"csms-clear:{token}", token)


def _is_gone(outcome: OwnOutcome) -> bool:
    return outcome.kind == "result" and read_status(outcome.payload) in ("Accepted", "Unknown")
