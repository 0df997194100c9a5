"""Domain values as JSON: what the database keeps of decisions, rotations and records of chargers."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def plain(value: object) -> Any:
    """Any domain value as JSON-ready builtins; times as RFC 3339."""
    return msgspec.to_builtins(value, enc_hook=_mapping)


def dump_json(value: object) -> str:
    """JSON text: the engines' serializer, so that a row's JSON columns may hold any domain value."""
    return msgspec.json.encode(value, enc_hook=_mapping).decode()


def typed(value: object, kind: type[T]) -> T:
    """The inverse of `plain`."""
    return msgspec.convert(value, kind)


def _mapping(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
