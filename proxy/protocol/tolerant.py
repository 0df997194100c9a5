"""Reading what chargers and CSMSs really send: every reader gives None for nonsense, none raises, all are bounded.

A proxy forwards what it cannot read, so nothing here validates: a wrong type, a missing field or an absurd number makes
one field unknown and leaves the rest readable (local-controller.md section 7, field-reports.md section 1).
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

Json = Mapping[str, Any]

NOTHING: Json = {}
MAX_ID = 2**31 - 1
"""Largest integer that an OCPP id, connector or period may have here."""
LONGEST_TEXT = 64
NOT_JSON = (msgspec.MsgspecError, RecursionError, ValueError)
"""What decoding raises; `ValueError` for bad UTF-8 and absurd numbers, `RecursionError` for absurd nesting."""


def read_object(raw: bytes) -> Json | None:
    """Decode a JSON object; None if it is not one (malformed, another type, nested too deeply, a number too large)."""
    try:
        value = msgspec.json.decode(raw)
    except NOT_JSON:
        return None
    return value if isinstance(value, dict) else None


def as_object(value: object) -> Json:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else NOTHING


def as_objects(value: object, most: int) -> list[Json]:
    """The objects among the first `most` elements of a JSON array; empty if it is not one."""
    return [item for item in value[:most] if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: object, longest: int = LONGEST_TEXT) -> str | None:
    """A string, cut to `longest` characters; None for anything else."""
    return value[:longest] if isinstance(value, str) else None


def as_number(value: object) -> float | None:
    """A finite number, also from a string with spaces around it (' 0.0'); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and "_" in value:
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def as_int(value: object, low: int = 0, high: int = MAX_ID) -> int | None:
    """A whole number within [low, high], also written as a string or as 1.0; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if low <= value <= high else None
    number = as_number(value)
    if number is None or not number.is_integer() or not low <= number <= high:
        return None
    return int(number)


def as_instant(value: object) -> datetime | None:
    """An ISO 8601 instant in aware UTC (one without an offset is taken as UTC), from 1970 to 2100; else None."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        instant = datetime.fromisoformat(value.strip())
        if instant.tzinfo is not UTC:
            instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return instant if 1970 <= instant.year <= 2100 else None
