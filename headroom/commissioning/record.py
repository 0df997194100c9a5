"""What was found so far, in a file, so that a visit may be broken off and gone on with."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from domain.errors import HeadroomError
from domain.site import Phase


class Verdict(StrEnum):
    """What a step came to. Only `PASSED` proves anything."""

    PASSED = "passed"
    FAILED = "failed"
    UNCLEAR = "unclear"
    SKIPPED = "skipped"


class Step(StrEnum):
    """What is done at each charger, in this order."""

    IDENTITY = "identity"
    METER = "meter"
    LINK = "link"
    POWER = "power"
    CLOCK = "clock"


FALL_BACK_STEPS = (Step.LINK, Step.POWER, Step.CLOCK)
"""Each of them takes the charger's link away and looks at what it draws."""


@dataclass(frozen=True)
class Trace:
    """What was seen, for a figure: seconds since its beginning, A. `window` is what was judged."""

    at_s: list[float]
    drawn_a: list[float]
    metered_a: dict[Phase, list[float]]
    allowed_a: float | None = None
    window: tuple[float, float] | None = None
    marks: list[tuple[float, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Finding:
    """One step at one EVSE (of a charger as a whole: the first one's name)."""

    charger: str
    evse: str
    step: Step
    verdict: Verdict
    text: str
    at: datetime
    figures: dict[str, float] = field(default_factory=dict)
    trace: Trace | None = None


@dataclass
class Record:
    """A visit. `findings` by "EVSE/step"; a step that is done again replaces what it found before."""

    site: str
    installer: str
    service: str
    begun_at: datetime
    findings: dict[str, Finding] = field(default_factory=dict)

    def take(self, finding: Finding) -> None:
        """Write a finding down."""
        self.findings[f"{finding.evse}/{finding.step}"] = finding

    def of(self, evse: str, step: Step) -> Finding | None:
        """What a step found at an EVSE."""
        return self.findings.get(f"{evse}/{step}")

    def has_passed(self, evse: str, step: Step) -> bool:
        """Whether a step proved what it was to prove."""
        found = self.of(evse, step)
        return found is not None and found.verdict is Verdict.PASSED

    def is_proven(self, evse: str) -> bool:
        """Whether an EVSE's fall-back was seen to hold without link, after a power cut, and with a wrong clock."""
        return all(self.has_passed(evse, step) for step in Step)

    def is_disproven(self, evse: str) -> bool:
        """Whether it was seen not to hold."""
        found = (self.of(evse, step) for step in FALL_BACK_STEPS)
        return any(one is not None and one.verdict is Verdict.FAILED for one in found)

    def proven(self, evses: Iterable[str]) -> dict[str, bool]:
        """Per EVSE that was tested, what its `failsafe_proven` should say."""
        return {evse: self.is_proven(evse) for evse in evses if self.is_proven(evse) or self.is_disproven(evse)}


def load(file: Path, site: str) -> Record | None:
    """The record of an earlier part of the visit; None where there is none yet.

    Raises:
        HeadroomError: the file is something else, or of another site.
    """
    if not file.exists():
        return None
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise HeadroomError(f"--state {file}: is no record of a commissioning ({error}): name another file") from None
    if found.site != site:
        raise HeadroomError(f"--state {file}: is of site '{found.site}', and the service runs '{site}'")
    return found


def save(record: Record, file: Path) -> None:
    """Write the record; what was there before stays until this is complete."""
    scratch = file.with_suffix(file.suffix + ".new")
    scratch.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    scratch.replace(file)
