"""What one charger turned out to accept of charging profiles: the ladder that a refusal climbs down.

Order of trial (local-controller.md section 3): the station cap at the reserved level, at lower ones, at 0; then
TxProfile and TxDefaultProfile likewise; last a relative default without a dead-man step. What a charger has accepted
once is proven: later refusals of it are reported, not climbed down from.
"""

from dataclasses import dataclass, replace
from typing import Literal

from proxy.protocol.composite import Purpose

DEFAULT_LEVEL = 8
"""Modest: many chargers report it as their highest; MicroOcpp-based ones by default."""
SILENT = 2
"""So many unanswered trials in a row: the charger hangs on absolute schedules (seen in the field)."""

Why = Literal["rejected", "not supported", "silent"]


@dataclass(frozen=True, slots=True)
class Capability:
    """The present rung and what is proven; durable, one per charger (model and firmware may share it later).

    `level` is the reserved top stack level, `max_level` what the charger reports as its highest. `timed` False: only
    relative schedules, so no dead-man step. `fallback` False: it refused the level-0 fall-back.
    """

    mode: Literal["cap", "tx"] = "cap"
    level: int = DEFAULT_LEVEL
    max_level: int | None = None
    timed: bool = True
    tx_profile: bool = True
    group_cap: bool = True
    fallback: bool = True
    proven: frozenset[Purpose] = frozenset()
    silent: int = 0
    firmware: str | None = None

    @property
    def top_level(self) -> int:
        """Where a trial begins: the charger's own highest level where it was told, else the default."""
        return self.max_level if self.max_level is not None else DEFAULT_LEVEL

    def restarted(self, firmware: str | None = None) -> "Capability":
        """Nothing proven, first rung: after a change of firmware, or after everything was refused."""
        return Capability(
            level=self.top_level, max_level=self.max_level, firmware=firmware if firmware is not None else self.firmware
        )

    def told_max_level(self, level: int) -> "Capability":
        """The charger reported its highest stack level; a rung that was proven stays."""
        if self.proven or not self.timed or level == self.max_level:
            return replace(self, max_level=level)
        return replace(self, max_level=level, level=level)

    def accepted(self, purpose: Purpose) -> "Capability":
        """This purpose was accepted on the present rung."""
        return replace(self, proven=self.proven | {purpose}, silent=0)

    def refused(self, purpose: Purpose, why: Why) -> "Capability | None":
        """The next rung after this purpose was refused on the present one; None where there is none to climb to."""
        if purpose in self.proven or not self.timed:
            return None
        if why == "silent":
            return self._silenced()
        if purpose is Purpose.TX and (Purpose.DEFAULT in self.proven or why == "not supported" or self.level == 0):
            level = self.level if Purpose.DEFAULT in self.proven else self.top_level
            return replace(self, tx_profile=False, level=level, silent=0)
        # Where another purpose stands on this rung, it cannot be moved under it.
        return None if self.proven else self._next(why)

    def _next(self, why: Why) -> "Capability":
        if why == "rejected" and self.level > 0:
            return replace(self, level=self._lower(), silent=0)
        if self.mode == "cap":
            return replace(self, mode="tx", level=self.top_level, fallback=True, silent=0)
        return self._untimed()

    def same_rung(self, other: "Capability") -> bool:
        """Whether the same profiles would be written."""
        return replace(self, silent=0, proven=frozenset()) == replace(other, silent=0, proven=frozenset())

    def _lower(self) -> int:
        below_top = self.max_level - 1 if self.max_level is not None else 3
        return next(level for level in (below_top, 1, 0) if level < self.level)

    def _untimed(self) -> "Capability":
        return replace(self, mode="tx", timed=False, tx_profile=False, level=0, silent=0)

    def _silenced(self) -> "Capability | None":
        if self.proven:
            return None
        return replace(self, silent=self.silent + 1) if self.silent + 1 < SILENT else self._untimed()
