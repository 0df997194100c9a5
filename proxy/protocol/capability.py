"""What one charger turned out to accept of charging profiles: the ladder that a refusal climbs down.

Order of trial (local-controller.md section 3): the station cap at the reserved level, at lower ones, at 0; then
TxProfile and TxDefaultProfile likewise; then a relative default without a dead-man step; last all of it in W, unless
the charger said that it takes A. What a charger has accepted once is proven: later refusals of it are reported, not
climbed down from.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from domain.quirks import Quirks, Unit
from proxy.protocol.composite import Purpose

DEFAULT_LEVEL = 8
"""Modest: many chargers report it as their highest; MicroOcpp-based ones by default."""
SILENT = 2
"""So many unanswered trials in a row: the charger hangs on absolute schedules (seen in the field)."""

_RUNG = ("mode", "level", "timed", "tx_profile", "group_cap", "fallback")

Why = Literal["rejected", "not supported", "silent"]


@dataclass(frozen=True, slots=True)
class Capability:
    """The present rung and what is proven: the part of a charger's quirk record that the ladder moves.

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
    unit: Unit = "A"
    """In which limits are written: W only for a charger that takes no other."""
    unit_told: bool = False
    """Whether the charger itself said which units it takes; else W is tried after everything was refused in A."""

    @classmethod
    def of(cls, quirks: Quirks) -> "Capability":
        """The rung that is known of a charger; the first one where nothing is."""
        return cls(level=quirks.max_level if quirks.max_level is not None else DEFAULT_LEVEL).adopting(quirks)

    def adopting(self, quirks: Quirks) -> "Capability":
        """With what is known beside it: what a person wrote, or another charger of the model showed."""
        known: dict[str, Any] = {
            name: value for name in (*_RUNG, "max_level", "unit") if (value := getattr(quirks, name)) is not None
        }
        if quirks.proven is not None:
            known["proven"] = frozenset(Purpose(name) for name in quirks.proven if name in set(Purpose))
        if quirks.rate_units is not None:
            known["unit_told"] = True
            if quirks.unit is None:
                known["unit"] = "A" if "A" in quirks.rate_units else "W"
        return replace(self, **known)

    def shown(self) -> dict[str, Any]:
        """What trying has shown, as fields of `Quirks`. Limits in W name their phases, or they would be divided."""
        rung = {name: getattr(self, name) for name in _RUNG}
        names_phases = True if self.unit == "W" else None
        proven = tuple(sorted(purpose.value for purpose in self.proven))
        return {**rung, "unit": self.unit, "number_phases": names_phases, "proven": proven}

    @property
    def top_level(self) -> int:
        """Where a trial begins: the charger's own highest level where it was told, else the default."""
        return self.max_level if self.max_level is not None else DEFAULT_LEVEL

    def restarted(self, firmware: str | None = None) -> "Capability":
        """Nothing proven, first rung: after a change of firmware, or after everything was refused."""
        return Capability(
            level=self.top_level,
            max_level=self.max_level,
            firmware=firmware if firmware is not None else self.firmware,
            unit=self.unit if self.unit_told else "A",
            unit_told=self.unit_told,
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
        if purpose in self.proven:
            return None
        if not self.timed:
            return self._in_watts() if why != "silent" else None
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

    def _in_watts(self) -> "Capability | None":
        """Everything was refused in A by a charger that does not say what it takes: the ladder once more in W."""
        if self.unit == "W" or self.unit_told or self.proven:
            return None
        return replace(self.restarted(), unit="W")

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
