"""From what a meter says to currents per phase. Pure; what is wrong is a `ValueError` that says what to do."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.ids import MeterId
from domain.site import Meter, MqttSource, Phase, Site

POWER_FACTOR = 0.95
"""Of a power reading: the current is taken to be as large as at this power factor."""

_LONGEST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Conversion:
    """How one meter's numbers become amperes.

    `scale` times a number is A or W by `measures`. A total tells of no phase: each is taken to carry `unbalance` times
    its even share, all of it on every phase where nobody knows better.
    """

    phases: tuple[Phase, ...]
    line_to_neutral_v: float
    measures: Literal["current", "power"] = "current"
    scale: float = 1.0
    unbalance: float | None = None

    @classmethod
    def of(cls, site: Site, meter: Meter) -> "Conversion":
        """For a meter of a site; one that is on no feeder is a KeyError."""
        feeder = next((one for one in site.feeders if one.meter == meter.id), None)
        if feeder is None:
            raise KeyError(meter.id)
        source = meter.mqtt or meter.modbus
        volts = (feeder.line_to_line_v or site.electrical.line_to_line_v) / math.sqrt(3.0)
        if source is None:
            return cls(feeder.phases, volts)
        return cls(feeder.phases, volts, source.measures, source.scale, source.unbalance)

    def per_phase(self, numbers: Mapping[Phase, float]) -> dict[Phase, float]:
        """A per phase."""
        return {phase: self._amps(number) for phase, number in numbers.items()}

    def of_total(self, number: float) -> dict[Phase, float]:
        """A per phase of a meter that tells one number for all."""
        count = len(self.phases)
        share = self._amps(number) * (count if self.unbalance is None else min(self.unbalance, count)) / count
        return dict.fromkeys(self.phases, share)

    def _amps(self, number: float) -> float:
        value = self.scale * number
        return value if self.measures == "current" else value / (self.line_to_neutral_v * POWER_FACTOR)


def found_at(document: object, path: str) -> object:
    """What a dotted path leads to in a JSON document: keys of objects, places of lists."""
    for step in path.split("."):
        if isinstance(document, Mapping) and step in document:
            document = document[step]
        elif isinstance(document, Sequence) and not isinstance(document, str) and step.isdigit():
            if int(step) >= len(document):
                raise ValueError(f"'{path}': the list has {len(document)} entries")
            document = document[int(step)]
        else:
            known = f"; there are {', '.join(map(str, document))}" if isinstance(document, Mapping) else ""
            raise ValueError(f"'{path}': there is no '{step}'{known}"[:300])
    return document


def number_at(document: object, path: str) -> float:
    """A number, also one that is written as a text."""
    value = found_at(document, path)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"'{path}' must be a number, it is {json.dumps(value)[:60]}")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"'{path}' must be a number, it is '{str(value)[:60]}'") from None


def time_at(document: object, path: str) -> datetime:
    """An RFC 3339 time with a zone."""
    value = found_at(document, path)
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"'{path}' must be a time such as 2026-03-01T17:00:00Z, it is {json.dumps(value)[:60]}")
    return at


def published(source: MqttSource, conversion: Conversion, body: bytes) -> tuple[datetime | None, dict[Phase, float]]:
    """Time (None: that of its arrival) and A per phase of one message of a broker."""
    if len(body) > _LONGEST_BYTES:
        raise ValueError(f"{len(body)} bytes; a reading has at most {_LONGEST_BYTES}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("is no JSON") from None
    at = time_at(document, source.time_field) if source.time_field is not None else None
    if source.total_field is not None:
        return at, conversion.of_total(number_at(document, source.total_field))
    if source.fields:
        return at, conversion.per_phase({phase: number_at(document, path) for phase, path in source.fields.items()})
    # The body of the HTTP push.
    at = at or time_at(document, "at")
    return at, conversion.per_phase({p: number_at(document, f"current_a.{p.value}") for p in conversion.phases})


def meters_of(site: Site) -> dict[MeterId, Meter]:
    """The meters that are on a feeder."""
    used = {feeder.meter for feeder in site.feeders}
    return {meter.id: meter for meter in site.meters if meter.id in used}
